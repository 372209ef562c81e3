"""`whiteline sim`: it says when it answers, ends cleanly, leaves nothing behind, and stays on loopback."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest

from whiteline.beamline import description
from whiteline.sim.ioc.ports import leased

RUN = "from whiteline.beamline.cli import main; main()"
LISTENS = "0A"


@contextmanager
def sim(folder: Path, *words: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", RUN, "sim", "--data", str(folder / "data"), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder) as process:
        try:
            yield process
        finally:
            process.kill()


def ready(process: "subprocess.Popen[str]") -> list[int]:
    """Wait until it says that it is, and return the ports of machine and beamline."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if "Ctrl-C ends it." in line:
            found = re.search(r'EPICS_CA_ADDR_LIST="127\.0\.0\.1:(\d+) 127\.0\.0\.1:(\d+)"', said)
            assert found, said
            return [int(one) for one in found.groups()]
    raise AssertionError(said)


def iocs(port: int) -> list[int]:
    """Processes of IOCs that were told of a port."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            state = (folder / "stat").read_text().rpartition(") ")[2][0]
        except OSError:
            continue
        if b"whiteline.beamline.simulation.ioc" in words and str(port).encode() in words and state != "Z":
            found.append(int(folder.name))
    return found


def children(parent: int) -> list[int]:
    """Processes that a process has started."""
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def wait_until_gone(ports: list[int]) -> None:
    deadline = time.monotonic() + 30
    while any(iocs(port) for port in ports):
        assert time.monotonic() < deadline, "an IOC is left behind"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_ends_cleanly_and_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    with sim(tmp_path) as process:
        ports = ready(process)
        assert [len(iocs(port)) for port in ports] == [1, 1]
        process.send_signal(number)
        assert process.wait(30) == 0
        assert process.stdout is not None
        assert process.stdout.read() == "Stopped.\n"
        assert [iocs(port) for port in ports] == [[], []]


def test_killed_it_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    with sim(tmp_path) as process:
        ports = ready(process)
        words = [Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for port in ports for pid in iocs(port)]
        folders = {Path(word.decode()).parent for line in words for word in line if word.endswith(b"/floor")}
        assert [folder.is_dir() for folder in folders] == [True]
        process.kill()
        process.wait(30)
        wait_until_gone(ports)
        assert [folder.is_dir() for folder in folders] == [False]


def test_killed_while_it_starts_it_leaves_no_process(tmp_path: Path) -> None:
    with sim(tmp_path) as process:
        while not (started := children(process.pid)):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
        process.wait(30)
        deadline = time.monotonic() + 30
        while any(Path(f"/proc/{pid}/exe").exists() for pid in started):
            assert time.monotonic() < deadline, "an IOC is left behind"
            time.sleep(0.05)


def test_when_an_ioc_ends_it_ends_and_says_so(tmp_path: Path) -> None:
    with sim(tmp_path) as process:
        ports = ready(process)
        os.kill(iocs(ports[1])[0], signal.SIGKILL)
        assert process.wait(30) == 1
        assert process.stdout is not None
        said = process.stdout.read().strip()
        assert said == "whiteline: the beamline IOC has ended with code -9; the simulated beamline is stopped"
        wait_until_gone(ports)


def test_a_sample_that_cannot_be_is_told_in_a_sentence(tmp_path: Path) -> None:
    """The sample is laid out when the IOCs answer already: the run then ends, and says why."""
    text = (Path(description.__file__).parent / "txm.toml").read_text()
    assert "count = 14" in text
    (tmp_path / "crowded.toml").write_text(text.replace("count = 14", "count = 60"))
    with sim(tmp_path, "--beamline", "crowded.toml") as process:
        ports = ready(process)
        assert process.wait(120) == 1
        assert process.stdout is not None
        said = process.stdout.read().strip().splitlines()
        assert said[0].startswith("whiteline: 60 particles of 0.6 to 2 µm do not fit into 10 µm")
        assert said[1:] == ["whiteline: the beamline IOC has ended with code 1; the simulated beamline is stopped"]
        wait_until_gone(ports)


def test_eight_copies_run_side_by_side(tmp_path: Path) -> None:
    with ExitStack() as stack:
        copies = []
        for number in range(8):
            folder = tmp_path / str(number)
            folder.mkdir()
            copies.append(stack.enter_context(sim(folder)))
        ports = [port for copy in copies for port in ready(copy)]
        assert len(set(ports)) == 16
        assert all(copy.poll() is None for copy in copies)
        for copy in copies:
            copy.send_signal(signal.SIGINT)
        assert [copy.wait(60) for copy in copies] == [0] * 8
        wait_until_gone(ports)


def listening(pid: int) -> set[str]:
    """Addresses on which a process listens, by TCP or UDP, as hexadecimal numbers of the kernel."""
    inodes = set()
    for link in (Path("/proc") / str(pid) / "fd").iterdir():
        try:
            inodes.add(str(link.readlink()))
        except OSError:
            continue
    found = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in (Path("/proc") / str(pid) / "net" / table).read_text().splitlines()[1:]:
            fields = line.split()
            if f"socket:[{fields[9]}]" in inodes and (table.startswith("udp") or fields[3] == LISTENS):
                found.add(fields[1])
    return found


def test_everything_listens_on_loopback_only(tmp_path: Path) -> None:
    with sim(tmp_path) as process:
        ports = ready(process)
        loopback = socket.inet_aton("127.0.0.1")[::-1].hex().upper()
        for port in ports:
            (pid,) = iocs(port)
            found = listening(pid)
            assert f"{loopback}:{port:04X}" in found
            assert {address.partition(":")[0] for address in found} == {loopback}
        assert {address.partition(":")[0] for address in listening(process.pid)} == {loopback}  # the repeater


@pytest.mark.parametrize("beamline", ["txm", "nanoprobe"])
def test_every_process_variable_is_listed_with_type_and_unit(tmp_path: Path, beamline: str) -> None:
    command = [sys.executable, "-c", RUN, "sim", "--list-pvs", "--beamline", beamline]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    listed = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    assert len(listed) > 300
    assert listed["SR:current"] == ["DOUBLE", "ai", "mA"]
    assert listed["MONO:bragg"] == ["DOUBLE", "motor", "deg"]
    assert listed["ID:gap:readback"] == ["DOUBLE", "mm"]
    driver = {"txm": "TXM:camera:cam1:", "nanoprobe": "NANO:fluorescence:det1:"}[beamline]
    assert listed[f"{driver}AcquireTime"] == ["DOUBLE", "s"]
    assert not list(tmp_path.iterdir())


SHORT_XDI = """# XDI/1.0
# Element.symbol: Ni
# Element.edge: K
# Column.1: energy eV
# Column.2: mutrans
#---
"""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--beamline", "none"), "description none cannot be read: no such file or directory"),
        (("--speed", "0"), "speed 0 must lie between 0.01 and 1000"),
        (("--speed", "-3"), "speed -3 must lie between 0.01 and 1000"),
        (("--speed", "nan"), "speed nan must lie between 0.01 and 1000"),
        (("--seed", "-1"), "seed -1 must not be negative"),
        (("--port", "80"), "port 80 must lie between 1024 and"),
        (("--species", "Ni4+=a.xdi"), "txm has no species 'Ni4+'; it has Ni3+, Ni2+"),
        (("--species", "Ni3+"), "species 'Ni3+' must be NAME=FILE"),
        (("--species", "Ni3+=a.dat"), "species file a.dat needs its unit, a.dat:eV or a.dat:keV; it is not guessed"),
        (("--species", "Ni3+=none.xdi"), "species 'Ni3+': "),
        (("--species", "Ni3+=short.xdi"), "it must cover at least"),
        (("--beamline", "real.toml"), "real is no simulated beamline: its description has no [simulation]"),
        (("--data", "file/below"), "for the detectors' files cannot be made: Not a directory"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path: Path, words: tuple[str, ...], sentence: str) -> None:
    energies = np.arange(8320.0, 8345.0)
    rows = "\n".join(f"{energy} {float(energy > 8340)}" for energy in energies)
    (tmp_path / "short.xdi").write_text(f"{SHORT_XDI}{rows}\n")
    (tmp_path / "file").write_text("")
    shipped = (Path(description.__file__).parent / "txm.toml").read_text()
    real = shipped.partition("\n[simulation]\n")[0].replace('name = "txm"', 'name = "real"')
    (tmp_path / "real.toml").write_text(real)
    assert description.load(tmp_path / "real.toml").simulation is None
    command = [sys.executable, "-c", RUN, "sim", *(() if "--data" in words else ("--data", "data")), *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done
    assert done.stderr.startswith("whiteline: ")
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path) -> None:
    with leased(3) as ports:
        command = [sys.executable, "-c", RUN, "sim", "--data", str(tmp_path), "--port", str(ports[1])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert done.stderr == (f"whiteline: port {ports[1]} of 127.0.0.1 is taken; choose another, or leave it out\n")

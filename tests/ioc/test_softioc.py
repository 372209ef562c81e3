"""The devices work with the records of EPICS base as they do with those of the simulated beamline.

softioc is installed into a folder of its own, for its IOC alone. With it come libraries of EPICS base, and where ophyd
finds them, it uses them instead of those of pyepics: the tests would run with another client than people do.
"""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

LONG_S = 60
IOC = Path(__file__).with_name("epics_base_ioc.py")
NEEDED = ("softioc", "epicscorelibs", "epicsdbbuilder", "pvxslibs", "setuptools_dso")


@pytest.fixture(scope="module")
def softioc(tmp_path_factory: pytest.TempPathFactory, root_of_checkout: Path) -> Path:
    """The folder that softioc was installed into, in the versions of the constraints."""
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (root_of_checkout / "constraints.txt").read_text(), re.MULTILINE))
    folder = tmp_path_factory.mktemp("softioc")
    wanted = [f"{name}=={pins[name]}" for name in NEEDED]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), *wanted]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    return folder


@pytest.fixture(scope="module")
def root_of_checkout() -> Path:
    return Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def base(serve, softioc: Path, tag: str) -> "subprocess.Popen[bytes]":  # type: ignore[no-untyped-def]
    """An IOC of EPICS base that runs."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", str(softioc))
        return serve(IOC, f"{tag}TXM:plain", tag)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def shutters(base, tag: str, keep):  # type: ignore[no-untyped-def]
    from whiteline.devices.shutter import Shutter

    return {
        name: keep(Shutter(f"{tag}{prefix}", name=name, timeout_s=3.0))
        for name, prefix in (("photon_shutter", "FE:shutter:"), ("fast_shutter", "TXM:shutter:"))
    }


@pytest.fixture(scope="module")
def filters(base, tag: str, keep):  # type: ignore[no-untyped-def]
    from whiteline.devices.filters import Filters, Layer

    layers = [Layer("Al 50", "Al", 2.7, 50.0), Layer("Al 100", "Al", 2.7, 100.0)]
    return keep(Filters(f"{tag}TXM:filters:", name="filters", layers=layers, timeout_s=3.0))


def test_the_tests_run_with_the_client_that_pyepics_brings(base) -> None:  # type: ignore[no-untyped-def]
    import epics
    import ophyd  # which is what would choose another

    assert ophyd.get_cl().name == "pyepics"
    assert Path(epics.ca.find_libca()).is_relative_to(Path(epics.__file__).parent)


def test_it_listens_on_loopback_alone(base, ca_ports: list[int]) -> None:  # type: ignore[no-untyped-def]
    """Every socket of the process, by what the kernel says of it."""
    inodes = set()
    for link in Path(f"/proc/{base.pid}/fd").iterdir():
        try:
            target = str(link.readlink())
        except FileNotFoundError:
            continue
        inodes |= set(re.findall(r"socket:\[(\d+)\]", target))
    local = {}
    for kind in ("tcp", "udp"):
        for line in Path(f"/proc/{base.pid}/net/{kind}").read_text().splitlines()[1:]:
            fields = line.split()
            listening = kind == "udp" or fields[3] == "0A"
            if fields[9] in inodes and listening:
                address, port = fields[1].split(":")
                local[kind, int(port, 16)] = address
    assert local["tcp", ca_ports[0]] == local["udp", ca_ports[0]] == "0100007F"
    served = {port: address for (_, port), address in local.items() if port < 32768}
    assert set(served.values()) == {"0100007F"}
    assert not {port for port in served if port != ca_ports[0]}


@pytest.mark.parametrize("name", ["fast_shutter", "photon_shutter"])
def test_a_shutter_is_there_when_its_status_is_done(ca, shutters, name: str) -> None:  # type: ignore[no-untyped-def]
    """The command of the photon shutter completes before it has moved, and is not taken for an arrival."""
    shutter = shutters[name]
    pv = "TXM:shutter:status" if name == "fast_shutter" else "FE:shutter:status"
    for word in ("Open", "Closed", "Closed", "Open", "Open", "Closed"):
        shutter.set(word).wait(LONG_S)
        assert ca.get(pv, as_string=True) == word
        assert shutter.read()[name]["value"] == word
    assert shutter.describe()[name]["dtype"] == "string"
    assert shutter.read()[f"{name}_cycles"]["value"] == 2


def test_a_stuck_shutter_and_a_missing_permit(ca, shutters, tag: str) -> None:  # type: ignore[no-untyped-def]
    from whiteline.devices.errors import NotClosed, Refused

    photon = shutters["photon_shutter"]
    photon.set("Open").wait(LONG_S)
    ca.put("FE:shutter:status:stuck", 1)
    with pytest.raises(NotClosed, match=f"{tag}FE:shutter:status to be Closed, but it is Open"):
        photon.set("Closed").wait(LONG_S)
    ca.put("FE:shutter:status:stuck", 0)
    photon.set("Closed").wait(LONG_S)
    ca.put("FE:shutter:allow", 0)
    with pytest.raises(Refused, match=f"{tag}FE:shutter:permit is Denied"):
        photon.set("Open").wait(LONG_S)
    ca.put("FE:shutter:allow", 1)
    assert ca.get("FE:shutter:status", as_string=True) == "Closed"


def test_the_heart_beats(ca, base, tag: str, keep) -> None:  # type: ignore[no-untyped-def]
    from whiteline.devices.heartbeat import Heartbeat

    heartbeat = keep(Heartbeat(f"{tag}TXM:shutter:", name="heartbeat"))
    heartbeat.set("On").wait(LONG_S)
    assert ca.wait("TXM:shutter:heartbeat", lambda value: value >= 3) >= 3
    heartbeat.set("Off").wait(LONG_S)
    assert ca.get("TXM:shutter:heartbeat") == 0


def test_filters_go_in_and_out_by_their_names(ca, filters) -> None:  # type: ignore[no-untyped-def]
    for wanted in ({"Al 50"}, {"Al 100"}, {"Al 50", "Al 100"}, set()):
        filters.set(wanted).wait(LONG_S)
        there = {name for number, name in ((1, "Al 50"), (2, "Al 100")) if ca.get(f"TXM:filters:{number}:status") == 1}
        assert there == filters.inserted == wanted


def test_a_stuck_filter_is_named(ca, filters, tag: str) -> None:  # type: ignore[no-untyped-def]
    from whiteline.devices.errors import MoveFailed

    ca.put("TXM:filters:2:status:stuck", 1)
    with pytest.raises(MoveFailed, match=f"filters_al_100 waited .* {tag}TXM:filters:2:status to be In, but it is Out"):
        filters.set({"Al 50", "Al 100"}).wait(LONG_S)
    assert filters.inserted == {"Al 50"}
    ca.put("TXM:filters:2:status:stuck", 0)
    filters.set(()).wait(LONG_S)


def test_the_foil_wheel_turns_to_a_foil_by_name(ca, base, tag: str, keep) -> None:  # type: ignore[no-untyped-def]
    from whiteline.devices.errors import Overdue, Refused
    from whiteline.devices.filters import Layer
    from whiteline.devices.foil_wheel import FoilWheel

    foils = [Layer("Fe", "Fe", 7.87, 5.0), Layer("Ni", "Ni", 8.91, 5.0), Layer("Cu", "Cu", 8.96, 6.0)]
    wheel = keep(FoilWheel(f"{tag}TXM:foils", name="foil", foils=foils, timeout_s=1.0))
    for name in ("Ni", "Fe", None):
        wheel.set(name).wait(LONG_S)
        assert ca.get("TXM:foils:readback", as_string=True) == str(name)
    with pytest.raises(Refused, match=r"not turned to 'Cu': .*TXM:foils has None, Fe, Ni"):
        wheel.set("Cu").wait(LONG_S)
    ca.put("TXM:foils:readback:stuck", 1)
    with pytest.raises(Overdue, match="TXM:foils:readback to be Ni, but it is None"):
        wheel.set("Ni").wait(LONG_S)
    ca.put("TXM:foils:readback:stuck", 0)


def test_an_amplifier_shows_its_gain_in_force(ca, base, tag: str, keep) -> None:  # type: ignore[no-untyped-def]
    from whiteline.analysis.checks import OutOfRange
    from whiteline.devices.amplifier import Amplifier
    from whiteline.devices.errors import Refused

    gains = [1e5, 1e6, 1e7, 1e8]
    amplifier = keep(Amplifier(f"{tag}TXM:amplifier:1:", name="amplifier", gains_V_per_A=gains))
    for wanted, gain in ((1e6, 1e6), ("1e7 V/A", 1e7), (1e7, 1e7), (1e5, 1e5)):
        amplifier.set(wanted).wait(LONG_S)
        assert ca.get("TXM:amplifier:1:gain:value") == amplifier.gain.get() == gain
        assert amplifier.locate() == {"setpoint": gain, "readback": gain}
    with pytest.raises(OutOfRange, match="must be one of"):
        amplifier.set(3e6)
    with pytest.raises(Refused, match=r"has no word for 1e\+08 V/A, it has 1e5 V/A, 1e6 V/A, 1e7 V/A"):
        amplifier.set(1e8).wait(LONG_S)
    assert ca.get("TXM:amplifier:1:gain:value") == 1e5


def test_a_plain_signal_of_ophyd_with_its_unit(base, tag: str, keep) -> None:  # type: ignore[no-untyped-def]
    from ophyd import EpicsSignal

    plain = keep(EpicsSignal(f"{tag}TXM:plain", name="plain"))
    plain.set(2.25).wait(LONG_S)
    assert plain.get(use_monitor=False) == 2.25
    assert plain.describe()["plain"]["units"] == "mm"


def test_a_killed_ioc_is_told_at_once(base, shutters) -> None:  # type: ignore[no-untyped-def]
    """Last, as it ends the IOC."""
    from whiteline.devices.errors import NotClosed

    fast = shutters["fast_shutter"]
    fast.set("Open").wait(LONG_S)
    os.kill(base.pid, signal.SIGKILL)
    base.wait()
    with pytest.raises(NotClosed, match="last seen Open"):
        fast.set("Closed").wait(LONG_S)

"""`whiteline maps`: stacks of a catalog become a file of maps, and each refusal is one sentence and a 1."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from whiteline.analysis.live.saving import load_map
from whiteline.beamline.cli import main
from whiteline.beamline.simulation.options import Options

sys.path.append(str(Path(__file__).parent.parent / "analysis" / "live"))

LONGEST_S = 300
"""What takes longer hangs [s]."""

Command = Callable[..., str | int | None]
COMMAND = [sys.executable, "-c", "from whiteline.beamline.cli import main; main()", "maps"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A catalog with two stacks, and references beside it."""
    from making_runs import Made, references, usual_energies

    from whiteline.beamline.store.writing import open_store

    data = tmp_path_factory.mktemp("data")
    beamline = Options(beamline="txm", data=data).description()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with open_store(beamline) as store:
            for number in (21, 22):
                made = Made(
                    data, usual_energies()[::2], number, similar_frames=True,
                    md={"scan_id": number, "plan_name": "xanes_stack"},
                )  # fmt: skip
                for descriptor in made.descriptors.values():
                    descriptor["object_keys"].pop("position_index", None)  # which a catalog would look for
                for pair in made.whole():
                    store(*pair)
            assert store.wait()
            assert not store.troubles
        for one in references():
            np.savetxt(data / f"{one.name}.txt", np.column_stack([one.energy, one.absorption]))
        yield data / "catalog"


def test_tomograms_of_a_group_are_opened_with_what_resumed_them(tmp_path: Path) -> None:
    from making_runs import Made, usual_energies

    from whiteline.beamline.cli.maps import _opened
    from whiteline.beamline.store.writing import open_store

    beamline = Options(beamline="txm", data=tmp_path).description()
    energies, resumes = usual_energies()[:2], {}
    with open_store(beamline) as store:
        for number, (index, seed) in enumerate(((0, 1), (1, 2), (0, 3))):
            md = {"plan_name": "xanes_tomography", "scan_id": number, "group": "turns", "group_index": index, **resumes}
            made = Made(tmp_path, energies, seed, similar_frames=True, md=md)
            for descriptor in made.descriptors.values():
                descriptor["object_keys"].pop("position_index", None)
            # the first one is interrupted before its second point, which the last one takes
            part = {(0, 1): [0], (1, 2): [0, 1], (0, 3): [1]}[index, seed]
            told = [*made.begin(), *(pair for one in part for pair in made.point("sample", one, seq_num=one + 1))]
            for pair in (*told, *made.end()):
                store(*pair)
            if number == 0:
                first = made.start["uid"]
            resumes = {"resumes": first} if number == 1 else {}
        assert store.wait()
    runs = _opened("-1", beamline, tmp_path / "catalog")
    assert [run.start["group_index"] for run in runs] == [0, 1]
    assert [len(run.parts) for run in runs] == [2, 0]
    assert [run.completeness.points for run in runs] == [2, 2]


@pytest.fixture
def named(folder: Path) -> list[str]:
    """The options that name the references."""
    return [f"--reference={name}={folder.parent / name}.txt:eV" for name in ("NiO", "LiNiO2")]


@pytest.fixture
def command(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run the command in an empty folder; return what the process would end with."""
    monkeypatch.setattr("whiteline.beamline.cli.maps.silence_libraries", lambda: None)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, catalog: Path = folder) -> str | int | None:
        monkeypatch.setattr(sys, "argv", ["whiteline", "maps", *arguments, "--catalog", str(catalog)])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(SystemExit) as ended:
                main()
        return ended.value.code

    return run


def of_group(number: int) -> list[str]:
    """Return what still runs of a group of processes."""
    found = []
    for one in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(one.pid) == number and one.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(one.cmdline()))
    return found


def test_two_runs_are_two_slices_of_one_file(folder: Path, named: list[str], tmp_path: Path) -> None:
    arguments = ["21", "-1", "21", *named, "--catalog", str(folder), "--out", str(tmp_path), "--workers", "1"]
    done = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, check=False, cwd=tmp_path, timeout=LONGEST_S
    )
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("*_and_1_*_maps.h5")
    assert done.stdout.startswith(f"{path}: 2 slices, 0.00922 million spectra in ")
    first, second = (load_map(path, "fraction of NiO", position) for position in (0, 1))
    assert first.value.shape == (64, 72)
    assert first.valid.mean() > 0.5
    assert np.nanmedian(abs(first.value - second.value)) > 0.05  # two samples
    assert load_map(path, "edge energy", 0).unit == "eV"


def test_ctrl_c_leaves_nothing_running_and_no_half_file(folder: Path, named: list[str], tmp_path: Path) -> None:
    for attempt in range(10):
        out, copy = tmp_path / f"out{attempt}", tmp_path / f"copy{attempt}"
        arguments = ["21", "22", *named, "--catalog", str(folder), "--out", str(out), "--cache", str(copy)]
        # in a group of its own, which a terminal would send Ctrl-C to as a whole
        process = subprocess.Popen(
            [*COMMAND, *arguments, "--workers", "1"], start_new_session=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        while not list(copy.glob("*/survey.h5")) and process.poll() is None:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        told, error = process.communicate(timeout=LONGEST_S)
        if process.returncode != 0:
            break
        assert list(out.glob("*_maps.h5")), "it has ended well without a result"  # it was quicker than this test
    assert (process.returncode, "Traceback" in error) == (130, False)
    assert not list(out.glob("*"))
    assert told == ""
    # Python's own helper of processes ends a moment after the last of them
    deadline = time.monotonic() + 20
    while (left := of_group(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left


@contextlib.contextmanager
def running(*words: str) -> Iterator[None]:
    """Run a part of a cluster in a process of its own, which can be ended whatever it does."""
    process = subprocess.Popen([sys.executable, "-m", "dask", *words], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def test_a_cluster_that_runs_is_used_if_it_has_workers(
    folder: Path, command: Command, named: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    scheduler = ["scheduler", "--host", "127.0.0.1", "--port", address.rpartition(":")[2], "--no-dashboard"]
    with running(*scheduler):
        _until_listens(address)
        with monkeypatch.context() as impatient:
            impatient.setattr("whiteline.beamline.dask_cluster.WORKERS_S", 0.5)
            told = command("22", *named, "--scheduler", address)
        assert str(told).endswith(f"no workers after 0.5 s; start some, `dask worker {address}`")
        worker = ["worker", address, "--host", "127.0.0.1", "--nthreads", "1", "--no-nanny", "--no-dashboard"]
        with running(*worker):
            arguments = ["22", *named, "--scheduler", address, "--what", "fractions", "--catalog", str(folder)]
            places = ["--out", str(tmp_path), "--cache", str(tmp_path / "copy")]
            done = subprocess.run(
                [*COMMAND, *arguments, *places], capture_output=True, text=True, check=False, timeout=LONGEST_S
            )
            assert done.returncode == 0, done.stderr
            (path,) = tmp_path.glob("*_maps.h5")
            assert load_map(path, "fraction of LiNiO2").valid.mean() > 0.5


def _until_listens(address: str) -> None:
    host, port = address.removeprefix("tcp://").split(":")
    deadline = time.monotonic() + LONGEST_S
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=1.0).close()
        except OSError:
            assert time.monotonic() < deadline, f"nothing listens at {address}"
            time.sleep(0.1)
        else:
            return


def test_each_refusal_is_a_sentence(
    command: Command, named: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and does not listen
        nobody = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
        monkeypatch.setattr("whiteline.beamline.dask_cluster.ANSWER_S", 0.5)
        refusals = {
            ("21", "--what", "all"): "what 'all' is not known; take one of fractions, edge, both",
            ("99",): "the catalog has no run '99'",
            ("21", "--reference", "NiO"): "reference 'NiO' must be NAME=FILE.xdi",
            ("21", "--edge", "Ni"): "edge 'Ni' must be ELEMENT-EDGE, such as Ni-K",
            ("21", "--memory", "much"): "memory of a worker 'much' must be a size such as 2GB",
            ("21", "--memory", "10MB"): "memory of a worker 0.01 GB must be at least",
            ("21", "--scheduler", nobody, "--workers", "2"): "has workers of its own",
            ("21", "--dashboard", nobody.rpartition(":")[2], *named): "cannot be had for --dashboard",
            ("21", "--scheduler", nobody, *named): f"no scheduler of Dask answers at {nobody} within 0.5 s; start one",
            ("21", "--flats", "best", *named): "policy 'best' of flats must be one of same-energy",
            ("21",): "there are none: give --reference NAME=FILE for each, or map the edge alone",
        }
        for arguments, sentence in refusals.items():
            told = command(*arguments)
            assert isinstance(told, str), arguments  # which ends a process with 1
            assert told.startswith("whiteline: ")
            assert sentence in told
            assert "\n" not in told
    monkeypatch.setattr("whiteline.beamline.dask_cluster.NEEDED", ("dask", "no_such_module"))
    assert str(command("21")).endswith("not installed: pip install -e '.[scale]'")
    assert not list(tmp_path.iterdir())

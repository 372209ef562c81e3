"""The demonstration as a new user runs it, its score, and what the score says of a run that something is wrong with."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import environment
from matplotlib.image import imread

from whiteline.analysis.live import LiveXanes, analyse
from whiteline.analysis.runs import Run, RunBuilder, find_run
from whiteline.analysis.runs.from_catalog import documents_of
from whiteline.analysis.runs.streams import Stream
from whiteline.beamline.demo.choices import Choices
from whiteline.beamline.demo.spectra import spectra_of
from whiteline.beamline.score.scoring import score_run
from whiteline.beamline.score.truth import NoTruth, read_truth
from whiteline.beamline.simulation.options import Options
from whiteline.beamline.store.catalog import open_catalog

KEYS = [
    "uid", "scan_s", "predicted_s", "speed", "energies", "pixels", "valid_pixels", "fraction_rms", "fraction_bound",
    "fraction_pull_rms", "edge_rms_eV", "edge_bias_eV", "defocus_max_dof", "drift_residual_px", "dose_Gy",
    "frames_lost", "files",
]  # fmt: skip
SIDE, ENERGIES = 160, 18
LIMITS = {"edge_bias_eV": 0.05, "defocus_max_dof": 0.05, "drift_residual_px": 0.1}


def whiteline(*words: str, folder: Path, seconds: float = 900.0) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", "from whiteline.beamline.cli import main; main()", *words]
    home = environment(folder, COLUMNS="160")
    return subprocess.run(command, cwd=folder, env=home, capture_output=True, text=True, timeout=seconds, check=False)


def measured(*names: str) -> list[str]:
    """Return references from measured spectra, NAME=FILE; none where there are no such files."""
    root = Path(__file__).resolve().parents[2]
    spectra = Path(os.environ.get("WHITELINE_SPECTRA") or root.parent / "shared" / "data" / "xanes")
    files = {name: next(iter(spectra.glob(f"*_{name}.*")), None) for name in names}
    return [f"{name}={file}" for name, file in files.items() if file is not None] if all(files.values()) else []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def demo(folder: Path) -> "subprocess.CompletedProcess[str]":
    seed = int(np.random.default_rng().integers(2**31))
    print(f"seed of the demonstration: {seed}")
    small = ("--size", str(SIDE), "--energies", str(ENERGIES), "--seed", str(seed), "--json")
    spectra = measured("LiNiO2", "NiO")
    done = whiteline("demo", *small, *(["--references", *spectra] if spectra else []), folder=folder)
    print(done.stdout, done.stderr)
    return done


@pytest.fixture(scope="module")
def run(demo: "subprocess.CompletedProcess[str]", folder: Path) -> Run:
    choices = Choices(out=folder / "out")
    description = Options(beamline=str(choices.folder / "txm.toml"), data=choices.folder / "data").description()
    return find_run(open_catalog(description), json.loads(demo.stdout.splitlines()[-1])["uid"])


@pytest.fixture(scope="module")
def truth(run: Run, folder: Path) -> Path:
    return folder / "out" / "demo-txm" / "data" / "catalog" / "truth" / f"{run.uid}.h5"


def test_the_demo_ends_with_a_score_that_meets_every_limit(
    demo: "subprocess.CompletedProcess[str]", folder: Path
) -> None:
    assert demo.returncode == 0, demo.stdout + demo.stderr
    found = json.loads(demo.stdout.splitlines()[-1])
    assert list(found) == KEYS
    judge(found)
    assert (found["frames_lost"], found["energies"], found["pixels"]) == (0, ENERGIES, SIDE**2)
    assert found["dose_Gy"] > 0
    assert f"{found['speed']:g} × as fast as a real one" in demo.stdout
    assert "Cramér–Rao" in demo.stdout
    assert "depth of focus" in demo.stdout  # of the preflight
    assert all((folder / one).exists() for one in found["files"])
    assert {Path(one).suffix for one in found["files"]} >= {".html", ".png", ".nxs", ".csv", ".h5"}
    picture = imread(folder / "out" / "demo.png")
    assert len(np.unique((picture[::4, ::4] * 255).astype(np.uint8).reshape(-1, 4), axis=0)) > 500
    page = (folder / "out" / "demo.html").read_text()
    assert "data:image/png;base64," in page
    assert "http" not in page.replace("http-equiv", "")
    for line in ("error of the fraction", "largest defocus", "drift that is left"):
        assert line in page


def judge(found: dict[str, Any]) -> None:
    """Hold figures against their limits."""
    assert found["fraction_rms"] <= 1.3 * found["fraction_bound"]
    assert 0.9 <= found["fraction_pull_rms"] <= 1.15
    for key, limit in LIMITS.items():
        assert abs(found[key]) <= limit, key
    assert found["frames_lost"] == 0


@pytest.mark.parametrize("words", ["runs", "score -1", "export -1 --as tiff --force --out ."])
def test_ctrl_c_at_any_moment_is_clean(words: str, run: Run, folder: Path, tmp_path: Path, seed: int) -> None:
    command = [sys.executable, "-c", "from whiteline.beamline.cli import main; main()", *words.split()]
    command += ["--catalog", str(folder / "out" / "demo-txm" / "data" / "catalog")]
    started = {"cwd": tmp_path, "env": environment(tmp_path), "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    for after_s in np.random.default_rng(seed).uniform(1.5, 6.0, 3):
        with subprocess.Popen(command, text=True, **started) as process:
            time.sleep(after_s)
            process.send_signal(signal.SIGINT)
            try:
                _, said = process.communicate(timeout=300)
            finally:
                process.kill()
        # it may have been over, or be killed by the signal when Python has ended; a card that is met ends with 0
        assert process.returncode in (0, 130, -signal.SIGINT), said
        # Python drops an interrupt that comes in a finaliser, and says so
        assert "Traceback" not in re.sub(r"(?s)Exception ignored in.*?KeyboardInterrupt: *\n", "", said), said
    assert not list(tmp_path.glob(".*.part")), "half a file was left"


def test_a_catalog_that_was_copied_says_so(run: Run, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "out" / "demo-txm" / "data" / "catalog", tmp_path / "copy")
    done = whiteline("score", "-1", "--catalog", str(tmp_path / "copy"), folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "put it back to where it was made" in done.stderr


def test_another_element_by_raw_measured_spectra(tmp_path: Path) -> None:
    references = measured("Fe2O3", "FeO")
    if not references:
        pytest.skip("no measured spectra of iron oxides beside the project")
    small = ("--size", "128", "--energies", "24", "--json")
    done = whiteline("demo", *small, "--references", *references, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Fe2O3, FeO at the Fe K edge" in done.stdout
    judge(json.loads(done.stdout.splitlines()[-1]))


def test_the_score_of_the_run_is_the_same_afterwards(
    demo: "subprocess.CompletedProcess[str]", run: Run, folder: Path
) -> None:
    """The maps are made anew, from the files, by somebody who knows nothing of the demonstration."""
    live = json.loads(demo.stdout.splitlines()[-1])
    done = whiteline("score", run.uid[:8], "--catalog", "out/demo-txm/data/catalog", "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    again = json.loads(done.stdout.splitlines()[-1])
    for key in ("fraction_rms", "fraction_bound", "fraction_pull_rms", "edge_bias_eV", "drift_residual_px"):
        assert again[key] == pytest.approx(live[key], rel=1e-3, abs=1e-5), key


def test_the_spectra_of_the_picture_are_those_of_their_pixels(run: Run, truth: Path, folder: Path) -> None:
    """Each is the true density of that very pixel within its errors; those of mirrored places are not."""
    scored = score_run(run, truth)
    choices = Choices(out=folder / "out")
    catalog = open_catalog(
        Options(beamline=str(choices.folder / "txm.toml"), data=choices.folder / "data").description()
    )
    live = LiveXanes(references=scored.truth.references)
    live.join(documents_of(catalog[run.uid], RunBuilder()))
    live.wait(300.0)
    mean, *pixels = spectra_of(scored, live.rows())
    live.close()
    assert mean.pixel is None
    assert [one.mark for one in pixels] == list("ABC")[: len(pixels)]
    assert len(pixels) >= 2
    elsewhere = []
    for one in pixels:
        assert one.pixel is not None
        chosen = np.zeros(scored.truth.particles.shape, bool)
        chosen[one.pixel] = True
        pulls = (one.value - scored.truth.density(one.energy, chosen)[:, 0]) / one.error
        assert 0.5 < np.sqrt(np.mean(pulls**2)) < 2.0, one.title
        mirrored = (one.value - scored.truth.density(one.energy, chosen[:, ::-1])[:, 0]) / one.error
        elsewhere.append(np.sqrt(np.mean(mirrored**2)))
        for index, name in enumerate(scored.truth.names):
            share = one.parts[name][-1] / sum(one.parts[each][-1] for each in scored.truth.names)
            error = float(scored.results.map(f"fraction of {name}").error[one.pixel])
            assert share == pytest.approx(scored.truth.fraction[index][one.pixel], abs=5 * error + 0.02), one.title
    assert max(elsewhere) > 2.0


def test_nothing_is_left_running(demo: "subprocess.CompletedProcess[str]", folder: Path) -> None:
    home, left = f"HOME={folder}".encode(), []
    for one in Path("/proc").glob("[0-9]*"):
        try:
            if home in (one / "environ").read_bytes().split(b"\0"):
                left.append((one / "cmdline").read_bytes())
        except OSError:  # it has ended meanwhile, or is somebody else's
            continue
    assert not left


def test_energies_that_read_two_eV_too_high_are_seen(run: Run, truth: Path) -> None:
    scored = score_run(_shifted(run, 2.0), truth)
    # the truth is read at other places of the edge, so it is not quite 2 eV
    assert scored.card.edge_bias_eV == pytest.approx(2.0, abs=0.3)
    assert not scored.card.met


def test_frames_that_are_not_brought_back_are_seen(run: Run, truth: Path) -> None:
    references = read_truth(truth, run).references
    as_taken = analyse(run, references=references, register=False)
    card = score_run(run, truth, results=as_taken).card
    assert card.drift_residual_px > 0.1
    assert card.drift_residual_px > 2 * score_run(run, truth).card.drift_residual_px


def test_a_wrong_reference_is_seen(run: Run, truth: Path) -> None:
    """A spectrum that lies 1 eV higher, as of another material, is fitted instead of the second one."""
    first, second = read_truth(truth, run).references
    wrong = replace(second, energy=second.energy + 1.0)
    card = score_run(run, truth, results=analyse(run, references=(first, wrong))).card
    assert card.fraction_rms > 1.3 * card.fraction_bound
    assert not card.met


def test_the_truth_of_another_run_is_none(run: Run, truth: Path, tmp_path: Path) -> None:
    with pytest.raises(NoTruth, match="does not hold the truth of a simulated beamline"):
        read_truth(tmp_path / "none.h5", run)
    later = replace(run.points, points=run.points.points[3:])
    with pytest.raises(NoTruth, match="is in the frame of exposure"):
        read_truth(truth, Run(run.start, run.stop, {**run.streams, "primary": later}, (), run.path_map))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("demo", "--beamline", "none"), "beamline 'none' cannot be demonstrated; it must be txm"),
        (("demo", "--size", "16"), "size of the map 16 px must lie between 128 and 1024 px"),
        (("demo", "--energies", "2"), "number of energies 2 must lie between 16 and 200"),
        (("demo", "--references", "NiO=none.txt", "LiNiO2=none.txt"), "none.txt cannot be read: no such file"),
        (("demo", "--speed", "0"), "speed 0 must lie between 0.01 and 1000"),
        (("demo", "--out", "/proc/none"), "/proc/none"),
        (("score", "-1", "--catalog", "nowhere"), "holds no catalog"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path: Path, words: tuple[str, ...], sentence: str) -> None:
    done = whiteline(*words, folder=tmp_path)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert done.stderr.startswith("whiteline: ")
    assert len(done.stderr.strip().splitlines()) == 1


def test_wrong_use_is_told_and_is_no_traceback(tmp_path: Path) -> None:
    for words in (("dmeo",), ("demo", "--sized", "3"), ("demo", "--seed", "-1"), ("sim", "--clock", "sundial")):
        done = whiteline(*words, folder=tmp_path)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


def test_ctrl_c_ends_all(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from whiteline.beamline.cli import main; main()", "demo", "--size", "128"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if line.startswith("calibrating the energy"):
                break
        children = _children(process.pid)
        assert len(children) >= 2
        time.sleep(2)  # into the plan
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=120)
    assert process.returncode == 130, said + rest
    assert "stopped; nothing is left running" in rest
    assert "Traceback" not in rest
    assert not [one for one in children if Path(f"/proc/{one}").exists()]


def _children(pid: int) -> list[int]:
    """Return the processes that another one has started."""
    found = []
    for one in Path("/proc").iterdir():
        if one.name.isdigit():
            try:
                fields = (one / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid:
                found.append(int(one.name))
    return found


def _shifted(run: Run, by: float) -> Run:
    """Return a run whose energies read higher than they did [eV]."""

    def moved(stream: Stream) -> Stream:
        points = tuple(replace(one, data={**one.data, **_raised(one.data, by)}) for one in stream.points)
        return replace(stream, points=points)

    streams = {name: moved(one) if name in ("primary", "flat") else one for name, one in run.streams.items()}
    planned = [one + by for one in run.start["energies"]]
    return Run({**run.start, "energies": planned}, run.stop, streams, run.discarded, run.path_map)


def _raised(data: Any, by: float) -> dict[str, float]:
    return {"energy": float(data["energy"]) + by}

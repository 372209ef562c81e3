"""The demonstration of the nanoprobe, its score, and what the score says of a run that something is wrong with."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from test_demo import KEYS, measured, whiteline

from whiteline.analysis.live import analyse
from whiteline.analysis.live.raster import per_photon
from whiteline.analysis.runs import Run, find_run
from whiteline.beamline.demo.choices import Choices
from whiteline.beamline.demo.scanning import PIXEL_UM
from whiteline.beamline.score.fly_truth import box_file, write_fly_truth
from whiteline.beamline.score.raster_maps import read_raster_truth
from whiteline.beamline.score.rasters import counts_per_jump, emitted
from whiteline.beamline.score.scoring import score_run
from whiteline.beamline.score.truth import NoTruth
from whiteline.beamline.simulation.options import Options
from whiteline.beamline.store.catalog import open_catalog

SIDE, ENERGIES = 32, 20
"""As small as a map may be to tell where a sample has drifted to."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def demo(folder: Path) -> "subprocess.CompletedProcess[str]":
    spectra = measured("LiNiO2", "NiO")
    if not spectra:
        pytest.skip("no measured spectra of nickel oxides beside the project")
    seed = int(np.random.default_rng().integers(2**31))
    print(f"seed of the demonstration: {seed}")
    small = ("--beamline", "nanoprobe", "--size", str(SIDE), "--energies", str(ENERGIES), "--seed", str(seed), "--json")
    done = whiteline("demo", *small, "--references", *spectra, folder=folder, seconds=1800.0)
    print(done.stdout, done.stderr)
    return done


@pytest.fixture(scope="module")
def run(demo: "subprocess.CompletedProcess[str]", folder: Path) -> Run:
    choices = Choices(beamline="nanoprobe", out=folder / "out")
    description = Options(beamline=str(choices.folder / "nanoprobe.toml"), data=choices.folder / "data").description()
    return find_run(open_catalog(description), json.loads(demo.stdout.splitlines()[-1])["uid"])


@pytest.fixture(scope="module")
def truth(run: Run, folder: Path) -> Path:
    return folder / "out" / "demo-nanoprobe" / "data" / "catalog" / "truth" / f"{run.uid}.h5"


def test_the_demo_ends_with_a_score(demo: "subprocess.CompletedProcess[str]", folder: Path) -> None:
    assert demo.returncode in (0, 1), demo.stdout + demo.stderr
    found = json.loads(demo.stdout.splitlines()[-1])
    assert list(found) == KEYS
    assert found["frames_lost"] == 0
    # a sample drifts by the clock on the wall, and further on a busy machine: the card itself is judged by bench_demo
    assert found["defocus_max_dof"] <= 0.05
    assert found["fraction_rms"] <= 2 * found["fraction_bound"]
    assert abs(found["edge_bias_eV"]) <= 0.15
    assert (found["energies"], found["pixels"]) == (ENERGIES, SIDE**2)
    assert f"{found['speed']:g} × as fast as a real one" in demo.stdout
    assert "calibrated zone_plate: " in demo.stdout
    assert "depth of focus" in demo.stdout  # of the preflight
    assert all((folder / one).exists() for one in found["files"])
    assert {Path(one).suffix for one in found["files"]} >= {".html", ".png", ".nxs", ".h5"}
    picture = imread(folder / "out" / "demo.png")
    assert len(np.unique((picture[::4, ::4] * 255).astype(np.uint8).reshape(-1, 4), axis=0)) > 500
    assert "data:image/png;base64," in (folder / "out" / "demo.html").read_text()


def test_the_map_of_the_element_is_there_again(run: Run) -> None:
    counts, corrected = run.map_of("capture_Ni_Ka_counts"), run.map_of("capture_Ni_Ka")
    assert run.lines == ("capture_Ni_Ka",)
    assert counts.shape == (ENERGIES, SIDE, SIDE)
    assert counts[-1].max() > 100
    assert counts[0].sum() < 0.01 * counts[-1].sum()  # before the edge
    assert (corrected >= counts)[counts > 0].all()


def test_the_score_of_the_run_is_the_same_afterwards(
    demo: "subprocess.CompletedProcess[str]", run: Run, folder: Path
) -> None:
    """The maps are made anew, from the files, by somebody who knows nothing of the demonstration."""
    live = json.loads(demo.stdout.splitlines()[-1])
    done = whiteline("score", run.uid[:8], "--catalog", "out/demo-nanoprobe/data/catalog", "--json", folder=folder)
    assert done.returncode == demo.returncode, done.stderr
    again = json.loads(done.stdout.splitlines()[-1])
    for key in ("fraction_rms", "fraction_bound", "fraction_pull_rms", "edge_bias_eV", "drift_residual_px"):
        assert again[key] == pytest.approx(live[key], rel=1e-3, abs=1e-5), key


def told(run: Run, **changed: float) -> Run:
    """Return a run whose maps tell other values: what is added to a reading."""
    primary = run.streams["primary"]
    points = []
    for one in primary.points:
        data = dict(one.data)
        for key, by in changed.items():
            data[key] = float(data[key]) + by
        points.append(replace(one, data=data))
    streams = {**run.streams, "primary": replace(primary, points=tuple(points))}
    energies = [one + changed.get("energy", 0.0) for one in run.start["energies"]]
    return Run({**run.start, "energies": energies}, run.stop, streams, run.discarded, run.path_map)


def test_energies_that_read_two_eV_too_high_are_seen(run: Run, truth: Path) -> None:
    card = score_run(told(run, energy=2.0), truth).card
    # the truth is read at other places of the edge, so it is not quite 2 eV
    assert card.edge_bias_eV == pytest.approx(2.0, abs=0.3)
    assert not card.met


def test_a_region_that_says_it_was_elsewhere_is_seen(run: Run, truth: Path) -> None:
    card = score_run(told(run, region_x=0.3 * PIXEL_UM), truth).card
    assert card.drift_residual_px > 0.15
    assert not card.met


def test_a_wrong_reference_is_seen(run: Run, truth: Path) -> None:
    """A spectrum that lies 2 eV higher, as of another material, is fitted instead of the second one."""
    first, second = read_raster_truth(truth, run).references
    wrong = replace(second, energy=second.energy + 2.0)
    results = analyse(run, references=(first, wrong), incident_current=True)
    card = score_run(run, truth, results=results).card
    assert card.fraction_rms > 1.3 * card.fraction_bound
    assert not card.met


def test_the_bound_rests_on_the_counts_that_came(run: Run, truth: Path) -> None:
    """Before the edge too, where a measured reference dips below zero by its noise, and the sample emits a little."""
    known = read_raster_truth(truth, run)
    planes = analyse(run, references=known.references, incident_current=True).planes
    assert planes is not None
    value, _ = per_photon(planes.energies, planes.value, planes.variance)
    value = value[:, known.particles]
    model = emitted(known, known.energy) @ known.jumps[:, known.particles] * counts_per_jump(planes, known)
    seen = np.isfinite(value)  # at a border not, where a map was brought back
    came, expected = (np.where(seen, one, 0).sum(axis=1) for one in (value, model))
    np.testing.assert_array_less(np.abs(came - expected), 5 * np.sqrt(expected) + 0.05 * expected + 3)
    before = known.energy < known.edge_eV - 20
    assert came[before].sum() == pytest.approx(expected[before].sum(), abs=5 * np.sqrt(expected[before].sum()) + 3)


def test_the_truth_is_of_the_sample_that_was_scanned(run: Run, truth: Path, folder: Path, tmp_path: Path) -> None:
    """Whatever the description says by now, as if the beamline had been started with another seed."""
    choices = Choices(beamline="nanoprobe", out=folder / "out")
    options = Options(beamline=str(choices.folder / "nanoprobe.toml"), data=choices.folder / "data", seed=99)
    (beside,) = (choices.folder / "data").glob(f"truth-*-{box_file(run).stem}.h5")
    write_fly_truth(options.description(), run, beside, tmp_path / "again.h5")
    again, kept = read_raster_truth(tmp_path / "again.h5", run), read_raster_truth(truth, run)
    np.testing.assert_allclose(again.thickness_um, kept.thickness_um, atol=1e-6)
    assert again.names == kept.names


def test_the_truth_of_another_run_is_none(run: Run, truth: Path, tmp_path: Path) -> None:
    with pytest.raises(NoTruth, match="does not hold the truth of a raster"):
        read_raster_truth(tmp_path / "none.h5", run)
    other = Run({**run.start, "uid": "another"}, run.stop, run.streams, run.discarded, run.path_map)
    with pytest.raises(NoTruth, match="is that of run"):
        read_raster_truth(truth, other)

"""What a new user types first: it draws its picture, or says in one sentence why not."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from whiteline.analysis.energies import by_regions
from whiteline.beamline import twin
from whiteline.beamline.demo_picture import BLANK_SHARE, optical_density
from whiteline.beamline.description import load
from whiteline.beamline.simulated_stack import simulate_stack
from whiteline.sim.bodies import Body, Ellipsoid
from whiteline.sim.full_field import Readings
from whiteline.sim.sample import Sample


def whiteline(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from whiteline.beamline.cli import main; main()", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)


def test_the_demo_draws_its_picture(tmp_path: Path, seed: int) -> None:
    done = whiteline("demo", "--size", "64", "--seed", str(seed), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    picture = imread(tmp_path / "out" / "demo.png")
    assert picture.shape == (900, 1800, 4)
    assert len(np.unique(picture.reshape(-1, 4), axis=0)) > 1000
    assert "true defocus at most" in done.stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("demo", "--beamline", "none.toml"), "description none.toml cannot be read: no such file or directory"),
        (("demo", "--beamline", "nanoprobe"), "nanoprobe is a scanning microscope; this needs a full-field one"),
        (("demo", "--size", "5000"), "frame of 5000 × 5000 pixels must be 16 to 1024 a side"),
        (("demo", "--out", "/proc/none", "--size", "16"), "No such file or directory"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path: Path, words: tuple[str, ...], sentence: str) -> None:
    done = whiteline(*words, folder=tmp_path)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert done.stderr.startswith("whiteline: ")
    assert len(done.stderr.strip().splitlines()) == 1


def test_wrong_use_is_told_and_is_no_traceback(tmp_path: Path) -> None:
    for words in (("dmeo",), ("demo", "--sized", "3"), ("demo", "--seed", "-1")):
        done = whiteline(*words, folder=tmp_path)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


def test_the_spectrum_of_the_simulated_frames_is_the_truth(seed: int) -> None:
    """Where the sample is thick, the optical density of flat-fielded frames is that of the truth, within its noise."""
    beamline = load("txm")
    microscope = twin.full_field(beamline, seed=seed)
    energies = by_regions([(-100, 0, 50), (5, 25, 5), (50, 250, 100)], relative_to=8333.0)
    stack = simulate_stack(beamline, microscope, energies, size=128, binning=4, exposure_s=0.05, frames_per_energy=2)
    density = optical_density(stack)
    assert density.shape == (len(energies), 128, 128)
    attenuation = np.array([microscope.sample.attenuations(energy) for energy in energies])
    expected = np.tensordot(attenuation, stack.truth.thickness_um, axes=1)
    total = stack.truth.thickness_um.sum(axis=0)
    # away from rims, where drift and the blur of intensity instead of thickness count
    flat = (total > 0.5) & (np.hypot(*np.gradient(total)) < 0.1)
    flat[:, : int(2 * BLANK_SHARE * 128)] = False
    assert flat.sum() > 200
    difference = (density - expected)[:, flat].mean(axis=1)
    # the fixed pattern is gone, the dark level and the blank strip are right: a part in a thousand is left
    assert np.abs(difference).max() < 3e-3
    assert np.abs(stack.defocus_dof).max() < 0.05


def test_times_drift_and_focus_of_a_stack_are_recorded() -> None:
    """One sphere, half a depth of focus off, with a strong creep: each figure has its sign and its unit."""
    plain = load("txm")
    assert plain.simulation is not None
    depth = 0.0242
    secret = plain.simulation.hidden.model_copy(update={"zone_plate_zero_mm": depth / 2})
    drift = plain.simulation.drift.model_copy(update={"walk_nm": 0.0, "creep_nm_per_s": 50.0, "creep_s": 100.0})
    beamline = plain.model_copy(
        update={"simulation": plain.simulation.model_copy(update={"hidden": secret, "drift": drift})}
    )
    microscope = twin.full_field(beamline)
    species = microscope.sample.species
    sphere = Body(Ellipsoid((0.0, 0.0, 0.0), (1.5, 1.5, 1.5)), {species[0].name: 1.0}, {}, 0.0)
    microscope = replace(microscope, sample=Sample((sphere,), species))
    energies = by_regions([(8360, 8370, 2)])
    times = []

    class Watched:
        def __getattr__(self, name: str) -> object:
            return getattr(microscope, name)

        def frame(self, readings: Readings, *rest: object) -> object:
            times.append(readings.time_s)
            return microscope.frame(readings, *rest)  # type: ignore[arg-type]

    stack = simulate_stack(beamline, Watched(), energies, size=256, frames_per_energy=2)  # type: ignore[arg-type]
    assert stack.pixel_nm == pytest.approx(40.0, rel=1e-3)
    assert stack.defocus_dof == pytest.approx(-0.5, abs=0.05)
    assert np.diff(times).min() == pytest.approx(0.22)
    density = optical_density(stack)
    total = np.clip(density, 0, None) * (density > 0.03)
    rows, columns = np.mgrid[:256, :256]
    centres = [[(one * columns).sum() / one.sum(), (one * rows).sum() / one.sum()] for one in total[[0, -1]]]
    assert np.hypot(*stack.drift_nm[-1]) > 80
    assert np.subtract(centres[1], centres[0]) * stack.pixel_nm == pytest.approx(stack.drift_nm[-1], abs=15)


def test_what_the_beam_changes_between_sample_and_flat_is_taken_out(seed: int) -> None:
    beamline = load("txm")
    stack = simulate_stack(
        beamline, twin.full_field(beamline, seed=seed), by_regions([(8350, 8350, 1)]), size=64, frames_per_energy=1
    )
    dimmer = replace(stack, frames=stack.dark + np.float32(0.9) * (stack.frames - stack.dark))
    assert optical_density(dimmer) == pytest.approx(optical_density(stack), abs=1e-5)
    dead = stack.frames.copy()
    dead[0, 30, 30] = stack.dark[30, 30]
    density = optical_density(replace(stack, frames=dead))
    assert np.isnan(density[0, 30, 30])
    assert np.isfinite(np.delete(density.ravel(), 30 * 64 + 30)).all()


def test_a_saturated_flat_is_refused() -> None:
    beamline = load("txm")
    with pytest.raises(
        ValueError, match=r"frame is saturated at 65535 counts with an exposure of 2 s .*; shorten the exposure"
    ):
        simulate_stack(beamline, twin.full_field(beamline), by_regions([(8333, 8333, 1)]), size=32, exposure_s=2.0)


def test_energies_outside_the_spectra_are_refused(tmp_path: Path) -> None:
    beamline = load("txm")
    with pytest.raises(ValueError, match=r"energy 6000 eV is outside the spectrum at the Ni K edge"):
        simulate_stack(beamline, twin.full_field(beamline), by_regions([(6000, 6010, 5)]))

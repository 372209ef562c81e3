"""What a new user types first: a scan of the simulated TXM with stock bluesky and ophyd, and its picture."""

import json
import pickle
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from matplotlib.image import imread
from numpy.typing import NDArray
from scipy import ndimage

from whiteline.analysis.energies import by_regions
from whiteline.beamline import description, twin
from whiteline.beamline.demo_picture import BLANK_SHARE, optical_density
from whiteline.beamline.description import load
from whiteline.beamline.simulation.demonstration import Stack
from whiteline.beamline.simulation.options import Options

SIDE = 128
REGIONS = [(-100, 0, 50), (5, 25, 5), (50, 250, 100)]
ENERGIES = by_regions(REGIONS, relative_to=8333.0)


def whiteline(*words: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", "from whiteline.beamline.cli import main; main()", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)


def test_the_demo_draws_its_picture(tmp_path: Path, seed: int) -> None:
    done = whiteline("demo", "--size", "64", "--seed", str(seed), "--speed", "40", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    picture = imread(tmp_path / "out" / "demo.png")
    assert picture.shape == (900, 1800, 4)
    assert len(np.unique(picture.reshape(-1, 4), axis=0)) > 1000
    assert "true defocus at most" in done.stdout
    assert "Traceback" not in done.stderr
    files = list((tmp_path / "out" / "demo-data").glob("*_000000.h5"))
    assert len(files) == 3


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("demo", "--beamline", "none.toml"), "description none.toml cannot be read: no such file or directory"),
        (("demo", "--beamline", "nanoprobe"), "nanoprobe is a scanning microscope; this needs a full-field one"),
        (("demo", "--size", "5000"), "frame of 5000 × 5000 pixels must be 16 to 1024 a side"),
        (("demo", "--speed", "0"), "speed 0 must lie between 0.01 and 1000"),
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
    for words in (("dmeo",), ("demo", "--sized", "3"), ("demo", "--seed", "-1"), ("sim", "--clock", "sundial")):
        done = whiteline(*words, folder=tmp_path)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


TAKE = """
import json, pickle, sys
from whiteline.analysis.energies import by_regions
from whiteline.beamline.simulation import simulated
from whiteline.beamline.simulation.demonstration import take_stack
from whiteline.beamline.simulation.options import Options
regions, how = json.loads(sys.argv[2])
with simulated(Options.from_json(sys.argv[1])) as running:
    try:
        found = take_stack(running, by_regions(regions, relative_to=8333.0), **how)
    except ValueError as error:
        sys.exit(str(error))
with open(sys.argv[3], "wb") as out:
    pickle.dump(found, out)
"""


def stack_of(options: Options, folder: Path, **how: int | float) -> Stack:
    """Take a stack in a process of its own: the client library knows one simulated beamline only."""
    arguments = options.to_json(), json.dumps([REGIONS, how]), str(folder / "stack")
    command = [sys.executable, "-c", TAKE, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise ValueError(done.stderr)
    with (folder / "stack").open("rb") as file:
        found: Stack = pickle.load(file)
    return found


def test_the_spectrum_of_the_frames_is_the_truth(tmp_path: Path, seed: int) -> None:
    """Where the sample is thick, the optical density of flat-fielded frames is that of the truth, within its noise."""
    options = Options(beamline="txm", speed=20.0, seed=seed, data=tmp_path)
    stack = stack_of(options, tmp_path, size=SIDE, binning=4, exposure_s=0.05, frames_per_energy=2)
    with h5py.File(stack.files[2]) as file:
        assert file["entry/data/data"].shape == (2 * len(ENERGIES), SIDE, SIDE)
        assert file["entry/data/data"].chunks == (1, SIDE, SIDE)
    assert stack.energies == pytest.approx(np.array(ENERGIES.energies), abs=0.05)
    density = optical_density(stack)
    assert density.shape == (len(ENERGIES), SIDE, SIDE)
    microscope = twin.full_field(load("txm"), seed=seed)
    attenuation = np.array([microscope.sample.attenuations(energy) for energy in stack.energies])
    expected = np.tensordot(attenuation, stack.truth.thickness_um, axes=1)
    total = stack.truth.thickness_um.sum(axis=0)
    # away from rims, where drift and the blur of intensity instead of thickness count
    flat = (total > 0.5) & (np.hypot(*np.gradient(total)) < 0.1)
    flat[:, : int(2 * BLANK_SHARE * SIDE)] = False
    assert flat.sum() > 200
    difference = (density - expected)[:, flat].mean(axis=1)
    # the fixed pattern is gone, the dark level and the blank strip are right: little is left
    assert np.abs(difference).max() < 5e-3
    assert np.abs(stack.defocus_dof).max() < 0.05
    dimmer = replace(stack, frames=stack.dark + np.float32(0.9) * (stack.frames - stack.dark))
    assert optical_density(dimmer) == pytest.approx(density, abs=1e-5)
    dead = stack.frames.copy()
    dead[0, 30, 30] = stack.dark[30, 30]
    again = optical_density(replace(stack, frames=dead))
    assert np.isnan(again[0, 30, 30])
    assert np.isfinite(np.delete(again[0].ravel(), 30 * SIDE + 30)).all()


def test_a_hidden_error_is_seen_in_the_truth_and_the_drift_in_the_frames(tmp_path: Path, seed: int) -> None:
    """Half a depth of focus off, with a strong creep: each figure has its sign and its unit."""
    text = (Path(description.__file__).parent / "txm.toml").read_text()
    for pattern, value in (
        (r"zone_plate_zero_mm = 0\.0", "zone_plate_zero_mm = 0.0121"),
        (r"drift = \{.*\}", "drift = { walk_nm = 0.0, creep_nm_per_s = 20.0, creep_s = 200.0 }"),
    ):
        text, count = re.subn(pattern, value, text)
        assert count == 1
    (tmp_path / "off.toml").write_text(text)
    # the stage moves out and in: creeps that went opposite ways would leave no drift to be seen
    while np.cos(np.diff(twin.full_field(load("txm"), seed=seed).drift._directions(2)))[0] < 0:
        seed += 1
    options = Options(beamline=str(tmp_path / "off.toml"), speed=20.0, seed=seed, data=tmp_path / "data")
    stack = stack_of(options, tmp_path, size=256, binning=2, frames_per_energy=1)
    assert stack.pixel_nm == pytest.approx(40.0, rel=1e-3)
    assert stack.defocus_dof == pytest.approx(-0.5, abs=0.06)
    density = optical_density(stack)
    drifted = stack.drift_nm[-1] - stack.drift_nm[-2]
    assert np.hypot(*drifted) > 20
    seen = shift_px(density[-2], density[-1]) * stack.pixel_nm
    assert seen == pytest.approx(drifted, abs=8)  # a fifth of a pixel


def shift_px(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return by how much an image has moved (x, y) [pixels], by least squares on its gradient; it may fade, too."""
    inner = slice(16, -16)
    before, after = (ndimage.gaussian_filter(np.nan_to_num(one), 3) for one in (first, second))
    found = np.zeros(2)
    for _ in range(8):
        here = ndimage.shift(after, -found[::-1], order=3)
        parts = (*np.gradient(here)[::-1], here)
        change = (here - before)[inner, inner].ravel()
        found -= np.linalg.lstsq(np.stack([one[inner, inner].ravel() for one in parts], axis=1), change, rcond=None)[0][
            :2
        ]
    return found


def test_a_saturated_flat_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"frame is saturated at 65535 counts with an exposure of 2 s .*; shorten the exposure"
    ):
        stack_of(Options(beamline="txm", speed=60.0, data=tmp_path), tmp_path, size=32, exposure_s=2.0)

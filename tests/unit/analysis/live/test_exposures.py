"""Exposures that differ: flats are scaled by them, with their noise, and darks of the same exposure are taken."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from whiteline.analysis.live.density import Developer
from whiteline.analysis.live.recipes import Recipe, _darks, _Taken
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.runs.path_map import PathMap
from whiteline.analysis.runs.places import FrameFile, Place

DARK, LIGHT = 100.0, 4000.0
"""Counts without light, and of a flat of the shorter exposure above them."""

SHAPE = (64, 64)


@pytest.fixture
def file(tmp_path: Path, seed: int) -> FrameFile:
    """Darks, then flats of half the exposure, then frames behind a sample that lets a third through."""
    rng = np.random.default_rng(seed)
    means = [DARK] * 50 + [DARK + LIGHT] * 4 + [DARK + 2 * LIGHT / 3] * 1
    with h5py.File(tmp_path / "frames.h5", "w") as opened:
        light = [rng.poisson(mean - DARK, SHAPE) if mean > DARK else np.zeros(SHAPE) for mean in means]
        opened["entry/data/data"] = (np.stack(light) + DARK).astype("<u2")
    return FrameFile(str(tmp_path / "frames.h5"), "entry/data/data")


def test_a_flat_of_half_the_exposure_is_doubled_and_noisier(file: FrameFile) -> None:
    recipe = Recipe(
        number=1, energy=8350.0, time=0.0, frames=(Place(file, 54, 1),), flats=(Place(file, 50, 4),),
        darks=(Place(file, 0, 50),), magnification=None, stage=None, own_flat=True, of_this_visit=True, flat_scale=2.0,
    )  # fmt: skip
    developer = Developer(Settings(), PathMap(), SHAPE, np.dtype("<u2"), "frames of a test")
    density, variance = developer.whole(recipe)
    assert np.median(density) == pytest.approx(np.log(3), abs=0.005)
    # photons of the frame, and those that the flats have truly counted
    expected = 1 / (2 * LIGHT / 3) + 1 / (4 * LIGHT)
    assert np.median(variance) == pytest.approx(expected, rel=0.05)
    assert np.std(density) == pytest.approx(np.sqrt(expected), rel=0.1)
    rows, _ = developer.rows(recipe, slice(10, 20))
    np.testing.assert_allclose(rows, density[10:20], rtol=1e-6)


@pytest.mark.parametrize(
    ("exposure", "first", "chosen"),
    [(0.1, 5.0, [0, 2]), (0.2, 5.0, [1]), (0.3, 5.0, [0, 1, 2]), (float("nan"), 5.0, [0, 1, 2]), (0.1, 0.0, [0, 2, 3])],
)
def test_darks_are_of_the_exposure_and_from_before_the_frames(
    file: FrameFile, exposure: float, first: float, chosen: list[int]
) -> None:
    places = tuple(Place(file, number, 1) for number in range(4))
    taken = _Taken(places, np.array([1.0, 2.0, 3.0, 9.0]), None, np.array([0.1, 0.2, 0.1, 0.1]))
    assert _darks(taken, first, exposure) == tuple(places[number] for number in chosen)

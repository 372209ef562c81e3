"""A beam that is not the same in frame and flat: where there is no sample both are to be alike."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from whiteline.analysis.live.density import Developer
from whiteline.analysis.live.recipes import Recipe, blank_of
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.runs.path_map import PathMap
from whiteline.analysis.runs.places import FrameFile, Place
from whiteline.analysis.runs.run import Run
from whiteline.analysis.runs.unreadable import UnreadableRun

DARK, LIGHT, TOPPED_UP = 100.0, 30000.0, 1.004
SHAPE = (64, 64)
BLANK = (slice(0, 64), slice(2, 14))


@pytest.fixture
def recipe(tmp_path: Path, seed: int) -> Recipe:
    """Darks, two flats of half the exposure, and a frame in a stronger beam, half of it behind a sample."""
    rng = np.random.default_rng(seed)
    sample = np.where(np.arange(SHAPE[1]) < 32, 1.0, 0.5) * np.ones(SHAPE)
    means = [np.zeros(SHAPE)] * 20 + [np.full(SHAPE, LIGHT / 2)] * 2 + [TOPPED_UP * LIGHT * sample]
    path = tmp_path / "frames.h5"
    with h5py.File(path, "w") as opened:
        opened["entry/data/data"] = (np.stack([rng.poisson(one) for one in means]) + DARK).astype("<u2")
    file = FrameFile(str(path), "entry/data/data")
    return Recipe(
        number=1, energy=8350.0, time=0.0, frames=(Place(file, 22, 1),), flats=(Place(file, 20, 2),),
        darks=(Place(file, 0, 20),), magnification=None, stage=None, own_flat=True, of_this_visit=True, flat_scale=2.0,
    )  # fmt: skip


def test_the_beam_of_the_frame_is_that_of_its_blank_part(recipe: Recipe) -> None:
    about = Settings(), PathMap(), SHAPE, np.dtype("<u2"), "frames of a test"
    known, unknown = Developer(*about, BLANK), Developer(*about)
    thick = (slice(0, 64), slice(32, 64))
    density, variance = known.whole(recipe)
    # photons of the blank part and of the sample make so much noise of their means
    noise = np.sqrt(2 / (LIGHT * 12 * 64) + 3 / (LIGHT * 32 * 64))
    assert density[thick].mean() == pytest.approx(np.log(2), abs=5 * noise)
    off = unknown.whole(recipe)[0][thick].mean() - np.log(2)
    assert off == pytest.approx(-np.log(TOPPED_UP), abs=5 * noise)
    assert np.median(variance[thick]) == pytest.approx(2 / LIGHT + 1 / LIGHT, rel=0.03)
    rows, _ = known.rows(recipe, slice(10, 20))
    np.testing.assert_allclose(rows, density[10:20], rtol=1e-5)


def test_it_is_said_by_the_metadata_or_by_the_settings_which_win() -> None:
    run = Run({"uid": "a", "scan_id": 1, "blank": [0, 64, 2, 14]}, None, {})
    assert blank_of(run, Settings(), SHAPE) == BLANK
    assert blank_of(run, Settings(blank=(1, 5, 6, 9)), SHAPE) == (slice(1, 5), slice(6, 9))
    assert blank_of(Run({"uid": "a", "scan_id": 1}, None, {}), Settings(), SHAPE) is None
    for wrong in ([0, 64, 2, 65], [5, 5, 0, 9], "left", [1, 2, 3]):
        with pytest.raises(UnreadableRun, match=r"blank = .* of run"):
            blank_of(Run({"uid": "a", "scan_id": 1, "blank": wrong}, None, {}), Settings(), SHAPE)

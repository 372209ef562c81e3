"""The axis of rotation: found by two images half a turn apart, as well as is said, and refused without contrast."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.registration.rotation_centre import rotation_centre
from whiteline.analysis.registration.turns import mean_of_turns

SIDE, MARGIN = 192, 48


def turned(one: Any, column: float, tilt: float = 0.0, rise: float = 0.0, counts: float = 2e4) -> NDArray[np.float32]:
    """Return the image after half a turn about an axis through a column of the middle row, leaning [rad]."""
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(float)
    y, x = rows - rise - (SIDE - 1) / 2, columns - column
    # the mirror image about a line along (cos φ, sin φ) in (row, column)
    cos, sin = np.cos(2 * tilt), np.sin(2 * tilt)
    source_y, source_x = cos * y + sin * x + (SIDE - 1) / 2, sin * y - cos * x + column
    exact = ndimage.map_coordinates(one.density, [source_y + MARGIN, source_x + MARGIN], order=5)
    return np.asarray(one.counted(exact, counts))


@pytest.mark.parametrize("binning", [1, 2])
def test_column_and_tilt_are_found_within_their_errors(scene: Callable[..., Any], seed: int, binning: int) -> None:
    rng, pulls = np.random.default_rng(seed), []
    for _ in range(6):
        one = scene(SIDE)
        column, tilt = (SIDE - 1) / 2 + rng.uniform(-12, 12), rng.uniform(-0.01, 0.01)
        found = rotation_centre(one.frame(), turned(one, column, tilt, rng.uniform(-3, 3)), binning=binning)
        assert found.trusted, found.reason
        assert found.error < 0.1
        assert abs(found.column - column) < 0.1
        assert found.tilt_mrad == pytest.approx(1e3 * tilt, abs=4 * found.tilt_error_mrad + 0.5)
        pulls.append((found.column - column) / found.error)
    assert 0.1 < np.sqrt(np.mean(np.square(pulls))) < 2.5


def test_the_error_is_what_the_noise_makes(scene: Callable[..., Any], seed: int) -> None:
    rng, one = np.random.default_rng(seed), scene(SIDE)
    column = (SIDE - 1) / 2 + rng.uniform(-2, 2)
    found = [rotation_centre(one.frame(counts=1000), turned(one, column, counts=1000)) for _ in range(16)]
    scatter = np.std([one.column for one in found])
    assert 0.4 < scatter / np.mean([one.error for one in found]) < 2


def test_a_pattern_of_the_camera_does_not_drag_the_axis_to_the_middle(scene: Callable[..., Any], seed: int) -> None:
    rng, one = np.random.default_rng(seed), scene(SIDE)
    column, pattern = (SIDE - 1) / 2 + rng.uniform(4, 8), one.pattern(0.01)
    found = rotation_centre(one.frame() + pattern, turned(one, column) + pattern)
    assert found.trusted
    assert abs(found.column - column) < 0.15


def test_what_does_not_match_is_not_trusted_and_says_why(scene: Callable[..., Any]) -> None:
    one, other, blank = scene(SIDE), scene(SIDE), np.zeros((SIDE, SIDE))
    first = one.frame()
    for bad in (one.counted(blank), turned(other, SIDE / 2), turned(one, 0.8 * SIDE)):
        found = rotation_centre(first, bad)
        assert not found.trusted
        assert "do not match" in found.reason
        assert np.isnan(found.tilt_mrad)
    with pytest.raises(ValueError, match="must be of one shape"):
        rotation_centre(first, first[1:])
    with pytest.raises(OutOfRange, match="side of a frame 16 px"):
        rotation_centre(first[:16, :16], first[:16, :16])


def test_bad_pixels_do_no_harm(scene: Callable[..., Any], seed: int) -> None:
    rng, one = np.random.default_rng(seed), scene(SIDE)
    first, then = one.frame(), turned(one, 99.3)
    for image in (first, then):
        image[rng.random(image.shape) < 0.002] = np.nan
    assert abs(rotation_centre(first, then).column - 99.3) < 0.15


def test_a_steady_drift_of_the_sample_cancels_and_is_told_in_the_error() -> None:
    assert mean_of_turns([50.0], [0.01]) == (50.0, 0.01)
    for drifts in ((0.2, -0.2), (0.2, -0.2, 0.2)):
        column, error = mean_of_turns([50.0 + drift for drift in drifts], [0.01] * len(drifts))
        assert column == pytest.approx(50.0)
        assert error > 0.1
    with pytest.raises(OutOfRange, match="number of values 0"):
        mean_of_turns([], [])

"""The intensity-based registration: right by itself, to its own errors, and honest where it fails."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.registration import align


def drawn(source: np.random.Generator, most: float) -> tuple[float, float]:
    y, x = source.uniform(-most, most, 2)
    return float(y), float(x)


@pytest.mark.parametrize("most", [5.0, 30.0])
def test_drift_gain_and_offset_are_found(scene: Callable[..., Any], most: float) -> None:
    one = scene(160)
    first = one.frame()
    for gain in (0.6, -0.8):
        shift = drawn(one.source, most)
        found = align(gain * one.frame(shift) + 0.4, first)
        assert np.hypot(found.y - shift[0], found.x - shift[1]) < 0.06
        assert found.gain == pytest.approx(gain, rel=0.05)
        assert found.offset == pytest.approx(0.4, abs=0.02)
        assert abs(found.correlation) > 0.97
        assert np.sign(found.correlation) == np.sign(gain)


@pytest.mark.parametrize("counts", [500.0, 20_000.0])
def test_errors_are_as_large_as_the_scatter(scene: Callable[..., Any], counts: float) -> None:
    pulls = []
    for _ in range(16):
        one = scene(128)
        first = one.frame(counts=counts)
        for _ in range(3):
            shift = drawn(one.source, 3)
            found = align(one.frame(shift, counts=counts), first)
            pulls += [(found.y - shift[0]) / found.error_y, (found.x - shift[1]) / found.error_x]
    assert 0.6 < np.sqrt(np.mean(np.square(pulls))) < 2.0


def test_bad_pixels_are_left_out(scene: Callable[..., Any]) -> None:
    one = scene(160)
    shift = (2.6, -3.3)
    frame, first = one.frame(shift), one.frame()
    frame[one.source.random(frame.shape) < 0.003] = np.nan
    valid = np.ones(frame.shape, bool)
    valid[80:90, 40:60] = False
    first[~valid] = 1e5
    found = align(frame, first, reference_valid=valid)
    assert np.hypot(found.y - shift[0], found.x - shift[1]) < 0.06


def test_a_start_spares_the_search(scene: Callable[..., Any]) -> None:
    one = scene(128)
    found = align(one.frame((4.3, 1.2)), one.frame(), start=(4.0, 1.0))
    assert np.hypot(found.y - 4.3, found.x - 1.2) < 0.06


@pytest.mark.parametrize("frame", [np.zeros((64, 64)), np.full((64, 64), np.nan)])
def test_a_frame_without_structure_is_not_aligned(scene: Callable[..., Any], frame: Any) -> None:
    found = align(frame, scene(64).frame())
    assert np.isnan([found.y, found.x, found.error_y, found.error_x]).all()
    assert found.correlation == 0


def test_what_cannot_be_aligned_is_refused() -> None:
    with pytest.raises(OutOfRange, match="at least 48"):
        align(np.ones((40, 60)), np.ones((40, 60)))
    with pytest.raises(ValueError, match="cannot be aligned"):
        align(np.ones((60, 60)), np.ones((60, 61)))
    with pytest.raises(ValueError, match="does not fit"):
        align(np.ones((60, 60)), np.ones((60, 60)), valid=np.ones((2, 2), bool))

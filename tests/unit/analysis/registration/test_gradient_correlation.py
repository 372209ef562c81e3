"""Registration by gradient correlation: right to its own errors, for all that an edge and a camera do to frames."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.registration import THRESHOLD, Reference, resample


def off(found: Any, shift: tuple[float, float]) -> float:
    return float(np.hypot(found.y - shift[0], found.x - shift[1]))


def drawn(source: np.random.Generator, most: float) -> tuple[float, float]:
    y, x = source.uniform(-most, most, 2)
    return float(y), float(x)


@pytest.mark.parametrize("most", [5.0, 30.0])
def test_drift_is_found_to_a_few_hundredths_of_a_pixel(scene: Callable[..., Any], most: float) -> None:
    one = scene(192)
    reference = Reference.of(one.frame())
    for _ in range(4):
        shift = drawn(one.source, most)
        found = reference.shift(one.frame(shift, contrast=0.6))
        assert off(found, shift) < 0.15
        assert found.confidence > THRESHOLD
        assert found.contrast == 1


def test_resampling_by_the_measured_shift_restores_the_reference(scene: Callable[..., Any]) -> None:
    one = scene(192)
    found = Reference.of(one.frame()).shift(one.frame((3.4, -2.7)))
    back = resample(one.exact((3.4, -2.7)), shift=(found.y, found.x))
    inside = np.isfinite(back)
    assert np.sqrt(((back - one.exact())[inside] ** 2).mean()) < 0.1 * one.exact().std()


def test_an_inverted_contrast_is_found_as_such(scene: Callable[..., Any]) -> None:
    one = scene(192)
    shift = drawn(one.source, 5)
    found = Reference.of(one.frame()).shift(-one.frame(shift))
    assert off(found, shift) < 0.15
    assert found.contrast == -1
    assert found.confidence > THRESHOLD


def test_errors_are_as_large_as_the_scatter(scene: Callable[..., Any]) -> None:
    pulls = []
    for _ in range(14):
        one = scene(128)
        reference = Reference.of(one.frame(counts=2000))
        for _ in range(4):
            shift = drawn(one.source, 2)
            found = reference.shift(one.frame(shift, counts=2000))
            pulls += [(found.y - shift[0]) / found.error_y, (found.x - shift[1]) / found.error_x]
    assert 0.65 < np.sqrt(np.mean(np.square(pulls))) < 1.6


def test_another_species_in_the_frame_is_in_the_error(scene: Callable[..., Any]) -> None:
    pulls = []
    for _ in range(16):
        one, other = scene(128), scene(128)
        shift = drawn(one.source, 3)
        reference = one.counted(one.exact() + 0.3 * other.exact())
        found = Reference.of(reference).shift(one.counted(0.5 * one.exact(shift) + 0.5 * other.exact(shift)))
        pulls += [(found.y - shift[0]) / found.error_y, (found.x - shift[1]) / found.error_x]
    assert 0.5 < np.sqrt(np.mean(np.square(pulls))) < 2.2


def test_a_static_pattern_hardly_drags(scene: Callable[..., Any]) -> None:
    one = scene(256)
    pattern = one.pattern(0.01)
    reference = Reference.of(one.counted(one.exact() + pattern))
    away = []
    for _ in range(6):
        shift = drawn(one.source, 5)
        found = reference.shift(one.counted(0.7 * one.exact(shift) + pattern))
        away.append(off(found, shift))
    assert np.sqrt(np.mean(np.square(away))) < 0.3


def test_without_noise_a_shift_is_exact(scene: Callable[..., Any]) -> None:
    one = scene(192)
    for shift in ((0.37, -1.21), (12.6, -7.3)):
        found = Reference.of(one.exact()).shift(one.exact(shift))
        assert off(found, shift) < 0.02
        assert found.coherence > 0.97


def test_a_large_shift_is_not_dragged_towards_zero_by_the_window(scene: Callable[..., Any]) -> None:
    along = []
    for _ in range(9):
        one = scene(160)
        found = Reference.of(one.exact()).shift(one.exact((20.0, -20.0)))
        along.append((found.y - found.x) / 2 - 20.0)
    # With windows that stand still the drag is about 0.1 px.
    assert abs(np.median(along)) < 0.02


def test_binned_registration_gives_unbinned_pixels(scene: Callable[..., Any]) -> None:
    one = scene(256)
    shift = drawn(one.source, 6)
    reference = Reference.of(one.frame(), binning=2, band=(0.04, 0.16))
    found = reference.shift(one.frame(shift))
    assert off(found, shift) < 0.2
    assert found.confidence > THRESHOLD


def test_bad_pixels_harm_little_and_nothing_spreads(scene: Callable[..., Any]) -> None:
    one = scene(192)
    shift = drawn(one.source, 4)
    frame, first = one.frame(shift), one.frame()
    hot = one.source.random(frame.shape) < 0.003
    frame[hot] = np.nan
    frame[50:60, 100:112] = np.inf
    valid = np.ones(frame.shape, bool)
    valid[130, 20:60] = False
    frame[~valid] = 1e6
    found = Reference.of(first).shift(frame, valid=valid)
    assert off(found, shift) < 0.2
    assert found.confidence > THRESHOLD


def test_frames_need_not_be_square(scene: Callable[..., Any]) -> None:
    one = scene(192)
    shift = (2.2, -3.1)
    found = Reference.of(one.frame()[:, 20:121]).shift(one.frame(shift)[:, 20:121])
    assert off(found, shift) < 0.2


@pytest.mark.parametrize("frame", [np.zeros((64, 64)), np.full((64, 64), np.nan), np.full((64, 64), 3.7)])
def test_a_blank_frame_has_no_shift(scene: Callable[..., Any], frame: Any) -> None:
    found = Reference.of(scene(64).frame()).shift(frame)
    assert found.confidence < THRESHOLD
    assert frame[0, 0] != 0 or np.isnan([found.y, found.x, found.error_y, found.error_x]).all()


def test_a_blank_reference_trusts_nothing(scene: Callable[..., Any]) -> None:
    found = Reference.of(np.zeros((64, 64))).shift(scene(64).frame())
    assert np.isnan(found.y)
    assert found.confidence == 0


def test_what_cannot_be_registered_is_refused(scene: Callable[..., Any]) -> None:
    frame = scene(64).frame()
    with pytest.raises(OutOfRange, match="side of a frame 20 px must be at least 32"):
        Reference.of(frame[:20])
    with pytest.raises(OutOfRange, match="reduce the binning"):
        Reference.of(frame, binning=4)
    with pytest.raises(OutOfRange, match="reach"):
        Reference.of(frame, reach=40)
    with pytest.raises(OutOfRange, match="band"):
        Reference.of(frame, band=(0.2, 0.1))
    with pytest.raises(OutOfRange, match="as the reference"):
        Reference.of(frame).shift(frame[:60])
    with pytest.raises(ValueError, match="no good pixel"):
        Reference.of(np.full((64, 64), np.nan))
    with pytest.raises(ValueError, match="does not fit"):
        Reference.of(frame, valid=np.ones((3, 3), bool))

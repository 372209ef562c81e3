"""Resampling: frames come back onto their reference, bad pixels stay where they are, and the noise is known."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.registration import (
    common_field,
    correlation_area,
    mean_noise_gain,
    noise_gain,
    noise_gain_map,
    resample,
    resample_masked,
    resample_variance,
)

SHIFT = (2.3, -1.6)


def test_a_moved_frame_comes_back_onto_its_reference(scene: Callable[..., Any]) -> None:
    one = scene()
    back = resample(one.exact(SHIFT), shift=SHIFT)
    assert np.isfinite(back[3:-3, 3:-3]).all()
    # The sample is smooth, so a cubic spline is good to a thousandth of it; the wrong sign is off by a tenth.
    off = np.abs(back - one.exact())[4:-4, 4:-4]
    assert off.max() < 0.01
    assert np.sqrt((off**2).mean()) < 1e-3


@pytest.mark.parametrize("order", [1, 3])
def test_splines_are_those_of_scipy(seed: int, order: int) -> None:
    image = np.random.default_rng(seed).normal(size=(40, 31))
    expected = ndimage.shift(image, (-SHIFT[0], -SHIFT[1]), order=order, mode="mirror")
    found = resample(image, shift=SHIFT, order=order)
    inside = np.isfinite(found)
    # 2.3 rows are missing at the end, and 1.6 columns at the start.
    assert inside.sum() == (40 - 3) * (31 - 2)
    assert np.allclose(found[inside], expected[inside], atol=1e-10)


def test_a_magnified_frame_comes_back(seed: int) -> None:
    rows, columns = np.mgrid[:64, :48].astype(float)
    scale, shift = 1.02, (0.7, -0.4)

    def pattern(y: Any, x: Any) -> Any:
        return np.sin(y / 4) * np.cos(x / 5)

    # Content at r from the centre lies at scale × r + shift in the frame.
    seen = pattern((rows - 31.5 - shift[0]) / scale, (columns - 23.5 - shift[1]) / scale)
    back = resample(seen, shift=shift, scale=scale)
    truth = pattern(rows - 31.5, columns - 23.5)
    inside = np.isfinite(back)
    assert 0.9 < inside.mean() < 1
    # At the very border the spline continues the frame by its mirror image.
    assert np.abs(back - truth)[5:-5, 5:-5].max() < 5e-3


def test_no_shift_changes_nothing_and_copies(seed: int) -> None:
    image = np.random.default_rng(seed).normal(size=(20, 20)).astype(np.float32)
    same = resample(image)
    assert same.dtype == np.float32
    assert np.array_equal(same, image)
    same[0, 0] = 99
    assert image[0, 0] != 99


def test_whole_pixels_move_without_neighbours() -> None:
    image = np.arange(100.0).reshape(10, 10)
    image[5, 5] = np.nan
    back = resample(image, shift=(1.0, -2.0))
    assert np.allclose(back[:4, 2:], image[1:5, :8])
    assert np.isnan(back[4, 7])
    assert np.isnan(back).sum() == 1 + 10 + 2 * 9
    assert np.isnan(back[9]).all()
    assert np.isnan(back[:, :2]).all()


@pytest.mark.parametrize(("order", "reach"), [(1, 1), (3, 2)])
def test_a_bad_pixel_spreads_no_farther_than_the_kernel(seed: int, order: int, reach: int) -> None:
    source = np.random.default_rng(seed)
    image = ndimage.gaussian_filter(source.normal(size=(40, 40)), 3)
    image /= image.std()
    bad = image.copy()
    bad[20, 20] = np.nan
    clean, spoiled = resample(image, shift=(0.4, 0.3), order=order), resample(bad, shift=(0.4, 0.3), order=order)
    rows, columns = np.nonzero(np.isnan(spoiled) & np.isfinite(clean))
    assert rows.size == (2 * reach) ** 2
    assert rows.min() == columns.min() == 20 - reach
    assert rows.max() == columns.max() == 19 + reach
    # What stands in for it while the spline is prepared leaves hardly a trace in the valid pixels around.
    both = np.isfinite(spoiled)
    assert np.abs(spoiled - clean)[both].max() < 0.05


def test_a_masked_pixel_is_as_good_as_none(seed: int) -> None:
    source = np.random.default_rng(seed)
    image = source.normal(size=(30, 30))
    valid = np.ones(image.shape, bool)
    valid[10, 12] = False
    image[10, 12] = 1e9
    result, reached = resample_masked(image, valid, shift=(0.5, 0.5))
    assert not reached[9, 11]
    assert np.array_equal(reached, np.isfinite(result))
    assert np.abs(result[reached]).max() < 10
    assert np.array_equal(np.isnan(resample(image, shift=(0.5, 0.5), valid=valid)), ~reached)


def test_a_frame_without_good_pixels_stays_empty() -> None:
    result, valid = resample_masked(np.full((8, 8), np.nan), None, shift=(0.5, 0))
    assert np.isnan(result).all()
    assert not valid.any()


@pytest.mark.parametrize("order", [1, 3])
def test_noise_gain_is_what_white_noise_shows(seed: int, order: int) -> None:
    source = np.random.default_rng(seed)
    shift = tuple(source.uniform(-3, 3, 2))
    noise = source.normal(size=(512, 512))
    found = resample(noise, shift=shift, order=order)[8:-8, 8:-8]
    # 250 000 correlated pixels know their variance to about 0.4 %.
    assert np.var(found) == pytest.approx(noise_gain(shift, order), rel=0.03)


def test_noise_gain_has_its_known_values() -> None:
    assert noise_gain((0.0, 3.0)) == pytest.approx(1)
    assert noise_gain((0.5, 0.5), 1) == pytest.approx(1 / 4)
    assert mean_noise_gain(1) == pytest.approx(4 / 9, abs=1e-4)  # ∫ (1 − f)² + f² df, squared
    assert np.sqrt(mean_noise_gain(3)) == pytest.approx(0.87, abs=0.01)
    assert noise_gain((0.3, -0.8)) == pytest.approx(noise_gain((0.7, 0.2)))


def test_gain_by_pixel_follows_the_scale(seed: int) -> None:
    source = np.random.default_rng(seed)
    gain = noise_gain_map((60, 50), shift=(0.2, 0.1), scale=1.01)
    stack = [resample(source.normal(size=(60, 50)), shift=(0.2, 0.1), scale=1.01) for _ in range(400)]
    variance = np.var(stack, axis=0)
    inside = np.isfinite(variance)
    assert (variance / gain)[inside].mean() == pytest.approx(1, abs=0.02)
    # By pixel a variance of 400 draws scatters by 7 %.
    assert np.corrcoef(variance[inside], gain[inside])[0, 1] > 0.7


def test_averaging_gains_nothing_from_resampling(seed: int) -> None:
    source = np.random.default_rng(seed)
    shift = (0.5, 0.5)
    means, pixels = [], []
    for _ in range(600):
        found = resample(source.normal(size=(26, 26)), shift=shift)[3:23, 3:23]
        means.append(found.mean())
        pixels.append(found.var())
    independent = np.mean(pixels) / 400
    # Borders of the area share noise with its outside, which is why the ratio stays a little below.
    assert np.var(means) == pytest.approx(correlation_area(shift) * independent, rel=0.35)
    assert np.var(means) > 1.15 * independent


def test_variance_is_carried_through(seed: int) -> None:
    source = np.random.default_rng(seed)
    variance = np.linspace(0.5, 2.0, 64)[:, None] * np.ones(64)
    carried, valid = resample_variance(variance, shift=(0.5, 0.25))
    stack = [resample(source.normal(size=(64, 64)) * np.sqrt(variance), shift=(0.5, 0.25)) for _ in range(200)]
    ratio = (np.var(stack, axis=0) / carried)[valid]
    assert ratio.mean() == pytest.approx(1, abs=0.03)


def test_a_step_of_the_variance_never_makes_a_negative_one() -> None:
    variance = np.where(np.arange(32) < 16, 1.0, 100.0) * np.ones((32, 32))
    carried, valid = resample_variance(variance, shift=(0.0, 0.5))
    assert (carried[valid] > 0.7).all()
    assert (carried[valid] < 100.0).all()


@given(
    shifts=st.lists(st.tuples(st.floats(-6, 6), st.floats(-6, 6)), min_size=1, max_size=5),
    scale=st.floats(0.97, 1.03),
)
def test_the_common_field_is_covered_and_as_large_as_it_can_be(shifts: list[tuple[float, float]], scale: float) -> None:
    shape = (40, 33)
    rows, columns = common_field(shifts, shape, scale)
    covered = np.logical_and.reduce(
        [np.isfinite(resample(np.ones(shape), shift=shift, scale=scale, order=1)) for shift in shifts]
    )
    assert covered[rows, columns].all()
    assert covered.sum() == (rows.stop - rows.start) * (columns.stop - columns.start)


def test_frames_that_share_nothing_are_refused() -> None:
    with pytest.raises(OutOfRange, match="common field along y"):
        common_field([(30.0, 0.0), (-30.0, 0.0)], (50, 50))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shift": (np.nan, 0.0)}, "shift"),
        ({"scale": 0.0}, "scale"),
        ({"order": 2}, "order of the spline"),
    ],
)
def test_bad_geometry_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OutOfRange, match=message):
        resample(np.ones((8, 8)), **options)


def test_shapes_that_do_not_fit_are_named() -> None:
    with pytest.raises(OutOfRange, match="dimensions"):
        resample(np.ones((3, 8, 8)))
    with pytest.raises(ValueError, match="does not fit"):
        resample_masked(np.ones((8, 8)), np.ones((8, 9), bool))

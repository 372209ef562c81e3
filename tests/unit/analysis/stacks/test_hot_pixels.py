"""Faulty pixels are found in frames with pattern, gradient and noise, and good ones are left alone."""

import numpy as np
import pytest

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.stacks import fill_from_neighbours, good_pixels

SHAPE = (128, 160)


def test_hot_and_dead_pixels_are_found_and_no_good_one_is_taken_for_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]] / 100
    dark = 100 + 20 * x + rng.normal(0, 1.6, (5, *SHAPE))
    illumination = 8000 * np.exp(-2 * ((y - 0.6) ** 2 + (x - 0.8) ** 2)) * (1 + 0.02 * rng.standard_normal(SHAPE))
    flat = dark.mean(axis=0) + rng.poisson(illumination)
    order = rng.permutation(SHAPE[0] * SHAPE[1])
    hot, dead, weak = (np.unravel_index(order[40 * n : 40 * n + 40], SHAPE) for n in range(3))
    dark[:, hot[0], hot[1]] += 300
    flat[hot] += 300
    flat[dead] = dark.mean(axis=0)[dead]
    flat[weak] -= 0.5 * illumination[weak]
    faulty = np.zeros(SHAPE, bool)
    for place in (hot, dead, weak):
        faulty[place] = True
    good = good_pixels(dark, flat)
    dim = illumination < 2000
    assert not good[hot].any()
    assert not good[dead].any()
    assert not (good & faulty & ~dim).any()
    assert (~good & ~faulty).sum() == 0
    assert not good_pixels(dark)[hot].any()
    assert good_pixels(dark)[dead].all()


def test_bright_pixels_of_a_dim_field_are_good(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = np.mgrid[: SHAPE[0], : SHAPE[1]][1]
    assert good_pixels(None, rng.poisson(100 + 40_000 * np.exp(-(((x - 80) / 12.0) ** 2)))).all()


def test_a_pixel_that_is_not_finite_is_not_good(seed: int) -> None:
    dark = np.random.default_rng(seed).normal(100, 2, SHAPE)
    dark[5, 6] = np.nan
    good = good_pixels(dark, dark + 1000)
    assert not good[5, 6]
    assert good.sum() == good.size - 1


def test_a_perfectly_even_frame_has_no_faults_but_rounding_is_none_either() -> None:
    dark = np.full(SHAPE, 100, np.uint16)
    dark[::7, ::5] = 101
    assert good_pixels(dark).all()
    dark[3, 3] = 130
    assert np.flatnonzero(~good_pixels(dark).ravel()).tolist() == [3 * SHAPE[1] + 3]


def test_filled_pixels_are_the_mean_of_their_neighbours_and_others_stay(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:40, :50]
    image = 3.0 * y - 2.0 * x + 7
    valid = rng.random(image.shape) > 0.02
    valid[10:16, 20:26] = False
    broken = np.where(valid, image, np.nan)
    filled = fill_from_neighbours(broken, valid)
    np.testing.assert_array_equal(filled[valid], image[valid])
    assert np.isfinite(filled).all()
    alone = np.zeros_like(valid)
    alone[30, 30] = True
    lonely = fill_from_neighbours(np.where(alone, np.nan, image), ~alone)
    assert lonely[30, 30] == pytest.approx(image[30, 30])  # the mean around a point of a plane
    everything = fill_from_neighbours(np.where(alone, image, np.nan), alone)
    np.testing.assert_allclose(everything, image[30, 30])


def test_what_cannot_be_judged_or_filled_is_refused() -> None:
    frame = np.ones(SHAPE)
    with pytest.raises(ValueError, match="give a dark or a flat"):
        good_pixels()
    with pytest.raises(ValueError, match="must have the same pixels"):
        good_pixels(frame, np.ones((3, 4)))
    with pytest.raises(OutOfRange, match="threshold of hot pixels 0 sigmas"):
        good_pixels(frame, sigmas=0)
    with pytest.raises(OutOfRange, match="dimensions of the dark 1"):
        good_pixels(np.ones(3))
    with pytest.raises(ValueError, match="no pixel of the image is good"):
        fill_from_neighbours(frame, np.zeros(SHAPE, bool))
    with pytest.raises(ValueError, match="needs a mask of the same"):
        fill_from_neighbours(frame, np.ones((2, 2), bool))
    assert not good_pixels(None, np.zeros(SHAPE)).any()

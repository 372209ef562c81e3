"""Where a sample has walked: nearer to the truth than the shifts are, and right to its own errors."""

import numpy as np
import pytest
from numpy.typing import NDArray

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.registration.walk import Walk, walk_of

Numbers = NDArray[np.float64]

TIMES = 40.0 * np.arange(30)
WALK_PX = 3e-3
"""After a second."""


def walked(source: np.random.Generator, times: Numbers = TIMES, per_root_s: float = WALK_PX) -> Numbers:
    steps = source.standard_normal((times.size - 1, 2)) * per_root_s * np.sqrt(np.diff(times))[:, None]
    return np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])


def errors_over_an_edge() -> Numbers:
    """Before the edge a sample shows little."""
    return np.where(np.arange(TIMES.size) < 12, 0.08, 0.02)[:, None] * np.ones(2)


def measured(source: np.random.Generator, truth: Numbers, errors: Numbers) -> Numbers:
    return truth + errors * source.standard_normal(truth.shape) + source.uniform(-3, 3, 2)


def test_what_shows_little_is_placed_by_its_neighbours_and_errors_hold(seed: int) -> None:
    source, errors = np.random.default_rng(seed), errors_over_an_edge()
    pulls, raw, off, found, narrower = [], [], [], [], []
    for _ in range(40):
        truth = walked(source)
        shifts = measured(source, truth, errors)
        walk = walk_of(TIMES, shifts, errors)
        assert not walk.places[0].any()
        assert not walk.errors[0].any()
        narrower.append(walk.apart[12:].mean() / walk.errors[12:].mean())
        pulls.append((walk.places - truth)[1:] / walk.errors[1:])
        raw.append(shifts - shifts[0] - truth)
        off.append(walk.places - truth)
        found.append(walk.px_per_root_s)
    # pulls of one series have the error of its first image in common
    assert 0.7 < np.sqrt(np.mean(np.square(pulls))) < 1.3
    # against the first image as it shows itself, all have its noise
    assert np.sqrt(np.mean(np.square(off))) < 0.55 * np.sqrt(np.mean(np.square(raw)))
    assert np.median(narrower) < 0.7
    assert np.median(found) == pytest.approx(WALK_PX, rel=0.25)


def test_how_far_images_lie_apart_is_known_as_well_as_it_says(seed: int) -> None:
    source, errors = np.random.default_rng(seed), errors_over_an_edge()
    pulls = []
    for _ in range(40):
        truth = walked(source)
        walk = walk_of(TIMES, measured(source, truth, errors), errors)
        off = walk.places - truth
        pulls.append((off - np.average(off, axis=0, weights=1 / walk.apart[:, 0] ** 2)) / walk.apart)
    assert 0.7 < np.sqrt(np.mean(np.square(pulls))) < 1.15


@pytest.mark.parametrize("steady", [False, True])
def test_a_sample_that_slips_or_creeps_is_followed(seed: int, steady: bool) -> None:
    source, errors = np.random.default_rng(seed), errors_over_an_edge()
    truth = 0.15 * np.arange(30.0)[:, None] * np.ones(2) if steady else np.where(np.arange(30)[:, None] < 17, 0.0, 1.5)
    walk = walk_of(TIMES, measured(source, truth * np.ones(2), errors), errors)
    assert np.abs(walk.places - truth)[17:].max() < 0.35
    assert np.abs((walk.places - walk.places[20]) - (truth - truth[20]))[17:].max() < 0.17


def test_an_image_that_tells_nothing_lies_between_its_neighbours(seed: int) -> None:
    source, errors = np.random.default_rng(seed), errors_over_an_edge()
    truth = walked(source)
    shifts = measured(source, truth, errors)
    shifts[20] = np.nan
    walk = walk_of(TIMES, shifts, errors)
    low, high = np.minimum(walk.places[19], walk.places[21]), np.maximum(walk.places[19], walk.places[21])
    assert ((walk.places[20] >= low - 1e-12) & (walk.places[20] <= high + 1e-12)).all()
    assert (walk.apart[20] > walk.apart[[19, 21]]).all()


def test_the_order_of_the_images_does_not_matter(seed: int) -> None:
    source, errors = np.random.default_rng(seed), errors_over_an_edge()
    shifts = measured(source, walked(source), errors)
    order = np.concatenate([[0], 1 + source.permutation(29)])
    walks: list[Walk] = [walk_of(TIMES[one], shifts[one], errors[one]) for one in (np.arange(30), order)]
    np.testing.assert_allclose(walks[1].places, walks[0].places[order], atol=1e-9)
    np.testing.assert_allclose(walks[1].errors, walks[0].errors[order], atol=1e-9)


def test_a_first_image_that_was_not_the_first_in_time_is_where_all_are_counted_from(seed: int) -> None:
    source, errors = np.random.default_rng(seed), errors_over_an_edge()
    truth = walked(source)
    order = np.concatenate([[15], np.arange(15), np.arange(16, 30)])
    walk = walk_of(TIMES[order], measured(source, truth, errors)[order], errors[order])
    assert np.sqrt(np.mean((walk.places - (truth - truth[15])[order]) ** 2)) < 0.06


@pytest.mark.parametrize("bad", ["shapes", "one", "same time", "no error"])
def test_what_cannot_be_is_refused(bad: str) -> None:
    times, shifts, errors = np.arange(3.0), np.zeros((3, 2)), np.full((3, 2), 0.1)
    if bad == "shapes":
        shifts = shifts[:2]
    if bad == "one":
        shifts[1:] = np.nan
    if bad == "same time":
        times[2] = 1.0
    if bad == "no error":
        errors[1, 0] = 0.0
    with pytest.raises(OutOfRange):
        walk_of(times, shifts, errors)

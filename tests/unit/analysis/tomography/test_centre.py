"""The rotation axis is found to a tenth of a pixel, and what cannot tell it is refused."""

import numpy as np
import pytest
from numpy.typing import NDArray
from phantom import Spheres

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.tomography import centre_from_pairs, centre_from_sinogram, half_turn_pairs

SHAPE = (96, 200)


def measured(seed: int, angles: NDArray[np.float64], noise: float = 0.02) -> tuple[NDArray[np.float64], float]:
    source = np.random.default_rng(seed)
    centre = 99.5 + source.uniform(-8, 8)
    ideal = Spheres.random(source, 40, 75, 80).projections(angles, SHAPE, centre)
    return ideal + noise * source.standard_normal(ideal.shape), centre


def test_by_pairs_of_a_turn_that_misses_its_half_by_a_step(seed: int) -> None:
    # frames of a scan at constant speed: the last ones are 179.1 and 179.7 degrees from the first
    near = np.concatenate([np.arange(0.3, 3, 0.6), np.arange(177.6, 180, 0.6)])
    projections, centre = measured(seed, near)
    found = centre_from_pairs(projections, near)
    assert found.column == pytest.approx(centre, abs=0.1)
    assert found.error < 0.05
    assert found.column == pytest.approx(centre, abs=5 * found.error)


def test_what_all_pairs_miss_of_half_a_turn_is_extrapolated(seed: int) -> None:
    source = np.random.default_rng(seed)
    near = np.concatenate([np.arange(0.0, 1.5, 0.4), np.arange(178.0, 179.7, 0.4)])
    spheres = Spheres.random(source, 40, 60, 80)
    # all of it in front of the axis, so that what is missed moves all of it to one side
    spheres.z = 30 + source.uniform(-10, 10, 40)
    projections = spheres.projections(near, SHAPE, 101.2) + 0.01 * source.standard_normal((near.size, *SHAPE))
    found = centre_from_pairs(projections, near)
    assert found.column == pytest.approx(101.2, abs=0.1)
    nearest = centre_from_pairs(projections, near, pairs=[(0, near.size - 1)])
    assert abs(nearest.column - 101.2) > 0.05


def test_by_the_centre_of_mass_of_a_sinogram(seed: int) -> None:
    angles = np.arange(0, 180, 3.0) + np.random.default_rng(seed).uniform(-0.3, 0.3, 60)
    projections, centre = measured(seed, angles, noise=0.008)
    found = centre_from_sinogram(projections.mean(axis=1), angles)
    assert found.column == pytest.approx(centre, abs=0.1)
    assert found.column == pytest.approx(centre, abs=5 * found.error)
    with pytest.raises(OutOfRange, match="reaches beyond the field"):
        centre_from_sinogram(projections[:, :, :110].mean(axis=1), angles)


def test_errors_of_both_are_honest(seed: int) -> None:
    angles = np.arange(0, 180, 4.0)
    near = np.array([0.0, 1.0, 2.0, 179.0, 180.0, 181.0])
    pulls = {"mass": [], "pairs": []}
    source = np.random.default_rng(seed)
    ideal = Spheres.random(source, 40, 75, 80)
    turn, ends = (ideal.projections(one, SHAPE, 97.3) for one in (angles, near))
    for _ in range(16):
        noisy = turn.mean(axis=1) + 0.003 * source.standard_normal((angles.size, SHAPE[1]))
        found = centre_from_sinogram(noisy, angles)
        pulls["mass"].append((found.column - 97.3) / found.error)
        found = centre_from_pairs(ends + 0.05 * source.standard_normal(ends.shape), near)
        pulls["pairs"].append((found.column - 97.3) / found.error)
    for way, one in pulls.items():
        assert 0.3 < np.sqrt(np.mean(np.square(one))) < 2.2, way


def test_pairs_are_spread_over_a_whole_turn_and_near_half_a_turn() -> None:
    angles = np.arange(0, 360, 1.2)
    pairs = half_turn_pairs(angles)
    assert len(pairs) == 8
    apart = np.array([angles[second] - angles[first] for first, second in pairs])
    np.testing.assert_allclose(apart, 180, atol=1e-9)
    assert np.ptp([angles[first] for first, _ in pairs]) > 150
    assert half_turn_pairs(np.arange(0, 170, 1.0)) == []


def test_what_cannot_tell_the_axis_is_refused(seed: int) -> None:
    angles = np.array([0.0, 90.0, 170.0])
    with pytest.raises(OutOfRange, match="no two projections half a turn apart"):
        centre_from_pairs(np.zeros((3, 64, 64)), angles)
    source = np.random.default_rng(seed)
    with pytest.raises(OutOfRange, match="number of pairs that can be believed 0"):
        centre_from_pairs(source.standard_normal((2, 64, 64)), [0.0, 180.0])
    with pytest.raises(OutOfRange, match="range of the angles 80 deg must be at least 120"):
        centre_from_sinogram(np.ones((9, 64)), np.arange(9) * 10.0)
    with pytest.raises(OutOfRange, match="mass of the sample"):
        centre_from_sinogram(np.zeros((19, 64)), np.arange(19) * 10.0)

"""Pixels that were measured beside their centres: brought there without bias, with the noise that it costs."""

import numpy as np
import pytest
from flying import Flown

from whiteline.analysis.fly import Grid, bin_pixels, centred
from whiteline.analysis.maps.map import Map


def test_a_slope_is_followed_exactly_and_holes_stay_holes(seed: int) -> None:
    source = np.random.default_rng(seed)
    y, x = np.mgrid[:20, :24].astype(float)
    # so that a pixel's neighbours along an axis differ in one offset, and no two of them are at one place
    offset_y, offset_x = source.uniform(-0.2, 0.2, (20, 1)) + 0 * x, source.uniform(-0.2, 0.2, (1, 24)) + 0 * y
    value = 5 + 0.7 * (y + offset_y) - 0.3 * (x + offset_x)
    valid = source.random(value.shape) > 0.1
    valid[[0, 0, -1, -1], [0, -1, 0, -1]] = True
    measured = Map.masked("plane", "counts", value, np.ones_like(value), valid)
    found = centred(measured, offset_y, offset_x)
    np.testing.assert_array_equal(found.valid, valid)
    assert np.isnan(found.value[~valid]).all()
    off = np.abs(found.value - (5 + 0.7 * y - 0.3 * x))
    # a pixel whose neighbours along an axis are both missing stays as it is along that axis
    around = np.pad(valid, 1)
    beside_y, beside_x = around[2:, 1:-1] | around[:-2, 1:-1], around[1:-1, 2:] | around[1:-1, :-2]
    left = np.where(beside_y, 0, 0.7 * offset_y) - np.where(beside_x, 0, 0.3 * offset_x)
    np.testing.assert_allclose(off[valid], np.abs(left[valid]), atol=1e-9)
    assert np.mean(beside_y & beside_x) > 0.8


def test_noise_is_what_its_error_says(seed: int) -> None:
    source = np.random.default_rng(seed)
    offset_y, offset_x = source.uniform(-0.5, 0.5, (2, 40, 40))
    noise = source.standard_normal((200, 40, 40))
    flat = np.ones((40, 40))
    found = [centred(Map("flat", "", one, flat, flat > 0), offset_y, offset_x) for one in noise]
    pulls = np.array([one.value / one.error for one in found])
    assert pulls.std() == pytest.approx(1, abs=0.01)
    inner = np.array([one.error**2 for one in found])[:, 2:-2, 2:-2]
    # along both axes, the mean square of an offset, 1/12, times that of the slope: of pixels at random places it is
    # 2 (16/9 / (2 + d)² + 1/9 / (4 + d)²), d the difference of two offsets
    d = np.subtract(*source.uniform(-0.5, 0.5, (2, 1_000_000)))
    slope = 2 * np.mean(16 / 9 / (2 + d) ** 2 + 1 / 9 / (4 + d) ** 2)
    assert inner.mean() == pytest.approx(1 + 2 / 12 * slope, abs=0.02)


@pytest.mark.parametrize(("period_px", "left"), [(20.0, 1e-3), (8.0, 0.015), (5.0, 0.1)])
def test_detail_is_brought_to_where_it_was(seed: int, period_px: float, left: float) -> None:
    source = np.random.default_rng(seed)
    y, x = np.mgrid[:40, :40].astype(float)
    phase, by = source.uniform(0, 6, 2), source.uniform(0.05, 0.2)
    turn = 2 * np.pi / period_px

    def waves(along_y: float, along_x: float) -> np.ndarray:
        return np.sin(turn * (y + along_y) + phase[0]) + np.sin(turn * (x + along_x) + phase[1])

    flat = np.ones_like(y)
    found = centred(Map("waves", "", waves(by, by), flat, flat > 0), by * flat, by * flat)
    # the value turns with the offset to second order, which is no shift
    across = np.cos(turn * y + phase[0]), np.cos(turn * x + phase[1])
    inner = (slice(4, -4), slice(4, -4))
    for one in across:
        shift = np.sum((found.value - waves(0, 0))[inner] * one[inner]) / np.sum(one[inner] ** 2) / turn
        assert abs(shift) < left * by + 0.02 * by


def test_a_scan_that_lags_back_and_forth_shows_no_comb(seed: int) -> None:
    # by 0.4 of a pixel, to the left in one line and to the right in the next
    flown = Flown(seed, lines=60, pulses=80, lag_s=0.4e-3, vibration_um=0.0, counts=2e5)
    grid = Grid.planned([(0.0, 59 * 0.02), (0.0, 79 * 0.02)], (60, 80))
    binned = bin_pixels(grid, flown.y, flown.x, flown.dwell, [flown.signal, flown.incident])
    truth = flown.truth(grid.y, grid.x, 0.02)
    slope = np.gradient(truth, axis=1)

    def comb(centre: bool) -> float:
        """By how much odd lines lie further on than even ones [px]."""
        off = binned.normalised(0, 1, reference=50.0, centre=centre).value - truth
        # a few pixels at the edge of their neighbour may be empty
        weight = slope**2 + 0 * off
        moved = [np.nansum((off * slope)[start::2, 3:-3]) / np.nansum(weight[start::2, 3:-3]) for start in (0, 1)]
        return float(moved[1] - moved[0])

    assert abs(comb(centre=False)) > 0.5
    assert abs(comb(centre=True)) < 0.16


def test_where_a_map_is_steep_its_error_says_how_well_its_place_is_known(seed: int) -> None:
    source = np.random.default_rng(seed)
    y, x = np.mgrid[:30, :40].astype(float)
    none, unsure = np.zeros((30, 40)), (0.06, 0.15)
    pulls, certain, flat = [], [], []
    for moved_y, moved_x in source.normal(0, unsure, (1500, 2)):
        # a hill on flat ground: its flanks fall by 5 noises from pixel to pixel
        true, seen = (40 / (1 + np.exp((np.hypot(y - 15 - a, x - 20 - b) - 8) / 2))
                      for a, b in ((0.0, 0.0), (moved_y, moved_x)))  # fmt: skip
        measured = Map("hill", "", seen + source.standard_normal(none.shape), 1 + none, none == 0)
        found = centred(measured, none, none, unsure_px=unsure)
        pulls.append((found.value - true) / found.error)
        certain.append(measured.value - true)
        flat.append(found.error[2:6, 2:10])
    flank = (np.abs(np.hypot(y - 15, x - 20) - 8) < 1.5) & (np.abs(x - 20) > 5)
    assert np.std(certain, axis=0)[flank].mean() > 1.15
    assert np.std(pulls, axis=0)[flank].mean() == pytest.approx(1, abs=0.03)
    # on flat ground there is nothing to add but what its noise seems to rise by
    noise = 65 / 72 * np.sum(np.square(unsure))
    assert np.mean(np.square(flat)) == pytest.approx(1 + noise, abs=0.005)

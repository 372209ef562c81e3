"""A fly map and a step map of one sample agree within noise and a shift, and say so where they do not."""

import numpy as np
import pytest
from flying import Flown

from whiteline.analysis.fly import Grid, bin_pixels, compare_maps
from whiteline.analysis.maps.map import Map

SHIFT_PX = (0.37, -0.62)


def both(seed: int) -> tuple[Map, Map, Flown]:
    """A step map, and a fly map whose sample has drifted by a part of a pixel meanwhile."""
    step = Flown(seed, lines=64, pulses=72, vibration_um=0.0, lag_s=0.0, snake=False)
    flown = Flown(seed + 1, lines=64, pulses=72, lag_s=0.0, vibration_um=0.002)
    maps = []
    for one, moved in ((step, (0.0, 0.0)), (flown, SHIFT_PX)):
        grid = Grid.planned([(0.0, 63 * 0.02), (0.0, 71 * 0.02)], (64, 72))
        expected = one.beam * one.sample(one.true_y - moved[0] * 0.02, one.true_x - moved[1] * 0.02)
        signal = one.source.poisson(expected)
        maps.append(bin_pixels(grid, one.y, one.x, one.dwell, [signal, one.incident]).normalised(0, 1, reference=1e5))
    return maps[0], maps[1], flown


def test_they_agree_within_noise_after_the_measured_shift(seed: int) -> None:
    step, fly, _ = both(seed)
    found = compare_maps(step, fly)
    assert found.trusted
    assert found.shift_y == pytest.approx(SHIFT_PX[0], abs=0.1)
    assert found.shift_x == pytest.approx(SHIFT_PX[1], abs=0.1)
    assert found.within_noise, f"{found.chi2} ± {found.chi2_error}"
    assert found.chi2 == pytest.approx(1, abs=5 * found.chi2_error)
    assert found.pixels > 0.8 * step.value.size
    # without the shift they do not
    assert np.nanmean((step.value - fly.value) ** 2 / (step.error**2 + fly.error**2)) > 2


def test_a_line_shifted_by_one_pixel_is_noticed(seed: int) -> None:
    step, fly, _ = both(seed)
    value = fly.value.copy()
    value[::2] = np.roll(value[::2], 1, axis=1)
    assert not compare_maps(step, Map(fly.name, fly.unit, value, fly.error, fly.valid)).within_noise


def test_a_factor_between_them_is_measured_where_it_is_asked_for(seed: int) -> None:
    step, fly, _ = both(seed)
    tripled = Map(fly.name, fly.unit, 3 * fly.value, 3 * fly.error, fly.valid)
    found = compare_maps(step, tripled, scaled=True)
    assert found.scale == pytest.approx(3, rel=0.01)
    assert found.within_noise
    assert not compare_maps(step, tripled).within_noise


def test_maps_of_other_grids_are_refused(seed: int) -> None:
    step, _, _ = both(seed)
    small = Map("a", "", step.value[:40], step.error[:40], step.valid[:40])
    with pytest.raises(ValueError, match="maps of one grid"):
        compare_maps(step, small)

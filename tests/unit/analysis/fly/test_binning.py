"""Maps of a fly scan: right by the truth, each pixel with its error, and missing where nothing was."""

import numpy as np
import pytest
from flying import Flown

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.fly import Binned, Grid, bin_pixels


def test_a_map_by_measured_positions_is_right_within_its_errors_where_nominal_ones_are_not(seed: int) -> None:
    # each pixel is visited four times, at places that lag by two pixels and tremble
    fine, pixel = 0.01, 0.02
    flown = Flown(seed, lines=120, pulses=160, step_um=fine, lag_s=4e-3)
    grid = Grid.measured(flown.y, flown.x, step=pixel)
    inside = (slice(2, -2), slice(3, -3))
    binned = bin_pixels(grid, flown.y, flown.x, flown.dwell, [flown.signal, flown.incident])
    found = binned.normalised(0, 1, reference=50.0)
    assert found.valid[inside].mean() > 0.98
    truth = flown.truth(grid.y, grid.x, pixel)
    pulls = ((found.value - truth) / found.error)[inside]
    assert abs(np.nanmean(pulls)) < 0.1
    assert np.nanstd(pulls) < 1.3
    assert (
        np.nanstd(((binned.normalised(0, 1, reference=50.0, centre=False).value - truth) / found.error)[inside]) > 1.5
    )
    nominal = bin_pixels(
        grid,
        fine * np.arange(flown.lines)[:, None] + 0 * flown.x,
        fine * flown.column,
        flown.dwell,
        [flown.signal, flown.incident],
    ).normalised(0, 1, reference=50.0)
    assert np.nanstd(((nominal.value - truth) / nominal.error)[inside]) > 2


@pytest.mark.parametrize("deposit", ["nearest", "bilinear"])
def test_errors_are_those_of_counting_and_counts_are_kept(seed: int, deposit: str) -> None:
    source = np.random.default_rng(seed)
    size = 40_000
    y, x = source.uniform(0, 1, (2, size))
    grid = Grid(0.025, 0.025, 0.05, 0.05, 20, 20)
    found = []
    for _ in range(30):
        counts = [source.poisson(3.0, size), source.poisson(200.0, size)]
        one = bin_pixels(grid, y, x, np.full(size, 1e-3), counts, deposit=deposit)
        found.append(one.normalised(0, 1, reference=200.0))
        if deposit == "nearest":
            assert one.sums[0].sum() == counts[0].sum()
            assert one.coverage.sum() == pytest.approx(size * 1e-3)
    inside = (slice(1, -1), slice(1, -1))
    values = np.array([one.value[inside] for one in found])
    error = np.array([one.error[inside] for one in found]).mean()
    assert values.mean() == pytest.approx(3.0, abs=0.02)
    assert np.sqrt(values.var(axis=0, ddof=1).mean()) == pytest.approx(error, rel=0.04)
    residual = values - values.mean(axis=0)
    correlation = (residual[:, :, 1:] * residual[:, :, :-1]).mean() / (residual**2).mean()
    assert correlation == pytest.approx(0.0 if deposit == "nearest" else 0.25, abs=0.04)


def test_what_is_missing_stays_missing(seed: int) -> None:
    flown = Flown(seed, lines=20, pulses=30, lag_s=0.0)
    grid = Grid.planned([(0.0, 0.38), (0.0, 0.58)], (20, 30))
    lost = np.zeros((20, 30), bool)
    lost[7] = True  # a line that failed
    lost[3, 10:14] = True  # a detector that missed triggers
    signal, y, incident = flown.signal.copy(), flown.y.copy(), flown.incident.copy()
    signal[3, 10:14], y[7], incident[0, 0] = np.nan, np.nan, 0.0
    binned = bin_pixels(grid, y, flown.x, flown.dwell, [signal, incident])
    assert binned.unknown == lost.sum()
    found = binned.normalised(0, 1)
    assert np.isnan(found.value[7]).all()
    assert not found.valid[7].any()
    # line 3 is run backwards
    assert np.isnan(found.value[3, 16:20]).all()
    assert binned.coverage[7].sum() == 0
    assert np.isfinite(found.error).sum() == found.valid.sum() == np.isfinite(found.value).sum()
    assert not found.valid[0, 0], "a pixel without beam tells nothing"


def test_the_ratio_of_sums_is_not_biased_where_few_photons_come(seed: int) -> None:
    source = np.random.default_rng(seed)
    incident, signal = source.poisson(4.0, 100_000), source.poisson(2.0, 100_000)
    grid = Grid(0.0, 0.0, 1.0, 1.0, 1, 10)
    x = np.repeat(np.arange(10.0), 10_000)
    found = bin_pixels(grid, 0 * x, x, 0 * x + 1e-4, [signal, incident]).normalised(0, 1, reference=1.0)
    pulls = (found.value - 0.5) / found.error
    assert np.abs(pulls).max() < 4.5
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = signal / incident
    assert np.mean(ratios[np.isfinite(ratios)]) > 0.6, "the mean of ratios would have done as well"


def test_coverage_is_the_dwell_and_rates_follow_it() -> None:
    grid = Grid(0.0, 0.0, 1.0, 1.0, 2, 2)
    binned = bin_pixels(grid, [0, 0, 1.2, 9], [0, 0.4, 1, 0], [0.1, 0.3, 0.2, 0.1], [[10, 50, 40, 7]])
    np.testing.assert_allclose(binned.coverage, [[0.4, 0], [0, 0.2]])
    assert binned.outside == 1
    np.testing.assert_allclose(binned.rate(0).value, [[150, np.nan], [np.nan, 200]])
    np.testing.assert_allclose(binned.counts(0).error, [[np.sqrt(60), np.nan], [np.nan, np.sqrt(40)]])


def test_lines_added_one_by_one_give_the_same_as_all_at_once(seed: int) -> None:
    flown = Flown(seed, lines=10, pulses=30)
    grid = Grid.measured(flown.y, flown.x, step=0.02)
    growing = Binned.empty(grid, 1, "bilinear")
    for line in range(10):
        growing = growing.add(flown.y[line], flown.x[line], flown.dwell[line], [flown.signal[line]])
    whole = bin_pixels(grid, flown.y, flown.x, flown.dwell, [flown.signal], deposit="bilinear")
    np.testing.assert_allclose(growing.sums, whole.sums)
    np.testing.assert_allclose(growing.counts(0).error, whole.counts(0).error)


def test_a_measured_grid_puts_centres_where_measurements_are(seed: int) -> None:
    shift = np.random.default_rng(seed).uniform(-0.02, 0.02, 2)
    flown = Flown(seed, lines=40, pulses=50, lag_s=0.0, vibration_um=0.001, offset_um=tuple(shift))
    grid = Grid.measured(flown.y, flown.x, step=0.02)
    assert grid.shape == (40, 50)
    assert grid.first_y == pytest.approx(shift[0], abs=1e-3)
    assert grid.first_x == pytest.approx(shift[1], abs=1e-3)
    binned = bin_pixels(grid, flown.y, flown.x, flown.dwell, [flown.signal])
    assert (binned.visits == 1).all()


def test_grids_that_cannot_be_are_refused() -> None:
    assert Grid.planned([(3.0, 1.0), (0.0, 1.0)], (3, 11)) == Grid(1.0, 0.0, 1.0, 0.1, 3, 11)
    with pytest.raises(OutOfRange, match="number of pixels of a grid"):
        Grid.measured([0.0, 1000.0], [0.0, 1000.0], step=0.01)
    with pytest.raises(OutOfRange, match="step of a grid"):
        Grid.measured([0.0], [0.0], step=0.0)
    with pytest.raises(OutOfRange, match="number of known positions"):
        Grid.measured([np.nan], [0.0], step=1.0)
    with pytest.raises(ValueError, match="deposit 'cubic' is not known"):
        bin_pixels(Grid(0, 0, 1, 1, 1, 1), [0.0], [0.0], [1.0], [[1.0]], deposit="cubic")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must have one size"):
        bin_pixels(Grid(0, 0, 1, 1, 1, 1), [0.0, 1.0], [0.0], [1.0], [[1.0]])

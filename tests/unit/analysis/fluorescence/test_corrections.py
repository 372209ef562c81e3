"""Dead time, incident beam and self-absorption: against simulated events, closed forms and quadrature."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import quad

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.deadtime import counted_rate
from whiteline.analysis.fluorescence import (
    correct_dead_time,
    correct_layer,
    element_absorption,
    escape,
    layer_fluorescence,
    normalise,
)
from whiteline.analysis.maps.map import Map
from whiteline.sim.fluorescence import escape as twins_escape


def a_map(value: NDArray[np.float64], error: NDArray[np.float64] | None = None) -> Map:
    """A map of counts, with the error of chance if no other is given."""
    spread = np.sqrt(np.maximum(value, 1)) if error is None else error
    return Map("counts of Ni Ka", "", value, spread, np.isfinite(value))


def busy_detector(
    rng: np.random.Generator, rate: float, dead_time: float, dwell: float, share: float, pixels: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Counts of a region and of all, of single events, each of which keeps the detector busy from its arrival."""
    before = 10 * dead_time
    gaps = rng.exponential(1 / rate, (pixels, int(rate * (dwell + before) * 1.2 + 60)))
    times = gaps.cumsum(axis=1)
    assert times[:, -1].min() > before + dwell
    counted = (gaps > dead_time) & (times > before) & (times < before + dwell)
    inside = counted & (rng.random(counted.shape) < share)
    return inside.sum(axis=1).astype(float), counted.sum(axis=1).astype(float)


@pytest.mark.parametrize(("busy", "share"), [(0.05, 0.3), (0.3, 0.05), (0.3, 1.0), (0.6, 0.2), (0.6, 1.0)])
def test_counts_without_dead_time_have_the_errors_of_simulated_events(seed: int, busy: float, share: float) -> None:
    rng, pixels, dead_time = np.random.default_rng(seed), 2000, 0.25e-6
    rate = busy / dead_time
    dwell = 3000 / rate
    inside, total = busy_detector(rng, rate, dead_time, dwell, share, pixels)
    found = correct_dead_time(a_map(inside), total, dwell, dead_time)
    truth = share * 3000
    pulls = (found.value - truth) / found.error
    assert found.valid.all()
    # first order: the curvature of the law shifts the mean by less than a tenth of an error at these counts
    assert abs(pulls.mean()) < 5 / np.sqrt(pixels) + 0.1
    assert np.sqrt((pulls**2).mean()) == pytest.approx(1, abs=5 / np.sqrt(2 * pixels) + 0.03)


def test_the_law_of_the_dead_time_is_undone_exactly() -> None:
    rates = np.array([[0.0, 1e4], [1e5, 3e6]])
    total = counted_rate(rates, 0.25e-6) * 0.1
    found = correct_dead_time(a_map(0.2 * total), total, 0.1, 0.25e-6)
    np.testing.assert_allclose(found.value, 0.2 * rates * 0.1, rtol=1e-9)


def test_a_pixel_that_counted_more_than_it_can_is_masked_alone() -> None:
    total = np.array([1000.0, 1e9, np.nan, -1.0, 5.0])
    found = correct_dead_time(a_map(np.full(5, 10.0)), total, 0.01, 0.25e-6)
    np.testing.assert_array_equal(found.valid, [True, False, False, False, False])
    assert np.isnan(found.value[1:]).all()
    assert np.isnan(found.error[1:]).all()
    with pytest.raises(OutOfRange, match="dwell 0 s"):
        correct_dead_time(a_map(np.ones(2)), np.ones(2), 0.0, 1e-7)
    with pytest.raises(ValueError, match="must have the pixels of the map"):
        correct_dead_time(a_map(np.ones(2)), np.ones(3), 1.0, 1e-7)


def test_a_map_per_incident_beam_has_the_error_of_both(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, incident = 0.5, rng.uniform(2e3, 2e4, 30_000)
    beam = rng.poisson(incident).astype(float)
    counts = rng.poisson(truth * incident).astype(float)
    found = normalise(a_map(counts), beam, np.sqrt(beam), reference=1e4)
    pulls = (found.value - truth * 1e4) / found.error
    # a third of the variance is that of the beam
    assert np.sqrt((pulls**2).mean()) == pytest.approx(1, abs=5 / np.sqrt(2 * 30_000) + 0.005)


def test_a_missing_incident_beam_is_missing_and_never_one() -> None:
    beam = np.array([1e4, np.nan, 0.0, -5.0, np.inf, 2e4])
    spread = np.array([10.0, 10.0, 10.0, 10.0, 10.0, np.nan])
    found = normalise(a_map(np.full(6, 100.0)), beam, spread, reference=1e4)
    np.testing.assert_array_equal(found.valid, [True, False, False, False, False, False])
    assert np.isnan(found.value[1:]).all()
    assert found.value[0] == 100
    with pytest.raises(ValueError, match="do not fit a map"):
        normalise(a_map(np.ones(3)), np.ones(4))
    with pytest.raises(OutOfRange, match="reference of I0 0"):
        normalise(a_map(np.ones(3)), 1.0, reference=0)


@pytest.mark.parametrize(("incidence", "leaving"), [(90.0, 15.0), (45.0, 45.0), (10.0, 80.0)])
@pytest.mark.parametrize("thickness", [0.0, 0.3, 8.0, 200.0])
def test_escape_is_the_mean_over_the_depth(incidence: float, leaving: float, thickness: float) -> None:
    mu, mu_line = 0.21, 0.05
    per_depth = mu / np.sin(np.deg2rad(incidence)) + mu_line / np.sin(np.deg2rad(leaving))
    mean = quad(lambda z: np.exp(-per_depth * z), 0, thickness)[0] / thickness if thickness else 1.0
    assert escape(mu, mu_line, thickness, incidence, leaving) == pytest.approx(mean, rel=1e-8)
    if incidence == 90:
        assert escape(mu, mu_line, thickness, 90, leaving) == pytest.approx(
            twins_escape(mu, mu_line, thickness, leaving), rel=1e-12
        )


def test_a_layer_is_corrected_pixel_by_pixel_and_an_unknown_thickness_masks() -> None:
    thickness = np.array([0.0, 1.0, 5.0, np.nan, -1.0])
    thin = np.full(5, 200.0)
    measured = thin * np.append(escape(0.2, 0.1, thickness[:3], 90, 30), [1, 1])
    found = correct_layer(a_map(measured), 0.2, 0.1, thickness, 90, 30)
    np.testing.assert_allclose(found.value[:3], 200)
    np.testing.assert_allclose(found.error[:3] / found.value[:3], 1 / np.sqrt(measured[:3]))
    np.testing.assert_array_equal(found.valid, [True, True, True, False, False])
    assert np.isnan(found.value[3:]).all()


@given(
    st.floats(0, 3),
    st.floats(0, 2),
    st.floats(0, 2),
    st.floats(0.01, 30),
    st.floats(5, 90),
    st.floats(5, 90),
)
def test_the_absorption_of_the_element_is_found_from_its_fluorescence(
    own: float, rest: float, line: float, thickness: float, incidence: float, leaving: float
) -> None:
    layer = (rest, line, thickness, incidence, leaving)
    measured = layer_fluorescence(own, *layer)
    found = float(element_absorption(measured, *layer))
    if (
        measured >= 1
    ):  # every photon is absorbed by the element, to the last digit: any absorption that strong gives that
        assert np.isnan(found)
        return
    # where the layer is opaque, the fluorescence hardly grows any more: compare what it would be
    assert float(layer_fluorescence(found, *layer)) == pytest.approx(float(measured), rel=1e-9, abs=1e-12)
    if measured < 0.5:
        assert found == pytest.approx(own, rel=1e-6, abs=1e-9)


def test_a_white_line_is_flattened_and_restored() -> None:
    own = np.array([0.0, 0.02, 0.10, 0.22, 0.15])
    seen = layer_fluorescence(own, 0.05, 0.08, 20.0, 45, 45)
    assert seen[3] / seen[4] < own[3] / own[4]
    np.testing.assert_allclose(element_absorption(seen, 0.05, 0.08, 20.0, 45, 45), own, rtol=1e-9, atol=1e-12)


def test_a_fluorescence_that_cannot_be_is_not_made_up() -> None:
    found = element_absorption([0.1, 1.0, 1.2, np.nan, -0.1], 0.1, 0.1, 10.0, 45, 45)
    np.testing.assert_array_equal(np.isfinite(found), [True, False, False, False, False])
    for bad, says in (((-0.1, 0.1, 1.0, 45, 45), "attenuation for the beam"), ((0.1, 0.1, -1.0, 45, 45), "thickness")):
        with pytest.raises(OutOfRange, match=says):
            escape(*bad)
    for angle in (0.0, 91.0, np.nan):
        with pytest.raises(OutOfRange, match="angle of incidence"):
            escape(0.1, 0.1, 1.0, angle, 45)
    with pytest.raises(OutOfRange, match="thickness 0"):
        element_absorption(0.1, 0.1, 0.1, 0.0, 45, 45)

"""Knife edges: position and width within their errors, and a refusal where there is no edge."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.focus import KnifeEdge, NoEdge, fit_knife_edge

POSITIONS = np.linspace(-1, 1, 41)


def edge(position: float, sigma: float, step: float = -1000.0, base: float = 2000.0, slope: float = 0.0) -> KnifeEdge:
    return KnifeEdge(position, 0.0, sigma, 0.0, step, 0.0, base, slope, 1.0)


@pytest.mark.parametrize("errors_given", [True, False])
def test_pulls_of_position_width_and_step_are_one(seed: int, errors_given: bool) -> None:
    source = np.random.default_rng(seed)
    pulls = []
    for _ in range(50):
        truth = edge(source.uniform(-0.4, 0.4), source.uniform(0.08, 0.3))
        exact = truth.profile(POSITIONS)
        counts = source.poisson(exact).astype(float)
        found = fit_knife_edge(POSITIONS, counts, np.sqrt(exact) if errors_given else None)
        pulls.append(
            [
                (found.position - truth.position) / found.position_error,
                (found.fwhm - truth.fwhm) / found.fwhm_error,
                (found.step - truth.step) / found.step_error,
            ]
        )
    assert (
        (np.sqrt(np.mean(np.square(pulls), axis=0)) > 0.6) & (np.sqrt(np.mean(np.square(pulls), axis=0)) < 1.5)
    ).all()


def test_the_step_is_the_integral_of_the_beam() -> None:
    truth = edge(0.1, 0.2, step=300.0)
    area, _ = integrate.quad(lambda at: float(truth.beam(at)), -3, 3, points=[0.1])
    assert area == pytest.approx(300.0)
    half = truth.beam([0.1, 0.1 + truth.fwhm / 2])
    assert half[1] / half[0] == pytest.approx(0.5)
    slope = np.gradient(truth.profile(np.linspace(-1, 1, 2001)), 0.001)
    assert np.allclose(slope[1:-1], truth.beam(np.linspace(-1, 1, 2001))[1:-1], rtol=1e-2, atol=1e-2)


@given(
    position=st.floats(-0.5, 0.5),
    sigma=st.floats(0.06, 0.3),
    step=st.sampled_from([-1.0, 0.01, 1e6]),
    pedestal=st.sampled_from([0.0, 5.0, -100.0]),
)
def test_without_noise_an_edge_of_any_size_is_exact(
    position: float, sigma: float, step: float, pedestal: float
) -> None:
    signal = edge(position, sigma, step, pedestal * abs(step)).profile(POSITIONS)
    found = fit_knife_edge(POSITIONS, signal)
    assert found.position == pytest.approx(position, abs=1e-4)
    assert found.sigma == pytest.approx(sigma, rel=1e-3)
    assert found.step == pytest.approx(step, rel=1e-3)


def test_a_slope_of_the_background_is_fitted_where_asked(seed: int) -> None:
    source = np.random.default_rng(seed)
    truth = edge(0.1, 0.12, step=1000.0, base=500.0, slope=80.0)
    found = fit_knife_edge(POSITIONS, truth.profile(POSITIONS) + source.normal(0, 3, 41), np.full(41, 3.0), sloped=True)
    assert abs(found.slope - 80) < 30
    assert abs(found.sigma - 0.12) < 6 * found.sigma_error


def test_order_and_missing_points_do_not_matter(seed: int) -> None:
    source = np.random.default_rng(seed)
    signal = edge(0.2, 0.15).profile(POSITIONS) + source.normal(0, 10, 41)
    expected = fit_knife_edge(POSITIONS, signal)
    order = source.permutation(41)
    found = fit_knife_edge([*POSITIONS[order], 0.0], [*signal[order], np.nan])
    assert found.position == pytest.approx(expected.position, abs=1e-6)
    assert found.sigma == pytest.approx(expected.sigma, rel=1e-4)


def test_noise_is_no_edge(seed: int) -> None:
    source = np.random.default_rng(seed)
    for sloped in (False, True):
        for errors in (None, np.full(41, 10.0)):
            for _ in range(3):
                with pytest.raises(NoEdge, match=r"no edge stands out|sharper than"):
                    fit_knife_edge(POSITIONS, source.normal(100, 10, 41), errors, sloped=sloped)


def test_what_does_not_show_an_edge_is_refused() -> None:
    with pytest.raises(NoEdge, match="same at every point"):
        fit_knife_edge(POSITIONS, np.ones(41))
    with pytest.raises(NoEdge, match="axis moved"):
        fit_knife_edge(np.zeros(41), POSITIONS)
    with pytest.raises(NoEdge, match="both sides"):
        fit_knife_edge(POSITIONS, edge(1.5, 0.4).profile(POSITIONS), np.ones(41))
    with pytest.raises(NoEdge, match="sharper than the points are apart"):
        fit_knife_edge(POSITIONS, np.where(POSITIONS > 0.02, 1000.0, 0.0), np.ones(41))
    with pytest.raises(OutOfRange, match="at least 8"):
        fit_knife_edge(POSITIONS[:7], POSITIONS[:7])
    with pytest.raises(ValueError, match="one length"):
        fit_knife_edge(POSITIONS, POSITIONS[:5])
    with pytest.raises(OutOfRange, match="error of the signal"):
        fit_knife_edge(POSITIONS, POSITIONS, np.zeros(41))

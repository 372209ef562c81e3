"""E0 by the derivative and at half height: against closed forms, and their errors against repeated noise."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from whiteline.analysis.spectra import edge_by_derivative, edge_by_half_height, edge_fixed
from whiteline.analysis.spectra.edge_position import smoothed_derivative
from whiteline.analysis.spectrum_files import read_columns, read_xdi

EDGE = 8345.3


def scan(step: float = 0.5) -> np.ndarray:
    """Energies with steps that change, as scans have them."""
    return np.unique(np.r_[np.arange(8200, 8320, 10), np.arange(8320, 8380, step), np.arange(8380, 8600, 7)])


def arctangent(energy: np.ndarray, edge: float = EDGE, width: float = 3.0) -> np.ndarray:
    return 0.2 + 1.5 * (0.5 + np.arctan((energy - edge) / (width / 2)) / np.pi)


def test_the_steepest_rise_is_found_between_the_points(seed: int) -> None:
    rng = np.random.default_rng(seed)
    energy = scan()
    for edge in EDGE + rng.uniform(-0.5, 0.5, 20):
        found = edge_by_derivative(energy, arctangent(energy, edge))
        assert found.energy == pytest.approx(edge, abs=0.01)  # a fiftieth of a step
        assert np.isnan(found.error)  # no noise was given


def test_the_smoothed_derivative_is_the_convolution_of_the_spectrum_with_a_gaussian() -> None:
    energy = np.array([8300.0, 8303.0, 8304.0, 8308.0, 8310.0, 8315.0])
    values = np.array([0.1, 0.3, 1.0, 0.8, 1.2, 1.1])
    fine = np.arange(8300.0, 8315.0, 1e-3) + 5e-4
    slope = np.gradient(np.interp(fine, energy, values), fine)
    for at in (8302.2, 8306.0, 8311.7):
        expected = np.sum(slope * norm.pdf(at, fine, 0.8)) * 1e-3
        assert smoothed_derivative(energy, np.array([at]), 0.8)[0] @ values == pytest.approx(expected, rel=1e-3)


def test_the_half_height_of_an_arctangent_is_its_middle(seed: int) -> None:
    energy = scan()
    edge = EDGE + np.random.default_rng(seed).uniform(-0.5, 0.5)
    # Its tails fall as 1/(E − E0), so a post-edge far off is a little below 1 and a pre-edge a little above 0, alike.
    found = edge_by_half_height(
        energy, arctangent(energy, edge, 1.5), pre_edge=(-130, -90), post_edge=(90, 130), degree=0
    )
    assert found.energy == pytest.approx(edge, abs=0.05)
    steps = (energy > edge).astype(float)
    assert edge_by_half_height(energy, steps).energy == pytest.approx(edge, abs=0.5)


@pytest.mark.parametrize("find", ["derivative", "half height"])
def test_standard_errors_are_the_scatter_under_repeated_noise(seed: int, find: str) -> None:
    rng = np.random.default_rng(seed)
    energy = scan(1.0)
    truth, sigma = arctangent(energy), 0.003 * (1 + rng.random(energy.size))

    def position(values: np.ndarray) -> tuple[float, float]:
        if find == "derivative":
            found = edge_by_derivative(energy, values, sigma, search=(8335, 8355))
        else:
            found = edge_by_half_height(energy, values, sigma, edge=EDGE)
        return found.energy, found.error

    centre = position(truth)[0]
    found = np.array([position(truth + sigma * rng.standard_normal(energy.size)) for _ in range(1200)])
    pulls = (found[:, 0] - centre) / found[:, 1]
    assert np.sqrt(np.mean(pulls**2)) == pytest.approx(1, abs=0.1)  # 1 ± 0.02
    assert abs(np.mean(pulls)) < 0.15


def test_oxidation_of_iron_shifts_the_edge_up_by_some_eV(measured: Path) -> None:
    spectra = read_xdi(measured / "fe_k_FeO.xdi"), read_columns(measured / "fe_k_Fe2O3.xmu", "eV")
    by_derivative = [edge_by_derivative(one.energy, one.absorption).energy for one in spectra]
    by_half_height = [edge_by_half_height(one.energy, one.absorption, edge=7112.0).energy for one in spectra]
    print(
        f"FeO to Fe2O3: derivative {np.diff(by_derivative)[0]:+.2f} eV, half height {np.diff(by_half_height)[0]:+.2f}"
    )
    assert 3 < by_half_height[1] - by_half_height[0] < 5
    assert 2 < by_derivative[1] - by_derivative[0] < 5


def test_nickel_in_LiNiO2_lies_above_that_in_NiO(measured: Path) -> None:
    low, high = (read_columns(measured / f"ni_k_{name}.txt", "keV") for name in ("NiO", "LiNiO2"))
    assert (
        1
        < edge_by_half_height(high.energy, high.absorption).energy
        - edge_by_half_height(low.energy, low.absorption).energy
        < 3
    )


def test_the_first_of_two_inflections_is_found_if_it_is_asked_for() -> None:
    energy = scan()
    two = arctangent(energy, 8340, 2) * 0.8 + arctangent(energy, 8352, 2)
    assert edge_by_derivative(energy, two).energy == pytest.approx(8352, abs=0.1)
    assert edge_by_derivative(energy, two, first_share=0.5).energy == pytest.approx(8340, abs=0.1)


def test_a_spectrum_without_an_edge_has_none(seed: int) -> None:
    rng = np.random.default_rng(seed)
    energy = np.arange(8200.0, 8320.0, 1.0)
    falling = 1 - 1e-3 * (energy - 8200)
    with pytest.raises(ValueError, match="no edge between 8200 and 8319 eV"):
        edge_by_derivative(energy, falling)
    with pytest.raises(ValueError, match="no edge between"):
        edge_by_derivative(energy, falling + 0.01 * rng.standard_normal(energy.size), 0.01)
    with pytest.raises(ValueError, match="no edge between"):
        edge_by_derivative(energy, np.ones_like(energy))


def test_an_edge_at_the_end_of_the_scan_is_refused() -> None:
    energy = scan()
    for part in (energy < EDGE + 0.7, energy > EDGE - 0.7):
        with pytest.raises(ValueError, match=r"at the end of the range .* measure further"):
            edge_by_derivative(energy[part], arctangent(energy[part], width=1.5))


def test_a_fixed_edge_must_lie_within_the_spectrum() -> None:
    energy = scan()
    assert edge_fixed(energy, 8333.0, 0.1).energy == 8333
    with pytest.raises(ValueError, match="E0 7112 eV must lie within the spectrum, 8200 to 8597 eV"):
        edge_fixed(energy, 7112.0)
    with pytest.raises(ValueError, match=r"8.333 looks like keV"):
        edge_fixed(energy, 8.333)

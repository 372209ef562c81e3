"""The bound of an edge's position: golden, reached by a maximum likelihood fit, and what it must and must not do."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import least_squares

from whiteline.analysis import tables
from whiteline.analysis.bounds import Edge, Position, edge_position_bound
from whiteline.analysis.checks import OutOfRange

OFFSETS = np.concatenate([np.arange(-33, -7, 5.0), np.arange(-6, 27), np.arange(28, 41, 2), np.arange(45, 75, 5)])
ENERGIES = 8333.0 + OFFSETS
"""52 energies over a Ni edge, 1 eV apart over edge and white line, as `energies.XANES_REGIONS` has them."""

NICKEL = Edge(
    position=8343.0,
    jump=1.0,
    width=1.44,
    white_line=(0.9, 8350.0, 3.0),
    background=(0.5, -1e-4),
    resolution=1.19,
)
"""Nickel oxide in a transmission microscope: core hole 1.44 eV, Si(111) 1.19 eV, white line at 8350 eV."""


@pytest.mark.parametrize(("counts", "golden"), [(1e4, 0.064), (3e4, 0.037), (1e5, 0.020)])
def test_the_white_line_has_the_golden_bounds(counts: float, golden: float) -> None:
    assert ENERGIES.size == 52
    assert tables.core_hole_width("Ni") == pytest.approx(NICKEL.width, abs=0.01)
    found = edge_position_bound(NICKEL, ENERGIES, counts)
    assert found == pytest.approx(golden, abs=5e-4)


@pytest.mark.parametrize("position", ["white line", "half height", "maximum"])
def test_a_fit_of_all_parameters_reaches_the_bound(seed: int, position: Position) -> None:
    rng = np.random.default_rng(seed)
    edge = replace(NICKEL, resolution=0.0, width=4.0)
    counts, flats, spectra = 1e6, 2, 150
    clear = edge.density(ENERGIES)
    sigma = np.sqrt((np.exp(clear) + 1 / flats) / counts)
    found = []
    for _ in range(spectra):
        raw = rng.poisson(counts * np.exp(-clear))
        measured = np.log(rng.poisson(flats * counts, clear.size) / flats / raw)
        fit = least_squares(
            lambda values, measured=measured: (edge.with_parameters(values).density(ENERGIES) - measured) / sigma,
            edge.parameters,
            x_scale=[0.1, 1e-3, 1, 0.1, 1, 0.1, 1, 1],
        )
        found.append(edge.with_parameters(fit.x).where(position))
    least = edge_position_bound(edge, ENERGIES, counts, flats=flats, position=position)
    errors = np.array(found) - edge.where(position)
    assert np.sqrt((errors**2).mean()) / least == pytest.approx(1, abs=5 / np.sqrt(2 * spectra))


def test_the_resolution_is_a_convolution_with_a_gaussian() -> None:
    sharp = replace(NICKEL, resolution=0.0, pre_edge=(0.1, 8333.0, 1.0))
    broad = replace(sharp, resolution=1.19)
    sigma = 1.19 / np.sqrt(8 * np.log(2))
    for energy in (8325.0, 8333.0, 8342.0, 8343.3, 8350.0, 8380.0):
        kernel = lambda u, energy=energy: (  # noqa: E731
            float(sharp.above_background(energy + u)) * np.exp(-0.5 * (u / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
        )
        assert float(broad.above_background(energy)) == pytest.approx(
            quad(kernel, -8 * sigma, 8 * sigma, points=[8343 - energy] if abs(8343 - energy) < 4 else None)[0], abs=1e-5
        )


def test_positions_are_where_the_spectrum_says() -> None:
    half, top = NICKEL.where("half height"), NICKEL.where("maximum")
    assert float(NICKEL.above_background(half)) == pytest.approx(0.5, abs=1e-8)
    assert NICKEL.where("white line") == 8350
    grid = np.arange(8340, 8360, 0.001)
    assert top == pytest.approx(grid[np.argmax(NICKEL.density(grid))], abs=2e-3)
    moved = NICKEL.with_parameters(NICKEL.parameters + np.array([0.1, 0, 2, 0, 0, 0, 2, 0]))
    for position, before in (("half height", half), ("maximum", top)):
        assert moved.where(position) == pytest.approx(before + 2, abs=1e-6)  # type: ignore[arg-type]


def test_derivatives_are_those_of_the_closed_form() -> None:
    edge = replace(NICKEL, resolution=0.0)
    found = edge.jacobian(ENERGIES)
    away, line = ENERGIES - 8343, (ENERGIES - 8350) / 3
    lorentz = 1 / (1 + line**2)
    step = 1 / (1 + (away / 0.72) ** 2) / (0.72 * np.pi)
    np.testing.assert_allclose(found[:, 0], 1, atol=1e-7)
    np.testing.assert_allclose(found[:, 1], away, atol=1e-5)
    np.testing.assert_allclose(found[:, 2], 1e-4 - step, atol=1e-6)
    np.testing.assert_allclose(found[:, 3], 0.5 + np.arctan(away / 0.72) / np.pi, atol=1e-7)
    np.testing.assert_allclose(found[:, 4], -step * away / 1.44, atol=1e-6)
    np.testing.assert_allclose(found[:, 5], lorentz, atol=1e-7)
    np.testing.assert_allclose(found[:, 6], 0.9 * lorentz**2 * 2 * line / 3, atol=1e-7)
    np.testing.assert_allclose(found[:, 7], 0.9 * lorentz**2 * 2 * line**2 / 3, atol=1e-7)


def test_more_photons_help_and_more_unknowns_do_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    usual = edge_position_bound(NICKEL, ENERGIES, 1e4)
    assert edge_position_bound(NICKEL, ENERGIES, 4e4) == pytest.approx(usual / 2, rel=1e-9)
    assert edge_position_bound(NICKEL, ENERGIES, 1e4, flats=1) > usual
    assert edge_position_bound(NICKEL, rng.permutation(ENERGIES), 1e4) == pytest.approx(usual, rel=1e-6)
    assert edge_position_bound(NICKEL, np.append(ENERGIES, 8348.0), 1e4) < usual
    doubled = edge_position_bound(NICKEL, np.tile(ENERGIES, 2), 1e4)
    assert doubled == pytest.approx(usual / np.sqrt(2), rel=1e-6)
    peaked = replace(NICKEL, pre_edge=(1e-3, 8333.0, 1.5))
    assert edge_position_bound(peaked, ENERGIES, 1e4) >= usual * (1 - 1e-3)


def test_energies_that_do_not_determine_the_position_have_no_finite_bound() -> None:
    assert edge_position_bound(NICKEL, ENERGIES[:7], 1e4) == np.inf
    assert edge_position_bound(NICKEL, ENERGIES, 0.0) == np.inf


def test_an_edge_that_cannot_be_is_refused() -> None:
    with pytest.raises(OutOfRange, match=r"position of the edge 8\.343 eV"):
        replace(NICKEL, position=8.343)
    with pytest.raises(OutOfRange, match="width of the step 0 eV"):
        replace(NICKEL, width=0.0)
    with pytest.raises(OutOfRange, match=r"8\.333 looks like keV"):
        edge_position_bound(NICKEL, [8.333, 8.340], 1e4)
    with pytest.raises(ValueError, match="position 'top' of an edge must be one of"):
        NICKEL.where("top")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="has no maximum near its white line"):
        replace(NICKEL, white_line=(0.0, 8350.0, 3.0), background=(0.0, 0.001)).where("maximum")
    with pytest.raises(ValueError, match="does not rise through half"):
        replace(NICKEL, white_line=(-20.0, 8350.0, 50.0), background=(0.0, 0.0)).where("half height")

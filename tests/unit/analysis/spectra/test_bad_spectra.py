"""Whatever analyses a spectrum refuses a bad one, and says which of its points is wrong."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whiteline.analysis.spectra import (
    calibrate_on_foil,
    deglitch,
    edge_by_derivative,
    edge_by_half_height,
    estimated_noise,
    fit_combination,
    fit_edge,
    normalise,
)
from whiteline.analysis.spectrum_files import Spectrum

ENERGY = np.unique(np.r_[np.arange(8230, 8320, 5), np.arange(8320, 8375, 1), np.arange(8375, 8520, 5)]).astype(float)
VALUES = 0.2 + 0.5 + np.arctan((ENERGY - 8335) / 1.5) / np.pi
REFERENCE = Spectrum("reference", np.arange(8000.0, 9000.0), np.arange(8000.0, 9000.0) > 8335)

Analysis = Callable[..., Any]
WITH_ERROR: dict[str, Analysis] = {
    "edge_by_derivative": edge_by_derivative,
    "edge_by_half_height": edge_by_half_height,
    "normalise": normalise,
    "deglitch": deglitch,
    "foil": lambda *given: calibrate_on_foil(*given, element="Ni"),
    "edge model": lambda *given: fit_edge(*given, core_hole=1.4, resolution=1.2, white_line=False, pre_edge=False),
    "combination": lambda energy, values, error=None: fit_combination(energy, values, [REFERENCE], error),
}
ALL = WITH_ERROR | {"noise": estimated_noise}

every = pytest.mark.parametrize("analyse", ALL.values(), ids=ALL)


@every
def test_a_good_spectrum_is_analysed(analyse: Analysis) -> None:
    """So that each of the others is refused for what is wrong with it."""
    assert analyse(ENERGY, VALUES) is not None


@every
@given(at=st.integers(0, ENERGY.size - 1), value=st.sampled_from([np.nan, np.inf, -np.inf]))
@settings(max_examples=15)
def test_a_value_that_is_not_finite_is_named_with_its_energy(analyse: Analysis, at: int, value: float) -> None:
    values = VALUES.copy()
    values[at] = value
    with pytest.raises(ValueError, match=rf"absorption at {ENERGY[at]:.10g} eV, {value:g} must be a finite number"):
        analyse(ENERGY, values)


@every
@given(at=st.integers(0, ENERGY.size - 2))
@settings(max_examples=15)
def test_energies_out_of_order_are_named(analyse: Analysis, at: int) -> None:
    order = np.arange(ENERGY.size)
    order[[at, at + 1]] = at + 1, at
    with pytest.raises(ValueError, match=rf"after {ENERGY[at + 1]:.10g} eV comes {ENERGY[at]:.10g} eV .* sort"):
        analyse(ENERGY[order], VALUES[order])


@every
@given(at=st.integers(0, ENERGY.size - 1))
@settings(max_examples=15)
def test_an_energy_that_stands_there_twice_is_named(analyse: Analysis, at: int) -> None:
    with pytest.raises(
        ValueError, match=rf"energy {ENERGY[at]:.10g} eV stands there twice, as points {at} and {at + 1}"
    ):
        analyse(np.insert(ENERGY, at, ENERGY[at]), np.insert(VALUES, at, VALUES[at]))


@every
def test_too_few_points_keV_and_arrays_that_do_not_fit_are_refused(analyse: Analysis) -> None:
    for few in (0, 1):
        with pytest.raises(ValueError, match=rf"number of energies {few} must be at least"):
            analyse(ENERGY[:few], VALUES[:few])
    with pytest.raises(ValueError, match="looks like keV"):
        analyse(ENERGY / 1000, VALUES)
    with pytest.raises(ValueError, match="give one absorption for each energy"):
        analyse(ENERGY, VALUES[:-1])
    with pytest.raises(ValueError, match="are no spectrum"):
        analyse(ENERGY[:, None], VALUES[:, None])


@pytest.mark.parametrize("analyse", WITH_ERROR.values(), ids=WITH_ERROR)
def test_an_error_that_is_none_is_refused(analyse: Analysis) -> None:
    for wrong in (0.0, -1.0, np.nan):
        error = np.full(ENERGY.size, 0.01)
        error[3] = wrong
        with pytest.raises(ValueError, match=rf"error of the absorption at {ENERGY[3]:.10g} eV, {wrong:g} must be"):
            analyse(ENERGY, VALUES, error)
    with pytest.raises(ValueError, match="3 errors for"):
        analyse(ENERGY, VALUES, [0.1, 0.1, 0.1])


@pytest.mark.parametrize("name", ["edge_by_derivative", "edge_by_half_height", "normalise", "foil", "edge model"])
def test_a_spectrum_that_ends_before_the_edge_is_refused(name: str) -> None:
    before = ENERGY < 8320
    falling = 1 - 1e-3 * (ENERGY[before] - 8230)
    with pytest.raises(ValueError, match=r"no edge between 8230 and 8315 eV|end of the scan at 8315 eV must lie"):
        WITH_ERROR[name](ENERGY[before], falling)


def test_the_noise_of_a_spectrum_is_read_from_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    energy = np.arange(8000.0, 8300.0, 0.5)
    smooth = np.sin(energy / 40)
    for sigma in (1e-3, 0.1):
        values = smooth + sigma * rng.standard_normal(energy.size)
        assert estimated_noise(energy, values) == pytest.approx(sigma, rel=0.4)  # ± 0.05 for 600 points
        values[::50] += 100 * sigma  # glitches, few enough for the median
        assert estimated_noise(energy, values) == pytest.approx(sigma, rel=0.6)
    line = np.where(energy > 8250, 5.0, 2 + 1e-3 * energy)
    assert estimated_noise(energy, line, below=8250) < 1e-9

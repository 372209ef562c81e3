"""Linear combination of measured references with Poisson noise: fractions within their errors."""

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import nnls

from whiteline.analysis.spectra import fit_combination, on_energies
from whiteline.analysis.spectrum_files import Spectrum, read_columns

ENERGY = np.unique(np.r_[np.arange(8220, 8330, 10), np.arange(8330, 8372, 1), np.arange(8372, 8600, 15)]).astype(float)


def made(name: str, edge: float, top: float) -> Spectrum:
    """A reference of a line shape."""
    energy = np.arange(8200.0, 8620.0, 0.5)
    rise = 0.5 + np.arctan((energy - edge) / 1.5) / np.pi
    return Spectrum(name, energy, rise + top / (1 + ((energy - edge - 6) / 3) ** 2))


THREE = [made("one", 8340, 0.8), made("two", 8343, 1.0), made("three", 8337, 0.4)]


def test_measured_NiO_and_LiNiO2_come_back_with_their_fractions_within_errors(measured: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    references = [read_columns(measured / f"ni_k_{name}.txt", "keV") for name in ("NiO", "LiNiO2")]
    first, second = (on_energies(one, ENERGY) for one in references)
    pulls, chi_squares = [], []
    for _ in range(1200):
        fraction, jump, counts = rng.random(), rng.uniform(0.4, 1.2), 10 ** rng.uniform(4.3, 5.5)
        density = jump * ((1 - fraction) * first + fraction * second) + 0.3 + 2e-4 * (ENERGY - 8333)
        frame, flat = rng.poisson(counts * np.exp(-density)), rng.poisson(counts, ENERGY.size)
        found = fit_combination(
            ENERGY, -np.log(frame / flat), references, np.sqrt(1 / frame + 1 / flat), background="linear"
        )
        pulls.append((found.fractions[1] - fraction) / found.fraction_errors[1])
        chi_squares.append(found.reduced_chi_square)
    assert np.sqrt(np.mean(np.square(pulls))) == pytest.approx(1, abs=0.1)  # 1 ± 0.02
    assert abs(np.mean(pulls)) < 0.15
    assert np.mean(chi_squares) == pytest.approx(1, abs=0.05)


def test_without_noise_weights_and_background_are_exact(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.1, 2, 3)
    middle = (ENERGY[0] + ENERGY[-1]) / 2
    values = sum(weight * on_energies(one, ENERGY) for weight, one in zip(weights, THREE, strict=True))
    found = fit_combination(ENERGY, values + 0.2 - 1e-4 * (ENERGY - middle), THREE, background="linear")
    assert found.names == ("one", "two", "three")
    assert found.weights == pytest.approx(weights, rel=1e-6)
    assert found.fractions == pytest.approx(weights / weights.sum(), rel=1e-6)
    assert found.background == pytest.approx((0.2, -1e-4), rel=1e-5)
    assert found.r_factor < 1e-12


def test_errors_without_given_ones_come_from_the_scatter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = 0.6 * on_energies(THREE[0], ENERGY) + 0.4 * on_energies(THREE[1], ENERGY)
    pulls = []
    for _ in range(1200):
        found = fit_combination(
            ENERGY, truth + 0.01 * rng.standard_normal(ENERGY.size), THREE[:2], background="constant"
        )
        pulls.append((found.weights - [0.6, 0.4]) / found.weight_errors)
    assert np.sqrt(np.mean(np.square(pulls))) == pytest.approx(1, abs=0.1)


def test_the_errors_of_fractions_are_those_of_weights_drawn_from_their_covariance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = 0.9 * on_energies(THREE[0], ENERGY) + 0.3 * on_energies(THREE[1], ENERGY)
    found = fit_combination(ENERGY, values, THREE, 1e-3, background="constant")
    drawn = rng.multivariate_normal(found.weights, found.covariance, 20_000)
    scatter = np.std(drawn / drawn.sum(axis=1, keepdims=True), axis=0)
    assert found.fraction_errors == pytest.approx(scatter, rel=0.03)  # ± 0.005
    alone = fit_combination(ENERGY, values, THREE[:1], 1e-3)
    assert alone.fractions == pytest.approx([1])
    assert alone.fraction_errors == pytest.approx([0], abs=1e-12)


def test_the_r_factor_is_the_share_of_the_square_that_is_left(seed: int) -> None:
    values = on_energies(THREE[0], ENERGY) + 0.05 * np.random.default_rng(seed).standard_normal(ENERGY.size)
    found = fit_combination(ENERGY, values, THREE)
    assert found.residual == pytest.approx(values - found.fitted, abs=1e-12)
    assert found.r_factor == pytest.approx(np.sum((values - found.fitted) ** 2) / np.sum(values**2))


def test_non_negative_weights_are_those_of_scipy_and_one_at_zero_has_no_error(seed: int) -> None:
    rng = np.random.default_rng(seed)
    basis = np.stack([on_energies(one, ENERGY) for one in THREE], axis=1)
    for weights in ([1.0, -0.3, 0.5], [0.5, 0.5, 0.5], [-0.2, 0.9, -0.1]):
        values = basis @ weights + 0.01 * rng.standard_normal(ENERGY.size)
        found = fit_combination(ENERGY, values, THREE, 0.01, non_negative=True)
        expected = nnls(basis, values)[0]
        assert found.weights == pytest.approx(expected, abs=1e-7)
        assert (np.isnan(found.weight_errors) == (expected == 0)).all()
        assert (np.isnan(found.fraction_errors) == (expected == 0)).all()
        assert np.isfinite(found.fractions).all()


def test_a_part_of_the_energies_may_be_fitted() -> None:
    values = on_energies(THREE[0], ENERGY)
    spoilt = np.where(ENERGY > 8500, 5.0, values)
    found = fit_combination(ENERGY, spoilt, THREE, fit_range=(8300, 8450))
    assert found.weights == pytest.approx([1, 0, 0], abs=1e-6)
    assert found.energy[0] == 8300
    assert found.energy[-1] <= 8450


def test_a_reference_is_interpolated_by_a_spline_and_never_extrapolated() -> None:
    smooth = Spectrum("sine", np.arange(8300.0, 8400.0, 1.0), np.sin(np.arange(8300.0, 8400.0, 1.0) / 5))
    wanted = np.array([8350.5, 8310.25, 8377.77])
    assert on_energies(smooth, wanted) == pytest.approx(np.sin(wanted / 5), abs=1e-4)
    with pytest.raises(ValueError, match="reference sine covers 8300 to 8399 eV, and not 8410 eV"):
        on_energies(smooth, [8350, 8410])
    with pytest.raises(ValueError, match="reference sine covers 8300 to 8399 eV, and not 8220 eV"):
        fit_combination(ENERGY, np.ones_like(ENERGY), [smooth])
    with pytest.raises(ValueError, match=r"8\.35 looks like keV"):
        on_energies(smooth, [8.350])


def test_what_cannot_be_fitted_is_named() -> None:
    values = on_energies(THREE[0], ENERGY)
    twin = Spectrum("twin", THREE[0].energy, 2 * THREE[0].absorption)
    with pytest.raises(ValueError, match="references one, twin and the background cannot be told apart at these"):
        fit_combination(ENERGY, values, [THREE[0], twin])
    with pytest.raises(ValueError, match="two references have one name"):
        fit_combination(ENERGY, values, [THREE[0], THREE[0]])
    with pytest.raises(ValueError, match="needs at least one reference"):
        fit_combination(ENERGY, values, [])
    with pytest.raises(ValueError, match="background 'cubic' must be one of none, constant, linear"):
        fit_combination(ENERGY, values, THREE, background="cubic")  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=r"3 of .* energies, .* lie in the range of the fit, 8340 to 8342 eV; at least 6"
    ):
        fit_combination(ENERGY, values, THREE, background="linear", fit_range=(8340, 8342))
    flat = [Spectrum(name, THREE[0].energy, np.ones_like(THREE[0].energy)) for name in ("one", "two", "three")]
    with pytest.raises(ValueError, match="references one, two, three and the background cannot be told apart"):
        fit_combination(ENERGY, values, flat)

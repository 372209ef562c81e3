"""Fractions that cannot be negative: the solution of scipy, and errors that hold."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import dask.array
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import nnls

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.maps.basis import Basis
from whiteline.analysis.maps.linear import linear_combination, row_weights
from whiteline.analysis.maps.nonnegative import nonnegative, nonnegative_amounts, nonnegative_fractions
from whiteline.analysis.spectrum_files import Spectrum

Floats = NDArray[np.float64]
Models = tuple[Spectrum, ...]
MakeStack = Callable[..., Any]


def by_scipy(basis: Basis, spectrum: Floats, weights: Floats) -> Floats:
    """The same by the active-set algorithm, with the background once as it is and once negative."""
    root, number = np.sqrt(weights), basis.number
    background = basis.matrix[:, number:]
    columns = np.hstack([basis.matrix[:, :number], background, -background])
    solution: Floats = nnls(columns * root[:, None], spectrum * root)[0][:number]
    return solution


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_the_solution_is_that_of_scipy(models: Models, energies: Floats, seed: int, number: int) -> None:
    source = np.random.default_rng(seed)
    fourth = Spectrum("Ni4+", models[1].energy + 1.8, models[1].absorption)
    inside = energies[energies < 8890]
    basis = Basis.from_spectra([*models, fourth][:number], inside[inside > 8102])
    amounts = np.vstack([source.normal(0.1, 0.4, (number, 400)), source.normal(0, 1, (2, 400))])
    density = (basis.matrix @ amounts + source.normal(0, 0.02, (len(basis.energies), 400))).astype(np.float32)
    for weights in (np.ones(len(basis.energies)), source.uniform(0.1, 10, len(basis.energies))):
        found = nonnegative_amounts(basis, density, weights=weights)
        expected = np.array([by_scipy(basis, one, weights) for one in density.T.astype(float)]).T
        assert (found >= 0).all()
        assert np.abs(found - expected).max() < 1e-5
        # Most faces are met.
        assert len({tuple(one) for one in (expected > 0).T}) > 2 ** (number - 1)


def test_inside_it_is_the_unconstrained_fit(make_stack: MakeStack, seed: int) -> None:
    made = make_stack(seed, amounts=np.full((2, 20, 20), 0.5), shape=(20, 20))
    free = linear_combination(made.basis, made.density, made.variance)
    bounded = nonnegative(made.basis, made.density, made.variance)
    for one, other in zip((*free.fractions, free.jump), (*bounded.fractions, bounded.jump), strict=True):
        assert one.value == pytest.approx(other.value, abs=1e-6)
        assert one.error == pytest.approx(other.error, rel=1e-3)


def test_errors_hold_inside_and_cover_at_the_bounds(make_stack: MakeStack, models: Models, seed: int) -> None:
    source = np.random.default_rng(seed)
    shares = source.dirichlet(np.ones(3), (64, 64))
    shares[:32, :, 2] = 0
    shares /= shares.sum(axis=-1, keepdims=True)
    made = make_stack(seed, references=models, shape=(64, 64), amounts=np.moveaxis(shares, -1, 0))
    found = nonnegative(made.basis, made.density, made.variance)
    assert sum(one.value for one in found.fractions) == pytest.approx(np.ones((64, 64)), abs=1e-5)
    for one, truth in zip(found.fractions, made.fraction, strict=True):
        pulls = (one.value - truth) / one.error
        assert (one.value >= 0).all()
        assert (one.error > 0).all()
        far = (made.fraction > 0.15).all(axis=0)
        assert 0.85 < np.sqrt(np.mean(pulls[far] ** 2)) < 1.15
        # A bound can only bring the estimate nearer.
        assert np.sqrt(np.mean(pulls**2)) < 1.1
    third = found.fractions[2]
    assert 0.3 < (third.value[:32] == 0).mean() < 0.7


def test_a_bound_that_holds_lowers_the_error_of_the_others(make_stack: MakeStack, models: Models, seed: int) -> None:
    amounts = np.stack([np.full((32, 32), 0.4), np.full((32, 32), 0.6), np.zeros((32, 32))])
    made = make_stack(seed, references=models, shape=(32, 32), amounts=amounts)
    free = linear_combination(made.basis, made.density, made.variance)
    found = nonnegative(made.basis, made.density, made.variance)
    bound = found.fractions[2].value == 0
    assert (found.fractions[0].error[bound] <= free.fractions[0].error[bound] * 1.001).all()
    without = linear_combination(
        Basis.from_spectra(models[:2], made.basis.energies),
        made.density,
        made.variance,
        weights=row_weights(made.density, made.variance),
    )
    assert found.fractions[0].value[bound] == pytest.approx(without.fractions[0].value[bound], abs=1e-5)
    assert found.fractions[0].error[bound] == pytest.approx(without.fractions[0].error[bound], rel=1e-3)


def test_bad_pixels_are_masked_and_touch_no_other(make_stack: MakeStack, seed: int) -> None:
    made = make_stack(seed, shape=(8, 8))
    density = made.density.copy()
    density[3, 2, 2] = np.nan
    weights = row_weights(made.density, made.variance)
    clean = nonnegative(made.basis, made.density, made.variance, weights=weights)
    found = nonnegative(made.basis, density, made.variance, weights=weights)
    for one, other in zip((*found.fractions, found.jump), (*clean.fractions, clean.jump), strict=True):
        assert np.argwhere(~one.valid).tolist() == [[2, 2]]
        assert np.isnan(one.value[2, 2])
        assert np.isnan(one.error[2, 2])
        assert np.array_equal(one.value[one.valid], other.value[one.valid])
    shares, valid = nonnegative_fractions(made.basis, density, weights=weights)
    assert not valid[2, 2]
    assert np.allclose(shares[0][valid], found.fractions[0].value[valid], atol=1e-6)


def test_a_pixel_of_nothing_is_not_valid(make_stack: MakeStack, seed: int) -> None:
    made = make_stack(seed, shape=(16, 16), amounts=np.full((2, 16, 16), -0.5))
    found = nonnegative(made.basis, made.density, made.variance)
    assert not found.fractions[0].valid.any()
    assert (found.jump.value == 0).all()
    assert found.jump.valid.all()


def test_lazy_stacks_give_the_same(make_stack: MakeStack, seed: int, tmp_path: Path) -> None:
    made = make_stack(seed, shape=(20, 20))
    expected = nonnegative(made.basis, made.density, made.variance)
    lazy = [dask.array.from_array(one, (9, 8, 20)) for one in (made.density, made.variance)]
    found = dask.compute(nonnegative(made.basis, *lazy))[0]
    assert np.array_equal(found.fractions[0].value, expected.fractions[0].value, equal_nan=True)


def test_more_than_four_references_are_refused(models: Models, energies: Floats) -> None:
    more = [
        Spectrum(f"shifted {step}", models[0].energy, np.roll(models[0].absorption, 10 * step)) for step in range(5)
    ]
    inside = energies[(energies > 8130) & (energies < 8880)]
    basis = Basis.from_spectra(more, inside)
    with pytest.raises(OutOfRange, match="number of references 5 must be at most 4"):
        nonnegative_amounts(basis, np.zeros((inside.size, 3), np.float32))

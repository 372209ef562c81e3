"""Fractions of a given sum of coefficients."""

from collections.abc import Callable
from typing import Any

import dask
import dask.array
import numpy as np
import pytest
from numpy.typing import NDArray

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.maps.linear import linear_combination, row_weights
from whiteline.analysis.maps.map import Map
from whiteline.analysis.maps.sum_to_one import sum_to_one, sum_to_one_fractions
from whiteline.analysis.spectrum_files import Spectrum

Floats = NDArray[np.float64]
Models = tuple[Spectrum, ...]
MakeStack = Callable[..., Any]


def known_to(jump: Floats, error: float, seed: int) -> Map:
    """A map of the edge jump, measured with an error."""
    measured = jump + error * np.random.default_rng(seed + 1).standard_normal(jump.shape)
    return Map("edge jump", "", measured, np.full(jump.shape, error), np.ones(jump.shape, bool))


@pytest.mark.parametrize("number", [2, 3])
@pytest.mark.parametrize("error", [0.0, 0.02])
def test_errors_hold_and_are_no_larger(
    make_stack: MakeStack, models: Models, seed: int, number: int, error: float
) -> None:
    made = make_stack(seed, references=models[:number])
    jump = made.amounts.sum(axis=0)
    free = linear_combination(made.basis, made.density, made.variance)
    found = sum_to_one(made.basis, made.density, made.variance, known_to(jump, error, seed))
    assert sum(one.value for one in found.fractions) == pytest.approx(np.ones(jump.shape), abs=1e-5)
    for one, other, truth in zip(found.fractions, free.fractions, made.fraction, strict=True):
        assert one.valid.all()
        assert 0.9 < np.sqrt(np.mean(((one.value - truth) / one.error) ** 2)) < 1.1
        if error == 0:
            assert (one.error < other.error * 1.02).mean() > 0.99


def test_it_is_the_constrained_minimum(make_stack: MakeStack, models: Models, seed: int) -> None:
    made = make_stack(seed, references=models, shape=(5, 4))
    weights = row_weights(made.density, made.variance)
    shares, valid = sum_to_one_fractions(made.basis, made.density, 0.9, weights=weights)
    assert valid.all()
    # Lagrange: the normal equations bordered by the constraint.
    matrix, number = made.basis.matrix, 3
    border = np.r_[np.ones(number), np.zeros(matrix.shape[1] - number)]
    system = np.block([[matrix.T * weights @ matrix, border[:, None]], [border[None], np.zeros((1, 1))]])
    right = np.concatenate([np.tensordot(matrix.T * weights, made.density.astype(float), 1), np.full((1, 5, 4), 0.9)])
    expected = np.linalg.solve(system, right.reshape(len(system), -1))[:number].reshape(number, 5, 4) / 0.9
    assert np.abs(shares - expected).max() < 1e-4


def test_normalised_spectra_sum_to_one_by_default(make_stack: MakeStack, seed: int) -> None:
    made = make_stack(seed)
    jump = made.amounts.sum(axis=0)
    found = sum_to_one(made.basis, (made.density / jump).astype(np.float32), made.variance / jump**2)
    one = found.fractions[0]
    assert 0.9 < np.sqrt(np.mean(((one.value - made.fraction[0]) / one.error) ** 2)) < 1.1
    assert (found.jump.value == 1).all()


def test_bad_pixels_and_bad_sums_are_masked(make_stack: MakeStack, seed: int) -> None:
    made = make_stack(seed, shape=(6, 6))
    jump = made.amounts.sum(axis=0)
    density = made.density.copy()
    density[3, 0, 0] = np.nan
    jump[1, 1], jump[2, 2] = np.nan, -0.1
    weights = row_weights(made.density, made.variance)
    shares, valid = sum_to_one_fractions(made.basis, density, jump, weights=weights)
    found = sum_to_one(made.basis, density, made.variance, known_to(jump, 0.0, seed), weights=weights)
    assert np.argwhere(~valid).tolist() == [[0, 0], [1, 1], [2, 2]]
    for one, share in zip(found.fractions, shares, strict=True):
        assert np.array_equal(one.valid, valid)
        assert np.isnan(one.value[~valid]).all()
        assert np.isnan(one.error[~valid]).all()
        assert np.allclose(one.value, share, atol=1e-5, equal_nan=True)
    assert not found.jump.valid[1, 1]
    with pytest.raises(OutOfRange, match="sum of the coefficients 0 must be a finite number above 0"):
        sum_to_one_fractions(made.basis, density, 0.0)
    with pytest.raises(ValueError, match="one for each pixel"):
        sum_to_one_fractions(made.basis, density, jump[:3])


def test_lazy_stacks_give_the_same(make_stack: MakeStack, seed: int) -> None:
    made = make_stack(seed, shape=(20, 20))
    jump = known_to(made.amounts.sum(axis=0), 0.01, seed)
    expected = sum_to_one(made.basis, made.density, made.variance, jump)
    lazy = [dask.array.from_array(one, (9, 8, 20)) for one in (made.density, made.variance)]
    found = dask.compute(sum_to_one(made.basis, *lazy, jump))[0]
    assert np.array_equal(found.fractions[0].value, expected.fractions[0].value)
    assert np.array_equal(found.fractions[0].error, expected.fractions[0].error)

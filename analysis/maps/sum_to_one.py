"""Fractions whose coefficients are held to a given sum: 1 for normalised spectra, or an edge jump measured elsewhere.

The coefficients that minimise the sum of squares under Σ c = J are c = ĉ + h (J − Σ ĉ) with h = M⁻¹1 / 1ᵀM⁻¹1, ĉ those
of the unconstrained fit and M its normal matrix reduced to the references. So c = P ĉ + h J is linear in spectrum and
sum, and the fractions are c / J.

The sum is worth having only if it is known better than the spectrum itself tells it, as from the thickness or from a
fluorescence map. Normalising each pixel by itself and holding the sum to 1 afterwards is worse than not to hold it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from whiteline.analysis.blocks import Array, over_pixels
from whiteline.analysis.checks import require_positive
from whiteline.analysis.maps.basis import Basis, Floats, reduced_gram
from whiteline.analysis.maps.composition import LEAST_JUMP_OVER_NOISE, Composition
from whiteline.analysis.maps.linear import LARGE_BLOCK, LinearFit, compose, prepared
from whiteline.analysis.maps.map import Map
from whiteline.analysis.maps.principal import Noise
from whiteline.analysis.maps.products import PIECE, product, single
from whiteline.analysis.stacks.checks import require_stack


def sum_to_one_fractions(
    basis: Basis, optical_density: Any, total: float | Any = 1.0, *, weights: ArrayLike | None = None
) -> tuple[Any, Any]:
    """Map fractions of a given sum of coefficients, without their errors.

    Parameters
    ----------
    basis : Basis
        References and background.
    optical_density : array_like, shape (E, *pixels)
        A NumPy array, a dataset of h5py or a Dask array.
    total : float or array_like, shape (*pixels,)
        What the coefficients sum to [optical density].
    weights : array_like, shape (E,), optional
        Weight of each energy; all alike if they are not given.

    Returns
    -------
    fractions : array of float32, shape (R, *pixels)
        They sum to 1; NaN where they are not valid.
    valid : array of bool, shape (*pixels,)

    Raises
    ------
    OutOfRange
        If the sum is one number, and not positive.
    ValueError
        If stack, energies, weights and sums do not belong together.
    """
    require_stack(basis.energies, optical_density)
    fit = prepared(basis, weights)
    rows, offsets = single(held(fit)), single(direction(fit))
    sums, one = _sums(total, optical_density)

    def kernel(density: Array, *rest: Array) -> tuple[Array, Array]:
        amounts = product(rows, density)
        pixels = amounts.shape[1]
        jump = np.ascontiguousarray(rest[0][0], np.float32) if rest else np.full(pixels, one, np.float32)
        valid = np.empty(pixels, np.bool_)
        _shares_of(amounts, jump, offsets, valid)
        return amounts, valid

    parts = over_pixels(kernel, optical_density, *sums, block=LARGE_BLOCK)
    return parts[0], parts[1]


def sum_to_one(
    basis: Basis,
    optical_density: Any,
    variance: Noise,
    total: float | Map = 1.0,
    *,
    weights: ArrayLike | None = None,
    least_jump_over_noise: float = LEAST_JUMP_OVER_NOISE,
    valid: Any = None,
) -> Composition:
    """Map fractions of a given sum of coefficients, with their standard errors.

    Parameters
    ----------
    basis : Basis
        References and background.
    optical_density, variance, weights, valid
        As for `linear_combination`; for a sum of 1 the spectra are to be normalised, and the variance with them.
    total : float or Map
        What the coefficients sum to. The error of a map counts as independent of the noise of the spectrum: it must not
        come from the same stack.
    least_jump_over_noise : float
        A fraction is not valid where the sum is less than so many of its errors.

    Returns
    -------
    Composition
        The edge jump is the sum that was given; a single number has the error 0.

    Raises
    ------
    OutOfRange
        If the sum is one number, and not positive.
    ValueError
        As for `linear_combination`, or if stack and map of the sum differ in pixels.
    """
    held_to = (total.value, total.error) if isinstance(total, Map) else (total, 0.0)
    sums, one = _sums(held_to[0], optical_density)
    beside = [*sums, np.asarray(held_to[1])[None]] if sums else []
    noise = np.float32(least_jump_over_noise)
    # The offsets depend on the weights, which `compose` may have to find.
    offsets: list[Array] = []

    def constrained(fit: LinearFit) -> Floats:
        offsets.append(single(direction(fit)))
        return held(fit)

    def finish(amounts: Array, moments: Array, good: Array, *given: Array) -> Sequence[Array]:
        pixels = amounts.shape[1]
        jump = np.array(given[0][0], np.float32) if given else np.full(pixels, one, np.float32)
        spread = np.array(given[1][0], np.float32) if given else np.zeros(pixels, np.float32)
        own = np.ascontiguousarray(moments[[i * (i + 1) // 2 + i for i in range(amounts.shape[0])]])
        known = good & np.isfinite(jump) & np.isfinite(spread)
        _shares_of(amounts, jump, offsets[0], valid := np.empty(pixels, np.bool_))
        # f = (P ĉ) / J + h, so ∂f/∂J = −(f − h) / J
        errors = np.sqrt(own + ((amounts - offsets[0][:, None]) * spread) ** 2) / jump
        valid &= known & (jump >= noise * spread) & np.isfinite(errors).all(axis=0)
        amounts[:, ~valid] = np.nan
        errors[:, ~valid] = np.nan
        jump[~known] = np.nan
        spread[~known] = np.nan
        return amounts, errors, valid, jump, spread, known

    return compose(
        basis,
        optical_density,
        variance,
        finish,
        weights=weights,
        valid=valid,
        constrained=constrained,
        beside=beside,
    )


def direction(fit: LinearFit) -> Floats:
    """Return h, along which the coefficients move with their sum, shape (R,)."""
    ones = np.linalg.solve(reduced_gram(fit.basis, fit.weights), np.ones(fit.basis.number))
    along: Floats = ones / ones.sum()
    return along


def held(fit: LinearFit) -> Floats:
    """Return the rows of P ĉ = ĉ − h Σ ĉ, shape (R, E)."""
    rows: Floats = fit.rows - direction(fit)[:, None] * fit.rows.sum(axis=0)
    return rows


def _sums(total: Any, optical_density: Any) -> tuple[list[Any], np.float32]:
    """Return the sums as a stack of one, or none and the number that they all are."""
    if np.ndim(total) == 0:
        require_positive(total, "sum of the coefficients")
        return [], np.float32(total)
    if np.shape(total) != tuple(optical_density.shape[1:]):
        raise ValueError(
            f"sums of shape {np.shape(total)} do not fit a stack of shape {tuple(optical_density.shape)}: "
            "give one for each pixel"
        )
    return [np.asarray(total)[None]], np.float32(1)


@njit(cache=True, nogil=True, error_model="numpy")
def _shares_of(amounts: Array, jump: Array, offsets: Array, valid: Array) -> None:
    number, pixels = amounts.shape
    infinite = np.float32(np.inf)
    for start in range(0, pixels, PIECE):
        stop = min(start + PIECE, pixels)
        size = stop - start
        total, mask = jump[start:stop], valid[start:stop]
        for p in range(size):
            mask[p] = (total[p] > np.float32(0)) & (total[p] < infinite)
        for i in range(number):
            row = amounts[i, start:stop]
            for p in range(size):
                mask[p] &= np.abs(row[p]) < infinite
        for i in range(number):
            row, offset = amounts[i, start:stop], offsets[i]
            for p in range(size):
                row[p] = row[p] / total[p] + offset if mask[p] else np.float32(np.nan)

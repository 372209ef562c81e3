"""Fractions that cannot be negative: exact non-negative least squares on the references, with a free background.

With the background eliminated, the sum of squares of a pixel is a constant plus (c − ĉ)ᵀ M (c − ĉ), where ĉ are the
coefficients of the unconstrained fit and M = AᵀWA reduced to the references: a problem of R numbers, whatever the
number of energies. Its minimum over c ≥ 0 lies on one of the 2^R faces of the quadrant. On a face F, where the others
are zero, c_F = ĉ_F + M_FF⁻¹ M_FN ĉ_N is linear in ĉ, and what it costs is a quadratic form of ĉ, both known beforehand
in float64. The solution is the cheapest face whose coefficients are not negative, which for up to four references is
faster tried than searched for. It is that of C. L. Lawson and R. J. Hanson, Solving Least Squares Problems (1974),
chapter 23.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from whiteline.analysis.blocks import Array, over_pixels
from whiteline.analysis.checks import require
from whiteline.analysis.maps.basis import Basis, Floats, reduced_gram
from whiteline.analysis.maps.composition import LEAST_JUMP_OVER_NOISE, Composition
from whiteline.analysis.maps.linear import LARGE_BLOCK, LinearFit, compose, prepared, row_weights
from whiteline.analysis.maps.principal import Noise
from whiteline.analysis.maps.products import product, single
from whiteline.analysis.stacks.checks import require_stack

MOST_REFERENCES = 4
"""With more, trying all faces is slower than searching for the right one."""


def nonnegative_fractions(
    basis: Basis, optical_density: Any, *, weights: ArrayLike | None = None, least_jump: float = 0.1
) -> tuple[Any, Any]:
    """Map non-negative fractions without their errors; parameters, returns and errors as for `linear.fractions`.

    Raises
    ------
    OutOfRange
        If there are more than four references.
    """
    require_stack(basis.energies, optical_density)
    fit = prepared(basis, weights)
    rows, (solutions, costs) = single(fit.rows), faces(fit)
    least = float(least_jump)

    def kernel(density: Array) -> tuple[Array, Array]:
        amounts = product(rows, density)
        valid = np.empty(amounts.shape[1], np.bool_)
        _nonnegative_shares(amounts, solutions, costs, least, valid)
        return amounts, valid

    parts = over_pixels(kernel, optical_density, block=LARGE_BLOCK)
    return parts[0], parts[1]


def nonnegative_amounts(basis: Basis, optical_density: Any, *, weights: ArrayLike | None = None) -> Any:
    """Return the non-negative coefficients of the references, array of float32, shape (R, *pixels).

    They minimise Σ_e w_e (y_e − Σ_i c_i r_ie − background)² with c ≥ 0. NaN where a pixel is not finite at some energy.
    Parameters and errors as for `nonnegative_fractions`.
    """
    require_stack(basis.energies, optical_density)
    fit = prepared(basis, weights)
    rows, (solutions, costs) = single(fit.rows), faces(fit)

    def kernel(density: Array) -> tuple[Array]:
        amounts = product(rows, density)
        _nonnegative(amounts, solutions, costs, np.empty(amounts.shape[1], np.int64))
        return (amounts,)

    return over_pixels(kernel, optical_density)[0]


def nonnegative(
    basis: Basis,
    optical_density: Any,
    variance: Noise,
    *,
    weights: ArrayLike | None = None,
    least_jump_over_noise: float = LEAST_JUMP_OVER_NOISE,
    least_jump: float = 0.0,
    valid: Any = None,
) -> Composition:
    """Map fractions that cannot be negative, with their standard errors.

    Parameters
    ----------
    basis : Basis
        One to four references, and a background that may be negative.
    optical_density, variance, weights, least_jump_over_noise, least_jump, valid
        As for `linear_combination`.

    Returns
    -------
    Composition
        Errors are those on the face that the solution lies on: of a fit of the references that are there. A reference
        that is bounded to zero, or the only one that is left, would have no error at all on its face, because the bound
        gives it and not the data; it carries the error that it has in the unconstrained fit, which is the larger.
        Near a bound the estimate is biased inwards by up to 0.4 of its error, as every bounded one is.

    Raises
    ------
    OutOfRange
        If there are more than four references.
    ValueError
        As for `linear_combination`.
    """
    if weights is None:
        weights = row_weights(optical_density, variance)
    solutions, costs = faces(prepared(basis, weights))
    least, noise = float(least_jump), float(least_jump_over_noise)

    def finish(amounts: Array, moments: Array, good: Array) -> Sequence[Array]:
        pixels = amounts.shape[1]
        errors, jump, jump_error = np.empty_like(amounts), np.empty(pixels, np.float32), np.empty(pixels, np.float32)
        known, mask, face = np.empty(pixels, np.bool_), np.array(good, np.bool_), np.empty(pixels, np.int64)
        _nonnegative(amounts, solutions, costs, face)
        _errors_on_faces(amounts, moments, solutions, face, least, noise, errors, mask, jump, jump_error, known)
        return amounts, errors, mask, jump, jump_error, known

    return compose(basis, optical_density, variance, finish, weights=weights, valid=valid)


def faces(fit: LinearFit) -> tuple[Floats, Floats]:
    """Return what gives the solution on every face, and what it costs, shape (2^R, R, R) each, in float64.

    Face number Σ 2^i holds the references i; c = solutions[face] @ ĉ, and the cost is ĉᵀ costs[face] ĉ.

    Raises
    ------
    OutOfRange
        If there are more than four references.
    """
    number = fit.basis.number
    require(number, number <= MOST_REFERENCES, "number of references", f"must be at most {MOST_REFERENCES}")
    gram = reduced_gram(fit.basis, fit.weights)
    gram = gram / np.trace(gram)
    solutions = np.zeros((2**number, number, number))
    for face in range(1, 2**number):
        inside = [i for i in range(number) if face >> i & 1]
        solutions[face, inside] = np.linalg.solve(gram[np.ix_(inside, inside)], gram[inside])
        # Exactly what it is: a reference inside its own face is itself, and does not see the others that are inside.
        solutions[face][np.ix_(inside, inside)] = np.eye(len(inside))
    off = solutions - np.eye(number)
    return solutions, np.einsum("fji,jk,fkl->fil", off, gram, off)


@njit(cache=True, nogil=True, error_model="numpy")
def _nonnegative(amounts: Array, solutions: Array, costs: Array, face: Array) -> None:
    """Replace unconstrained coefficients by non-negative ones, and say on which face they lie; −1 for NaN."""
    number, pixels = amounts.shape
    last = 2**number - 1
    trial, best = np.zeros(MOST_REFERENCES), np.zeros(MOST_REFERENCES)
    for p in range(pixels):
        inside = True
        for i in range(number):
            inside &= amounts[i, p] >= 0
        if inside:
            face[p] = last
            continue
        face[p], cheapest = -1, np.inf
        for f in range(last):
            feasible, cost = True, 0.0
            for i in range(number):
                value, along = 0.0, 0.0
                for j in range(number):
                    value += solutions[f, i, j] * amounts[j, p]
                    along += costs[f, i, j] * amounts[j, p]
                feasible &= value >= 0
                cost += along * amounts[i, p]
                trial[i] = value
            if feasible and cost < cheapest:
                face[p], cheapest = f, cost
                for i in range(number):
                    best[i] = trial[i]
        for i in range(number):
            amounts[i, p] = best[i] if face[p] >= 0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _nonnegative_shares(amounts: Array, solutions: Array, costs: Array, least: float, valid: Array) -> None:
    number, pixels = amounts.shape
    _nonnegative(amounts, solutions, costs, np.empty(pixels, np.int64))
    for p in range(pixels):
        total = np.float32(0)
        for i in range(number):
            total += amounts[i, p]
        valid[p] = (total >= least) & (total > 0) & (total < np.inf)
        for i in range(number):
            amounts[i, p] = amounts[i, p] / total if valid[p] else np.float32(np.nan)


@njit(cache=True, nogil=True, error_model="numpy")
def _variance(along: Array, moments: Array, p: int, number: int) -> float:
    """Variance of Σ along_i c_i in a pixel."""
    result = 0.0
    for i in range(number):
        result += along[i] * along[i] * moments[i * (i + 1) // 2 + i, p]
        for j in range(i):
            result += 2 * along[i] * along[j] * moments[i * (i + 1) // 2 + j, p]
    return result


@njit(cache=True, nogil=True, error_model="numpy")
def _errors_on_faces(
    amounts: Array,
    moments: Array,
    solutions: Array,
    face: Array,
    least: float,
    over_noise: float,
    errors: Array,
    valid: Array,
    jump: Array,
    jump_error: Array,
    known: Array,
) -> None:
    number, pixels = amounts.shape
    along, gradient = np.zeros(MOST_REFERENCES), np.zeros(MOST_REFERENCES)
    for p in range(pixels):
        f, total, there = face[p], 0.0, 0
        for i in range(number):
            total += amounts[i, p]
            if f >= 0:
                there += (f >> i) & 1
        spread = np.nan
        if f >= 0:
            # Of the sum on the face; where nothing is left, of the unconstrained sum.
            for j in range(number):
                along[j] = 1.0 if f == 0 else 0.0
                for i in range(number):
                    along[j] += solutions[f, i, j]
            spread = np.sqrt(_variance(along, moments, p, number))
        known[p] = np.isfinite(total) and np.isfinite(spread) and spread > 0 and valid[p]
        valid[p] = known[p] and total >= over_noise * spread and total >= least and total > 0
        jump[p] = total if known[p] else np.nan
        jump_error[p] = spread if known[p] else np.nan
        for i in range(number):
            if not valid[p]:
                amounts[i, p] = np.nan
                errors[i, p] = np.nan
                continue
            share = amounts[i, p] / total
            for k in range(number):
                gradient[k] = ((1.0 if k == i else 0.0) - share) / total
            if there > 1 and (f >> i) & 1:
                for j in range(number):
                    along[j] = 0.0
                    for k in range(number):
                        along[j] += gradient[k] * solutions[f, k, j]
                errors[i, p] = np.sqrt(_variance(along, moments, p, number))
            else:
                errors[i, p] = np.sqrt(_variance(gradient, moments, p, number))
        if valid[p]:
            for i in range(number):
                amounts[i, p] = np.float32(amounts[i, p] / total)

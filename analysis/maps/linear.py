"""Fractions of references in every pixel, by linear least squares with the background in the basis.

The optical density of a pixel is y = A c + noise, with references and background as columns of A. With one weight per
energy for the whole map the solution is one small matrix for all pixels, c = G y with G = (AᵀWA)⁻¹AᵀW, and a map is the
product of its rows with the stack. The weights are one over the mean variance at each energy, so next to nothing of the
optimum is lost. The errors need no such approximation: for independent noise of variance v, that of c is
Σ_e G_ie G_je v_e in each pixel, the product of another small matrix with the stack of variances, exact whatever the
weights are.

`composition` makes fractions of the coefficients.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from whiteline.analysis.blocks import BLOCK_PIXELS, Array, over_pixels
from whiteline.analysis.checks import OutOfRange, require_positive
from whiteline.analysis.maps.basis import Basis, Floats, solution_rows
from whiteline.analysis.maps.composition import (
    LEAST_JUMP_OVER_NOISE,
    Composition,
    Finish,
    packed,
    pairs_of,
    shares_with_errors,
)
from whiteline.analysis.maps.products import PIECE, as_line, in_fours, product, product_of_piece, single
from whiteline.analysis.stacks.checks import require_stack
from whiteline.analysis.stacks.counting import CountingNoise, Noise

SAMPLE_PIXELS = 16_384
"""So many pixels give the mean variance at each energy well enough."""

LARGE_BLOCK = 4 * BLOCK_PIXELS
"""Pixels of a block where nothing of the size of the stack is made on the way, so that nothing has to be kept near."""


@dataclass(frozen=True, eq=False)
class LinearFit:
    """A basis with the weights of its energies, made ready in float64 to be applied in float32.

    Parameters
    ----------
    basis : Basis
        References and background.
    weights : ndarray of float64, shape (E,)
        Weight of each energy; only their ratios matter.

    Raises
    ------
    OutOfRange
        If a weight is not positive, or they are not as many as the energies.
    """

    basis: Basis
    weights: Floats

    def __post_init__(self) -> None:
        require_positive(self.weights, "weight of an energy")
        if self.weights.shape != self.basis.energies.shape:
            raise OutOfRange("number of weights", self.weights.size, f"must be {self.basis.energies.size}")

    @cached_property
    def solution(self) -> Floats:
        """What turns an optical density into coefficients, shape (K, E)."""
        return solution_rows(self.basis, self.weights)

    @property
    def rows(self) -> Floats:
        """Those of the references, shape (R, E)."""
        return self.solution[: self.basis.number]

    def coefficients(self, optical_density: Any) -> Any:
        """Return the coefficients of all columns, shape (K, *pixels), of an optical density (E, *pixels)."""
        require_stack(self.basis.energies, optical_density)
        rows = single(self.solution)
        return over_pixels(lambda block: (product(rows, block),), optical_density)[0]


def row_weights(optical_density: Any, variance: Noise) -> Floats:
    """Return one over the mean variance at each energy, shape (E,), from a sample of the pixels.

    Parameters
    ----------
    optical_density : array_like, shape (E, *pixels)
        A NumPy array, a dataset of h5py or a Dask array.
    variance : array_like of that shape, or CountingNoise
        Variance of the optical density.

    Raises
    ------
    ValueError
        If no pixel of the sample has a finite variance above zero at some energy; it says at which.
    """
    stack = optical_density if isinstance(variance, CountingNoise) else variance
    rest = int(np.prod(stack.shape[2:]))
    step = max(1, stack.shape[1] * rest // SAMPLE_PIXELS)
    sample = np.asarray(stack[:, step // 2 :: step], float).reshape(stack.shape[0], -1)
    if isinstance(variance, CountingNoise):
        sample = variance.of(sample)
    good = np.isfinite(sample) & (sample > 0)
    count = good.sum(axis=1)
    if not count.all():
        raise ValueError(
            f"the variance of frame {int(np.argmin(count))} is nowhere finite and above 0; leave that energy out"
        )
    weights: Floats = count / np.where(good, sample, 0).sum(axis=1)
    return weights


def fractions(
    basis: Basis,
    optical_density: Any,
    *,
    weights: ArrayLike | None = None,
    least_jump: float = 0.1,
) -> tuple[Any, Any]:
    """Map the fractions without their errors: one pass over the stack.

    Parameters
    ----------
    basis : Basis
        References and background.
    optical_density : array_like, shape (E, *pixels)
        A NumPy array, a dataset of h5py or a Dask array.
    weights : array_like, shape (E,), optional
        Weight of each energy, see `row_weights`; all alike if they are not given.
    least_jump : float
        Edge jump below which a pixel is not valid [optical density].

    Returns
    -------
    fractions : array of float32, shape (R, *pixels)
        NaN where they are not valid.
    valid : array of bool, shape (*pixels,)

    Raises
    ------
    ValueError
        If stack, energies and weights do not belong together.
    """
    require_stack(basis.energies, optical_density)
    rows, least = in_fours(prepared(basis, weights).rows), np.float32(least_jump)

    def kernel(density: Array) -> tuple[Array, Array]:
        pixels = density.shape[1]
        shares, valid = np.empty((len(rows), pixels), np.float32), np.empty(pixels, np.bool_)
        _shares(*as_line(density), len(density), rows, least, shares, valid)
        return shares, valid

    parts = over_pixels(kernel, optical_density, block=LARGE_BLOCK)
    return parts[0], parts[1]


def linear_combination(
    basis: Basis,
    optical_density: Any,
    variance: Noise,
    *,
    weights: ArrayLike | None = None,
    least_jump_over_noise: float = LEAST_JUMP_OVER_NOISE,
    least_jump: float = 0.0,
    valid: Any = None,
) -> Composition:
    """Map the fractions of references and the edge jump, with their standard errors.

    Parameters
    ----------
    basis : Basis
        References and background.
    optical_density : array_like, shape (E, *pixels)
        A NumPy array, a dataset of h5py or a Dask array; with the latter all maps are lazy, and
        `dask.compute(composition)` computes them.
    variance : array_like of that shape, or CountingNoise
        Variance of the optical density.
    weights : array_like, shape (E,), optional
        Weight of each energy; one over the mean variance if they are not given.
    least_jump_over_noise : float
        A fraction is not valid where the edge jump is less than so many of its standard errors.
    least_jump : float
        Nor where the edge jump is less than this [optical density].
    valid : array_like of bool, shape (*pixels,), optional
        Pixels that may be valid.

    Returns
    -------
    Composition
        Fractions are neither bounded to 0 … 1 nor biased by being bounded. A pixel that is not finite at some energy is
        not valid.

    Raises
    ------
    ValueError
        If energies, stack, variance, weights and mask do not belong together, or the variance of a frame is nowhere
        known.
    """
    least, noise = np.float32(least_jump), np.float32(least_jump_over_noise)

    def finish(amounts: Array, moments: Array, good: Array) -> Sequence[Array]:
        return shares_with_errors(amounts, moments, good, least, noise)

    return compose(basis, optical_density, variance, finish, weights=weights, valid=valid)


def prepared(basis: Basis, weights: ArrayLike | None) -> LinearFit:
    """Return the fit for some weights, or for all alike."""
    return LinearFit(basis, np.ones(basis.energies.size) if weights is None else np.asarray(weights, float))


def compose(
    basis: Basis,
    optical_density: Any,
    variance: Noise,
    finish: Finish,
    *,
    weights: ArrayLike | None,
    valid: Any,
    constrained: Callable[[LinearFit], Floats] | None = None,
    beside: Sequence[Any] = (),
) -> Composition:
    """Carry out a fit whose rows are linear, and whatever follows them in each pixel.

    Parameters
    ----------
    basis, optical_density, variance, weights, valid
        As in `linear_combination`.
    finish : callable
        What turns coefficients and covariances into maps.
    constrained : callable, optional
        Returns the rows (R, E) for a fit; its own if it is not given.
    beside : sequence of array_like, shape (n, *pixels)
        What else `finish` takes.
    """
    require_stack(basis.energies, optical_density)
    if not isinstance(variance, CountingNoise):
        require_stack(basis.energies, variance)
    fit = prepared(basis, row_weights(optical_density, variance) if weights is None else weights)
    exact = fit.rows if constrained is None else constrained(fit)
    rows, pairs = single(exact), single(pairs_of(exact))
    given = [] if isinstance(variance, CountingNoise) else [variance]

    def kernel(density: Array, *rest: Array) -> Sequence[Array]:
        noise = rest[0] if given else variance.of(np.asarray(density, np.float32))
        good = np.ones(density.shape[1], bool) if valid is None else rest[-1][0].astype(bool)
        more = rest[len(given) : len(given) + len(beside)]
        return finish(product(rows, density), product(pairs, noise), good, *more)

    masks = [] if valid is None else [np.asarray(valid)[None]]
    return packed(basis, over_pixels(kernel, optical_density, *given, *beside, *masks))


@njit(cache=True, nogil=True, error_model="numpy")
def _shares(
    line: Array, stride: int, energies: int, rows: Array, least: np.float32, shares: Array, valid: Array
) -> None:
    """Fractions and validity of a block, piece by piece while the coefficients lie in the nearest cache."""
    number, pixels = shares.shape
    total = np.empty(PIECE, np.float32)
    for start in range(0, pixels, PIECE):
        size = min(PIECE, pixels - start)
        product_of_piece(line, stride, energies, rows, shares, start, start + size)
        total[:] = np.float32(0)
        for m in range(number):
            row = shares[m, start : start + size]
            for p in range(size):
                total[p] += row[p]
        mask = valid[start : start + size]
        for p in range(size):
            # False where the sum is NaN; a sum that is infinite comes from a pixel without any light.
            mask[p] = (total[p] >= least) & (total[p] > np.float32(0)) & (total[p] < np.float32(np.inf))
        for m in range(number):
            row = shares[m, start : start + size]
            for p in range(size):
                row[p] = row[p] / total[p] if mask[p] else np.float32(np.nan)

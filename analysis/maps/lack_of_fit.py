"""Where the references do not explain the spectrum: the residual map and the lack-of-fit map.

The reduced χ² of a pixel tells how far its spectrum lies from the best mixture, in units of its noise. By itself it
alarms nearly everywhere, because a map is measured better than any reference is known: half a per cent of error in a
reference is the same in every pixel. So what is common to the map is taken off first: the residual spectrum per unit
of each reference's coefficient, by least squares over all pixels, is added to the references. What is left is large
only where something is that the rest of the map has not, such as a species that was left out.

The threshold is calibrated on the map as well. The lower half of the distribution, which no such pixel reaches, gives
scale and width of a χ² distribution, whose tail is then where the threshold lies for the share of false alarms that is
asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import chdtri

from whiteline.analysis.blocks import Array, over_pixels, sum_over_pixels
from whiteline.analysis.checks import require
from whiteline.analysis.maps.basis import Basis, Floats
from whiteline.analysis.maps.composition import LEAST_JUMP_OVER_NOISE, pairs_of
from whiteline.analysis.maps.linear import LinearFit, prepared, row_weights
from whiteline.analysis.maps.map import Map
from whiteline.analysis.maps.principal import CountingNoise, Noise
from whiteline.analysis.maps.products import PIECE, as_line, product, single
from whiteline.analysis.stacks.checks import require_stack

ROUNDS = 3
"""The common residual is found again without the pixels that lacked fit in the round before."""

FEWEST_PIXELS = 200
"""So many give the lower quantiles to a few per cent."""

ONE_SIGMA_BELOW, MEDIAN = 0.158655, 0.5


@dataclass(frozen=True, eq=False)
class LackOfFit:
    """How well the references explain each pixel.

    Parameters
    ----------
    residual : Map
        Reduced χ² of the fit; 1 where noise explains all. Its error is the width that noise alone gives it.
    excess : Map
        The same with the residual common to the map taken off: the lack-of-fit map.
    lacking : ndarray of bool, shape (Y, X)
        Where the excess is above the threshold.
    threshold : float
        Calibrated on the map.
    common : ndarray, shape (E, R)
        The residual common to the map, per unit of the coefficient of each reference [normalised absorption].
    """

    residual: Map
    excess: Map
    lacking: Any
    threshold: float
    common: Floats


def lack_of_fit(
    basis: Basis,
    optical_density: Any,
    variance: Noise,
    *,
    weights: ArrayLike | None = None,
    false_alarms: float = 1e-3,
    least_jump_over_noise: float = LEAST_JUMP_OVER_NOISE,
    valid: Any = None,
) -> LackOfFit:
    """Map how well the references explain the spectra.

    Parameters
    ----------
    basis : Basis
        References and background.
    optical_density : array_like, shape (E, *pixels)
        A NumPy array, a dataset of h5py or a Dask array; the result is computed at once, because the threshold needs
        the whole map.
    variance : array_like of that shape, or CountingNoise
        Variance of the optical density.
    weights : array_like, shape (E,), optional
        Weight of each energy; one over the mean variance if they are not given.
    false_alarms : float
        Share of sound pixels that may lie above the threshold.
    least_jump_over_noise : float
        Pixels whose edge jump is less than so many of its standard errors teach nothing about the common residual, and
        are not valid.
    valid : array_like of bool, shape (*pixels,), optional
        Pixels that count.

    Raises
    ------
    OutOfRange
        If there are no more energies than columns, fewer than 200 good pixels, or the share is not between 0 and ½.
    ValueError
        As for `linear_combination`.
    """
    require_stack(basis.energies, optical_density, least=len(basis.names) + 1)
    require(false_alarms, 0 < false_alarms < 0.5, "share of false alarms", "must lie between 0 and 0.5")
    fit = prepared(basis, row_weights(optical_density, variance) if weights is None else weights)
    stacks = [optical_density] if isinstance(variance, CountingNoise) else [optical_density, variance]
    pixels = tuple(optical_density.shape[1:])
    asked = np.ones(pixels, bool) if valid is None else np.asarray(valid, bool)
    freedom = basis.energies.size - len(basis.names)
    none = np.zeros((basis.energies.size, basis.number))

    plain, jump_over_noise = _chi_square(fit, none, variance, stacks, freedom)
    good = asked & np.isfinite(plain) & (jump_over_noise >= least_jump_over_noise)
    teaching, common = good, none
    excess, threshold = plain, np.inf
    for _ in range(ROUNDS):
        count = int(np.count_nonzero(teaching))
        limit, remedy = f"must be at least {FEWEST_PIXELS}", "widen the mask, or take more pixels"
        require(count, count >= FEWEST_PIXELS, "number of good pixels", limit, "", remedy)
        common = _common_residual(fit, stacks[0], teaching)
        excess, _ = _chi_square(fit, common, variance, stacks, freedom)
        threshold = calibrated_threshold(excess[good], false_alarms)
        teaching = good & (excess <= threshold)
    spread = np.full(pixels, np.float32(np.sqrt(2 / freedom)))
    return LackOfFit(
        Map.masked("reduced chi-square", "", plain, spread, good),
        Map.masked("lack of fit", "", excess, spread, good),
        good & (excess > threshold),
        threshold,
        common,
    )


def calibrated_threshold(values: ArrayLike, false_alarms: float) -> float:
    """Return the value that a share of sound pixels exceeds, from the lower half of a distribution.

    Parameters
    ----------
    values : array_like
        Reduced χ² of many pixels, most of them sound.
    false_alarms : float
        The share.
    """
    low, middle = np.quantile(np.asarray(values, float), [ONE_SIGMA_BELOW, MEDIAN])

    def narrower(log_freedom: float) -> float:
        freedom = np.exp(log_freedom)
        return float(chdtri(freedom, 1 - ONE_SIGMA_BELOW) / chdtri(freedom, 1 - MEDIAN) - low / middle)

    # The quantiles of χ² approach each other monotonically as its degrees of freedom grow.
    ends = np.log(1.0), np.log(1e6)
    if narrower(ends[0]) > 0:
        freedom = 1.0
    elif narrower(ends[1]) < 0:
        freedom = 1e6
    else:
        freedom = float(np.exp(brentq(narrower, *ends)))
    return float(middle * chdtri(freedom, false_alarms) / chdtri(freedom, 1 - MEDIAN))


def _chi_square(
    fit: LinearFit, common: Floats, variance: Noise, stacks: Sequence[Any], freedom: int
) -> tuple[Array, Array]:
    """Return reduced χ² and edge jump over its error, with a common residual added to the references."""
    number = fit.basis.number
    corrected = fit.basis.matrix.copy()
    corrected[:, :number] += common
    rows, columns = single(fit.solution), single(corrected)
    total = single(pairs_of(fit.rows.sum(axis=0)[None]))

    def kernel(density: Array, *rest: Array) -> tuple[Array, Array]:
        noise = rest[0] if rest else variance.of(np.asarray(density, np.float32))
        coefficients = product(rows, density)
        result = np.empty(density.shape[1], np.float32)
        _reduced(*as_line(density), *as_line(noise), columns, coefficients, np.float32(1 / freedom), result)
        with np.errstate(invalid="ignore", divide="ignore"):
            over = coefficients[:number].sum(axis=0) / np.sqrt(product(total, noise)[0])
        return result, over

    chi_square, over = over_pixels(kernel, *stacks)
    return np.asarray(chi_square), np.asarray(over)


def _common_residual(fit: LinearFit, optical_density: Any, teaching: Array) -> Floats:
    """Return the residual spectrum per unit of each coefficient, shape (E, R), by least squares over some pixels."""
    number = fit.basis.number
    rows, columns = single(fit.solution), single(fit.basis.matrix)

    def kernel(density: Array, mask: Array) -> tuple[Array, Array]:
        chosen = np.ascontiguousarray(density[:, mask[0].astype(bool)], np.float32)
        coefficients = product(rows, chosen)
        chosen -= product(columns, coefficients)
        ours = coefficients[:number]
        # Not by BLAS, whose own threads would wait for those that work on the blocks.
        return np.einsum("ip,jp->ij", ours, ours), np.einsum("ep,ip->ei", chosen, ours)

    squares, across = sum_over_pixels(kernel, optical_density, teaching[None])
    # References that are nowhere apart on this map share what they have in common.
    return np.asarray(across @ np.linalg.pinv(squares, rcond=1e-9), np.float64)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _reduced(
    density: Array,
    stride: int,
    noise: Array,
    noise_stride: int,
    columns: Array,
    coefficients: Array,
    scale: np.float32,
    result: Array,
) -> None:
    """Sum of the squared residuals over their variance, in one pass over the energies."""
    energies, count = columns.shape
    pixels = result.size
    left = np.empty(PIECE, np.float32)
    for start in range(0, pixels, PIECE):
        size = min(PIECE, pixels - start)
        sums = result[start : start + size]
        sums[:] = np.float32(0)
        for e in range(energies):
            y = density[e * stride + start : e * stride + start + size]
            v = noise[e * noise_stride + start : e * noise_stride + start + size]
            for p in range(size):
                left[p] = y[p]
            for k in range(count):
                by, amount = columns[e, k], coefficients[k, start : start + size]
                for p in range(size):
                    left[p] -= by * amount[p]
            for p in range(size):
                sums[p] += left[p] * left[p] / v[p]
        for p in range(size):
            sums[p] *= scale

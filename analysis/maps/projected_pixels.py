"""Every pixel through a projection, tile by tile: its scores, their covariance, and the test of what is left of it.

The spectrum of a pixel, less what the components make of it, is noise if they hold all its substances. The weighted sum
of squares of this residual is compared with its mean, which follows from the variance of the pixel, and with the
distribution of χ²: a substance that the components do not know gives itself away.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.stats import chi2

from whiteline.analysis.blocks import over_pixels
from whiteline.analysis.maps.counting_noise import CountingNoise, Noise

Array = NDArray[Any]
Floats = NDArray[np.float64]

TILE = 1024
"""Pixels that are worked on at a time: all that is needed of them stays in the second cache, and so small a product is
not split by BLAS into threads of its own, which would wait for those that work on the blocks."""

MISFIT_PROBABILITY = 1e-7
"""Share of the sound pixels that the test of the residual may call unsound."""

Evaluation = Callable[[Array, Array, Array], tuple[Array, Array, Array]]
"""From scores (k, pixels), their covariance (k (k + 1) / 2, pixels) and the variance of the noise of the components
outside their space, by bands of energies (b, pixels), to value, error and validity, (pixels,) each."""


def evaluated(
    evaluate: Evaluation,
    optical_density: Any,
    variance: Noise,
    valid: Any,
    *,
    matrix: Floats,
    rows: Floats,
    components: Floats,
    weights: Floats,
    leverages: Floats,
    noise_level: float,
) -> tuple[Any, ...]:
    """Return value, error and validity, (*pixels,) each, of all pixels of a stack.

    Parameters
    ----------
    evaluate, optical_density, variance, valid
        As in `Projection.over`.
    matrix, components : ndarray, shape (k, E)
        What turns an optical density into scores, and scores into the projected spectrum.
    rows : ndarray, shape (k (k + 1) / 2 + b + 1, E)
        What turns a variance into the covariance of the scores, into its mean over that of the sample in every band,
        and last into the mean of the residual.
    weights : ndarray, shape (E,)
        Weights of the squares of the residual.
    leverages : ndarray, shape (k,)
        What turns the squared scores of a pixel into its leverage on the components.
    noise_level : float
        Variance over the variance that is given.
    """
    to_scores, to_moments, spectra = (one.astype(np.float32) for one in (matrix, rows, components))
    of_residual, of_scores = weights.astype(np.float32), leverages.astype(np.float32)
    number = matrix.shape[0]
    freedom, pairs = weights.size - number, number * (number + 1) // 2
    largest = np.float32(max(noise_level, 1.0) * chi2.isf(MISFIT_PROBABILITY, freedom) / freedom)

    def tile(density: Array, noise: Array, good: Array) -> tuple[Array, Array, Array]:
        scores, moments = to_scores @ density, to_moments @ noise
        # The noise of the pixels that are like this one is taken to be its own.
        learning = moments[pairs:-1] * (of_scores @ (scores * scores))
        residual = _residual(density, scores, spectra, of_residual)
        value, error, sound = evaluate(scores, moments[:pairs], learning)
        # Comparisons with NaN are false, so a spectrum that is not finite is not valid.
        good = good & sound & (residual <= largest * moments[-1]) & np.isfinite(value) & np.isfinite(error)
        return np.where(good, value, np.nan), np.where(good, error, np.nan), good

    def kernel(density: Array, *rest: Array) -> tuple[Array, Array, Array]:
        pixels = density.shape[1]
        value, error, good = np.empty(pixels), np.empty(pixels), np.ones(pixels, bool)
        if valid is not None:
            good &= rest[-1][0].astype(bool)
        for start in range(0, pixels, TILE):
            part = slice(start, start + TILE)
            with np.errstate(all="ignore"):  # what is not finite is masked; that it was met is no news
                one = np.ascontiguousarray(density[:, part], np.float32)
                if isinstance(variance, CountingNoise):
                    noise = variance.of(one)
                else:
                    noise = np.asarray(rest[0][:, part], np.float32)
                value[part], error[part], good[part] = tile(one, noise, good[part])
        return value, error, good

    stacks = [optical_density] if isinstance(variance, CountingNoise) else [optical_density, variance]
    return over_pixels(kernel, *stacks, *([] if valid is None else [np.asarray(valid)[None]]))


@njit(cache=True, nogil=True, fastmath={"contract"})
def _residual(density: Array, scores: Array, components: Array, weights: Array) -> Array:
    """Return the weighted sum of squares of what the components leave of a tile, (pixels,)."""
    energies, pixels = density.shape
    total, rest = np.zeros(pixels, np.float32), np.empty(pixels, np.float32)
    for energy in range(energies):
        first = components[0, energy]
        for i in range(pixels):
            rest[i] = density[energy, i] - first * scores[0, i]
        for k in range(1, components.shape[0]):
            share = components[k, energy]
            for i in range(pixels):
                rest[i] -= share * scores[k, i]
        weight = weights[energy]
        for i in range(pixels):
            total[i] += weight * rest[i] * rest[i]
    return total

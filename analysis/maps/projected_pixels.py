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
from scipy.special import chdtri

from whiteline.analysis.blocks import over_pixels
from whiteline.analysis.maps.products import add_four, as_line, four, in_fours, single
from whiteline.analysis.stacks.counting import CountingNoise, Noise

Array = NDArray[Any]
Floats = NDArray[np.float64]

TILE = 2048
"""Pixels that are worked on at a time: all that is made of them stays in the second cache."""

NEAR = 512
"""Pixels whose sums over the energies stay in the nearest cache, and whose spectra in the second."""

TOGETHER = 3
"""Components that are subtracted in one pass, as most stacks have no more; of fewer, the others are zero."""

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
    pairs: Floats,
    expected: Floats,
    bands: Floats,
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
    pairs, expected : ndarray, shape (k (k + 1) / 2, E) and (E,)
        What turns a variance into the covariance of the scores, and into the mean of the residual.
    bands : ndarray, shape (b, E)
        What turns it into its mean over that of the sample in every band. An energy belongs to one band only.
    weights : ndarray, shape (E,)
        Weights of the squares of the residual.
    leverages : ndarray, shape (k,)
        What turns the squared scores of a pixel into its leverage on the components.
    noise_level : float
        Variance over the variance that is given.
    """
    number, freedom = matrix.shape[0], weights.size - matrix.shape[0]
    to_scores, of_residual, of_scores = in_fours(matrix), single(weights), single(leverages)
    spectra = np.zeros((max(number, TOGETHER), weights.size), np.float32)
    spectra[:number] = components
    places, counts, band = _by_bands(bands)
    rows = np.vstack([pairs, expected, bands.sum(axis=0)])
    to_moments = single(rows[:, places] * counts)
    largest = np.float32(max(noise_level, 1.0) * chdtri(freedom, MISFIT_PROBABILITY) / freedom)

    def tile(density: Array, noise: Array, good: Array) -> tuple[Array, Array, Array]:
        residual = np.empty(good.size, np.float32)
        scores, moments, learning = (
            np.empty((rows, good.size), np.float32) for rows in (number, len(to_moments), len(bands))
        )
        _sums_of_density(*as_line(density), to_scores, spectra, of_residual, scores, residual)
        # The noise of the pixels that are like this one is taken to be its own.
        _sums_of_noise(*as_line(noise), places, to_moments, band, scores, of_scores, moments, learning)
        value, error, sound = evaluate(scores, moments[:-2], learning)
        # Comparisons with NaN are false, so a spectrum that is not finite is not valid.
        good = good & sound & (residual <= largest * moments[-2]) & np.isfinite(value) & np.isfinite(error)
        return np.where(good, value, np.nan), np.where(good, error, np.nan), good

    by_counts = isinstance(variance, CountingNoise)

    def kernel(density: Array, *rest: Array) -> tuple[Array, Array, Array]:
        pixels = density.shape[1]
        value, error, good = np.empty(pixels), np.empty(pixels), np.ones(pixels, bool)
        if valid is not None:
            good &= rest[-1][0].astype(bool)
        for start in range(0, pixels, TILE):
            part = slice(start, start + TILE)
            with np.errstate(all="ignore"):  # what is not finite is masked; that it was met is no news
                one = density[:, part]
                noise = variance.of(np.asarray(one, np.float32)) if by_counts else rest[0][:, part]
                value[part], error[part], good[part] = tile(one, noise, good[part])
        return value, error, good

    stacks = [optical_density] if by_counts else [optical_density, variance]
    return over_pixels(kernel, *stacks, *([] if valid is None else [np.asarray(valid)[None]]))


def _by_bands(bands: Floats) -> tuple[Array, Array, Array]:
    """Return the energies band by band, which of them count, and the band of every four of them.

    Where a band has no more energies to fill four, its last one is there again and does not count.
    """
    places, counts, of_four = [], [], []
    for number, inside in enumerate(bands > 0):
        energies = np.flatnonzero(inside)
        missing = -energies.size % 4
        places.append(np.pad(energies, (0, missing), mode="edge"))
        counts.append(np.arange(energies.size + missing) < energies.size)
        of_four += [number] * (places[-1].size // 4)
    return np.concatenate(places), np.concatenate(counts), np.array(of_four)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _sums_of_density(
    line: Array, stride: int, rows: Array, components: Array, weights: Array, scores: Array, residual: Array
) -> None:
    """Work out the scores of a tile, and the weighted sum of squares of what the components leave of it, (pixels,).

    Its rows lie far apart in the stack and at like places of its pages, where caches keep but few of them. So the tile
    is copied while the scores are summed, and the residual is taken from the copy.
    """
    energies, pixels, number = weights.size, residual.size, scores.shape[0]
    near, some = np.empty((energies, NEAR), np.float32), np.zeros((components.shape[0], NEAR), np.float32)
    for start in range(0, pixels, NEAR):
        stop = min(start + NEAR, pixels)
        size = stop - start
        for e in range(energies):
            spectrum, far = near[e], line[e * stride + start : e * stride + stop]
            for p in range(size):
                spectrum[p] = far[p]
        sums = scores[:, start:stop]
        some[:, :] = np.float32(0)
        for e in range(0, energies, 4):
            second, third, fourth = min(e + 1, energies - 1), min(e + 2, energies - 1), min(e + 3, energies - 1)
            add_four(some[:number], rows, e, near[e, :size], near[second], near[third], near[fourth], 0)
        for k in range(number):
            for p in range(size):
                sums[k, p] = some[k, p]
        total, s, t, u = residual[start:stop], some[0], some[1], some[2]
        total[:] = np.float32(0)
        for e in range(energies):
            rest = near[e]
            for k in range(TOGETHER, components.shape[0]):
                by, score = components[k, e], some[k]
                for p in range(size):
                    rest[p] -= by * score[p]
            a, b, c, of = components[0, e], components[1, e], components[2, e], weights[e]
            for p in range(size):
                left = rest[p] - a * s[p] - b * t[p] - c * u[p]
                total[p] += of * left * left


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _sums_of_noise(
    line: Array,
    stride: int,
    places: Array,
    rows: Array,
    band: Array,
    scores: Array,
    of_scores: Array,
    moments: Array,
    learning: Array,
) -> None:
    """Multiply a tile of variances by rows, and its mean in every band by the leverage of each pixel.

    The last of the rows is that of the bands: what has come together at the end of a band is taken out of it.
    """
    pixels = moments.shape[1]
    leverage = np.empty(NEAR, np.float32)
    for start in range(0, pixels, NEAR):
        stop = min(start + NEAR, pixels)
        size = stop - start
        moments[:, start:stop] = np.float32(0)
        for e in range(0, places.size, 4):
            a, b, c, d = four(line, stride, places[e], places[e + 1], places[e + 2], places[e + 3], start, stop)
            add_four(moments, rows, e, a, b, c, d, start)
            if e + 4 == places.size or band[e // 4 + 1] != band[e // 4]:
                together, mean = moments[-1, start:stop], learning[band[e // 4], start:stop]
                for p in range(size):
                    mean[p] = together[p]
                    together[p] = np.float32(0)
        leverage[:] = np.float32(0)
        for k in range(of_scores.size):
            score, of = scores[k, start:stop], of_scores[k]
            for p in range(size):
                leverage[p] += of * score[p] * score[p]
        for number in range(learning.shape[0]):
            mean = learning[number, start:stop]
            for p in range(size):
                mean[p] *= leverage[p]

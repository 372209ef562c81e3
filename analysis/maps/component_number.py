"""How many components stand above the noise: what one half of a sample of pixels confirms of the axes of the other.

Noise has axes of largest scatter too, but no axis that two halves of a sample share. So the axes are taken from one
half, and the second moment along each is measured in the other, where for an axis of noise it is the variance of the
noise within a standard error that is known.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.linalg import eigh

from whiteline.analysis.blocks import sum_over_pixels

Array = NDArray[Any]
Floats = NDArray[np.float64]

SIGNIFICANCE = 5.0
"""Standard errors by which a component must stand above the noise."""

SAMPLE_BLOCK = 2048
"""Pixels of the sample that a thread takes at a time: an even number, so that every second one is of the same half."""

SAMPLE_TILE = 128
"""Pixels whose products are summed at a time: they stay in the second cache."""

ERROR_STRIDE = 8
"""Every so many pixels tell how far the variances scatter, which only the standard error depends on."""


def signal_axes(density: Array, variance: Array, weights: Floats) -> tuple[Floats, Floats, int, float]:
    """Return the axes of a sample of spectra, and how many of them are of signal.

    Parameters
    ----------
    density, variance : ndarray, shape (E, n)
        Optical density and its variance, finite.
    weights : ndarray, shape (E,)
        One over the mean variance at each energy: the density is multiplied by their root.

    Returns
    -------
    strengths : ndarray, shape (E,)
        Second moment along each axis, descending.
    axes : ndarray, shape (E, E)
        The axes, a column each.
    confirmed : int
        How many of the first stand above the noise.
    noise_level : float
        Variance found along the weak axes over the one given.
    """
    root = np.sqrt(weights)

    def kernel(part: Array, noise: Array) -> tuple[Array, ...]:
        beside = noise[:, 1::2]
        return (
            _products(part[:, ::2], root), _products(part[:, 1::2], root), beside.sum(axis=1, dtype=float),
            _products(noise[:, 1::ERROR_STRIDE], weights),
        )  # fmt: skip

    half, other, noise, square = sum_over_pixels(kernel, density, variance, block=SAMPLE_BLOCK)
    count = density.shape[1]
    half /= (count + 1) // 2
    other /= count // 2
    noise *= weights / (count // 2)
    square /= len(range(1, count, ERROR_STRIDE))
    excess, error, level = _confirmed(half, other, noise, square)
    above = excess > SIGNIFICANCE * error / np.sqrt(density.shape[1] // 2)
    found = int(np.argmin(above)) if not above.all() else above.size
    # SciPy's does so small a problem in the thread that asks; NumPy's starts others, which then wait and spin.
    strengths, axes = eigh((half + other) / 2)
    return strengths[::-1], axes[:, ::-1], found, level


def _products(rows: Array, scale: Floats) -> Floats:
    """Return the sum over the columns of the products of scaled rows, (E, E), of an array (E, n)."""
    energies = len(scale)
    total = np.zeros((energies + 3, energies + 3))
    _add_products(rows, scale, total)
    lower = np.tril(total[:energies, :energies])
    return lower + np.tril(lower, -1).T


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _add_products(rows: Array, scale: Array, total: Array) -> None:
    """Add the products to the lower triangle of `total`, which has three rows more: four go in one pass.

    In float64, as the noise is small beside the signal. It runs in the thread that calls it, which BLAS would not.
    """
    energies, pixels = rows.shape
    near = np.zeros((energies + 3, SAMPLE_TILE))
    for start in range(0, pixels, SAMPLE_TILE):
        size = min(SAMPLE_TILE, pixels - start)
        for e in range(energies):
            for p in range(size):
                near[e, p] = rows[e, start + p] * scale[e]
        for i in range(energies):
            one = near[i, :size]
            for j in range(0, i + 1, 4):
                a, b, c, d = 0.0, 0.0, 0.0, 0.0
                for p in range(size):
                    a += one[p] * near[j, p]
                    b += one[p] * near[j + 1, p]
                    c += one[p] * near[j + 2, p]
                    d += one[p] * near[j + 3, p]
                total[i, j] += a
                total[i, j + 1] += b
                total[i, j + 2] += c
                total[i, j + 3] += d


def _confirmed(half: Floats, other: Floats, noise: Floats, square: Floats) -> tuple[Floats, Floats, float]:
    """Return by how much the axes of one half exceed the noise in the other, its standard error, and the noise level.

    Parameters
    ----------
    half, other : ndarray, shape (E, E)
        Second moments of the whitened optical density in either half of the sample.
    noise, square : ndarray, shape (E,) and (E, E)
        Mean and second moment of the whitened variance of the pixels of the other half. The error is that of one pixel.
    """
    axes = eigh(half)[1][:, ::-1]
    moments = ((other @ axes) * axes).sum(axis=0)
    expected = noise @ axes**2
    weak = slice(axes.shape[0] // 2, None)
    level = float(np.median(moments[weak] / expected[weak]))
    return moments - level * expected, level * np.sqrt(2 * ((square @ axes**2) * axes**2).sum(axis=0)), level

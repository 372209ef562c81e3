"""How many components stand above the noise: what one half of a sample of pixels confirms of the axes of the other.

Noise has axes of largest scatter too, but no axis that two halves of a sample share. So the axes are taken from one
half, and the second moment along each is measured in the other, where for an axis of noise it is the variance of the
noise within a standard error that is known.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

Array = NDArray[Any]
Floats = NDArray[np.float64]

SIGNIFICANCE = 5.0
"""Standard errors by which a component must stand above the noise."""

SAMPLE_TILE = 128
"""Pixels whose products are summed at a time: so few that BLAS does not split them into threads of its own."""

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
    half = _second_moment(density[:, ::2], np.sqrt(weights))
    other = _second_moment(density[:, 1::2], np.sqrt(weights))
    noise = variance[:, 1::2].mean(axis=1, dtype=float) * weights
    excess, error, level = _confirmed(half, other, noise, _second_moment(variance[:, 1::ERROR_STRIDE], weights))
    above = excess > SIGNIFICANCE * error / np.sqrt(density.shape[1] // 2)
    found = int(np.argmin(above)) if not above.all() else above.size
    # SciPy's does so small a problem in the thread that asks; NumPy's starts others, which then wait and spin.
    strengths, axes = eigh((half + other) / 2)
    return strengths[::-1], axes[:, ::-1], found, level


def _second_moment(rows: Array, scale: Floats) -> Floats:
    """Return the mean over the columns of the product of scaled rows, (E, E), of an array (E, n)."""
    total: Floats = np.zeros((rows.shape[0], rows.shape[0]))
    for start in range(0, rows.shape[1], SAMPLE_TILE):
        part = rows[:, start : start + SAMPLE_TILE] * scale[:, None]
        total += part @ part.T
    total /= rows.shape[1]
    return total


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

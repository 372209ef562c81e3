"""The sharpness of an image: the energy of its gradients in a band, over the square of its mean.

Noise is sharp too: it adds to the energy of the gradients, more so the fewer the counts. Its share is subtracted, known
from the highest spatial frequencies, which no optic passes, or from a given variance. What is left does not depend on
the dose, and neither does the best focus that a series of it finds.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from whiteline.analysis.checks import OutOfRange, require
from whiteline.analysis.registration.bad_pixels import filled, good_pixels

BAND = (0.02, 0.2)
"""Spatial frequencies whose gradients count [cycles/px]."""

NOISE_BAND = (0.4, 0.5)
"""Where a frame sampled finer than its resolution holds noise only [cycles/px]."""

SMALLEST_SIDE = 32

LARGEST_BAD_SHARE = 0.2
"""With more bad pixels than this, what stands in for them is no longer a small part of the result."""


@dataclass(frozen=True)
class Sharpness:
    """How sharp an image is.

    Parameters
    ----------
    value : float
        Energy of the gradients in the band over the square of the mean [1/px²], noise subtracted. It may come out
        slightly negative for a featureless image.
    error : float
        Its standard error by noise; how much the sample itself varies from place to place is not part of it.
    noise : float
        What was subtracted.
    """

    value: float
    error: float
    noise: float


def sharpness(
    image: ArrayLike,
    *,
    valid: NDArray[np.bool_] | None = None,
    variance: float | None = None,
    band: tuple[float, float] = BAND,
) -> Sharpness:
    """Measure the sharpness of an image.

    Parameters
    ----------
    image : array_like
        Transmission or counts with the dark subtracted, shape (Y, X); its mean must not be zero.
    valid : ndarray of bool, optional
        True for good pixels; pixels that are not finite are bad in any case.
    variance : float, optional
        Variance of the noise of a pixel, in the square of the unit of the image, where it is known. Otherwise it is
        taken from the highest frequencies, which is wrong for interpolated frames: resampling has emptied them.
    band : tuple of float
        Lowest and highest spatial frequency [cycles/px]. Keep it the same throughout a series.

    Returns
    -------
    Sharpness

    Raises
    ------
    OutOfRange
        If a side is below 32 pixels, more than a fifth of the pixels are bad, the mean is not above zero, the variance
        negative, or the band not within 0 and 0.4.

    Notes
    -----
    With the power spectrum P(k) of the image, tapered, the value is (2π)² Σ |k|² [P(k) − N] / (n ⟨I⟩²) over the band,
    where N is the power of white noise. Each wave of noise scatters by N, and of image beside noise by √(2 N S), so the
    error is (2π)² √(Σ |k|⁴ (N² + 2 N S)) and the error of N itself.
    """
    array = np.asarray(image, float)
    require(array.ndim, array.ndim == 2, "number of dimensions of an image", "must be 2")
    require(
        min(array.shape),
        min(array.shape) >= SMALLEST_SIDE,
        "side of an image",
        f"must be at least {SMALLEST_SIDE} px",
        "px",
    )
    low, high = band
    require(low, 0 < low < high, "low end of the band", f"must lie between 0 and {high:g}", "cycles/px")
    require(high, high <= NOISE_BAND[0], "high end of the band", f"must be up to {NOISE_BAND[0]:g}", "cycles/px")
    good = good_pixels(array, valid)
    bad = 1 - float(good.mean())
    if bad > LARGEST_BAD_SHARE:
        raise OutOfRange(
            "share of bad pixels", bad, f"is above {LARGEST_BAD_SHARE:g}", remedy="crop to the part that is good"
        )
    mean = float(array[good].mean())
    require(mean, mean > 0, "mean of the image", "must be above 0", remedy="give transmission or counts, not density")
    if bad > 0:
        array = filled(array, good)

    power, rows, columns, independent = _power(array)
    square = rows[:, None] ** 2 + columns[None] ** 2
    # A real image has each wave at −k too: those with kx between 0 and the last stand for two.
    twice = np.where((columns > 0) & (columns < 0.5), 2.0, 1.0)[None]
    if variance is None:
        high_waves = (square >= NOISE_BAND[0] ** 2) & (square < NOISE_BAND[1] ** 2)
        weight = high_waves * twice
        noise = float((weight * power).sum() / weight.sum())
        noise_error = noise * np.sqrt(2 * independent / weight.sum())
    else:
        require(variance, 0 <= variance < np.inf, "variance of the noise", "must be finite and not negative")
        noise, noise_error = float(variance), 0.0
    inside = (square >= low**2) & (square < high**2)
    weight = np.where(inside, square * twice, 0)
    scale = (2 * np.pi) ** 2 / (array.size * mean**2)
    energy = float((weight * power).sum())
    total = float(weight.sum())
    # N² + 2 N S with S = P − N, wave by wave: negative parts must stay in, or noise would count as signal.
    pairs = weight * square * twice
    scatter = independent * max(float((pairs * (2 * noise * power - noise**2)).sum()), float(pairs.sum()) * noise**2)
    error = np.sqrt(scatter + (total * noise_error) ** 2)
    return Sharpness(scale * (energy - total * noise), float(scale * error), scale * total * noise)


def _power(image: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float]:
    """Return the power of the waves, 1 for white noise of variance 1, and how many go to an independent one."""
    window = [np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2 for length in image.shape]
    shown = window[0] @ image @ window[1] / (window[0].sum() * window[1].sum())
    faded = (image - shown) * window[0][:, None] * window[1][None]
    energy = float((window[0] ** 2).sum() * (window[1] ** 2).sum())
    power: NDArray[np.float64] = np.abs(fft.rfft2(faded)) ** 2 / energy
    independent = float(np.prod([np.mean(one**4) / np.mean(one**2) ** 2 for one in window]))
    return power, fft.fftfreq(image.shape[0]), fft.rfftfreq(image.shape[1]), independent

"""Pixels of a camera that do not count as their neighbours do: hot, dead, or of another sensitivity.

Each is compared with the median of the pixels around it, so that a pattern that changes slowly, as illumination does,
is no fault; how far it may lie away is measured by the median absolute deviation of all pixels, which faulty ones do
not move.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from whiteline.analysis.checks import require, require_positive

Image = NDArray[Any]

SIGMA_PER_DEVIATION = 1.482_602_218_505_602
"""Standard deviation of a normal distribution over its median absolute deviation, 1 / Φ⁻¹(¾)."""

ROUNDING = 12**-0.5
"""Standard deviation of what rounding to whole counts adds; no camera tells smaller differences apart."""

AROUND = 5
"""Side of the square of pixels that a pixel is compared with [px]; up to 12 of its 25 may be faulty."""


def good_pixels(dark: ArrayLike | None = None, flat: ArrayLike | None = None, *, sigmas: float = 8.0) -> Image:
    """Return a mask of the pixels that count as their neighbours do.

    Parameters
    ----------
    dark : array_like, shape (Y, X) or (n, Y, X), optional
        Frames without light; several are averaged. A pixel that lies off either way is hot or dead.
    flat : array_like, shape (Y, X) or (n, Y, X), optional
        Frames without sample; several are averaged. A pixel that lies off either way is dead or of another
        sensitivity. The dark is subtracted if it is given.
    sigmas : float
        How many standard deviations a good pixel may lie off. Of a million normal ones 1 lies beyond 5, none beyond 8.

    Returns
    -------
    ndarray of bool, shape (Y, X)
        True for good pixels; one that is not finite, or whose flat is not above the dark, is not good.

    Raises
    ------
    ValueError
        If neither is given, or they differ in pixels.
    OutOfRange
        If `sigmas` is not positive, or a frame has not two dimensions.
    """
    require_positive(sigmas, "threshold of hot pixels", "sigmas")
    if dark is None and flat is None:
        raise ValueError("give a dark or a flat, or both: without either no pixel can be judged")
    floor = None if dark is None else _mean(dark, "dark")
    good = np.ones(0, bool)
    if floor is not None:
        departure = floor - _around(floor)
        good = np.abs(departure) <= sigmas * _spread(departure, ROUNDING)
    if flat is None:
        return good
    beam = _mean(flat, "flat")
    if floor is not None:
        if floor.shape != beam.shape:
            raise ValueError(f"dark {floor.shape} and flat {beam.shape} must have the same pixels")
        beam = beam - floor
    lit = np.isfinite(beam) & (beam > 0)
    # In units of the noise of counting, by which most pixels depart: so dim corners of the field are not faulty.
    usual = _around(np.where(lit, beam, np.nan))
    departure = (beam - usual) / np.sqrt(np.maximum(usual, 1))
    spread = _spread(departure[lit], ROUNDING / np.sqrt(np.median(beam[lit]))) if lit.any() else np.inf
    sensitive = lit & (np.abs(departure) <= sigmas * spread)
    return sensitive if floor is None else good & sensitive


def fill_from_neighbours(image: ArrayLike, valid: NDArray[np.bool_]) -> Image:
    """Return an image whose bad pixels are the mean of the good ones next to them.

    For display and for registration only. In a fit a filled pixel counts its neighbours twice, and its error is made
    up: leave it out there.

    Parameters
    ----------
    image : array_like, shape (Y, X)
        The image.
    valid : ndarray of bool, shape (Y, X)
        True for good pixels; those that are not finite are bad in any case.

    Returns
    -------
    ndarray of float32 or float64, shape (Y, X)
        A group of bad pixels is filled from its rim inwards.

    Raises
    ------
    ValueError
        If no pixel is good, or image and mask differ in shape.
    """
    given = np.asarray(image)
    filled = np.array(given, given.dtype if given.dtype == np.float32 else np.float64)
    if valid.shape != filled.shape or filled.ndim != 2:
        raise ValueError(f"an image of shape {filled.shape} needs a mask of the same two dimensions, not {valid.shape}")
    good = valid & np.isfinite(filled)
    if not good.any():
        raise ValueError("no pixel of the image is good, so none can be filled from its neighbours")
    filled[~good] = 0
    while not good.all():
        rows, columns = np.nonzero(~good & ndimage.binary_dilation(good, np.ones((3, 3), bool)))
        total, number = np.zeros(rows.size), np.zeros(rows.size)
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                y, x = rows + down, columns + right
                inside = (y >= 0) & (y < good.shape[0]) & (x >= 0) & (x < good.shape[1])
                near = inside & good[y.clip(0, good.shape[0] - 1), x.clip(0, good.shape[1] - 1)]
                total[near] += filled[y[near], x[near]]
                number[near] += 1
        filled[rows, columns] = total / number
        good[rows, columns] = True
    return filled


def _mean(frames: ArrayLike, name: str) -> NDArray[np.float64]:
    given = np.asarray(frames)
    require(given.ndim, given.ndim in (2, 3), f"dimensions of the {name}", "must be 2, or 3 for several frames")
    mean: NDArray[np.float64] = given.mean(axis=0, dtype=float) if given.ndim == 3 else given.astype(float)
    return mean


def _around(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median of the pixels around each one; those that are not finite are set to the median of all."""
    finite = np.isfinite(image)
    usual = float(np.median(image[finite])) if finite.any() else 0.0
    # float32 halves the time of the filter, and its seven digits are more than a count is known to.
    known = np.where(finite, image, usual).astype(np.float32)
    return np.asarray(ndimage.median_filter(known, AROUND, mode="nearest"), float)


def _spread(departure: NDArray[np.float64], least: float) -> float:
    finite = departure[np.isfinite(departure)]
    if not finite.size:
        return np.inf
    return max(SIGMA_PER_DEVIATION * float(np.median(np.abs(finite - np.median(finite)))), least)

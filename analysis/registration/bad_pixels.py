"""What stands in for bad pixels while a frame is interpolated or transformed, so that they harm none of the others."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

Image = NDArray[Any]

NEIGHBOURS = tuple((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0))


def good_pixels(image: Image, valid: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    """Return which pixels are finite, and valid where a mask is given.

    Parameters
    ----------
    image : ndarray
        Shape (Y, X).
    valid : ndarray of bool, optional
        True for good pixels, shape (Y, X).

    Raises
    ------
    ValueError
        If the mask has another shape than the image.
    """
    good: NDArray[np.bool_] = np.isfinite(image)
    if valid is None:
        return good
    if valid.shape != image.shape:
        raise ValueError(f"a mask of shape {valid.shape} does not fit an image of shape {image.shape}")
    return good & valid


def filled(image: Image, good: NDArray[np.bool_]) -> Image:
    """Return a copy whose bad pixels hold the mean of their good neighbours, or else the nearest good pixel.

    The values only keep a filter from seeing a cliff; they are no data, and whoever uses them masks what they reach.

    Parameters
    ----------
    image : ndarray
        Shape (Y, X).
    good : ndarray of bool
        True for good pixels, at least one.
    """
    result = image.copy()
    # Of a flat view, as NumPy finds few among many there several times as fast.
    rows, columns = np.unravel_index(np.flatnonzero(~good), good.shape)
    total, count = np.zeros(rows.size), np.zeros(rows.size)
    for down, right in NEIGHBOURS:
        y, x = rows + down, columns + right
        inside = (y >= 0) & (y < image.shape[0]) & (x >= 0) & (x < image.shape[1])
        y, x = np.where(inside, y, 0), np.where(inside, x, 0)
        use = inside & good[y, x]
        total += np.where(use, image[y, x], 0)
        count += use
    near = count > 0
    result[rows[near], columns[near]] = total[near] / count[near]
    if not near.all():
        # Only for pixels in the midst of bad ones: the distance transform takes longer than a registration.
        nearest = ndimage.distance_transform_edt(~good, return_distances=False, return_indices=True)
        far = (rows[~near], columns[~near])
        result[far] = image[tuple(index[far] for index in nearest)]
    return result


def binned(image: ArrayLike, binning: int, valid: NDArray[np.bool_] | None = None) -> Image:
    """Return the mean of the good pixels in squares of `binning` pixels, NaN where a square has none.

    Rows and columns that do not fill a square are left out, at the end.

    Parameters
    ----------
    image : array_like
        Shape (Y, X).
    binning : int
        Side of a square [px].
    valid : ndarray of bool, optional
        True for good pixels, shape (Y, X).

    Returns
    -------
    ndarray
        Shape (Y // binning, X // binning), float32 for a float32 image and else float64.
    """
    array = np.asarray(image)
    array = array.astype(np.float32 if array.dtype == np.float32 else np.float64, copy=False)
    good = good_pixels(array, valid)
    if binning == 1:
        return array if good.all() else np.where(good, array, array.dtype.type(np.nan))
    means = np.empty([side // binning for side in array.shape], array.dtype)
    _means(array, good, binning, means)
    return means


@njit(cache=True, nogil=True, error_model="numpy")
def _means(image, good, binning, means):  # type: ignore[no-untyped-def]
    """Fill `means`, shape (Y // binning, X // binning), with the mean of the good pixels of each square."""
    totals, counts = np.empty(means.shape[1], image.dtype), np.empty(means.shape[1], np.int64)
    for row in range(means.shape[0]):
        totals[:], counts[:] = 0, 0
        for y in range(row * binning, (row + 1) * binning):
            for column in range(means.shape[1]):
                for x in range(column * binning, (column + 1) * binning):
                    if good[y, x]:
                        totals[column] += image[y, x]
                        counts[column] += 1
        for column in range(means.shape[1]):
            means[row, column] = totals[column] / counts[column] if counts[column] else np.nan

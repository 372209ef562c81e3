"""Folding an image with a Gaussian, at the same cost whether it is a little or far out of focus."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

COARSE_ABOVE = 8.0
"""Gaussian σ [pixels] above which an image is worked out on a coarser grid: it holds nothing finer."""

Image = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float32]]
"""An image as a function of the rows and columns, in pixels, at which it is wanted."""


def blurred_image(image: Image, sigma: float, rows: slice, columns: slice) -> NDArray[np.float32]:
    """Return a part of an image folded with a Gaussian.

    Parameters
    ----------
    image : callable
        Gives the sharp image at ascending rows and columns, whole or not.
    sigma : float
        Of the Gaussian [pixels].
    rows, columns : slice
        The part that is wanted; the rest of the picture is the same whichever part it is cut into.

    Returns
    -------
    ndarray of float32, shape (rows, columns)
    """
    step = 1 if sigma <= COARSE_ABOVE else int(sigma / (COARSE_ABOVE / 2))
    kernel = gaussian_kernel(sigma / step)
    margin = kernel.size - 1
    grids = []
    for part in (rows, columns):
        # a grid that is the same for all parts: whole multiples of the step
        first, last = part.start // step - margin, -(-(part.stop - 1) // step) + margin
        grids.append(step * np.arange(first, last + 1, dtype=float))
    folded = blurred(image(grids[0], grids[1]), kernel)
    if step == 1:
        return folded
    inner = [grid[margin : grid.size - margin] for grid in grids]
    for axis, part in enumerate((rows, columns)):
        place = (np.arange(part.start, part.stop) - inner[axis][0]) / step
        left = np.clip(place.astype(int), 0, max(inner[axis].size - 2, 0))
        weight = (place - left).astype(np.float32)
        weight = weight[:, None] if axis == 0 else weight
        right = np.minimum(left + 1, inner[axis].size - 1)
        folded = np.take(folded, left, axis) * (1 - weight) + np.take(folded, right, axis) * weight
    return folded


def gaussian_kernel(sigma: float) -> NDArray[np.float32]:
    """Return half of a Gaussian kernel, from its middle to four σ [pixels]; the whole of it adds up to 1."""
    reach = np.arange(int(np.ceil(4 * sigma)) + 1)
    half = np.exp(-0.5 * (reach / sigma) ** 2)
    return np.asarray(half / (2 * half.sum() - half[0]), np.float32)


def blurred(image: NDArray[np.float32], kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fold an image with a symmetric kernel along both sides; the margin of the kernel is cut off all around."""
    margin = kernel.size - 1
    if not margin:
        return image
    for axis in (0, 1):
        turned = np.moveaxis(image, axis, 0)
        inner = turned.shape[0] - margin
        folded = turned[margin:inner] * kernel[0]
        pair = np.empty_like(folded)
        for reach in range(1, margin + 1):
            np.add(turned[margin - reach : inner - reach], turned[margin + reach : inner + reach], out=pair)
            pair *= kernel[reach]
            folded += pair
        image = np.moveaxis(folded, 0, axis)
    return image

"""Points of a raster as a map: which point is which pixel, and missing ones missing."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def raster_shape(start: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Return the shape of a raster, slow axis first, None if the run is none.

    It is `shape` of the start document, as `grid_scan` and the plans here record it, with two axes or more.
    """
    shape = start.get("shape")
    if not isinstance(shape, Sequence) or isinstance(shape, str) or len(shape) < 2:
        return None
    return tuple(int(one) for one in shape)


def pixels_of(start: Mapping[str, Any], seq_nums: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the pixel of each point, as an index into the map when it is flattened; −1 beyond the map.

    Parameters
    ----------
    start : mapping
        Start document; `snaking` says of each axis, slow first, whether its direction alternates.
    seq_nums : ndarray of int64, shape (n,)
        Of the points, from 1.
    shape : tuple of int
        Of the raster.
    """
    number = np.asarray(seq_nums, np.int64) - 1
    inside = (number >= 0) & (number < int(np.prod(shape)))
    place = np.array(np.unravel_index(np.where(inside, number, 0), shape))
    snaking = start.get("snaking") or (False,) * len(shape)
    turned = place.copy()
    for axis in range(1, len(shape)):
        if axis < len(snaking) and snaking[axis]:
            # a line is run backwards if an odd number of lines was run before it
            line = np.ravel_multi_index(tuple(place[:axis]), shape[:axis])
            turned[axis] = np.where(line % 2 == 1, shape[axis] - 1 - place[axis], place[axis])
    return np.where(inside, np.ravel_multi_index(tuple(turned), shape), -1)


def on_map(values: NDArray[Any], pixels: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return values of points as a map, shape (*shape, …); NaN where a pixel has no point."""
    given = np.asarray(values, float)
    flat = np.full((int(np.prod(shape)), *given.shape[1:]), np.nan)
    inside = pixels >= 0
    flat[pixels[inside]] = given[inside]
    return flat.reshape(*shape, *given.shape[1:])

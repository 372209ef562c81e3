"""Tiles of a mosaic: where they must be, so that they cover an area and overlap with their neighbours."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from whiteline.analysis.checks import OutOfRange, require_finite, require_positive
from whiteline.plans.paths import Range

MOST_TILES = 10_000
"""Of a mosaic; beyond, an area is not in µm."""

ROUNDING = 1e-9
"""Of a number of tiles."""

Area = tuple[tuple[float, float], tuple[float, float]]
"""Ends along the fast axis, and along the slow one [µm]."""


def tile_ranges(area: Sequence[Any], tile_um: Sequence[Any], overlap: float) -> tuple[Range, Range]:
    """Return where the centres of the tiles of a mosaic are, fast and slow: a raster of them covers the area.

    The outermost tiles end where the area does, and the others lie evenly between them: so neighbours overlap by what
    is asked for or more. A tile that is larger than the area lies around its middle.

    Parameters
    ----------
    area : sequence of (low, high)
        Along the fast and the slow axis [µm].
    tile_um : sequence of float
        Size of a tile along the fast and the slow axis [µm].
    overlap : float
        Least part of a tile that its neighbour shows, too; from 0 to less than 1.

    Returns
    -------
    fast, slow : Range
        For `paths.raster`.

    Raises
    ------
    OutOfRange, ValueError
        If a size is not above 0, the overlap leaves nothing to go on by, or there would be too many tiles.
    """
    require_finite(overlap, "overlap")
    if not 0 <= overlap < 1:
        remedy = "give the part of a tile that its neighbour shows, too, such as 0.1"
        raise OutOfRange("overlap", overlap, "must be at least 0 and less than 1", remedy=remedy)
    sizes = _pair(tile_um, "tile_um", "(width, height)")
    ends = [_pair(one, "area", "((low, high), (low, high))") for one in _pair_of(area)]
    require_positive(sizes, "tile_um", "um")
    fast, slow = (_centres(end, size, overlap) for end, size in zip(ends, sizes, strict=True))
    if (count := fast[2] * slow[2]) > MOST_TILES:
        remedy = "look at the units of area and tile_um"
        raise OutOfRange("number of tiles", count, f"must be at most {MOST_TILES}", remedy=remedy)
    return fast, slow


def _centres(ends: tuple[float, float], size: float, overlap: float) -> Range:
    low, high = sorted(ends)
    # rounding must not add a tile to an area that is tiled exactly
    further = math.ceil((high - low - size) / (size * (1 - overlap)) - ROUNDING)
    if further <= 0:
        return (low + high) / 2, (low + high) / 2, 1
    return low + size / 2, high - size / 2, 1 + further


def _pair_of(area: Sequence[Any]) -> tuple[Any, Any]:
    try:
        fast, slow = area
    except (TypeError, ValueError) as error:
        raise ValueError(f"area = {area!r} must be ((low, high), (low, high)), fast and slow, in um") from error
    return fast, slow


def _pair(given: Any, name: str, form: str) -> tuple[float, float]:
    try:
        first, second = (float(one) for one in given)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} = {given!r} must be {form}, in um") from error
    require_finite(np.array([first, second]), name, "um")
    return first, second

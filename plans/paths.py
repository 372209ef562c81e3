"""Which places a scan visits, and in which order: rasters by lines, and hexagonal ones.

A path is an array of positions, shape (n, 2), fast axis first, in the unit of the axes (µm for a sample stage): place
after place in the order in which they are visited. All paths are told the same two ranges, so that one can be taken for
the other.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.checks import OutOfRange, require_finite

Places = NDArray[np.float64]

Range = tuple[float, float, int]
"""Where an axis starts and stops, and at how many places it is, both ends included."""


def as_range(given: Sequence[Any], name: str, least: int = 1) -> Range:
    """Return a range, or refuse what is none.

    Parameters
    ----------
    given : sequence
        Start, stop and number of points.
    name : str
        What it is called in the message.
    least : int
        Points that there must be.

    Raises
    ------
    OutOfRange
        If an end is no number, there are too few points, or they do not go with the ends.
    ValueError
        If it does not have three parts.
    """
    try:
        start, stop, points = given
        low, high, count = float(start), float(stop), int(points)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} = {given!r} must be (start, stop, points), such as (-5.0, 5.0, 21)") from error
    require_finite([low, high], name, "um")
    if count != points or count < least:
        raise OutOfRange(f"number of points of {name}", float(points), f"must be a whole number from {least} on")
    if (low == high) != (count == 1):
        raise OutOfRange(
            f"number of points of {name}",
            count,
            f"does not go with a way from {low:.10g} to {high:.10g} um",
            remedy="one point stands still, several do not: correct points, or ends",
        )
    return low, high, count


def moved_by(given: Range, by: float) -> Range:
    """Return a range that lies higher by so much [µm]."""
    return given[0] + by, given[1] + by, given[2]


def as_rectangles(
    fast_range: Any, slow_range: Any, regions: Sequence[Any] | None, least: int = 1
) -> list[tuple[Range, Range]]:
    """Return one rectangle, or several, as the arguments of a raster give them.

    Parameters
    ----------
    fast_range, slow_range : (start, stop, points) or None
        Of one rectangle.
    regions : sequence of (fast_range, slow_range) or None
        Of several instead.
    least : int
        Points that there must be along the fast axis.

    Raises
    ------
    OutOfRange, ValueError
        If both are given or neither is, or one is no range.
    """
    if (regions is None) == (fast_range is None and slow_range is None):
        raise ValueError("give either fast_range and slow_range, or regions with both for each")
    if regions is None:
        regions = [(fast_range, slow_range)]
    if not len(regions):
        raise ValueError("regions is empty; give (fast_range, slow_range) for each")
    found = []
    for one in regions:
        if len(one) != 2:
            raise ValueError(f"region {one!r} must be (fast_range, slow_range), each (start, stop, points)")
        found.append((as_range(one[0], "fast_range", least), as_range(one[1], "slow_range")))
    return found


def along(given: Range) -> Places:
    """Return the places of a range, shape (points,)."""
    return np.linspace(*given)


def raster(fast: Range, slow: Range, *, snake: bool = False, maps: int = 1) -> Places:
    """Return all places of a rectangle, line by line.

    Parameters
    ----------
    fast, slow : Range
        Along each line, and from line to line.
    snake : bool
        Whether a line is run backwards if an odd number of lines was run before it, also in the maps before.
    maps : int
        How often the whole is visited.

    Returns
    -------
    ndarray of float64, shape (maps · slow points · fast points, 2)
    """
    columns, rows = along(fast), np.tile(along(slow), maps)
    lines = np.tile(columns, (rows.size, 1))
    if snake:
        lines[1::2] = lines[1::2, ::-1]
    return np.stack([lines.ravel(), np.repeat(rows, columns.size)], axis=1)


def hexagonal(fast: Range, slow: Range, *, snake: bool = False) -> Places:
    """Return lines of which every second one is shifted by half a step, and has one point less.

    The places are the corners of equal triangles if the slow step is √3/2 of the fast one: then the same area is
    covered with the fewest points.

    Parameters
    ----------
    fast, slow : Range
        Of the lines that are not shifted; two points along the fast axis at least.
    snake : bool
        As for a raster.

    Returns
    -------
    ndarray of float64, shape (n, 2)
    """
    columns = along(as_range(fast, "fast_range", least=2))
    between = (columns[1:] + columns[:-1]) / 2
    lines = []
    for number, row in enumerate(along(slow)):
        line = between if number % 2 else columns
        line = line[::-1] if snake and number % 2 else line
        lines.append(np.stack([line, np.full(line.size, row)], axis=1))
    return np.concatenate(lines)

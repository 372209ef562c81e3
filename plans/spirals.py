"""Paths that begin in the middle and wind outwards, so that a scan that ends early has seen the middle.

They are bluesky's own trajectories, wound in units of the steps: where the steps of the two axes differ, the spiral is
stretched. Ranges and results are those of `paths`.
"""

import math
from typing import Any

import numpy as np
from bluesky import plan_patterns

from whiteline.plans.paths import Places, Range, as_range

PLACES_OF_FIRST_RING = 6
"""Places of a ring grow by so many: along a ring they are 2π/6 = 1.05 steps apart, nearly as rings are."""


def spiral(fast: Range, slow: Range) -> Places:
    """Return the middle of a rectangle, and rings around it that are a step apart, as far as they lie inside.

    Parameters
    ----------
    fast, slow : Range
        Ends and, by the number of points, steps; three points at least.

    Returns
    -------
    ndarray of float64, shape (n, 2)
    """
    ends = _ends(fast, slow, least=3)
    rings = plan_patterns.spiral("fast", "slow", 0.0, 0.0, *ends, 1.0, PLACES_OF_FIRST_RING)
    return _stretched(np.concatenate([np.zeros((1, 2)), _units(rings)]), fast, slow)


def fermat(fast: Range, slow: Range) -> Places:
    """Return the spiral of Fermat: as many places in every square step, and no two lines of them are parallel.

    So a periodic sample leaves no moiré, and a scan can be ended at any time with the same density inside its circle.

    Parameters
    ----------
    fast, slow : Range
        Ends and, by the number of points, steps; two points at least.

    Returns
    -------
    ndarray of float64, shape (n, 2)
    """
    # the n-th place lies at the radius dr √n: one place in a circle's ring of the area π dr²
    winding = plan_patterns.spiral_fermat("fast", "slow", 0.0, 0.0, *_ends(fast, slow), 1 / math.sqrt(math.pi), 1.0)
    return _stretched(_units(winding), fast, slow)


def square_spiral(fast: Range, slow: Range) -> Places:
    """Return the places of a raster, from the middle outwards along squares.

    Parameters
    ----------
    fast, slow : Range
        As of the raster; two points at least.

    Returns
    -------
    ndarray of float64, shape (fast points · slow points, 2)
    """
    ends = _ends(fast, slow)
    winding = plan_patterns.spiral_square_pattern("fast", "slow", 0.0, 0.0, *ends, fast[2], slow[2])
    return _stretched(_units(winding), fast, slow)


def _ends(fast: Range, slow: Range, least: int = 2) -> tuple[int, int]:
    """Return the sides of the rectangle in steps."""
    return as_range(fast, "fast_range", least)[2] - 1, as_range(slow, "slow_range", least)[2] - 1


def _units(trajectory: Any) -> Places:
    axes = trajectory.by_key()
    return np.stack([np.asarray(axes["fast"], float), np.asarray(axes["slow"], float)], axis=1)


def _stretched(units: Places, fast: Range, slow: Range) -> Places:
    """Return places in the units of the axes of such in steps from the middle; none beyond the ends by rounding."""
    columns = []
    for values, (start, stop, points) in zip(units.T, (fast, slow), strict=True):
        places = (start + stop) / 2 + values * (stop - start) / (points - 1)
        columns.append(np.clip(places, min(start, stop), max(start, stop)))
    return np.stack(columns, axis=1)

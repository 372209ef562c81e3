"""Polygons that a path is clipped by: only what lies inside is visited, one region after the other."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.checks import OutOfRange, require_finite
from whiteline.plans.paths import Places

LEAST_CORNERS = 3

EDGE = 1e-9
"""A place is on the edge if it is nearer to it than this part of the polygon's size."""


def as_polygon(corners: Sequence[Any], name: str = "polygon") -> Places:
    """Return the corners of a polygon, shape (corners, 2), or refuse what is none.

    Parameters
    ----------
    corners : sequence of (fast, slow)
        One after the other around it; the first need not be repeated at the end.
    name : str
        What it is called in the message.

    Raises
    ------
    OutOfRange
        If there are fewer than three, one is no number, or all lie on a line.
    ValueError
        If they are no pairs.
    """
    try:
        found = np.array([(float(fast), float(slow)) for fast, slow in corners]).reshape(-1, 2)
    except (TypeError, ValueError) as error:
        example = "[(0, 0), (5, 0), (0, 5)]"
        raise ValueError(f"corners of {name} must be pairs of fast and slow, such as {example}") from error
    if len(found) > 1 and np.array_equal(found[0], found[-1]):
        found = found[:-1]
    if len(found) < LEAST_CORNERS:
        raise OutOfRange(f"number of corners of {name}", len(found), f"must be at least {LEAST_CORNERS}")
    require_finite(found, f"corner of {name}", "um")
    if np.linalg.matrix_rank(found - found[0], tol=EDGE * max(np.ptp(found), np.finfo(float).tiny)) < 2:
        raise ValueError(f"corners of {name} lie on a line, and nothing is inside; give one that lies beside it")
    return found


def inside(places: Places, polygon: Places) -> NDArray[np.bool_]:
    """Tell which places lie inside a polygon, or on its edge.

    A line from a place to the right crosses the edges of a polygon an odd number of times if the place is inside
    (even-odd rule); so where a polygon crosses itself, what it surrounds twice is outside.

    Parameters
    ----------
    places : ndarray of float64, shape (n, 2)
        In question.
    polygon : ndarray of float64, shape (corners, 2)
        See `as_polygon`.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    near = EDGE * float(np.ptp(polygon, axis=0).max())
    odd, on_edge = np.zeros(len(places), bool), np.zeros(len(places), bool)
    for begin, end in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        off, edge = places - begin, end - begin
        length = float(edge @ edge)
        part = np.clip(off @ edge / length, 0, 1) if length else np.zeros(len(places))
        on_edge |= np.linalg.norm(off - part[:, None] * edge, axis=1) <= near
        crosses = (places[:, 1] < begin[1]) != (places[:, 1] < end[1])
        if crosses.any():
            odd ^= crosses & (off[:, 0] < off[:, 1] * edge[0] / edge[1])
    return odd | on_edge


def clipped(places: Places, polygons: Sequence[Places]) -> tuple[Places, NDArray[np.int64]]:
    """Return the places inside polygons, one polygon after the other, and in which one each is.

    Parameters
    ----------
    places : ndarray of float64, shape (n, 2)
        Of a path, whose order is kept inside each polygon.
    polygons : sequence of ndarray
        A place inside several belongs to the first of them, and is visited once.

    Returns
    -------
    places : ndarray of float64, shape (m, 2)
        Inside.
    numbers : ndarray of int64, shape (m,)
        Of the polygon of each, from 0.

    Raises
    ------
    ValueError
        If there is no place in a polygon, which is finer than the steps, or lies elsewhere.
    """
    left = np.ones(len(places), bool)
    found, numbers = [], []
    for number, polygon in enumerate(polygons):
        within = inside(places, polygon)
        if not within.any():
            raise ValueError(
                f"no point of the path lies inside polygon {number}; take smaller steps, or look at its corners"
            )
        chosen = places[within & left]
        left &= ~within
        found.append(chosen)
        numbers.append(np.full(len(chosen), number))
    return np.concatenate(found), np.concatenate(numbers)

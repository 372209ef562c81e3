"""Runs that are parts of a whole: which of its points they take, and which points a whole has.

A part says in its start document by `only`, {stream: [[first, last], …]}, which points of the whole its own ones are,
in their order; and any run says by `planned`, {stream: count}, how many points each stream of the whole has.
"""

from collections.abc import Mapping
from typing import Any

PLANNED, ONLY, RESUMES = "planned", "only", "resumes"
"""Keys of the start document; the last one names the run that this one goes on with."""


def is_part(start: Mapping[str, Any]) -> bool:
    """Tell whether a run takes only a part of what is planned."""
    return isinstance(start.get(ONLY), Mapping)


def planned_of(start: Mapping[str, Any]) -> dict[str, int]:
    """Return how many points each stream of the whole has; empty if the run does not say it."""
    planned = start.get(PLANNED)
    return {str(stream): int(count) for stream, count in planned.items()} if isinstance(planned, Mapping) else {}


def numbers_of(start: Mapping[str, Any], stream: str) -> tuple[int, ...] | None:
    """Return the numbers, in the whole, of the points of a stream, in their order.

    Parameters
    ----------
    start : mapping
        Start document.
    stream : str
        Such as "primary", "flat", or "fly" with its lines.

    Returns
    -------
    tuple of int or None
        None if the points are numbered as they come: the run is no part, or the plan does not number this stream.
    """
    if not is_part(start) or stream not in planned_of(start):
        return None
    ranges = start[ONLY].get(stream) or ()
    return tuple(number for first, last in ranges for number in range(int(first), int(last) + 1))

"""Runs that go on with each other, read as one: each energy, place, line and role once.

    run = open_run([cat[first], cat[second]])       # the parts are known
    run = find_run(cat, first)                       # the catalog knows which go on with it

A run that goes on with another one names the first one of all by `resumes` in its start document. Points of all of them
have the numbers of the whole; where two have the same point, the later one counts and the earlier one is listed as
discarded. A flat belongs to a frame as in a run: the same energy first, then the nearest in time; so frames have the
flats of their own run, unless only the other one has a flat for them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from whiteline.analysis.runs.builder import Discarded, Point
from whiteline.analysis.runs.parts import RESUMES, planned_of
from whiteline.analysis.runs.run import FLY, Run
from whiteline.analysis.runs.streams import FLY_FRAMES, Stream
from whiteline.analysis.runs.unreadable import UnreadableRun


def joined(runs: Iterable[Run]) -> Run:
    """Return runs that go on with each other as one.

    Parameters
    ----------
    runs : iterable of Run
        The first one, and those that resume it, in any order.

    Returns
    -------
    Run
        With the start document of the first one; it has stopped when the last one has, and ended as that did.

    Raises
    ------
    UnreadableRun
        If one does not go on with the first one.
    """
    ordered = sorted(runs, key=lambda one: float(one.start.get("time", 0.0)))
    if len(ordered) == 1:
        return ordered[0]
    first, last = ordered[0], ordered[-1]
    for one in ordered[1:]:
        if one.start.get(RESUMES) != first.uid:
            raise UnreadableRun(
                f"{one.name} does not go on with {first.name}: its start document names "
                f"{one.start.get(RESUMES) or 'no run'} as resumes; read each by itself"
            )
    names = list(dict.fromkeys(name for one in ordered for name in one.streams))
    streams, discarded = {}, [listed for one in ordered for listed in one.discarded]
    for name in names:
        streams[name], replaced = _stream(name, [one.streams[name] for one in ordered if name in one.streams], first)
        discarded += replaced
    return Run(first.start, last.stop, streams, tuple(discarded), first.path_map, tuple(ordered))


def uids_of_group(start: Mapping[str, Any], catalog: Any) -> list[str]:
    """Return the uids of the run that another one resumes, or that itself is resumed, and of all that resume it.

    Parameters
    ----------
    start : mapping
        Start document of one of them.
    catalog : catalog of runs
        By uid.
    """
    first = str(start.get(RESUMES) or start["uid"])
    return [first, *(uid for uid, one in starts_where(catalog, RESUMES, first) if uid != first)]


def starts_where(catalog: Any, key: str, value: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Return uids and start documents of all runs with some value in their start document.

    Parameters
    ----------
    catalog : catalog of runs, or mapping
        One of Tiled is asked; of a mapping all are looked at.
    key, value : str
        Such as "resumes" and a uid.
    """
    if hasattr(catalog, "search"):
        from tiled.queries import Key

        catalog = catalog.search(Key(f"start.{key}") == value)
    found = []
    for uid, run in catalog.items():
        start = run.start if isinstance(run, Run) else run.metadata.get("start") or {}
        if start.get(key) == value:
            found.append((str(uid), start))
    return found


def _stream(name: str, streams: Sequence[Stream], first: Run) -> tuple[Stream, list[Discarded]]:
    """Return a stream of all runs, and what of it is there twice."""
    descriptors = tuple(descriptor for one in streams for descriptor in one.descriptors)
    if name.startswith(FLY_FRAMES):
        return Stream(name, first.name, (), descriptors, streams[-1].path_map, streams[-1].ranges), []
    points: dict[int, Point] = {}
    discarded = []
    numbered = _is_numbered(name, first)
    for one in streams:
        for point in one.points:
            # of what no plan counts, such as what was corrected, one run goes on where the other one has ended
            number = point.seq_num if numbered else len(points) + 1
            if (before := points.get(number)) is not None:
                discarded.append(Discarded(name, number, before.time, before.places))
            points[number] = Point(point.stream, number, point.time, point.data, point.places)
    ordered = tuple(points[number] for number in sorted(points))
    return Stream(name, first.name, ordered, descriptors, streams[-1].path_map), discarded


def _is_numbered(name: str, first: Run) -> bool:
    return name in planned_of(first.start) or name == FLY

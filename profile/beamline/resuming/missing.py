"""What a run lacks of what its plan was to take, by stream and number."""

from collections.abc import Mapping

import numpy as np

from whiteline.analysis.runs import Run
from whiteline.analysis.runs.fly_table import TIME_END
from whiteline.analysis.runs.parts import numbers_of, planned_of
from whiteline.analysis.runs.run import FLY
from whiteline.analysis.runs.streams import Stream

Missing = Mapping[str, tuple[int, ...]]
"""Numbers of points by stream, from 1; of a fly scan its lines, in the stream "fly", and of a turn its projections."""


class CannotResume(ValueError):
    """A run that cannot be gone on with: one sentence with the reason, and what to do instead."""


def missing_of(run: Run) -> dict[str, tuple[int, ...]]:
    """Return which points a run lacks; those of runs that resumed it already are there, if it was opened with them.

    A point counts as there if its frames are in their files, as far as it has any: one of which the disk has lost the
    frames is taken again.

    Parameters
    ----------
    run : Run
        As `find_run` opens it.

    Returns
    -------
    dict of str to tuple of int
        Streams of which nothing is missing are left out.

    Raises
    ------
    CannotResume
        If it does not say what was planned.
    """
    planned = planned_of(run.start)
    if not planned:
        raise CannotResume(
            f"{run.name} of the plan {run.start.get('plan_name', 'of no name')!r} does not say what it was to take, so "
            "what it lacks is not known: take it anew"
        )
    found = {}
    for stream, count in planned.items():
        given = numbers_of(run.start, stream)
        wanted = range(1, count + 1) if given is None else given
        there = _there(run, stream)
        if lacking := tuple(number for number in wanted if number not in there):
            found[stream] = lacking
    return found


def _there(run: Run, name: str) -> set[int]:
    """Return the numbers of the points of a stream that are there whole."""
    if name not in run.streams:
        return set()
    if name == FLY:
        table = run.fly
        if not len(table):
            return set()
        columns = set(table.stream.external)  # of a line that was told of when the session died, some may be missing
        told = {point.seq_num for point in table.stream.points if columns <= set(point.places)}
        if not told:
            return set()
        flown = np.isfinite(table.read(TIME_END)).any(axis=1)
        for detector in table.frames_of_detectors:
            # exposures that had begun, and whose frames were not told of any more, or are lost
            flown &= ~table.triggers(detector).unwritten.any(axis=1)
        return told & {int(line) for line in table.lines[flown]}
    stream = run.streams[name]
    there = {point.seq_num for point in stream.points}
    for key in stream.external:
        there -= _without(stream, key)
    return there


def _without(stream: Stream, key: str) -> set[int]:
    """Return the numbers of points whose frames are not in their file."""
    lost = {point.seq_num for point in stream.points if key not in point.places}
    kept = tuple(point for point in stream.points if key in point.places)
    if not kept:
        return lost
    there = Stream(stream.name, stream.run, kept, stream.descriptors, stream.path_map).stack(key).readable()
    return lost | {point.seq_num for point, one in zip(kept, there, strict=True) if not one}

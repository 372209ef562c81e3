"""Which frames of a file belong to which event, from what a catalog registers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from whiteline.analysis.runs.hdf5 import opened
from whiteline.analysis.runs.path_map import PathMap
from whiteline.analysis.runs.places import FrameFile, Place
from whiteline.analysis.runs.unreadable import UnreadableRun

StreamAndKey = tuple[str, str]


@dataclass(frozen=True)
class RegisteredFrames:
    """What a catalog says of the frames of one data key in one stream.

    Parameters
    ----------
    files : tuple of FrameFile
        In the order in which they were written.
    frames_per_point : int
        How many frames a point has.
    ranges : list of list of (int, int), or None
        For each file the frames that belong to the stream, from and to, in the order of the events; None if the
        catalog does not say it.
    """

    files: tuple[FrameFile, ...]
    frames_per_point: int
    ranges: list[list[tuple[int, int]]] | None


def frames_by_event(
    registered: Mapping[StreamAndKey, RegisteredFrames],
    times: Mapping[str, Sequence[float]],
    path_map: PathMap,
    *,
    stopped: bool,
) -> dict[StreamAndKey, list[Place]]:
    """Return for each stream and data key where the frames of its events lie, one after the other.

    Parameters
    ----------
    registered : mapping
        By stream and data key.
    times : mapping of str to sequence of float
        When the events of each stream were recorded [s], in their order.
    path_map : PathMap
        Where files are.
    stopped : bool
        Whether the run has stopped, so that numbers of events and of frames must agree.

    Returns
    -------
    dict
        Of what is known; where events and frames do not agree in number, there is none.
    """
    found: dict[StreamAndKey, list[Place]] = {}
    silent: dict[str, list[str]] = {}
    for (stream, key), one in registered.items():
        if one.ranges is None:
            silent.setdefault(key, []).append(stream)
            continue
        places = _points(one)
        if not stopped or len(places) == len(times[stream]):
            found[stream, key] = places
    for key, streams in silent.items():
        found |= _in_order_of_time(key, streams, registered, times, path_map, stopped=stopped)
    return found


def _points(one: RegisteredFrames) -> list[Place]:
    """Return the places of points, from ranges of frames."""
    places: list[Place] = []
    for file, ranges in zip(one.files, one.ranges or (), strict=False):
        frames = [frame for first, end in ranges for frame in range(first, end)]
        starts = frames[:: one.frames_per_point]
        places += [Place(file, start, one.frames_per_point) for start in starts]
    return places


def _in_order_of_time(
    key: str,
    streams: Sequence[str],
    registered: Mapping[StreamAndKey, RegisteredFrames],
    times: Mapping[str, Sequence[float]],
    path_map: PathMap,
    *,
    stopped: bool,
) -> dict[StreamAndKey, list[Place]]:
    """Return the places of points in files that several streams share: they follow each other in time."""
    files = list(dict.fromkeys(file for stream in streams for file in registered[stream, key].files))
    taken = sorted((time, stream, index) for stream in streams for index, time in enumerate(times[stream]))
    slots: list[Place] = []
    for file in files:
        frames = registered[streams[0], key].frames_per_point
        try:
            with opened(path_map.find(file.path), file, key) as dataset:
                held = int(dataset.shape[0]) // frames
        except UnreadableRun:
            if len(files) > 1:
                return {}
            held = 0  # the file tells by itself that it cannot be read, when it is asked for
        if len(files) == 1:
            held = max(held, len(taken))  # of a file that lacks its end, what is there can be read
        slots += [Place(file, point * frames, frames) for point in range(held)]
    if len(slots) < len(taken) or (stopped and len(slots) > len(taken)):
        return {}
    found: dict[StreamAndKey, list[Place]] = {(stream, key): [] for stream in streams}
    for (_, stream, _), place in zip(taken, slots, strict=False):
        found[stream, key].append(place)
    return found

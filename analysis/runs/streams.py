"""One stream of a run as columns: what was read at each of its surviving points."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.runs.builder import Point, StreamRange, StreamSoFar
from whiteline.analysis.runs.frames import FrameStack
from whiteline.analysis.runs.path_map import PathMap
from whiteline.analysis.runs.places import Place
from whiteline.analysis.runs.unreadable import UnreadableRun

Array = NDArray[Any]

FLY_FRAMES = "fly_"
"""Streams of detectors that were triggered in a fly scan begin so. Their frames are counted, and are no points."""


@dataclass(frozen=True, eq=False)
class Stream:
    """A stream.

    Parameters
    ----------
    name : str
        Such as "primary", "flat", "dark", "baseline".
    run : str
        What the run is called, for errors.
    points : tuple of Point
        By ascending `seq_num`, each number once.
    descriptors : tuple of mapping
        The newest last.
    path_map : PathMap
        Where files are.
    ranges : mapping of str to sequence
        By data key what StreamDatum documents say of a stream of frames: numbers from and to, file, index in it.
    """

    name: str
    run: str
    points: tuple[Point, ...]
    descriptors: tuple[Mapping[str, Any], ...]
    path_map: PathMap
    ranges: Mapping[str, Sequence[StreamRange]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.points)

    def __contains__(self, key: object) -> bool:
        return key in self.data_keys

    @cached_property
    def data_keys(self) -> dict[str, Mapping[str, Any]]:
        """What is read at each point, by data key, as the descriptors describe it."""
        return {key: about for one in self.descriptors for key, about in one.get("data_keys", {}).items()}

    @cached_property
    def object_of(self) -> dict[str, str]:
        """Name of the device of each data key."""
        found = {key: str(about["object_name"]) for key, about in self.data_keys.items() if "object_name" in about}
        for one in self.descriptors:
            found |= {key: str(name) for name, keys in one.get("object_keys", {}).items() for key in keys}
        return found

    @cached_property
    def seq_nums(self) -> NDArray[np.int64]:
        """Numbers of its points, shape (n,); those that are missing are missing here, too."""
        return np.array([point.seq_num for point in self.points], np.int64)

    @cached_property
    def times(self) -> NDArray[np.float64]:
        """When each point was recorded [s since 1970], shape (n,)."""
        return np.array([point.time for point in self.points], np.float64)

    def unit(self, key: str) -> str:
        """Return the unit of a reading, "" if it has none."""
        return str(self.data_keys.get(key, {}).get("units") or "")

    def read(self, key: str) -> Array:
        """Return a reading at every point, shape (n,) or (n, …); NaN where a point has none.

        Raises
        ------
        UnreadableRun
            If the stream has no such reading, or it lies in files.
        """
        if key not in self.data_keys:
            known = ", ".join(sorted(self.data_keys)) or "nothing"
            raise UnreadableRun(f"stream {self.name!r} of {self.run} has no {key!r}; it has {known}")
        if "external" in self.data_keys[key]:
            raise UnreadableRun(f"{key!r} of {self.run} lies in files; take it as frames: `run.stack({key!r})`")
        values = [point.data.get(key) for point in self.points]
        if self.data_keys[key].get("dtype") == "string":
            return np.array(["" if one is None else str(one) for one in values])
        known_ones = [np.shape(one) for one in values if one is not None]
        shape = known_ones[0] if known_ones else tuple(self.data_keys[key].get("shape") or ())
        if any(one != shape for one in known_ones):
            sizes = sorted(set(known_ones))
            raise UnreadableRun(f"{key!r} in stream {self.name!r} of {self.run} changes its shape: {sizes}")
        if all(one is not None for one in values) and values:
            return np.array(values)
        missing = np.full(shape, np.nan)
        return np.array([missing if one is None else one for one in values], float).reshape(-1, *shape)

    def numbers(self, key: str) -> NDArray[np.float64]:
        """Return a reading as numbers, as `read`."""
        return np.asarray(self.read(key), np.float64)

    @cached_property
    def external(self) -> dict[str, tuple[int, ...]]:
        """Shapes of what lies in files, by data key: frames first."""
        return {
            key: tuple(int(size or 0) for size in about.get("shape") or ())
            for key, about in self.data_keys.items()
            if "external" in about
        }

    def stack(self, key: str) -> FrameStack:
        """Return what lies in files of all points that have it, as a stack that is read when it is sliced.

        Raises
        ------
        UnreadableRun
            If the stream has no such key.
        """
        if key not in self.external:
            known = ", ".join(self.external) or "none"
            raise UnreadableRun(f"stream {self.name!r} of {self.run} has no frames {key!r}; those it has: {known}")
        places: list[tuple[Place, ...]] = []
        for point in self.points:
            place = point.places.get(key)
            if place is None:
                raise UnreadableRun(
                    f"point {point.seq_num} of stream {self.name!r} of {self.run} has no frames {key!r}: nothing says "
                    "where they lie; open the run from its journal, or leave the point out"
                )
            places.append((place,))
        shape = self.external[key]
        dtype = np.dtype(self.data_keys[key].get("dtype_numpy") or "<u2")
        label = f"{key} in stream {self.name!r} of {self.run}"
        return FrameStack(tuple(places), shape[-2:] if len(shape) > 1 else shape, dtype, self.path_map, label)

    @cached_property
    def configuration(self) -> dict[str, Any]:
        """Configuration of all devices, by key, as the newest descriptor has it."""
        found: dict[str, Any] = {}
        for one in self.descriptors:
            for device in one.get("configuration", {}).values():
                found |= device.get("data", {})
        return found


def stream_of(so_far: StreamSoFar, run: str, path_map: PathMap) -> Stream:
    """Return a stream as it is now."""
    if so_far.name.startswith(FLY_FRAMES):
        ranges = {key: tuple(one) for key, one in so_far.ranges.items()}
        return Stream(so_far.name, run, (), tuple(so_far.descriptors), path_map, ranges)
    points = so_far.with_ranges()
    ordered = tuple(points[number] for number in sorted(points))
    return Stream(so_far.name, run, ordered, tuple(so_far.descriptors), path_map)

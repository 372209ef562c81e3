"""Frames of many points as one stack that is read from its files when it is sliced, and only as far as it is sliced.

A point of several frames is their mean. A stack has shape, dtype and slices like an array, so that `over_pixels`, Dask
and xarray take it as it is; a slice of rows of all energies reads those rows only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from whiteline.analysis.runs.hdf5 import is_whole, opened
from whiteline.analysis.runs.path_map import PathMap, PathMapLike
from whiteline.analysis.runs.places import FrameFile, Place
from whiteline.analysis.runs.unreadable import UnreadableRun

Array = NDArray[Any]

AT_ONCE_BYTES = 32 * 2**20
"""Raw frames that are read in one go before they are averaged."""

SMALL_BYTES = 2**20
"""Frames of one point that are read in one go before they are added."""

EXACT_FRAMES = 256
"""Of so many frames of 16 bits the sum is exact in float32."""


@dataclass(frozen=True, eq=False)
class FrameStack:
    """Frames of points, one after the other: shape (E, Y, X), or (points, elements, channels) of fluorescence.

    Parameters
    ----------
    places : tuple of tuple of Place
        For each point where its frames lie; all of them are averaged.
    frame_shape : tuple of int
        Of one frame.
    raw_dtype : dtype
        Of the frames in the file.
    path_map : PathMap
        Where the files are.
    label : str
        What this is, for errors: run, stream and data key.
    """

    places: tuple[tuple[Place, ...], ...]
    frame_shape: tuple[int, ...]
    raw_dtype: np.dtype[Any]
    path_map: PathMap
    label: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Points first."""
        return (len(self.places), *self.frame_shape)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape))

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the file; float32 (float64 of wide numbers) where frames are averaged."""
        if all(len(one) == 1 and one[0].count == 1 for one in self.places):
            return self.raw_dtype
        return np.dtype(np.float32) if self.raw_dtype.itemsize <= 2 else np.dtype(np.float64)

    @property
    def frames_per_point(self) -> NDArray[np.int64]:
        """Of how many frames each point is the mean, shape (E,)."""
        return np.array([sum(place.count for place in one) for one in self.places], np.int64)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files, where they are for this client, each once."""
        return tuple(dict.fromkeys(self.path_map.find(place.file.path) for one in self.places for place in one))

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Array]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        return f"<FrameStack {self.label}: {' × '.join(map(str, self.shape))} {self.dtype}, not read>"

    def select(self, points: Any) -> "FrameStack":
        """Return the stack of some points, by slice, indices or mask; nothing is read."""
        chosen = np.arange(len(self))[points]
        places = tuple(self.places[int(index)] for index in np.atleast_1d(chosen))
        return FrameStack(places, self.frame_shape, self.raw_dtype, self.path_map, self.label)

    def averaged(self, groups: Sequence[Sequence[int]]) -> "FrameStack":
        """Return a stack whose points are means over groups of points of this one; nothing is read."""
        places = tuple(tuple(place for index in group for place in self.places[index]) for group in groups)
        return FrameStack(places, self.frame_shape, self.raw_dtype, self.path_map, self.label)

    def raw(self, point: int) -> Array:
        """Return the single frames of a point, shape (frames, Y, X), of the type of the file.

        Raises
        ------
        UnreadableRun
            As slicing does.
        """
        parts = []
        for place in self.places[point]:
            with opened(self.path_map.find(place.file.path), place.file, self.label) as dataset:
                self._require(dataset, place, np.array([point]))
                parts.append(dataset[place.first : place.first + place.count])
        return np.concatenate(parts)

    def readable(self) -> NDArray[np.bool_]:
        """Tell of each point whether all of its frames are in the file, shape (E,); a missing file has none."""
        whole = np.zeros(len(self), bool)
        points: dict[FrameFile, dict[int, list[Place]]] = {}
        for point, places in enumerate(self.places):
            for place in places:
                points.setdefault(place.file, {}).setdefault(point, []).append(place)
        lost = set[int]()
        for file, of_file in points.items():
            path = self.path_map.find(file.path)
            try:
                with opened(path, file, self.label) as dataset:
                    lost |= {
                        point
                        for point, places in of_file.items()
                        if not all(is_whole(dataset, one.first + one.count - 1, path) for one in places)
                    }
            except UnreadableRun:
                lost |= set(of_file)
        whole[[point for point in range(len(self)) if point not in lost]] = True
        return whole

    def __getitem__(self, index: Any) -> Any:
        """Read a part of it.

        Parameters
        ----------
        index : int, slice, array or tuple
            As of an array; what selects points may be an array of indices or a mask.

        Raises
        ------
        UnreadableRun
            If a file is missing, damaged or not complete, naming it.
        IndexError
            If there is no such point or pixel.
        """
        first, rest = self._split(index)
        points = np.arange(len(self))[first]
        wanted = np.atleast_1d(points).ravel()
        chosen, inside = _plain(rest, self.frame_shape)
        shape = np.broadcast_to(np.empty(()), self.frame_shape)[chosen].shape
        out = np.empty((wanted.size, *shape), self.dtype)
        self._read(wanted, chosen, out)
        result = out if inside is None else out[(slice(None), *inside)]
        return result[0] if np.ndim(points) == 0 else result

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        """Read all of it."""
        if copy is False:
            raise ValueError("a stack of frames lies in files: it cannot become an array without being read")
        everything = self[:]
        return np.asarray(everything if dtype is None else everything.astype(dtype, copy=False))

    def to_dask(self, chunks: Any = None) -> Any:
        """Return it as a Dask array that reads chunk by chunk; one frame a chunk if they are not given."""
        dask_array: Any = import_module("dask.array")
        return dask_array.from_array(
            self, chunks=chunks or (1, *self.frame_shape), name=False, meta=np.empty((0,), self.dtype)
        )

    def to_xarray(self, dims: Sequence[str] = ("energy", "y", "x")) -> Any:
        """Return it as a variable of xarray that is read when it is needed; `chunk` makes a Dask array of it."""
        from whiteline.analysis.runs.datasets import lazy_variable

        return lazy_variable(self, dims)

    def _split(self, index: Any) -> tuple[Any, tuple[Any, ...]]:
        parts = index if isinstance(index, tuple) else (index,)
        if any(part is Ellipsis for part in parts):
            where = next(number for number, part in enumerate(parts) if part is Ellipsis)
            rest = parts[where + 1 :]
            parts = (*parts[:where], *[slice(None)] * (self.ndim - where - len(rest)), *rest)
        if len(parts) > self.ndim:
            raise IndexError(f"{self.label} has {self.ndim} axes, and {len(parts)} were indexed")
        return (parts[0] if parts else slice(None)), tuple(parts[1:])

    def _read(self, wanted: Array, chosen: tuple[Any, ...], out: Array) -> None:
        """Fill `out` with some points, in order; neighbours in a file are read together."""
        frame_bytes = max(1, self.raw_dtype.itemsize * (out[0].size if len(out) else 1))
        at_once = max(1, AT_ONCE_BYTES // frame_bytes)
        total: Array | None = None
        for file, segments in groupby(_segments([self.places[int(one)] for one in wanted], at_once), _file_of):
            with opened(self.path_map.find(file.path), file, self.label) as dataset:
                for place, start, stop, parts in segments:
                    self._require(dataset, place, wanted[start:stop])
                    if parts is None and out.dtype == dataset.dtype and place.count == stop - start:
                        if out.size:
                            frames = slice(place.first, place.first + place.count)
                            dataset.read_direct(out[start:stop], (frames, *chosen))
                        continue
                    sums = _sums(dataset, place, chosen, out[start:stop], keep=parts is None)
                    if parts is None:
                        np.divide(sums, place.count // (stop - start), out=out[start:stop], casting="unsafe")
                        continue
                    # one of several parts of a point; they follow each other
                    total = sums.astype(np.float64) if total is None else total + sums
                    if parts:
                        np.divide(total, parts, out=out[start:stop], casting="unsafe")
                        total = None

    def _require(self, dataset: Any, place: Place, points: Array) -> None:
        wanted, path = tuple(dataset.shape[1:]), self.path_map.find(place.file.path)
        if wanted != self.frame_shape:
            raise UnreadableRun(
                f"{self.label}: frames in {path} have the shape {wanted}, and the run describes {self.frame_shape}; is "
                "it the file of another run?"
            )
        if is_whole(dataset, place.first + place.count - 1, path):
            return
        frames = range(place.first, place.first + place.count)
        lost = next(frame for frame in frames if not is_whole(dataset, frame, path))
        point = int(points[(lost - place.first) * len(points) // place.count])
        raise UnreadableRun(
            f"{self.label}: frame {lost} of point {point + 1} is not in {path}, which was not written to its end; "
            "leave such points out: `stack.select(stack.readable())`"
        )


def read_point(place: Place, path_map: PathMapLike = None) -> Array:
    """Return the mean of the frames of a point that was just taken; its own frame if there is one.

    Raises
    ------
    UnreadableRun
        If they are not in their file.
    """
    resolved = PathMap.of(path_map)
    with opened(resolved.find(place.file.path), place.file, "point") as dataset:
        shape, dtype = tuple(dataset.shape[1:]), dataset.dtype
    stack = FrameStack(((place,),), shape, dtype, resolved, "point")
    return np.asarray(stack[0])


Segment = tuple[Place, int, int, int | None]
"""Frames; the points that they are, from and to; and of a point with several parts 0, and for its last part the frames
of all parts."""


def _file_of(segment: Segment) -> FrameFile:
    return segment[0].file


def _segments(points: Sequence[tuple[Place, ...]], at_once: int) -> list[Segment]:
    """Join neighbours: points that follow each other in a file, with as many frames each, are read in one go."""
    segments: list[Segment] = []
    for index, given in enumerate(points):
        places = _joined(given)
        if len(places) > 1:
            segments += [(place, index, index + 1, 0) for place in places[:-1]]
            segments.append((places[-1], index, index + 1, sum(place.count for place in places)))
            continue
        place = places[0]
        if segments:
            last, start, stop, parts = segments[-1]
            if (
                parts is None
                and last.file == place.file
                and last.first + last.count == place.first
                and last.count == place.count * (stop - start)
                and last.count + place.count <= at_once
            ):
                segments[-1] = (Place(last.file, last.first, last.count + place.count), start, index + 1, None)
                continue
        segments.append((place, index, index + 1, None))
    return segments


def _joined(places: Sequence[Place]) -> list[Place]:
    """Join parts of a point that follow each other in a file."""
    joined: list[Place] = []
    for place in places:
        if joined and joined[-1].file == place.file and joined[-1].first + joined[-1].count == place.first:
            joined[-1] = Place(place.file, joined[-1].first, joined[-1].count + place.count)
        else:
            joined.append(place)
    return joined


def _sums(dataset: Any, place: Place, chosen: tuple[Any, ...], out: Array, *, keep: bool) -> Array:
    """Return the sum of the frames of each of some points that follow each other; of a large one it holds one frame.

    `out` has the shape of the sums; they are made in it if its type is wide enough, and it is to `keep` them.
    """
    points = len(out)
    each = place.count // points
    exact = dataset.dtype.kind in "iu" and dataset.dtype.itemsize <= 2 and each <= EXACT_FRAMES
    wide = np.dtype(np.float32 if exact else np.float64)
    if points > 1:
        raw = dataset[(slice(place.first, place.first + place.count), *chosen)]
        raw = raw.reshape(points, each, *raw.shape[1:])
        sums = raw[:, 0].astype(wide)
        for frame in range(1, each):
            sums += raw[:, frame]
        return np.asarray(sums)
    shape = np.broadcast_to(np.empty(()), dataset.shape[1:])[chosen].shape
    total = out if keep and out.dtype == wide else np.empty((1, *shape), wide)
    total[...] = 0
    together = min(each, max(1, SMALL_BYTES // max(1, dataset.dtype.itemsize * total.size)))
    raw = np.empty((together, *shape), dataset.dtype)
    end = place.first + each
    for first in range(place.first, end, together):
        part = raw[: min(together, end - first)]
        if part.size:
            dataset.read_direct(part, (slice(first, first + len(part)), *chosen))
        for frame in part:
            total[0] += frame
    return total


def _plain(rest: tuple[Any, ...], shape: tuple[int, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...] | None]:
    """Split what selects pixels into what a file can select, and what is left to be done in memory."""
    full = (*rest, *[slice(None)] * (len(shape) - len(rest)))
    for one, size in zip(full, shape, strict=True):
        if isinstance(one, int | np.integer) and not -size <= one < size:
            raise IndexError(f"index {one} lies outside an axis of {size}")
    if all(isinstance(one, int | np.integer) or (isinstance(one, slice) and (one.step or 1) > 0) for one in full):
        files = (one if isinstance(one, slice) else int(one) % size for one, size in zip(full, shape, strict=True))
        return tuple(files), None
    return tuple(slice(None) for _ in shape), full

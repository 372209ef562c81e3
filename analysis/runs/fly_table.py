"""The capture table of a fly scan: columns of lines and pulses, as the documents say where they lie.

The stream "fly" has an index for each line. Each of its data keys is one column of the capture file,
`/entry/capture/<column>`, a line a row; what was taken again stays in the file, and no document refers to it. Frames of
a triggered detector d come in the stream "fly_<d>", counted frame by frame, and the column `<d>_frames` says which
frame is of which pulse (`analysis.fly.triggers`).

Columns: `time_start`, `time_end`; `<c>_mean`, `<c>_start`, `<c>_end` of a position channel c; `<n>_counts` of a
counter n, or of a window of fluorescence; `<d>_events`, all counts of the detector of these windows; `<d>_frames`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.deadtime import live_fraction
from whiteline.analysis.runs.frames import FrameStack
from whiteline.analysis.runs.hdf5 import opened
from whiteline.analysis.runs.places import FrameFile, Place, frames_of
from whiteline.analysis.runs.spectra import CHAMBERS
from whiteline.analysis.runs.streams import FLY_FRAMES, Stream
from whiteline.analysis.runs.unreadable import UnreadableRun

if TYPE_CHECKING:
    from whiteline.analysis.fly.positions import PixelPositions
    from whiteline.analysis.fly.triggers import Triggers

Numbers = NDArray[np.float64]

TIME_START, TIME_END = "time_start", "time_end"
MEAN, COUNTS, EVENTS, FRAMES = "_mean", "_counts", "_events", "_frames"
"""Endings of the columns of a position channel, of a counter, of all that a fluorescence detector counts, and of a
triggered detector."""

EXPOSURES = "entry/instrument/NDAttributes/NDArrayUniqueId"
"""Where areaDetector puts the number of each exposure, if it is told to."""


@dataclass(frozen=True, eq=False)
class FlyTable:
    """The lines of a fly scan that there are; nothing is read before it is asked for.

    Parameters
    ----------
    stream : Stream
        The stream "fly".
    frames_of_detectors : mapping of str to Stream
        The streams "fly_<detector>", by detector.
    over : bool
        Whether the run has stopped.
    """

    stream: Stream
    frames_of_detectors: Mapping[str, Stream]
    over: bool

    def __len__(self) -> int:
        return len(self.stream)

    @property
    def lines(self) -> NDArray[np.int64]:
        """Numbers of its lines, from 1, shape (lines,); one that is missing is missing here, too."""
        return self.stream.seq_nums

    @property
    def run_of_lines(self) -> NDArray[np.int64]:
        """Which of the runs that were joined each line is of, shape (lines,); 0 where there is but one."""
        return np.zeros(len(self), np.int64)

    @cached_property
    def pulses(self) -> int:
        """Pulses of a line."""
        return max((shape[-1] for shape in self.stream.external.values() if shape), default=0)

    @cached_property
    def keys(self) -> dict[str, str]:
        """Data key of each column."""
        # of the last line not all columns may have been told of
        places = max((point.places for point in self.stream.points), key=len, default={})
        found = {place.file.dataset.rpartition("/")[2]: key for key, place in places.items()}
        # of those of which no line has come: keys are called by their device and column
        others = (key for key in self.stream.external if key not in places)
        return found | {key.removeprefix(f"{self.stream.object_of.get(key, '')}_"): key for key in others}

    @property
    def prefix(self) -> str:
        """What data keys begin with, before their column: the name of the capture box."""
        return next((key[: -len(column)] for column, key in self.keys.items() if key.endswith(column)), "")

    def _named(self, ending: str) -> tuple[str, ...]:
        return tuple(one[: -len(ending)] for one in self.keys if one.endswith(ending))

    @property
    def channels(self) -> tuple[str, ...]:
        """Position channels."""
        return self._named(MEAN)

    @property
    def counters(self) -> tuple[str, ...]:
        """Counters."""
        return self._named(COUNTS)

    @property
    def windows(self) -> tuple[str, ...]:
        """Fluorescence lines among the counters: they have lost what came while the detector was busy."""
        return tuple(one for one in self.counters if one not in CHAMBERS) if self.busy is not None else ()

    @cached_property
    def busy(self) -> tuple[str, float, float] | None:
        """Column of all counts of the fluorescence detector, its dead time [s], and how many elements are summed.

        None where the box counts no lines, or does not tell of them; then counts are taken as they are.
        """
        columns = [one for one in self.keys if one.endswith(EVENTS)]
        dead_time, elements = self._configured("dead_time"), self._configured("elements")
        if len(columns) != 1 or not (dead_time > 0 and elements > 0):
            return None
        return columns[0], dead_time, elements

    def live(self, lines: slice = slice(None)) -> Numbers:
        """Return the share of its photons that the fluorescence detector counted at each pulse, shape (lines, pulses).

        From all counts of its elements together, which are taken to be equally busy; NaN where they counted more than
        their dead time allows. 1 where nothing is known of a dead time.
        """
        if self.busy is None:
            return np.ones((len(self.stream.points[lines]), self.pulses))
        column, dead_time, elements = self.busy
        gate = self.gate_s(lines)
        with np.errstate(invalid="ignore", divide="ignore"):
            rate = self.read(column, lines) / (elements * gate)
            known = np.isfinite(rate) & (rate * dead_time <= 1 / math.e)
        share = np.full(rate.shape, np.nan)
        share[known] = live_fraction(rate[known], dead_time)
        return share

    @property
    def detectors(self) -> tuple[str, ...]:
        """Detectors that were triggered."""
        return self._named(FRAMES)

    def unit(self, column: str) -> str:
        """Return the unit of a column, "" if it has none."""
        return self.stream.unit(self.keys.get(column, "")) or str(self._attributes(column).get("unit", ""))

    def read(self, column: str, lines: slice = slice(None)) -> Numbers:
        """Return a column, shape (lines, pulses); NaN where a pulse did not come, or a line is not in its file.

        Positions count from the zero of the axis, as those of a step scan do: that of an interferometer is elsewhere.

        Parameters
        ----------
        column : str
            Such as "x_mean", "incident_counts", "time_start".
        lines : slice
            Of them.

        Raises
        ------
        UnreadableRun
            If there is no such column, or nothing of it can be read.
        """
        key = self._key(column)
        points = self.stream.points[lines]
        places = [point.places.get(key) for point in points]
        found = np.full((len(points), self.pulses), np.nan)
        known = [number for number, place in enumerate(places) if place is not None]
        stack = FrameStack(
            tuple((place,) for place in places if place is not None), (self.pulses,), np.dtype(np.float64),
            self.stream.path_map, f"{column} of {self.stream.run}",
        )  # fmt: skip
        if not known:
            return found
        try:
            values = stack[:]
        except UnreadableRun:
            # of a file that was not written to its end, what is there can be read
            whole = stack.readable()
            if not whole.any():
                raise
            known = [number for number, there in zip(known, whole, strict=True) if there]
            values = stack.select(whole)[:]
        found[known] = values
        zero = self._zero(column)
        return found - zero if zero else found

    def _zero(self, column: str) -> float:
        """Return what the box reads, in a column of positions, where the axis is at 0; 0 if nothing says so."""
        channel, _, what = column.rpartition("_")
        if what not in ("mean", "start", "end"):
            return 0.0
        zero = self._configured(f"{channel}_zero")
        return 0.0 if np.isnan(zero) else zero

    def _configured(self, what: str) -> float:
        """Return a number of the configuration of the box; NaN if there is none: catalogs keep NaN as nothing."""
        value = self.stream.configuration.get(f"{self.prefix}{what}")
        return math.nan if value is None else float(value)

    def gate_s(self, lines: slice = slice(None)) -> Numbers:
        """Return the length of each gate [s], shape (lines, pulses)."""
        return self.read(TIME_END, lines) - self.read(TIME_START, lines)

    def noise(self, channel: str) -> float:
        """Return the noise of a position channel, RMS of readings of one millisecond, in its unit.

        Raises
        ------
        UnreadableRun
            If its file does not say it.
        """
        found = self._attributes(f"{channel}{MEAN}").get("noise")
        if found is None:
            raise UnreadableRun(
                f"{channel}{MEAN} of {self.stream.run} has no attribute 'noise', so the error of its positions is not "
                "known; have the capture box write it"
            )
        return float(found)

    def positions(self, channel: str, lines: slice = slice(None)) -> "PixelPositions":
        """Return where each pixel was, with its standard error; raises as `read` and `noise`."""
        from whiteline.analysis.fly.positions import pixel_positions

        start, end = (self.read(f"{channel}_{which}", lines) for which in ("start", "end"))
        mean = self.read(f"{channel}{MEAN}", lines)
        return pixel_positions(mean, start, end, self.gate_s(lines), noise=self.noise(channel))

    # detectors that were triggered

    def triggers(self, detector: str) -> "Triggers":
        """Return which pulses a detector took, and which frame of its file is of which pulse.

        Raises
        ------
        UnreadableRun
            If it was not triggered in this run.
        """
        from whiteline.analysis.fly.triggers import read_triggers

        column = f"{detector}{FRAMES}"
        key = self._key(column)
        begun = self.read(column)
        file, written = self._file_of(detector)
        return read_triggers(
            begun,
            self._before(key, column),
            detector=detector,
            written=None if file is None else written,
            exposures=None if file is None else self._exposures(detector, file, written),
            lines=[int(one) for one in self.lines],
            over=self.over,
        )

    def wrote(self, detector: str) -> bool:
        """Tell whether documents tell of frames of a detector."""
        return self._file_of(detector)[0] is not None

    def frames(self, detector: str) -> FrameStack:
        """Return all frames of the file of a detector, in its order, those of lines that were taken again too.

        Raises
        ------
        UnreadableRun
            If it wrote none.
        """
        file, written = self._file_of(detector)
        if file is None:
            raise UnreadableRun(
                f"{self.stream.run} has no frames of {detector!r}: no document of a stream {FLY_FRAMES}{detector} "
                "tells of any"
            )
        key, stream = self._frames_key(detector)
        shape = stream.external[key]
        dtype = np.dtype(stream.data_keys[key].get("dtype_numpy") or "<u2")
        places = tuple((Place(file, frame, 1),) for frame in range(written))
        label = f"{key} in stream {stream.name!r} of {self.stream.run}"
        return FrameStack(places, shape[-2:] if len(shape) > 1 else shape, dtype, stream.path_map, label)

    def taken_frames(self, detector: str) -> tuple[FrameStack, NDArray[np.int64]]:
        """Return the frames of those pulses that have one, and which pulses these are, as indices into flat columns.

        So `table.positions("rotation").mean.ravel()[pulses]` are the angles of the frames.
        """
        triggers = self.triggers(detector)
        pulses = np.flatnonzero(triggers.taken.ravel())
        return self.frames(detector).select(triggers.frame.ravel()[pulses]), pulses.astype(np.int64)

    @property
    def troubles(self) -> tuple[str, ...]:
        """What detectors have missed, a sentence each."""
        return tuple(
            sentence
            for detector in self.detectors
            if detector in self.frames_of_detectors
            for sentence in self.triggers(detector).troubles
        )

    # where it lies

    def _key(self, column: str) -> str:
        if column not in self.keys:
            raise UnreadableRun(
                f"the capture table of {self.stream.run} has no {column!r}; it has {', '.join(self.keys)}"
            )
        return self.keys[column]

    def _attributes(self, column: str) -> dict[str, Any]:
        place = self.stream.points[-1].places.get(self.keys.get(column, "")) if self.stream.points else None
        if place is None:
            return {}
        with opened(self.stream.path_map.find(place.file.path), place.file, column) as dataset:
            return {key: value.decode() if isinstance(value, bytes) else value for key, value in dataset.attrs.items()}

    def _before(self, key: str, column: str) -> Numbers:
        """Return how many exposures had begun before each line, from the row above it in the file."""
        from whiteline.analysis.fly.triggers import before_lines

        # of the last line not all columns may have been told of
        places = {n: point.places[key] for n, point in enumerate(self.stream.points) if key in point.places}
        before = np.zeros(len(self.stream))
        for file in dict.fromkeys(place.file for place in places.values()):
            own = [number for number, place in places.items() if place.file == file]
            rows = [places[number].first for number in own]
            with opened(self.stream.path_map.find(file.path), file, column) as dataset:
                above = np.asarray(dataset[: max(rows)], float).reshape(max(rows), self.pulses)
            before[own] = before_lines(above, rows)
        return before

    def _frames_key(self, detector: str) -> tuple[str, Stream]:
        stream = self.frames_of_detectors[detector]
        return next(iter(stream.external)), stream

    def _file_of(self, detector: str) -> tuple[FrameFile | None, int]:
        """Return the file with the frames of a detector, and how many of them documents have told of."""
        if detector not in self.frames_of_detectors:
            return None, 0
        key, stream = self._frames_key(detector)
        ranges: Sequence[Any] = stream.ranges.get(key, ())
        if not ranges:
            return None, 0
        file = ranges[-1][2]
        each = frames_of(file, stream.external[key])
        return file, max(index + stop - start for start, stop, _, index in ranges) * each

    def _exposures(self, detector: str, file: FrameFile, written: int) -> NDArray[np.int64] | None:
        # areaDetector counts on from one acquisition to the next, and the capture box from the opening of its file
        before = int(self.frames_of_detectors[detector].configuration.get(f"{detector}_exposures_before", 0))
        numbers = FrameFile(file.path, EXPOSURES)
        try:
            with opened(self.stream.path_map.find(file.path), numbers, "numbers of exposures") as dataset:
                return np.asarray(dataset[:written], np.int64) - before
        except UnreadableRun:
            return None


def fly_table_of(streams: Mapping[str, Stream], name: str, *, over: bool) -> FlyTable:
    """Return the capture table of a run from its streams.

    Parameters
    ----------
    streams : mapping of str to Stream
        Of the run.
    name : str
        Of the stream with the lines.
    over : bool
        Whether the run has stopped.
    """
    detectors = {one.removeprefix(FLY_FRAMES): stream for one, stream in streams.items() if one.startswith(FLY_FRAMES)}
    stream = streams[name]
    if not over:
        # documents come column by column: of the newest line the last ones may be on their way
        whole = len(stream.external)
        stream = replace(stream, points=tuple(one for one in stream.points if len(one.places) >= whole))
    return FlyTable(stream, detectors, over)

"""A run as arrays with roles."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.calibration import Calibration
from whiteline.analysis.runs.builder import Discarded, RunBuilder
from whiteline.analysis.runs.calibrations import calibrations_of
from whiteline.analysis.runs.completeness import Completeness, completeness_of, planned_energies, planned_points
from whiteline.analysis.runs.flats import FlatPolicy, groups_of_flats
from whiteline.analysis.runs.fly_maps import binned_lines, lines_of
from whiteline.analysis.runs.fly_table import FlyTable, fly_table_of
from whiteline.analysis.runs.fly_tables import JoinedFlyTable
from whiteline.analysis.runs.frames import FrameStack
from whiteline.analysis.runs.parts import numbers_of
from whiteline.analysis.runs.path_map import PathMap, PathMapLike
from whiteline.analysis.runs.positions import AxisPositions, position_of, positions_of
from whiteline.analysis.runs.pulses import Pulses, pulses_of, require_pulses
from whiteline.analysis.runs.rasters import on_map, pixels_of, raster_shape
from whiteline.analysis.runs.roles import axes_of, energy_key, frames_key, setpoint_key, spectra_key
from whiteline.analysis.runs.spectra import PointSpectrum, line_keys, over_elements, spectrum_of
from whiteline.analysis.runs.streams import Stream, stream_of
from whiteline.analysis.runs.unreadable import UnreadableRun, named

if TYPE_CHECKING:
    from whiteline.analysis.fly.binning import Binned, Deposit
    from whiteline.analysis.fly.grid import Grid

Array = NDArray[Any]
Numbers = NDArray[np.float64]

PRIMARY, FLY, FLAT, DARK, LOOK, BASELINE = "primary", "fly", "flat", "dark", "look", "baseline"
LOOK_FLAT = "look_flat"
"""Names of streams. "fly" has the lines of a fly scan. Frames of "look" are only looked at, to hold the sample or the
focus; no map is made of them. "look_flat" has the flats that are taken to look by, besides those that were planned."""

GOING = "running"
"""Exit status of a run that has not stopped."""


@dataclass(frozen=True, eq=False)
class Run:
    """A run, finished or still going, as it was when it was opened.

    Arrays over points are in the order of their numbers (`seq_num`); a point that was measured anew is there once.

    Parameters
    ----------
    start : mapping
        Start document.
    stop : mapping or None
        Stop document, if the run has stopped.
    streams : mapping of str to Stream
        By name.
    discarded : tuple of Discarded
        Points that were measured anew, and frames that no point refers to; where they lie in their files.
    path_map : PathMap, mapping or pairs
        Where files are for this client.
    parts : tuple of Run
        Those that are read as this one, the first that was taken first; none of a run that was taken at once.
    """

    start: Mapping[str, Any]
    stop: Mapping[str, Any] | None
    streams: Mapping[str, Stream]
    discarded: tuple[Discarded, ...] = ()
    path_map: PathMapLike = None
    parts: tuple["Run", ...] = ()

    def __post_init__(self) -> None:
        path_map = PathMap.of(self.path_map)
        object.__setattr__(self, "path_map", path_map)
        moved = {name: replace(one, path_map=path_map) for name, one in self.streams.items()}
        object.__setattr__(self, "streams", moved)
        object.__setattr__(self, "parts", tuple(replace(one, path_map=path_map) for one in self.parts))

    def __repr__(self) -> str:
        streams = ", ".join(f"{name} ({len(one)})" for name, one in self.streams.items()) or "no streams"
        return f"<{self.name}: {self.start.get('plan_name', 'run')}, {self.exit_status}; {streams}>"

    # what it is

    @property
    def uid(self) -> str:
        """Unique identifier."""
        return str(self.start["uid"])

    @property
    def name(self) -> str:
        """What it is called in sentences."""
        return named(self.start)

    @property
    def exit_status(self) -> str:
        """How it ended: "success", "abort" or "fail"; "running" as long as no stop document says so."""
        return GOING if self.stop is None else str(self.stop.get("exit_status", "success"))

    @property
    def going(self) -> bool:
        """Whether it has not stopped."""
        return self.stop is None

    @property
    def has_points(self) -> bool:
        """Whether points may have been recorded: the stream "primary", or the lines of a fly scan, has begun."""
        return PRIMARY in self.streams or FLY in self.streams

    def stream(self, name: str = PRIMARY) -> Stream:
        """Return a stream.

        Raises
        ------
        UnreadableRun
            If there is none of that name, naming those that there are.
        """
        if name not in self.streams:
            known = ", ".join(self.streams) or "none"
            hint = (
                "it has not got there yet, open it again later" if self.going else "its plan took none, or ended before"
            )
            raise UnreadableRun(f"{self.name} has no stream {name!r}; it has {known}: {hint}")
        return self.streams[name]

    @cached_property
    def points(self) -> Stream:
        """The points of the run: the stream "primary", or of a fly scan all of its pulses."""
        if FLY not in self.streams:
            return self.stream(PRIMARY)
        calibrations = [one.calibrations for one in self._flown] or [self.calibrations]
        return pulses_of(self.fly, self.start, self.streams.get(PRIMARY), calibrations)

    def points_of(self, stream: str = PRIMARY) -> Stream:
        """Return a stream, and for "primary" the points of the run; raises as `stream`."""
        return self.points if stream == PRIMARY else self.stream(stream)

    @cached_property
    def fly(self) -> FlyTable:
        """The capture table of a fly scan.

        Raises
        ------
        UnreadableRun
            If the run is no fly scan.
        """
        self.stream(FLY)
        if self._flown:
            return JoinedFlyTable.of([one.fly for one in self._flown], self.stream(FLY))
        return fly_table_of(self.streams, FLY, over=not self.going)

    @property
    def _flown(self) -> tuple["Run", ...]:
        """Parts that have flown lines."""
        return tuple(one for one in self.parts if FLY in one.streams)

    # energies

    @cached_property
    def energies(self) -> Numbers:
        """Energies that were reached [eV], read back from the Bragg angle, shape (E,).

        Raises
        ------
        UnreadableRun
            If the run does not record them.
        """
        return self._require_energies(self.points)

    @cached_property
    def wanted_energies(self) -> Numbers:
        """Energies to which the axis was sent [eV], shape (E,); NaN where that was not recorded."""
        found = self._setpoints(self.points)
        return np.full(len(self.points), np.nan) if found is None else found

    @cached_property
    def planned_energies(self) -> Numbers | None:
        """All energies that the plan was to go to [eV], in its order; None if the run does not say it."""
        key = energy_key(self.start, self.points) if self.has_points else None
        return planned_energies(self.start, key or "energy")

    def energies_of(self, stream: str) -> Numbers | None:
        """Return the energies of the points of a stream [eV]; None if they were not recorded."""
        chosen = self.points_of(stream)
        key = energy_key(self.start, chosen)
        return None if key is None else chosen.numbers(key)

    def _require_energies(self, stream: Stream) -> Numbers:
        key = energy_key(self.start, stream)
        if key is None:
            known = ", ".join(sorted(stream.data_keys)) or "nothing"
            raise UnreadableRun(
                f"stream {stream.name!r} of {self.name} records no energy; it records {known}: read the energy with "
                "each point, or name it as roles.energy in the start document"
            )
        return stream.numbers(key)

    def _setpoints(self, stream: Stream) -> Numbers | None:
        key = energy_key(self.start, stream)
        wanted = None if key is None else setpoint_key(stream, key)
        return None if wanted is None else stream.numbers(wanted)

    # frames

    def stack(self, key: str | None = None, stream: str = PRIMARY) -> FrameStack:
        """Return the frames of a stream, shape (E, Y, X), the mean of each point; nothing is read yet.

        Parameters
        ----------
        key : str, optional
            Data key of the camera, such as "camera_image"; not needed if there is one camera.
        stream : str
            "primary", "flat" or "dark".

        Raises
        ------
        UnreadableRun
            If there is no such stream, or no camera in it.
        """
        chosen = self.points_of(stream)
        return chosen.stack(frames_key(self.start, chosen, key))

    @cached_property
    def frames(self) -> FrameStack:
        """Frames with the sample, shape (E, Y, X)."""
        return self.stack(stream=PRIMARY)

    @cached_property
    def flats(self) -> FrameStack:
        """Flats as they were taken, shape (F, Y, X); `flats_for_frames` has one for each frame."""
        return self.stack(stream=FLAT)

    @cached_property
    def darks(self) -> FrameStack:
        """Darks as they were taken, shape (D, Y, X)."""
        return self.stack(stream=DARK)

    def dark(self) -> NDArray[np.float32]:
        """Return the mean of all darks, shape (Y, X).

        Raises
        ------
        UnreadableRun
            If there are none, or they cannot be read.
        """
        darks = self.darks
        if not len(darks):
            raise UnreadableRun(f"{self.name} has no darks in its stream 'dark' yet; give darks of another run")
        return np.asarray(darks.averaged([range(len(darks))])[0], np.float32)

    def flat_groups(self, policy: FlatPolicy = "same-energy") -> tuple[tuple[int, ...], ...]:
        """Return for each frame the indices of its flats; parameters and errors as `flats.groups_of_flats`."""
        frames, flats = self.points, self.stream(FLAT)
        energies, of_flats = self.energies_of(PRIMARY), self.energies_of(FLAT)
        return groups_of_flats(policy, energies, frames.times, of_flats, flats.times, self.name)

    def flats_for_frames(self, policy: FlatPolicy = "same-energy") -> FrameStack:
        """Return the flat of each frame, shape (E, Y, X), the mean where there are several; raises as `flat_groups`."""
        return self.flats.averaged(self.flat_groups(policy))

    # positions and what else was read

    @cached_property
    def axes(self) -> tuple[str, ...]:
        """Axes that were recorded with each point, those that were moved first."""
        return axes_of(self.start, self.points)

    def positions(self, axis: str, stream: str = PRIMARY) -> AxisPositions:
        """Return where an axis was at each point: commanded, read, and by interferometer with its noise.

        Raises
        ------
        UnreadableRun
            If it was not recorded with each point; `before_and_after` has what stood still.
        """
        return positions_of(self.points_of(stream), axis)

    @cached_property
    def position_indices(self) -> tuple[int, ...]:
        """Places of the sample that points are of so far, ascending; none where points do not say it."""
        points = self.points.points if PRIMARY in self.streams else ()
        return tuple(sorted({index for point in points if (index := position_of(point)) is not None}))

    def at_position(self, index: int) -> "Run":
        """Return the run with the points at one place of the sample only; flats and darks are those of all places.

        Raises
        ------
        UnreadableRun
            If there are no points of that place.
        """
        if index not in self.position_indices:
            known = ", ".join(map(str, self.position_indices)) or "none"
            raise UnreadableRun(f"{self.name} has no points at position {index} yet; it has those at {known}")
        there = {name: _at(self.streams[name], index) for name in (PRIMARY, LOOK) if name in self.streams}
        # how many points there should be is said of all places together
        start = {key: value for key, value in self.start.items() if key not in ("num_points", "num_intervals", "only")}
        return Run(start, self.stop, {**self.streams, **there}, self.discarded, self.path_map, self.parts)

    def before_and_after(self, key: str) -> Array:
        """Return a reading of the baseline: before the run and, if it has stopped, after it.

        Raises
        ------
        UnreadableRun
            If the run has no baseline, or not this reading.
        """
        return self.stream(BASELINE).read(key)

    @cached_property
    def magnification(self) -> Numbers:
        """Magnification of the zone plate at each point, shape (E,); NaN where it was not recorded."""
        return self._beside_energy("magnification")

    @cached_property
    def pixel_nm(self) -> Numbers:
        """Size of an unbinned camera pixel at the sample at each point [nm], shape (E,); NaN if not recorded."""
        return self._beside_energy("pixel")

    def _beside_energy(self, what: str) -> Numbers:
        stream = self.points
        key = f"{energy_key(self.start, stream) or 'energy'}_{what}"
        return stream.numbers(key) if key in stream else np.full(len(stream), np.nan)

    @cached_property
    def calibrations(self) -> dict[str, Calibration]:
        """Calibrations in use, by the key of the configuration; errors as `calibrations.calibrations_of`."""
        first = [self.streams[name] for name in (PRIMARY, BASELINE) if name in self.streams]
        return calibrations_of([*first, *(one for one in self.streams.values() if one not in first)])

    # rasters and spectra

    @cached_property
    def raster_shape(self) -> tuple[int, ...] | None:
        """Shape of the raster, slow axis first; None if the run is none."""
        return raster_shape(self.start)

    def map_of(self, key: str) -> Numbers:
        """Return a reading as a map, shape of the raster; NaN at pixels that are missing.

        Raises
        ------
        UnreadableRun
            If the run is no raster, or has no such reading.
        """
        return self._map_of(self.points.numbers, key)

    def counts_map(self, line: str) -> Numbers:
        """Return a fluorescence line as it was counted, by all elements of its detector, as a map; as `map_of`."""
        return self._map_of(lambda key: over_elements(self.points.numbers(key)), f"{line}_counts")

    def _map_of(self, numbers: Callable[[str], Numbers], key: str) -> Numbers:
        shape, stream = self.raster_shape, self.points
        if shape is None:
            raise UnreadableRun(f"{self.name} is no raster: its start document has no shape of two axes; take `points`")
        return on_map(numbers(key), pixels_of(self.start, stream.seq_nums, shape), shape)

    def binned(
        self, *counters: str, plane: int | None = None, grid: "Grid | None" = None, deposit: "Deposit" = "nearest"
    ) -> "Binned":
        """Return counts of a fly raster on a regular grid, by the measured positions; see `fly_maps.binned_lines`.

        Parameters
        ----------
        *counters : str
            Such as "Ni_Ka", "incident": columns of the capture table without "_counts".
        plane : int, optional
            Which map, from 0, of a raster at several energies; of all lines if it is not given.
        grid, deposit
            As in `analysis.fly`.

        Raises
        ------
        UnreadableRun
            If the run is no fly raster, or has no such counter.
        """
        return binned_lines(
            require_pulses(self.points), counters, lines=lines_of(self, plane), grid=grid, deposit=deposit
        )

    @cached_property
    def fluorescence(self) -> FrameStack:
        """Spectra of the fluorescence detector at each point, shape (n, elements, channels); nothing is read yet.

        Raises
        ------
        UnreadableRun
            If there are none.
        """
        key = spectra_key(self.start, self.points)
        if key is None:
            raise UnreadableRun(
                f"{self.name} has no fluorescence spectra, or those of several detectors: take "
                "`run.points.stack(key)`; in files there are "
                f"{', '.join(self.points.external) or 'none'}"
            )
        return self.points.stack(key)

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """Data keys of the sums over fluorescence lines, corrected for dead time, such as "fluorescence_Ni_Ka"."""
        return tuple(line_keys(self.points))

    def spectrum(self, signal: str | None = None, incident: str | None = None) -> PointSpectrum:
        """Return a point scan as a spectrum; parameters and errors as `spectra.spectrum_of`."""
        return spectrum_of(self.points, self.energies, signal=signal, incident=incident)

    # how much of it is there

    @cached_property
    def completeness(self) -> Completeness:
        """Points and energies that are there, of those that were planned."""
        planned, wanted = planned_points(self.start), self.planned_energies
        if PRIMARY in self.streams and self.good_enough:
            planned = len(self.points)
        only = self._only
        if not self.has_points:
            return completeness_of(np.empty(0, np.int64), planned, wanted, None, None, only)
        stream = self.points
        if isinstance(stream, Pulses):
            there = stream.came
            reached = None if (of_all := self.energies_of(PRIMARY)) is None else of_all[there]
            sent = None if (of_all := self._setpoints(stream)) is None else of_all[there]
            planned = planned_points({"shape": self.start.get("shape")}) or planned
            return completeness_of(stream.seq_nums[there], planned, wanted, sent, reached, only)
        sent, reached = self._setpoints(stream), self.energies_of(PRIMARY)
        return completeness_of(stream.seq_nums, planned, wanted, sent, reached, only)

    @property
    def _only(self) -> Sequence[int] | None:
        """Numbers of the points that a part of a whole is to have; of a fly scan those of its pulses."""
        lines = numbers_of(self.start, FLY)
        if lines is None:
            return numbers_of(self.start, PRIMARY)
        pulses = self.fly.pulses if FLY in self.streams else 0
        return [(line - 1) * pulses + pulse for line in lines for pulse in range(1, pulses + 1)]

    @property
    def good_enough(self) -> bool:
        """Whether it ended after fewer passes than it might have had, as the map was good enough."""
        passes = self.streams.get("passes")
        return passes is not None and bool(len(passes)) and bool(passes.points[-1].data.get("passes_reason"))

    def to_xarray(self, stream: str = PRIMARY) -> Any:
        """Return a stream as a Dataset of xarray, frames unread; see `datasets.dataset_of`."""
        from whiteline.analysis.runs.datasets import dataset_of

        return dataset_of(self, stream)


def _at(stream: Stream, position: int) -> Stream:
    """Return the points of a stream at one place of the sample."""
    there = tuple(point for point in stream.points if position_of(point) == position)
    return Stream(stream.name, stream.run, there, stream.descriptors, stream.path_map)


def run_of(builder: RunBuilder) -> Run:
    """Return the run that a builder has so far.

    Raises
    ------
    UnreadableRun
        If its start document has not come.
    """
    if builder.start is None:
        raise UnreadableRun(
            "these documents are no run: there is no start document among them; give them from the start"
        )
    name = named(builder.start)
    streams = {key: stream_of(one, name, builder.path_map) for key, one in builder.streams.items()}
    return Run(builder.start, builder.stop, streams, builder.discarded, builder.path_map)

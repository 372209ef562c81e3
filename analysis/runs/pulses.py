"""The pulses of a fly scan as points, so that a fly scan is read as a step scan is.

A pulse has the number that it would have as a point: line by line, from 1. Columns of the capture table are readings
under their own data keys, and under those that a step scan has:

- an axis under its name, with `<axis>_mean`, from its channel; which channel is whose the start document says by
  `channels`, {axis: channel}, where they are not called alike;
- the rate of a chamber as `<box>_incident_rate`, counts over the length of the gate;
- a fluorescence line that was counted by the box as `<box>_<line>`, corrected for dead time where that is known, and
  `<box>_<line>_counts`;
- the energy as "energy": of its own channel, or from the Bragg angle by the calibration in use;
- what was read once for each map, or once for each line, in the stream "primary": at all pulses of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.calibration import Calibration, EnergyCalibration
from whiteline.analysis.runs.fly_table import COUNTS, MEAN, TIME_END, FlyTable
from whiteline.analysis.runs.frames import FrameStack
from whiteline.analysis.runs.spectra import CHAMBERS
from whiteline.analysis.runs.streams import Array, Stream
from whiteline.analysis.runs.unreadable import UnreadableRun

ENERGY, BRAGG = "energy", "bragg"
"""Data key of the energy, and channel of the Bragg angle [deg]."""


@dataclass(frozen=True, eq=False)
class Pulses(Stream):
    """All pulses of the lines that there are, those that did not come included: these read NaN.

    Parameters
    ----------
    table : FlyTable
        Its columns.
    start : mapping
        Start document.
    maps : Stream or None
        What was read once for each map, or for each line.
    calibrations : sequence of mapping of str to Calibration
        In use in each of the runs that the table is read from.
    """

    table: FlyTable = None  # type: ignore[assignment]
    start: Mapping[str, Any] = None  # type: ignore[assignment]
    maps: Stream | None = None
    calibrations: Sequence[Mapping[str, Calibration]] = ()

    def __len__(self) -> int:
        return len(self.table) * self.table.pulses

    @cached_property
    def seq_nums(self) -> NDArray[np.int64]:
        """Numbers of the pulses, from 1, line by line, shape (n,)."""
        first = (self.table.lines - 1) * self.table.pulses + 1
        return np.asarray((first[:, None] + np.arange(self.table.pulses)).ravel(), np.int64)

    @cached_property
    def came(self) -> NDArray[np.bool_]:
        """Which pulses came, shape (n,)."""
        return ~np.isnan(self.table.read(TIME_END).ravel())

    @cached_property
    def times(self) -> NDArray[np.float64]:
        """End of each gate by the clock of the capture box [s since its file was opened], shape (n,)."""
        return self.table.read(TIME_END).ravel()

    @cached_property
    def _columns(self) -> dict[str, str]:
        """Columns by the data keys that stand for nothing but them."""
        table = self.table
        found = {key: column for column, key in table.keys.items()}
        for axis, channel in self.channel_of.items():
            found |= {axis: f"{channel}{MEAN}", f"{axis}{MEAN}": f"{channel}{MEAN}"}
            if f"{channel}_rms" in table.keys:
                found[f"{axis}_rms"] = f"{channel}_rms"
        found |= {f"{table.prefix}{one}": f"{one}{COUNTS}" for one in table.counters if one not in CHAMBERS}
        energy = [one for one in table.channels if table.unit(f"{one}{MEAN}").lower() == "ev"]
        if ENERGY not in found and len(energy) == 1:
            found[ENERGY] = f"{energy[0]}{MEAN}"
        return found

    @cached_property
    def _rates(self) -> dict[str, str]:
        """Columns of counts by the data keys of rates."""
        table = self.table
        return {f"{table.prefix}{one}_rate": f"{one}{COUNTS}" for one in table.counters if one in CHAMBERS}

    @cached_property
    def channel_of(self) -> dict[str, str]:
        """Position channel of each axis that was moved."""
        given = self.start.get("channels")
        found = {str(axis): str(channel) for axis, channel in given.items()} if isinstance(given, Mapping) else {}
        for axis in self.start.get("motors", ()):
            for channel in self.table.channels:
                if str(axis) == channel or str(axis).endswith(f"_{channel}"):
                    found.setdefault(str(axis), channel)
        return {axis: channel for axis, channel in found.items() if channel in self.table.channels}

    @cached_property
    def data_keys(self) -> dict[str, Mapping[str, Any]]:
        """What is known of each pulse, by data key."""
        number = {"dtype": "number", "shape": [], "source": "capture"}
        box = next(
            (
                self.table.stream.object_of[key]
                for key in self.table.keys.values()
                if key in self.table.stream.object_of
            ),
            "",
        )
        found: dict[str, Mapping[str, Any]] = {}
        for key, column in self._columns.items():
            device = (
                key.removesuffix(MEAN).removesuffix("_rms") if not key.startswith(self.table.prefix or " ") else box
            )
            found[key] = number | {"units": self.table.unit(column), "object_name": device}
        found |= {key: number | {"units": "counts/s", "object_name": box} for key in self._rates}
        if self.maps is not None:
            found = {key: about for key, about in self.maps.data_keys.items() if "external" not in about} | found
        if ENERGY not in found and self._reads_energy:
            found[ENERGY] = number | {"units": "eV", "object_name": ENERGY}
        for stream in self.table.frames_of_detectors.values():
            found |= stream.data_keys
        return found

    @cached_property
    def object_of(self) -> dict[str, str]:
        """Name of the device of each data key."""
        others = [*self.table.frames_of_detectors.values(), *([] if self.maps is None else [self.maps])]
        found = {key: name for one in others for key, name in one.object_of.items()}
        return found | {
            key: str(about["object_name"]) for key, about in self.data_keys.items() if "object_name" in about
        }

    def read(self, key: str) -> Array:
        """Return a reading at every pulse, shape (n,); NaN where there is none; raises as `Stream.read`."""
        if key in self._columns:
            column = self._columns[key]
            counted = self.table.read(column)
            if column.removesuffix(COUNTS) in self.table.windows and key != self.table.keys.get(column):
                counted = counted / self.table.live()
            return np.asarray(counted.ravel())
        if key in self._rates:
            counts, gate = self.table.read(self._rates[key]), self.table.gate_s()
            return np.asarray(counts / np.where(gate > 0, gate, np.nan)).ravel()
        if self.maps is not None and key in self.maps and "external" not in self.maps.data_keys[key]:
            return self._of_each_map(key)
        if key == ENERGY and self._reads_energy:
            return self._energies()
        return super().read(key)

    def has_all(self, key: str) -> bool:
        """Tell whether each pulse has a frame of a detector."""
        detector = self._detector(key)
        if detector is None or not self.table.wrote(detector):
            return False
        return bool(self.table.triggers(detector).taken.all())

    def _detector(self, key: str) -> str | None:
        return next((name for name, one in self.table.frames_of_detectors.items() if key in one.external), None)

    def stack(self, key: str) -> FrameStack:
        """Return the frames of a detector, one of each pulse.

        Raises
        ------
        UnreadableRun
            If there is no such detector, or a pulse has no frame, with how many.
        """
        detector = self._detector(key)
        if detector is None:
            return super().stack(key)
        frames, pulses = self.table.taken_frames(detector)
        if len(pulses) < len(self):
            raise UnreadableRun(
                f"{len(self) - len(pulses)} of {len(self)} pulses of {self.run} have no frame of {detector!r}; take "
                f"those that have by `frames, pulses = run.fly.taken_frames({detector!r})`"
            )
        return frames

    @property
    def _reads_energy(self) -> bool:
        """Whether the energy is known by the Bragg angle."""
        return BRAGG in self.table.channels and any(one is not None for one in self._energy_calibrations)

    @property
    def _energy_calibrations(self) -> list[EnergyCalibration | None]:
        """Of each of the runs that the table is read from."""
        return [
            next((one for one in each.values() if isinstance(one, EnergyCalibration)), None)
            for each in self.calibrations
        ]

    def _energies(self) -> Array:
        """Return the energy at each pulse by the calibration of its own run; a later one moves none of the earlier."""
        angles = self.table.read(f"{BRAGG}{MEAN}")
        energies = np.full(angles.shape, np.nan)
        for number, calibration in enumerate(self._energy_calibrations):
            known = np.isfinite(angles) & (self.table.run_of_lines == number)[:, None]
            if calibration is not None:
                energies[known] = calibration.energy(angles[known])
        return energies.ravel()

    def _of_each_map(self, key: str) -> Array:
        """Return what was read once for each map, or once for each line, at each pulse."""
        assert self.maps is not None
        shape = [int(one) for one in self.start.get("shape") or ()]
        numbers = self.maps.seq_nums
        # a turn, which has no slow axis, may be written in several rows
        rows = shape[-2] if len(shape) > 1 else max(1, sum(shape) // max(1, self.table.pulses))
        if numbers.size and numbers.max() > max(1, prod(shape[:-2])):
            rows = 1
        values = np.asarray(self.maps.read(key))
        known = dict(zip(numbers.tolist(), range(numbers.size), strict=True))
        event = np.array([known.get(int((line - 1) // rows + 1), -1) for line in self.table.lines], int)
        missing = "" if values.dtype.kind in "US" else np.nan
        found = np.full((event.size, *values.shape[1:]), missing, values.dtype if missing == "" else float)
        found[event >= 0] = values[event[event >= 0]]
        return np.repeat(found, self.table.pulses, axis=0)


def pulses_of(
    table: FlyTable,
    start: Mapping[str, Any],
    maps: Stream | None,
    calibrations: Sequence[Mapping[str, Calibration]],
) -> Pulses:
    """Return the pulses of a capture table as points."""
    stream = table.stream
    return Pulses(
        stream.name, stream.run, (), stream.descriptors, stream.path_map,
        table=table, start=start, maps=maps, calibrations=calibrations,
    )  # fmt: skip


def require_pulses(stream: Stream) -> Pulses:
    """Return the points of a run as pulses.

    Raises
    ------
    UnreadableRun
        If the run is no fly scan.
    """
    if not isinstance(stream, Pulses):
        raise UnreadableRun(f"{stream.run} is no fly scan: it has no stream 'fly'")
    return stream

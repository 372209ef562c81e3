"""Fakes of what flies: a capture box, what follows the energy, and a beamline that has them.

They write what the true ones write, where they are given a folder: the table of the box, frames of the detector.
What was flown is kept by the box: which line, with the shutter open or not, and where the sample stood.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import h5py
import numpy as np
from fakes import Broken, Fake, FakeAxis, FakeBeamline, Finished, World, finished
from fly_parts import Document, Failing, FakePart, FakeTriggered, LineForecast, Told
from ophyd.status import Status

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.laws.fly_line import FlyLine

ACCELERATION_S = 0.1
HC_OVER_2D = 12398.42 / (2 * 3.1356012)
"""Energy times the sine of the Bragg angle [eV]."""


@dataclass
class Flown:
    """A line as it was flown."""

    line: FlyLine
    open: bool
    x: float
    y: float
    energy: float
    sample_in: bool


class FakeVerdict(Fake):
    """What the plan says of a line."""

    def __init__(self, box: "FakeCapture") -> None:
        super().__init__(f"{box.name}_line", box.world)
        self.box, self.said = box, list[str]()

    def set(self, value: str) -> Finished:
        """Say it."""
        self.note("set")
        self.said.append(value)
        self.box.judge(value)
        return finished()

    def values(self) -> dict[str, Any]:
        """Return what was said last."""
        return {self.name: self.said[-1] if self.said else ""}


class FakeLineResult(Fake):
    """What a line has come to, or has so far."""

    def __init__(self, box: "FakeCapture") -> None:
        super().__init__(f"{box.name}_line_result", box.world)
        self.box = box

    def values(self) -> dict[str, Any]:
        """Return the four numbers."""
        name, box = self.box.name, self.box
        return {
            f"{name}_pulses_missed": float(box.pulses_missed), f"{name}_triggers_missed": float(box.triggers_missed),
            f"{name}_rows": float(box.rows), f"{name}_rows_counted": float(box.rows_counted),
        }  # fmt: skip


class FakeLastGate(Fake):
    """The end of the last gate: a line is over as soon as it is completed, unless it is told of while it goes on."""

    def __init__(self, box: "FakeCapture") -> None:
        super().__init__(f"{box.name}_last_gate", box.world)
        self.box = box

    def trigger(self) -> Any:
        """Be over."""
        self.note("trigger")
        return self.box.until_last_gate()


WHY = {"trajectory": "the axis has stopped in the line at 1.5 um", "unplugged": "the box was unplugged"}
Fault = str
"""What goes wrong with a line: "prepare", "trajectory", "unplugged", "pulses", "triggers", or "" for nothing."""


class FakeCapture(FakePart):
    """A capture box, that moves an axis at once through all its pulses, or a part of them each time that it is told of.

    Parameters
    ----------
    axes : mapping of str to FakeAxis
        By position channel.
    triggered : FakeTriggered, optional
        That it triggers.
    folder : Path, optional
        Where its table is written; without one it writes none.
    """

    def __init__(
        self,
        world: World,
        axes: Mapping[str, FakeAxis],
        *,
        triggered: FakeTriggered | None = None,
        folder: Path | None = None,
    ) -> None:
        super().__init__("capture", world)
        self.axes, self.triggered, self._folder = axes, triggered, folder
        self.line, self.line_result = FakeVerdict(self), FakeLineResult(self)
        self.last_gate = FakeLastGate(self)
        self.fault: Callable[[int], Fault] = lambda attempt: ""
        self.velocity = self.usual_velocity = 1000.0
        self.largest_velocity = 5000.0
        self.flown: list[Flown] = []
        self.attempts = 0
        self.tellings = 0
        self._file: Any = None
        self._under_way: tuple[FlyLine, Fault, list[Status]] | None = None
        self._forget()

    def _forget(self) -> None:
        self.rows = self.pulses_missed = self.triggers_missed = self.rows_counted = self._seen = 0
        self._pulses = 0
        self._batch: list[int] = []
        self._collected = False
        self._row: int | None = None
        self._told: Told | None = None
        self._clock = 0.0

    @property
    def columns(self) -> dict[str, str]:
        """Units by column."""
        found = {"time_start": "s", "time_end": "s"}
        for channel, axis in self.axes.items():
            found |= {f"{channel}_{part}": axis.unit for part in ("mean", "start", "end")}
        found |= {"incident_counts": "counts", "Ni_Ka_counts": "counts"}
        return found | ({f"{self.triggered.name}_frames": "frames"} if self.triggered is not None else {})

    def channel_of(self, axis: Any) -> str:
        """Return the channel of an axis."""
        for channel, one in self.axes.items():
            if one is axis:
                return channel
        raise ValueError(f"{self.name} has no channel along {axis.name}; it has {', '.join(self.axes)}")

    def check_value(self, value: FlyLine) -> None:
        """Refuse a line that its axis cannot make."""
        super().check_value(value)
        axis = self.axes[value.channel]
        if value.velocity > self.largest_velocity:
            raise OutOfRange(
                f"velocity of {axis.name}", value.velocity, f"must be at most {self.largest_velocity:g}", axis.unit
            )
        for position in (value.begin(ACCELERATION_S), value.end(ACCELERATION_S)):
            axis.check_value(position)

    def forecast_line(self, line: FlyLine) -> LineForecast:
        """Say how long the axis takes, and what the columns are."""
        return LineForecast(line.seconds(ACCELERATION_S), 0, len(self.columns) * line.pulses * 8)

    def stage(self) -> list[Any]:
        """Begin a run."""
        super().stage()
        self._forget()
        return [self]

    def unstage(self) -> list[Any]:
        """End it: the axis has its velocity back, and the file is closed."""
        super().unstage()
        self.velocity = self.usual_velocity
        if self._file is not None:
            self._file.close()
            self._file = None
        return [self]

    def prepare(self, value: FlyLine) -> Any:
        """Bring the axis to its run-up; the first line of a run opens the file."""
        status = super().prepare(value)
        if self._told is None:
            self._open(value.row_pulses)
        if value.row_pulses != self._pulses:
            raise Broken(f"{self.name} cannot take a line of {value.row_pulses} pulses among lines of {self._pulses}")
        self.velocity, self._row = value.velocity, None
        self.rows_counted = self._seen = 0
        if self.fault(self.attempts) == "prepare":
            self.attempts += 1
            return Failing(self, f"{self.name} has no file to write into")
        self.axes[value.channel]._put(value.begin(ACCELERATION_S))
        return status

    def _open(self, pulses: int) -> None:
        self._pulses = pulses
        path = Path("/nowhere") / f"{uuid4()}.h5"
        if self._folder is not None:
            path = self._folder / path.name
            self._file = h5py.File(path, "w", libver="latest", locking=False)
            for column, unit in self.columns.items():
                data = self._file.create_dataset(
                    f"entry/capture/{column}", (0, pulses), "f8", maxshape=(None, pulses), chunks=(1, pulses)
                )
                data.attrs["unit"] = unit
                if column.endswith("_mean"):
                    data.attrs["noise"] = 1e-6
            self._file.swmr_mode = True
        self._told = Told(path, {f"{self.name}_{one}": (f"/entry/capture/{one}", (1, pulses)) for one in self.columns})

    def complete(self) -> Any:
        """Fly it."""
        super().complete()
        line = self.line_under_way
        assert line is not None
        fault = self.fault(self.attempts)
        self.attempts += 1
        world = self.world
        self.flown.append(
            Flown(
                line, world.shutter == "Open", world.positions["x"], world.positions["y"], world.energy, world.sample_in
            )
        )
        if self._under_way is not None:
            status = Status()
            self._row, self._under_way = self.rows, (line, fault, [*self._under_way[2], status])
            return status
        if fault in WHY:
            return Failing(self, f"line of {self.name} failed: {WHY[fault]}")
        self._row = self.rows
        self._write(line, fault)
        self._stand(line)
        return finished()

    def _stand(self, line: FlyLine) -> None:
        self.axes[line.channel]._put(line.end(ACCELERATION_S))
        self.velocity = self.usual_velocity

    def _write(self, line: FlyLine, fault: Fault) -> None:
        columns = self._columns_of(line, fault)
        if self._file is not None:
            for column, values in columns.items():
                data = self._file[f"entry/capture/{column}"]
                data.resize(self.rows + line.rows, axis=0)
                data[self.rows :] = values.reshape(line.rows, -1)
                data.flush()
        self.rows += line.rows

    # a line that is told of while it goes on

    def until_last_gate(self) -> Any:
        """Return a status that is done when the line is over."""
        line = self.line_under_way
        if line is None or line.rows == 1 or not self.tellings:
            return finished()
        status = Status()
        self._under_way = line, "", [status]
        return status

    def _go_on(self) -> None:
        """Fly the next rows of the line under way; behind the last it is over, or fails."""
        if self._under_way is None or self._row is None:
            return
        line, fault, _ = self._under_way
        done = self.rows - self._row
        count = min(-(-line.rows // (self.tellings + 1)), line.rows - done)
        over = done + count == line.rows
        if not (over and fault in WHY):
            self._write(line.of_rows(done, count), "")
        if over:
            self._end(Broken(f"line of {self.name} failed: {WHY[fault]}") if fault in WHY else None)
            self._stand(line)

    def _end(self, error: Exception | None = None) -> None:
        """End the line under way."""
        if self._under_way is None:
            return
        (gates, *others), self._under_way = self._under_way[2], None
        gates.set_finished()
        for one in others:
            one.device = self  # type: ignore[attr-defined]
            if error is None:
                one.set_finished()
            else:
                one.set_exception(error)

    def stop(self, *, success: bool = False) -> None:
        """End what is under way."""
        super().stop(success=success)
        self._end(None if success else Broken(f"line of {self.name} was stopped"))

    def pause(self) -> None:
        """End what is under way: it is taken anew."""
        super().pause()
        self._end()

    def _columns_of(self, line: FlyLine, fault: Fault) -> dict[str, Any]:
        pulses, axis, triggered = line.pulses, self.axes[line.channel], self.triggered
        missed = {1, pulses - 1} if fault == "triggers" and triggered is not None else set()
        lost = {pulses - 1} if fault == "pulses" else set()
        self.pulses_missed, self.triggers_missed = len(lost), len(missed)
        found = {column: np.full(pulses, np.nan) for column in self.columns}
        for number in range(pulses):
            if number in lost:
                continue
            if triggered is not None and triggered.state == "running":
                if number not in missed:
                    triggered.take(number)
                found[f"{triggered.name}_frames"][number] = triggered.frames
            start, end = (line.first + (number + part) * line.step for part in (0, 1))
            axis._put((start + end) / 2)
            for channel, one in self.axes.items():
                found[f"{channel}_mean"][number] = found[f"{channel}_start"][number] = one.position
                found[f"{channel}_end"][number] = one.position
            found[f"{line.channel}_start"][number], found[f"{line.channel}_end"][number] = start, end
            found["time_start"][number] = self._clock + number * line.gate_s
            found["time_end"][number] = self._clock + (number + 1) * line.gate_s
            light = 1.0 if self.world.shutter == "Open" else 0.0
            found["incident_counts"][number] = 1e6 * line.gate_s * light
            found["Ni_Ka_counts"][number] = self.world.signal(self.world) * light
        self._clock += 1.3 * pulses * line.gate_s
        return found

    def judge(self, verdict: str) -> None:
        """Let the newest line count, or not."""
        if verdict == "again":
            self._row = None
            return
        if verdict == "so far":
            if self._row is not None:
                self._count(self._seen)
                self._go_on()
                self._seen = self.rows
            return
        if self._row is None:
            raise Broken(f"{self.name} has no line that could be accepted")
        self._count(self.rows)

    def _count(self, stop: int) -> None:
        assert self._row is not None
        fresh = range(self._row + self.rows_counted, stop)
        if not fresh:
            return
        if self._collected:
            self._batch, self._collected = [], False
        if self._batch and fresh[0] != self._batch[-1] + 1:
            raise Broken(f"row {fresh[0]} does not follow {self._batch[-1]}: collect what was accepted before")
        self._batch.extend(fresh)
        self.rows_counted = stop - self._row

    def describe_collect(self) -> dict[str, Any]:
        """Describe the columns of a line."""
        if not self._pulses:
            raise Broken(f"{self.name} does not know how many pulses a line has")
        return {
            f"{self.name}_{column}": {
                "source": "FAKE", "dtype": "array", "shape": [self._pulses], "dtype_numpy": "<f8", "units": unit,
                "external": "STREAM:",
            }
            for column, unit in self.columns.items()
        }  # fmt: skip

    def get_index(self) -> int:
        """Return how many lines count."""
        return len(self._batch)

    def collect_asset_docs(self, index: int | None = None) -> Iterator[Document]:
        """Tell of the lines of the batch."""
        self.note("collect")
        self._collected = True
        if self._batch and self._told is not None:
            yield from self._told.documents_of(self._batch[0], self._batch[-1] + 1)


class BraggAxis(FakeAxis):
    """The Bragg angle [deg], which is the energy of the world."""

    @property
    def position(self) -> float:
        """Where it is."""
        return float(np.degrees(np.arcsin(HC_OVER_2D / self.world.energy)))

    def _put(self, value: float) -> None:
        self.world.energy = HC_OVER_2D / float(np.sin(np.radians(value)))


class FakeSweep(FakePart):
    """What follows the Bragg angle."""

    def __init__(self, world: World, energy: FakeAxis) -> None:
        super().__init__("energy_sweep", world)
        self.energy = energy
        self.speed = "usual"

    def line(self, first: float, last: float, pulses: int, gate_s: float) -> FlyLine:
        """Return the line between two energies."""
        begin, end = (float(np.degrees(np.arcsin(HC_OVER_2D / one))) for one in (first, last))
        step = (end - begin) / (pulses - 1)
        return FlyLine("bragg", begin - step / 2, step, pulses, gate_s)

    def energies(self, line: FlyLine) -> tuple[float, float]:
        """Return the energies at both ends of a line."""
        first, last = (HC_OVER_2D / float(np.sin(np.radians(one))) for one in (line.first, line.last))
        return first, last

    def prepare(self, value: FlyLine) -> Any:
        """Set the velocities."""
        self.speed = "in step"
        return super().prepare(value)

    def unstage(self) -> list[Any]:
        """Put them back."""
        self.speed = "usual"
        return super().unstage()


class FlyBeamline(FakeBeamline):
    """A beamline that flies."""

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__()
        world = self.world
        self.bragg = BraggAxis("mono_bragg", world, "energy", (5.0, 60.0), "deg")
        sample = self.sample
        self.fly_fluorescence = FakeTriggered(self.fluorescence, folder=folder)
        self.fly_camera = FakeTriggered(self.camera, readout_s=0.01, folder=folder)
        axes = {"x": sample.x, "y": sample.y, "rotation": sample.rotation, "bragg": self.bragg}
        self.capture = FakeCapture(world, axes, triggered=self.fly_fluorescence, folder=folder)
        self.turning = FakeCapture(world, axes, triggered=self.fly_camera, folder=folder)
        self.turning.largest_velocity = 100.0
        self.sweep = FakeSweep(world, self.energy)

    @property
    def parts(self) -> list[FakePart]:
        """All that take part in lines."""
        return [self.capture, self.turning, self.fly_fluorescence, self.fly_camera, self.sweep]

    def state(self) -> dict[str, Any]:
        """Return what a plan must leave as it was."""
        found = super().state()
        found["staged"] = [*found["staged"], *(f"{type(one).__name__} {one.name}" for one in self.parts if one.staged)]
        return found | {
            "under way": [one.name for one in self.parts if one.state != "idle"],
            "velocities": [self.capture.velocity, self.turning.velocity, self.sweep.speed],
            "trigger modes": [self.fly_fluorescence.mode, self.fly_camera.mode],
        }

"""A beamline of fakes for tests of plans: no IOC, no waiting, and a world behind them that knows what was exposed.

Each fake keeps to the protocol of the device that it stands for, down to what it refuses, and nothing of it is a mock:
a frame notes energy, place and shutter as they were when it was taken, so that a test can ask what the scan *did*.
"""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ophyd.status import Status
from ophyd.utils import RedundantStaging


class Broken(RuntimeError):
    """What a fake raises that was told to fail."""


@dataclass
class Exposure:
    """What was true when something was counted."""

    detector: str
    energy: float
    open: bool
    sample_in: bool
    x: float
    y: float
    seconds: float
    filters: frozenset[str]


@dataclass
class World:
    """What is behind the fakes."""

    energy: float = 8200.0
    shutter: str = "Closed"
    feedback: str = "On"
    filters: frozenset[str] = frozenset({"Al 50"})
    positions: dict[str, float] = field(default_factory=lambda: {"x": 3.0, "y": -2.0, "coarse_x": 0.5, "rotation": 0.0})
    exposures: list[Exposure] = field(default_factory=list)
    signal: Callable[["World"], float] = lambda world: 1000.0

    @property
    def sample_in(self) -> bool:
        """Whether the sample is in the beam."""
        return abs(self.positions["coarse_x"] - 0.5) < 1e-6

    def expose(self, detector: str, seconds: float) -> Exposure:
        """Note what something sees that counts now."""
        seen = Exposure(
            detector, self.energy, self.shutter == "Open", self.sample_in, self.positions["x"], self.positions["y"],
            seconds, self.filters,
        )  # fmt: skip
        self.exposures.append(seen)
        return seen


class Fake:
    """What all fakes have in common: a name, calls that are counted, and failures on order."""

    parent = None

    def __init__(self, name: str, world: World) -> None:
        self.name, self.world = name, world
        self.calls: Counter[str] = Counter()

    def note(self, what: str) -> None:
        """Count a call."""
        self.calls[what] += 1

    def read(self) -> dict[str, Any]:
        """Return the readings."""
        self.note("read")
        return {key: {"value": value, "timestamp": time.time()} for key, value in self.values().items()}

    def describe(self) -> dict[str, Any]:
        """Say what they are."""
        kinds = {str: "string", int: "integer", float: "number"}
        return {
            key: {
                "source": "FAKE",
                "dtype": kinds.get(type(value), "array"),
                "shape": list(_shape(value)),
                **self.units(),
            }
            for key, value in self.values().items()
        }

    def values(self) -> dict[str, Any]:
        """Return what is read, by data key."""
        return {}

    def units(self) -> dict[str, str]:
        """Return the unit of all, for describe."""
        return {}

    def read_configuration(self) -> dict[str, Any]:
        """Nothing is configured."""
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        """Nothing is configured."""
        return {}


def _shape(value: Any) -> list[int]:
    return [] if isinstance(value, str | int | float) else [len(value)]


class Finished:
    """A status that is done; ophyd's own costs a thread, and thousands of scans are run."""

    done = success = True

    def add_callback(self, callback: Callable[[Any], None]) -> None:
        """Call it at once."""
        callback(self)

    def exception(self, timeout: float | None = None) -> None:
        """Nothing went wrong."""

    def wait(self, timeout: float | None = None) -> None:
        """Wait for nothing."""


def finished() -> Finished:
    """Return a status that is done."""
    return Finished()


class FakeAxis(Fake):
    """An axis that is there at once, or after a while.

    Parameters
    ----------
    key : str
        Of the world's positions; "energy" for the energy.
    limits : tuple of float
        That it refuses to leave.
    seconds : float
        How long a move takes.
    """

    def __init__(
        self,
        name: str,
        world: World,
        key: str,
        limits: tuple[float, float] = (-1e4, 1e4),
        unit: str = "um",
        seconds: float = 0.0,
    ) -> None:
        super().__init__(name, world)
        self.key, self.limits, self.unit, self.seconds = key, limits, unit, seconds
        self.setpoint = self.position
        self._under_way: Status | None = None

    @property
    def position(self) -> float:
        """Where it is."""
        return self.world.energy if self.key == "energy" else self.world.positions[self.key]

    def _put(self, value: float) -> None:
        if self.key == "energy":
            self.world.energy = value
        else:
            self.world.positions[self.key] = value

    @property
    def hints(self) -> dict[str, Any]:
        """What is plotted."""
        return {"fields": [self.name]}

    def check_value(self, value: float) -> None:
        """Refuse what is outside."""
        if not self.limits[0] <= value <= self.limits[1]:
            raise ValueError(f"{self.name} {value:g} {self.unit} must lie between {self.limits} {self.unit}")

    def preview(self, value: float) -> dict[str, float]:
        """Say where it would go."""
        self.check_value(value)
        return {self.name: value}

    def duration(self, start: float, end: float) -> float:
        """Say how long it takes [s]."""
        return self.seconds + abs(end - start) * 1e-3

    def set(self, value: float) -> Status | Finished:
        """Go there."""
        self.note("set")
        self.check_value(value)
        self.setpoint = value
        if self._under_way is not None and not self._under_way.done:
            self._under_way.set_exception(Broken(f"{self.name} was sent elsewhere before it had arrived"))
        if not self.seconds:
            self._put(value)
            return finished()
        self._under_way = status = Status()

        def arrive() -> None:
            if not status.done:
                self._put(value)
                status.set_finished()

        threading.Timer(self.seconds, arrive).start()
        return status

    def stop(self, *, success: bool = False) -> None:
        """Stop where it is."""
        self.note("stop")
        status = self._under_way
        if status is not None and not status.done:
            if success:
                status.set_finished()
            else:
                status.set_exception(Broken(f"{self.name} was stopped"))

    def locate(self) -> dict[str, float]:
        """Say where it was sent, and where it is."""
        return {"setpoint": self.setpoint, "readback": self.position}

    def trigger(self) -> Finished:
        """Be ready to be read."""
        self.note("trigger")
        return finished()

    def stage(self) -> list[Any]:
        """Begin a run."""
        self.note("stage")
        return [self]

    def unstage(self) -> list[Any]:
        """End a run."""
        self.note("unstage")
        return [self]

    def values(self) -> dict[str, Any]:
        """Return readback and setpoint."""
        return {self.name: float(self.position), f"{self.name}_setpoint": float(self.setpoint)}

    def units(self) -> dict[str, str]:
        """Return the unit."""
        return {"units": self.unit}


class FakeSetting(Fake):
    """A setting of a fake detector, which refuses changes while it is staged if it is fixed then."""

    def __init__(self, name: str, owner: Any, value: Any, fixed_while_staged: bool = False) -> None:
        super().__init__(name, owner.world)
        self.parent = self.owner = owner
        self.attr_name = name.removeprefix(f"{owner.name}_")
        self.value, self.fixed = value, fixed_while_staged

    def check_value(self, value: Any) -> None:
        """Refuse what is not above zero."""
        if not value > 0:
            raise ValueError(f"{self.name} {value!r} must be above 0")

    def set(self, value: Any) -> Finished:
        """Change it."""
        self.note("set")
        self.check_value(value)
        if self.fixed and self.owner.staged:
            raise Broken(f"{self.name} cannot change while {self.owner.name} is staged")
        self.value = value
        return finished()

    def values(self) -> dict[str, Any]:
        """Return it."""
        return {self.name: self.value}


class Forecast(NamedTuple):
    """What a trigger takes and leaves."""

    seconds: float
    frames: int
    bytes: int


class FakeDetector(Fake):
    """Counts for its dwell, and notes what it saw."""

    frame_bytes = 2 * 512 * 512

    def __init__(self, name: str, world: World, channels: Sequence[str], dwell: str = "dwell") -> None:
        super().__init__(name, world)
        self.channels, self.staged, self.taken = tuple(channels), False, 0
        setattr(self, dwell, FakeSetting(f"{name}_{dwell}", self, 0.25))
        self._dwell = dwell
        self._last: Mapping[str, float] = dict.fromkeys(self.channels, 0.0)

    def stage(self) -> list[Any]:
        """Begin a run."""
        self.note("stage")
        if self.staged:
            raise RedundantStaging(f"{self.name} is staged already")
        self.staged = True
        return [self]

    def unstage(self) -> list[Any]:
        """End a run."""
        self.note("unstage")
        self.staged = False
        return [self]

    def trigger(self) -> Finished:
        """Count."""
        self.note("trigger")
        if not self.staged:
            raise Broken(f"{self.name} is not staged")
        seen = self.world.expose(self.name, getattr(self, self._dwell).value)
        self.taken += 1
        value = self.world.signal(self.world) if seen.open else 0.0
        self._last = dict.fromkeys(self.channels, value)
        return finished()

    def forecast(self, settings: Mapping[str, Any]) -> Forecast:
        """Say how long the next trigger takes, and what it writes."""
        seconds = float(settings.get(self._dwell, getattr(self, self._dwell).value))
        frames = int(settings.get("frames", self.frames.value)) if hasattr(self, "frames") else 0
        return Forecast(seconds * max(frames, 1), frames, frames * self.frame_bytes)

    def values(self) -> dict[str, Any]:
        """Return the counts."""
        return {f"{self.name}_{channel}": float(value) for channel, value in self._last.items()}


class FakeCamera(FakeDetector):
    """A camera whose frames are numbered."""

    fixed_while_staged = frozenset({"frames"})

    def __init__(self, name: str, world: World) -> None:
        super().__init__(name, world, ["image"], dwell="exposure")
        self.frames = FakeSetting(f"{name}_frames", self, 7, fixed_while_staged=True)


class FakeShutter(Fake):
    """A shutter that closes in every pause, as the real one does."""

    choices = ("Open", "Closed")

    def check_value(self, value: str) -> None:
        """Refuse other words."""
        if value not in self.choices:
            raise ValueError(f"{self.name} = {value!r} must be one of {self.choices}")

    def set(self, value: str) -> Finished:
        """Open or close."""
        self.note("set")
        self.check_value(value)
        self.world.shutter = value
        return finished()

    def stop(self, *, success: bool = False) -> None:
        """Stop nothing."""

    def pause(self) -> None:
        """Close, as nothing is counted in a pause."""
        self.world.shutter = "Closed"

    def resume(self) -> None:
        """Leave it closed: what counts opens it again."""

    def locate(self) -> dict[str, str]:
        """Say where it is."""
        return {"setpoint": self.world.shutter, "readback": self.world.shutter}

    def values(self) -> dict[str, Any]:
        """Return the word."""
        return {self.name: self.world.shutter}


class FakeFilters(Fake):
    """Filters by their names."""

    names = ("Al 50", "Al 100")

    def check_value(self, names: Iterable[str]) -> None:
        """Refuse names that are unknown."""
        if unknown := sorted(set(names) - set(self.names)):
            raise ValueError(f"{self.name} has no filter {unknown}; it has {self.names}")

    def set(self, names: Iterable[str]) -> Finished:
        """Have these in the beam."""
        self.note("set")
        self.check_value(names)
        self.world.filters = frozenset(names)
        return finished()

    def locate(self) -> dict[str, list[str]]:
        """Say which are in."""
        return {"setpoint": sorted(self.world.filters), "readback": sorted(self.world.filters)}

    def values(self) -> dict[str, Any]:
        """Return how many are in."""
        return {f"{self.name}_inserted": len(self.world.filters)}


class FakeSample(Fake):
    """A sample stage."""

    def __init__(self, name: str, world: World, seconds: float = 0.0) -> None:
        super().__init__(name, world)
        self.x = FakeAxis(f"{name}_x", world, "x", (-500.0, 500.0), seconds=seconds)
        self.y = FakeAxis(f"{name}_y", world, "y", (-500.0, 500.0), seconds=seconds)
        self.coarse_x = FakeAxis(f"{name}_coarse_x", world, "coarse_x", (-10.0, 10.0), "mm", seconds)
        self.rotation = FakeAxis(f"{name}_rotation", world, "rotation", (-180.0, 360.0), "deg", seconds)

    def out_steps(self) -> list[tuple[FakeAxis, float]]:
        """Turn, then move out."""
        return [(self.rotation, 90.0), (self.coarse_x, self.coarse_x.position + 5.0)]

    def in_steps(self) -> list[tuple[FakeAxis, float]]:
        """Move in, turn back, correct."""
        here = ((axis, axis.position) for axis in (self.coarse_x, self.rotation, self.x))
        return list(here)


class FakeBeamline:
    """All fakes together, and the world behind them."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.world = world = World()
        self.energy = FakeAxis("energy", world, "energy", (5000.0, 12000.0), "eV", seconds)
        self.camera = FakeCamera("camera", world)
        self.counters = FakeDetector(
            "counters", world, ["incident", "transmitted", "reference", "incident_counts", "incident_rate"]
        )
        self.fluorescence = FakeDetector("fluorescence", world, ["Ni_Ka"])
        self.shutter = FakeShutter("fast_shutter", world)
        self.filters = FakeFilters("filters", world)
        self.sample = FakeSample("sample", world, seconds)

    @property
    def devices(self) -> list[Fake]:
        """All of them, and their axes."""
        tops = [self.energy, self.camera, self.counters, self.fluorescence, self.shutter, self.filters]
        return [*tops, self.sample.x, self.sample.y, self.sample.coarse_x, self.sample.rotation]

    def state(self) -> dict[str, Any]:
        """Return what a plan must leave as it was."""
        world = self.world
        return {
            "shutter": world.shutter,
            "sample in": world.sample_in,
            "rotation": world.positions["rotation"],
            "filters": world.filters,
            "exposure": self.camera.exposure.value,
            "frames": self.camera.frames.value,
            "counters dwell": self.counters.dwell.value,
            "fluorescence dwell": self.fluorescence.dwell.value,
            "staged": [one.name for one in (self.camera, self.counters, self.fluorescence) if one.staged],
        }


def numbered() -> Callable[[], int]:
    """Return a counter."""
    count = itertools.count()
    return lambda: next(count)

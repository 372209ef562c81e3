"""What plans ask of the things they are given, besides what bluesky itself asks.

Devices satisfy these protocols without knowing them, and so do fakes: one plan runs on a full-field microscope, on a
nanoprobe and in a test. They hold methods, so that asking whether a device satisfies one reads nothing from it.
"""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from bluesky.protocols import Flyable, Movable, Readable, Status

from whiteline.analysis.laws.fly_line import FlyLine

Wanted = TypeVar("Wanted")


@runtime_checkable
class Axis(Movable[Any], Readable[Any], Protocol):
    """Something that is moved, and read where it is."""


@runtime_checkable
class Camera(Readable[Any], Protocol):
    """A camera whose exposure, and number of frames at each trigger, are set by messages."""

    exposure: Any
    frames: Any


@runtime_checkable
class ChecksValue(Protocol):
    """Refuses beforehand what it could not do."""

    def check_value(self, value: Any) -> None:
        """Raise with name, value, limit, unit and remedy if `set(value)` would be refused."""


@runtime_checkable
class Previews(Protocol):
    """Says where every axis that it moves would go."""

    def preview(self, value: float) -> Mapping[str, float]:
        """Return the position of each axis, by its name, for a value; nothing moves."""


@runtime_checkable
class Estimates(Protocol):
    """Says how long a move takes."""

    def duration(self, start: float, end: float) -> float:
        """Return the time from one position to another [s]."""


class Rehearsal(Protocol):
    """A device that moves only in the mind, and stands by then where its moves have ended."""

    travel: Mapping[str, tuple[float, float]]

    def stage(self) -> None:
        """Begin a run."""

    def unstage(self) -> None:
        """End a run."""

    def move(self, value: float) -> float:
        """Return how long a move takes [s]; raise with name, value, limit, unit and remedy if it would be refused."""

    def summary(self) -> Mapping[str, str]:
        """Return what else is known of all moves, by what it is."""


@runtime_checkable
class Rehearses(Protocol):
    """Says what would come of moves one after the other, where each depends on those before."""

    def rehearsal(self, places: MutableMapping[Any, Any]) -> Rehearsal:
        """Return what moves in the mind; where devices would be by then is read from `places`, and noted there."""


@runtime_checkable
class HasDepthOfFocus(Protocol):
    """An energy axis that knows the optics that follow it."""

    def depth_of_focus(self, energy: float) -> float:
        """Return the full depth of focus at an energy [eV], in micrometres."""


class Forecast(Protocol):
    """What a trigger will take and leave: time [s], frames, and bytes in its file."""

    @property
    def seconds(self) -> float:
        """How long it takes."""

    @property
    def frames(self) -> int:
        """How many frames it writes."""

    @property
    def bytes(self) -> int:
        """How much it writes."""


@runtime_checkable
class Forecasts(Protocol):
    """A detector that says what its next trigger will be."""

    def forecast(self, settings: Mapping[str, Any]) -> Forecast:
        """Return what a trigger takes with some settings changed, by their names, and the others as they are."""


@runtime_checkable
class Told(Readable[Any], Protocol):
    """A part that tells what data have shown, and not what it would measure: nobody knows it beforehand."""

    told: bool


@runtime_checkable
class SampleInAndOut(Protocol):
    """A stage that says in which order its axes take the sample out of the beam, and bring it back."""

    def out_steps(self) -> Sequence[tuple[Movable[Any], float]]:
        """Return axes and positions, one after the other, that take the sample out from where it is."""

    def in_steps(self) -> Sequence[tuple[Movable[Any], float]]:
        """Return axes and positions, one after the other, that bring it back to where it is now."""


class LineForecast(Protocol):
    """What a line of a fly scan will take and leave: time [s], frames, and bytes in its file."""

    @property
    def seconds(self) -> float:
        """How long it takes, from the run-up until all stands."""

    @property
    def frames(self) -> int:
        """How many frames it writes."""

    @property
    def bytes(self) -> int:
        """How much it writes."""


@runtime_checkable
class FlyPart(Flyable, Protocol):
    """What takes part in a line of a fly scan."""

    def check_value(self, value: FlyLine) -> None:
        """Raise with name, value, limit, unit and remedy if it cannot take part in a line."""

    def forecast_line(self, line: FlyLine) -> LineForecast:
        """Return what a line takes and leaves."""

    def prepare(self, value: FlyLine) -> Status:
        """Be ready for a line, whatever was under way before."""

    def stop(self, *, success: bool = False) -> None:
        """End what is under way."""


@runtime_checkable
class FlyRecorder(FlyPart, Protocol):
    """What takes part in lines and writes a file of them."""

    def describe_collect(self) -> dict[str, Any]:
        """Say what a line holds, by data key; known from the first `prepare` on."""

    def get_index(self) -> int:
        """Return how much of its file can be told of."""

    def collect_asset_docs(self, index: int | None = None) -> Iterator[Any]:
        """Yield the documents of what was not told of, or was told of last, if nothing has come since."""


@runtime_checkable
class CaptureBox(FlyRecorder, Protocol):
    """Moves an axis through a line, gives triggers by its position, and writes a table of what it read meanwhile."""

    line: Any
    """Takes "accept" or "again" of the newest line, and "so far" of one of several rows that is under way."""

    line_result: Any
    """Reads what the newest line has come to."""

    last_gate: Any
    """Triggered, it is done when the last gate of the line under way is over, however the line ends."""

    def channel_of(self, axis: Any) -> str:
        """Return the position channel of an axis, or raise, naming those that it reads."""


@runtime_checkable
class TriggeredDetector(FlyRecorder, Protocol):
    """A detector that takes a frame at each pulse of a capture box."""

    detector: Any
    """The same, as it counts at a point."""

    def gate_s(self, exposure_s: float) -> float:
        """Return the gate that an exposure and its readout fit into [s]."""


@runtime_checkable
class SweepsEnergy(FlyPart, Protocol):
    """What follows the Bragg angle while a capture box moves it: gaps, and optics."""

    energy: Any
    """The energy axis."""

    def line(self, first: float, last: float, pulses: int, gate_s: float) -> FlyLine:
        """Return the line whose first and last gate have their middles at two energies [eV]."""

    def energies(self, line: FlyLine) -> tuple[float, float]:
        """Return the energies at the beginning and at the end of a line [eV]."""


def satisfying(device: object, protocol: type[Wanted], role: str) -> Wanted:
    """Return a device, known to satisfy a protocol.

    Parameters
    ----------
    device : object
        What a plan was given.
    protocol : type
        One of those in this file.
    role : str
        What it is wanted as, such as "energy".

    Raises
    ------
    TypeError
        Naming the methods that it lacks.
    """
    if isinstance(device, protocol):
        return device
    wanted = {name for one in protocol.__mro__[:-2] for name in (*vars(one), *getattr(one, "__annotations__", {}))}
    wanted = {name for name in wanted if not name.startswith("_")}
    lacking = sorted(name for name in wanted if not hasattr(device, name))
    name = getattr(device, "name", None) or repr(device)
    raise TypeError(f"{role} = {name} cannot play this part: it has no {', '.join(lacking)}; give the device that has")


def check_together(device: object, values: Sequence[Any]) -> None:
    """Refuse values that a device would refuse, if it can tell beforehand."""
    if isinstance(device, ChecksValue):
        for value in values:
            device.check_value(value)

"""What plans ask of the things they are given, besides what bluesky itself asks.

Devices satisfy these protocols without knowing them, and so do fakes: one plan runs on a full-field microscope, on a
nanoprobe and in a test. They hold methods, so that asking whether a device satisfies one reads nothing from it.
"""

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from bluesky.protocols import Movable, Readable

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

"""Legs of a move of several axes: where one of them is to go, and whether it must; and where axes stand before it."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from whiteline.devices.positioner import Positioner


class Stands:
    """Where axes stand, and what settings are, as their monitors have it."""

    def position(self, axis: Positioner) -> float:
        """Return where an axis is, in its unit."""
        return axis.position

    def moving(self, axis: Positioner) -> bool:
        """Tell whether an axis moves."""
        return axis.moving

    def setting(self, signal: Any) -> Any:
        """Return the value of a setting."""
        return signal.get()

    def tolerance(self, axis: Positioner) -> float:
        """Return how near counts as there, in the unit of an axis."""
        return axis.tolerance

    def leg(self, axis: Positioner, position: float, dead_band: float) -> "Leg":
        """Return the leg of an axis to a position.

        It must go if it stands further off than a dead band, and than its own tolerance; or if it moves.
        """
        start, moving = self.position(axis), self.moving(axis)
        off = abs(start - position)
        return Leg(axis, position, start, moving or (off > dead_band and off > self.tolerance(axis)), moving)


HERE = Stands()
"""As things are."""


class Supposed(Stands):
    """Where axes would stand after moves that were only thought of.

    Parameters
    ----------
    places : mutable mapping of object to object
        Positions of axes and values of settings by then; what is not in it is as it is.
    """

    def __init__(self, places: MutableMapping[Any, Any]) -> None:
        self.places = places
        self._tolerances: dict[Positioner, float] = {}

    def position(self, axis: Positioner) -> float:
        """Return where an axis would be, in its unit."""
        place = self.places.get(axis)
        return axis.position if place is None else float(place)

    def moving(self, axis: Positioner) -> bool:
        """Nothing moves in the mind."""
        return False

    def tolerance(self, axis: Positioner) -> float:
        """Return how near counts as there; asked once, as many moves are thought of in a moment."""
        known = self._tolerances.get(axis)
        if known is None:
            known = self._tolerances[axis] = axis.tolerance
        return known

    def setting(self, signal: Any) -> Any:
        """Return the value that a setting would have."""
        value = self.places.get(signal)
        return signal.get() if value is None else value


@dataclass(frozen=True)
class Leg:
    """Where one axis is to go.

    Parameters
    ----------
    axis : Positioner
        The axis.
    position : float
        Its target, in its unit.
    start : float
        Where it stands before.
    needed : bool
        Whether it must go.
    moving : bool
        Whether it moves already.
    """

    axis: Positioner
    position: float
    start: float
    needed: bool = True
    moving: bool = False

    @property
    def end(self) -> float:
        """Where it will stand: at its target if it must go, else where it stands."""
        return self.position if self.needed else self.start

    @property
    def way(self) -> tuple[float, ...]:
        """Where it starts, turns and ends; only where it stands, if it need not go."""
        return self.axis.way(self.position, self.start) if self.needed else (self.start,)

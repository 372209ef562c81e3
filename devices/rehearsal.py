"""Moves of the energy axis in the mind: whether they would be refused, how long they would take, where all would be.

The device itself can only tell of a move from where it stands. In a scan each move begins where the one before has
ended: that decides whether zone plate and aperture meet on the way, which axis is outside its dead band, and on which
harmonic the undulator goes. A rehearsal asks the same code as a move does, with places that are only supposed.
"""

import math
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from whiteline.devices.legs import Leg, Supposed
from whiteline.devices.positioner import Positioner

if TYPE_CHECKING:
    from whiteline.devices.energy import Energy


class Rehearsal:
    """An energy axis that moves only in the mind.

    Parameters
    ----------
    energy : Energy
        The axis.
    places : mutable mapping of object to object
        Positions of axes and values of settings by then, by device; those that are missing are as they are. Moves are
        noted in it.

    Attributes
    ----------
    travel : dict of str to (float, float)
        Lowest and highest position of each axis that would have moved, by its name.
    """

    def __init__(self, energy: "Energy", places: MutableMapping[Any, Any]) -> None:
        self.travel: dict[str, tuple[float, float]] = {}
        self._energy, self._places, self._stands = energy, places, Supposed(places)
        self._choice, self._keep = energy.undulator.choice, energy.keeps_harmonic
        self._staged = energy.staged
        self._harmonics: dict[int, None] = {}
        self._nearest: dict[str, float] = {}
        self._rooms: dict[Positioner, tuple[float, float]] = {}

    def stage(self) -> None:
        """Begin a run: its first energy chooses the harmonic."""
        self._keep, self._staged = False, True

    def unstage(self) -> None:
        """End a run."""
        self._keep = self._staged = False

    def move(self, value: float) -> float:
        """Go to an energy [eV] in the mind, and return how long it would take [s].

        Raises
        ------
        OutOfRange, Uncertain
            As a move would; all would stay where it was then.
        """
        energy = self._energy
        wanted = energy.checked(value)
        choice = energy.undulator.choice_at(wanted, self._choice, keep=self._keep)
        before: dict[Any, Any] = {}
        seconds = 0.0
        try:
            for group in energy.steps(wanted, choice.harmonic, self._stands):
                seconds += self._move_together(group, before)
        except Exception:
            self._put_back(before)
            raise
        self._choice, self._keep = choice, self._staged
        self._harmonics[choice.harmonic] = None
        for pair, distance in energy.distances(self._stands).items():
            self._nearest[pair] = min(distance, self._nearest.get(pair, distance))
        for axis in before:
            start, end = before[axis], self._places[axis]
            low, high = self.travel.get(axis.name, (start, start))
            self.travel[axis.name] = min(low, end), max(high, end)
        return seconds

    def _move_together(self, legs: list[Leg], before: dict[Any, Any]) -> float:
        seconds = 0.0
        for leg in legs:
            low, high = self._rooms.get(leg.axis) or self._room(leg.axis)
            if not low <= leg.position <= high:
                leg.axis.check_value(leg.position)
            if leg.needed:
                seconds = max(seconds, leg.axis.duration(leg.start, leg.position))
                before.setdefault(leg.axis, leg.start)
                self._places[leg.axis] = leg.position
        return seconds

    def _room(self, axis: Positioner) -> tuple[float, float]:
        """Return between which positions an axis refuses none: it goes everywhere between two that it can go to."""
        low, high = axis.limits
        try:
            axis.check_value(low)
            axis.check_value(high)
        except ValueError:  # to the ends it cannot be brought, as it comes from beyond: it is asked each time
            low, high = math.inf, -math.inf
        self._rooms[axis] = low, high
        return low, high

    def _put_back(self, before: Mapping[Any, Any]) -> None:
        self._places.update(before)

    def summary(self) -> dict[str, str]:
        """Return what else is known of the moves: the harmonics that they were on, and what came how near to what."""
        found = {f"harmonic of {self._energy.undulator.name}": ", ".join(map(str, self._harmonics))}
        nearest = {f"least distance of {pair}": f"{one:.4g} mm" for pair, one in self._nearest.items()}
        return (found if self._harmonics else {}) | nearest

"""How long the beam is on each place of the sample, and at which energy: what a dose is made of."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from whiteline.plans.protocols import SampleInAndOut

NOT_EXPOSED = "flat", "dark", "look_flat"
"""Streams of events at which the sample takes no dose: it is out of the beam, or there is none."""

PLACE_DIGITS = 3
"""Places are the same if all axes of the sample agree to so many digits behind the point, in their units."""

Place = tuple[float, ...]


class Beam(Protocol):
    """What is known of the beam on the sample."""

    def dose_per_s(self, energy: float) -> float:
        """Return the dose rate where the beam is on the sample [Gy/s]."""

    @property
    def source(self) -> str:
        """What it is known from, as the end of "dose by …"."""


def moves_sample(device: Any) -> bool:
    """Tell whether an axis moves the sample: it belongs to a sample stage, or is called as one."""
    parent = getattr(device, "parent", None)
    return isinstance(parent, SampleInAndOut) or str(getattr(device, "name", "")).startswith("sample")


class Exposure:
    """Adds up the time for which the shutter is open, event by event.

    Where no shutter is moved, it is known of the beam only that it is on the sample while something counts.

    Attributes
    ----------
    shuttered : bool
        Whether a shutter was moved.
    """

    def __init__(self) -> None:
        self.shuttered = False
        self._opened_at: float | None = None
        self._line_over = False
        self._open_s = self._counted_s = 0.0
        self._start: dict[str, float] = {}
        self._place: dict[str, float] = {}
        self._here: dict[str, float] | None = None
        self._run = -1
        self._seconds: list[tuple[int, dict[str, float], dict[float, float]]] = []

    def run(self, number: int) -> None:
        """Note that what is exposed from now on belongs to a run, by its number in the plan."""
        self._run, self._here = number, None

    def opened(self, at: float) -> None:
        """Note that the shutter is open from a moment on [s]."""
        self.shuttered = True
        if self._opened_at is None:
            self._opened_at, self._line_over = at, False

    def closed(self, at: float) -> None:
        """Note that the shutter is closed from a moment on [s]."""
        self.shuttered = True
        if self._opened_at is not None:
            self._open_s += 0.0 if self._line_over else max(0.0, at - self._opened_at)
            self._opened_at = None

    def counted(self, seconds: float) -> None:
        """Note that something has counted for so long [s]."""
        self._counted_s += seconds

    def moved(self, axis: str, start: float, end: float) -> None:
        """Note that an axis of the sample goes from one position to another."""
        self._start.setdefault(axis, start)
        self._place[axis] = end
        self._here = None

    def event(self, stream: str, energy: float, now: float) -> None:
        """Note that an event begins: what was exposed before it belongs to its stream, at an energy [eV]."""
        if self._opened_at is not None and now > self._opened_at and not self._line_over:
            self._open_s += now - self._opened_at
            self._opened_at = now
        seconds = self._open_s if self.shuttered else self._counted_s
        self._open_s = self._counted_s = 0.0
        if stream in NOT_EXPOSED or not seconds:
            return
        if self._here is None:
            self._here = dict(self._place)
            self._seconds.append((self._run, self._here, {}))
        by_energy = self._seconds[-1][2]
        by_energy[energy] = by_energy.get(energy, 0.0) + seconds

    def flown(self, seconds: float, energies: Sequence[float], now: float, axis: str = "", middle: float = 0.0) -> None:
        """Note that a line was flown, with the shutter open if there is one.

        Parameters
        ----------
        seconds : float
            How long the beam was on each place [s]: a gate of a line along the sample, all of the line else.
        energies : sequence of float
            To which it is put down in equal parts [eV].
        now : float
            When it is over [s]. The shutter closes while the sample leaves the map: that exposes nothing of it.
        axis, middle : str, float
            Of a line along the sample: its axis, and its middle, by which it is known whichever way it is flown.
        """
        if self.shuttered and self._opened_at is None:
            return
        place = dict(self._place)
        if axis:
            self._start.setdefault(axis, middle)
            place[axis] = middle
        self._seconds.append((self._run, place, dict.fromkeys(energies, seconds / len(energies))))
        self._here = None
        self._open_s = self._counted_s = 0.0
        if self._opened_at is not None:
            self._opened_at, self._line_over = now, True

    def by_place(self, run: int | None = None) -> dict[tuple[Place, float], float]:
        """Return how long the beam was on the sample [s], by place and energy [eV]; of one run, or of all."""
        found: dict[tuple[Place, float], float] = {}
        for number, place, by_energy in self._seconds:
            if run is not None and number != run:
                continue
            # an axis that had not been moved by then stood where it was at first
            key = tuple(round(place.get(name, start), PLACE_DIGITS) for name, start in self._start.items())
            for energy, seconds in by_energy.items():
                found[key, energy] = found.get((key, energy), 0.0) + seconds
        return found


def largest_dose(exposed_s: Mapping[tuple[Place, float], float], beam: Beam) -> float:
    """Return the dose of the most exposed place [Gy]; NaN where an energy is not known.

    Parameters
    ----------
    exposed_s : mapping of (place, energy) to float
        As `Exposure.by_place` returns it [eV, s].
    beam : Beam
        Its dose rate, by energy.
    """
    energies = {energy for _, energy in exposed_s}
    if not all(map(math.isfinite, energies)):
        return math.nan
    rates = {energy: beam.dose_per_s(energy) for energy in energies}
    by_place: dict[Place, float] = {}
    for (place, energy), seconds in exposed_s.items():
        by_place[place] = by_place.get(place, 0.0) + rates[energy] * seconds
    return max(by_place.values(), default=0.0)

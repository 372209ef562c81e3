"""What follows Bragg in a sweep of the energy: from where to where, how fast, and how far off it is in between.

Over a sweep each axis goes along a straight line, where its law is curved; a sweep that is too long for it is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.laws.fly_line import FlyLine
from whiteline.devices.energy import Energy
from whiteline.devices.errors import MoveFailed
from whiteline.devices.fly_velocity import LineVelocity
from whiteline.devices.positioner import Positioner
from whiteline.devices.targets import HARMONIC_DEAD_BAND, HEIGHT_DEAD_BAND_UM
from whiteline.devices.undulator import UndulatorGap

FOCUS_SHARE = 0.1
"""By what part of the depth of focus the optics may be off in the middle of a sweep."""

ALONG_UM, MAGNIFICATION_SHARE = 20.0, 1e-4
"""By how much what does not focus, as the aperture, may be off along the beam in the middle of a sweep [µm]; and by
what part of its distance, where that is more, as the detector, on which the magnification depends."""

LATE_SHARE = 5.0
"""By how many times as much an axis may be behind all along, as it started late. Of the depth of focus that is half,
which still lies within it."""


@dataclass(frozen=True)
class Follower:
    """What follows Bragg in a sweep.

    Parameters
    ----------
    axis : Positioner
        The axis.
    first, last : float
        Where it belongs at the first pulse, and at the end of the last gate [unit of the axis].
    velocity : float
        That takes it from one to the other in the time of the pulses [unit/s].
    late_s : float
        By how much a command that is given when Bragg starts is behind one of constant velocity [s].
    """

    axis: Positioner
    first: float
    last: float
    velocity: float
    late_s: float

    def way(self, before_s: float) -> tuple[float, float]:
        """Return where it starts and ends, if Bragg starts so long before the first pulse [s]."""
        rate = self.velocity if self.last > self.first else -self.velocity
        return self.first - rate * (before_s - self.late_s), self.last + rate * (before_s - self.late_s)


def followers_of(energy: Energy, line: FlyLine) -> list[Follower]:
    """Return what follows Bragg along a line.

    Parameters
    ----------
    energy : Energy
        The energy axis, which knows where everything belongs.
    line : FlyLine
        Along Bragg.

    Raises
    ------
    OutOfRange
        If an axis would be too far off in the middle of the sweep.
    """
    mono = energy.monochromator
    first, last = mono.energy_at(line.first), mono.energy_at(line.last)
    middle, harmonic = _middle(energy, line)
    places = [_places(energy, one, harmonic) for one in (first, middle, last)]
    found = []
    for axis in places[0]:
        begin, between, end = (one[axis] for one in places)
        if axis is mono.bragg or abs(end - begin) <= axis.tolerance:
            continue
        _require_straight(energy, axis, (begin + end) / 2, between, middle, harmonic)
        found.append(Follower(axis, begin, end, abs(end - begin) / line.length_s, late_s(axis)))
    return found


def require_able(followers: Sequence[Follower], gate_s: float, before_s: float) -> None:
    """Refuse a sweep that an axis cannot follow.

    Parameters
    ----------
    followers : sequence of Follower
        Of the sweep.
    gate_s : float
        Dwell of each of its pulses [s].
    before_s : float
        How long before the first pulse Bragg starts [s].

    Raises
    ------
    OutOfRange
        If one would leave its limits, or be too slow.
    """
    for one in followers:
        if one.velocity > (most := _highest_velocity(one.axis)):
            unit = f"{one.axis.egu}/s"
            slow = gate_s * one.velocity / most
            raise OutOfRange(
                f"velocity of {one.axis.name}", one.velocity, f"must not exceed {most:.6g} {unit}", unit,
                f"dwell {slow:.4g} s or longer",
            )  # fmt: skip
        for position in one.way(before_s):
            one.axis.check_value(position)


def require_in_step(energy: Energy, line: FlyLine, followers: Sequence[Follower], late: Mapping[Any, float]) -> None:
    """Refuse a sweep in which an axis has followed too late.

    Parameters
    ----------
    energy : Energy
        The energy axis, which knows where everything belongs.
    line : FlyLine
        That was swept along Bragg.
    followers : sequence of Follower
        Of the sweep.
    late : mapping of Positioner to float
        How long after Bragg each of them has started [s].

    Raises
    ------
    MoveFailed
        Naming the first one that was too far behind, and how far.
    """
    middle, harmonic = _middle(energy, line)
    places = _places(energy, middle, harmonic)
    for one in followers:
        wanted, way = places[one.axis], one.velocity * max(late[one.axis], 0.0)
        behind = wanted - way if one.last > one.first else wanted + way
        off, most, unit = _off(energy, one.axis, behind, wanted, middle, harmonic)
        if abs(off) > LATE_SHARE * most:
            raise MoveFailed(
                f"{one.axis.name} started {late[one.axis]:.3g} s after {energy.monochromator.bragg.name}, and was "
                f"{abs(off):.3g} {unit} off all along, above {LATE_SHARE * most:.3g}: sweep again, or more slowly; if "
                "it stays, compare the clocks of their IOCs"
            )


def _middle(energy: Energy, line: FlyLine) -> tuple[float, int]:
    """Return the energy in the middle of a sweep [eV], and the harmonic that the sweep is made in."""
    middle, undulator = energy.monochromator.energy_at((line.first + line.last) / 2), energy.undulator
    return middle, undulator.choice_at(middle, undulator.choice, keep=energy.keeps_harmonic).harmonic


def _places(energy: Energy, at: float, harmonic: int) -> dict[Any, float]:
    """Return where each axis belongs at an energy."""
    return {leg.axis: float(leg.position) for leg in energy.legs(at, harmonic)}


def _require_straight(
    energy: Energy, axis: Positioner, straight: float, wanted: float, middle: float, harmonic: int
) -> None:
    """Refuse a sweep in whose middle an axis that goes along a straight line is too far off."""
    off, most, unit = _off(energy, axis, straight, wanted, middle, harmonic)
    if abs(off) > most:
        raise OutOfRange(
            f"{axis.name} in the middle of a sweep, at {middle:.1f} eV", abs(off),
            f"off would be more than {most:.3g} {unit}", unit, "divide the sweep into shorter ones",
        )  # fmt: skip


def _off(
    energy: Energy, axis: Positioner, at: float, wanted: float, middle: float, harmonic: int
) -> tuple[float, float, str]:
    """Return how far off an axis is that is not where it is wanted, how far it may be in the middle, and the unit."""
    if axis is energy.monochromator.crystal_gap:
        return energy.monochromator.height_error_um(at, wanted), HEIGHT_DEAD_BAND_UM, "um of height"
    if axis is energy.undulator.gap:
        off = energy.undulator.off_peak_eV(harmonic, at, wanted)
        return off, HARMONIC_DEAD_BAND * energy.undulator.width(middle, harmonic), "eV"
    if axis is getattr(getattr(energy, "zone_plate", None), "z", None):
        return 1e3 * (at - wanted), FOCUS_SHARE * float(energy.depth_of_focus(middle)), "um along the beam"
    if axis.egu == "mm":
        return 1e3 * (at - wanted), max(ALONG_UM, 1e3 * MAGNIFICATION_SHARE * abs(wanted)), "um along the beam"
    return 0.0, 1.0, axis.egu


def late_s(axis: Positioner) -> float:
    """Return by how much an axis is behind one that has its velocity at once [s]."""
    if isinstance(axis, UndulatorGap):
        return float(axis.settings.latency_s)
    return 0.5 * float(axis.acceleration.get())


def _highest_velocity(axis: Positioner) -> float:
    """Return the highest velocity of an axis [unit/s]."""
    if isinstance(axis, UndulatorGap):
        return float(axis.settings.velocity)
    return LineVelocity(axis).highest

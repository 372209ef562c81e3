"""Where every axis belongs for an energy: those of monochromator and undulator, each only outside its dead band."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from whiteline.devices.legs import HERE, Leg, Stands
from whiteline.devices.monochromator import Monochromator
from whiteline.devices.positioner import Positioner
from whiteline.devices.undulator import Undulator

HEIGHT_DEAD_BAND_UM = 1.0
"""By how much the height of the exit beam may be off before the crystal gap is moved [µm]."""

HARMONIC_DEAD_BAND = 0.05
"""By how much of the width of its harmonic the undulator may be off before its gap is moved."""


class Targets:
    """What the energy axis is asked where axes are to go, from where they stand, or would stand by then.

    Attributes
    ----------
    monochromator, undulator : Monochromator, Undulator
        What sets the energy.
    optics_follow : Parameter
        Whether the optics follow.
    """

    monochromator: Monochromator
    undulator: Undulator
    optics_follow: Any

    @property
    def source_axes(self) -> Sequence[Positioner]:
        """The axes that set the energy: those of monochromator and undulator."""
        return self.monochromator.bragg, self.monochromator.crystal_gap, self.undulator.gap

    @property
    def axes(self) -> Sequence[Positioner]:
        """All axes that follow the energy."""
        return self.source_axes

    def legs(self, energy: float, harmonic: int, stands: Stands = HERE) -> list[Leg]:
        """Return where every axis is to go, if all arrive exactly.

        Parameters
        ----------
        energy : float
            Wanted [eV].
        harmonic : int
            Of the undulator.
        stands : Stands
            Where axes stand before.
        """
        mono, undulator = self.monochromator, self.undulator
        gap, undulator_gap = mono.gap(energy), undulator.gap_at(energy, harmonic)
        height_error = abs(mono.height_error_um(stands.position(mono.crystal_gap), gap))
        off_peak = abs(undulator.off_peak_eV(harmonic, stands.position(undulator.gap), undulator_gap))
        too_high = height_error > HEIGHT_DEAD_BAND_UM
        off_harmonic = off_peak > HARMONIC_DEAD_BAND * undulator.width(energy, harmonic)
        source = [
            stands.leg(mono.bragg, mono.angle(energy), 0.0),
            stands.leg(mono.crystal_gap, gap, 0.0 if too_high else math.inf),
            stands.leg(undulator.gap, undulator_gap, 0.0 if off_harmonic else math.inf),
        ]
        return source + (self.optics_legs(energy, stands) if stands.setting(self.optics_follow) else [])

    def optics_legs(self, energy: float, stands: Stands = HERE) -> list[Leg]:
        """Return where the optics are to go for an energy [eV], if all before them arrive exactly."""
        return []

    def steps(self, energy: float, harmonic: int, stands: Stands = HERE) -> Iterator[list[Leg]]:
        """Yield what moves together, one group after the other; each is computed when the one before has arrived."""
        yield self.legs(energy, harmonic, stands)

    def reached(self, stands: Stands = HERE) -> float:
        """Return the energy [eV] where the Bragg axis stands."""
        return self.monochromator.energy_at(stands.position(self.monochromator.bragg))

    def distances(self, stands: Stands = HERE) -> dict[str, float]:
        """Return how far apart those stand that must not meet [mm], by what they are; there may be none."""
        return {}

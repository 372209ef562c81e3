"""The energy axis of a scanning microscope: the zone plate follows, and never meets its order-sorting aperture."""

from collections.abc import Iterator, Sequence
from typing import Any

from ophyd import Component

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.laws.scanning import least_clearance
from whiteline.devices.energy import Energy
from whiteline.devices.legs import Leg
from whiteline.devices.optics import KirkpatrickBaez, OrderSortingAperture, ZonePlate
from whiteline.devices.positioner import Positioner
from whiteline.devices.shown import Computed

APERTURE_DEAD_BAND_MM = 0.02
"""By how much the order-sorting aperture may be off along the beam before it is moved [mm]."""


class ZonePlateEnergy(Energy):
    """The photon energy [eV] of a scanning microscope with a zone plate.

    Parameters
    ----------
    zone_plate : ZonePlate
        Focuses the beam.
    aperture : OrderSortingAperture
        Between it and the sample.
    **kwargs
        As `Energy`.
    """

    zone_plate_z = Component(Computed, compute=lambda energy: energy.zone_plate.z.position, unit="mm", precision=5)
    aperture_z = Component(Computed, compute=lambda energy: energy.aperture.z.position, unit="mm", precision=5)

    def __init__(
        self, prefix: str = "", *, name: str, zone_plate: ZonePlate, aperture: OrderSortingAperture, **kwargs: Any
    ) -> None:
        self.zone_plate, self.aperture = zone_plate, aperture
        super().__init__(prefix, name=name, **kwargs)

    @property
    def axes(self) -> Sequence[Positioner]:
        """All axes that follow the energy."""
        lens = self.zone_plate
        return *self.source_axes, self.aperture.z, lens.z, lens.x, lens.y

    def legs(self, energy: float, harmonic: int) -> list[Leg]:
        """Return where every axis is to go, if all arrive exactly.

        Raises
        ------
        OutOfRange
            If zone plate, aperture and sample cannot keep clear of each other on the way.
        """
        aperture, lens = self._aperture_leg(energy), self._lens_legs(energy)
        self._aperture_first(aperture, lens[0])
        return [*super().legs(energy, harmonic), aperture, *lens]

    def steps(self, energy: float, harmonic: int) -> Iterator[list[Leg]]:
        """Yield monochromator and undulator with what opens the way, the other, then the zone plate for what came."""
        others = super().legs(energy, harmonic)
        aperture, lens = self._aperture_leg(energy), self._lens_legs(energy)
        if self._aperture_first(aperture, lens[0]):
            yield [*others, aperture]
            yield lens
        else:
            yield [*others, *lens]
            yield [aperture]
        yield self._lens_legs(self.position)

    def _aperture_leg(self, energy: float) -> Leg:
        stage = self.aperture.z
        z = self.aperture.z_at(self.zone_plate.calibration.calibration.focal_length(energy))
        return Leg(stage, z, abs(stage.position - z) > APERTURE_DEAD_BAND_MM)

    def _lens_legs(self, energy: float) -> list[Leg]:
        lens = self.zone_plate
        return lens.legs_to(lens.calibration.calibration.scanning_reading(energy), energy)

    def _aperture_first(self, aperture: Leg, lens: Leg) -> bool:
        """Tell whether the aperture must go before the zone plate, so that nothing meets on the way."""
        clearance = self.aperture.law.clearance
        # distances from the sample: readings of the zone plate count from A0
        a0 = self.zone_plate.calibration.calibration.a0
        lens_way = lens.axis.position - a0, lens.position - a0
        way = aperture.axis.position, aperture.position if aperture.needed else aperture.axis.position
        self._require_clear(max(way) + clearance, "order-sorting aperture and sample")
        if least_clearance((lens_way[0], lens_way[1]), (way[0], way[0])) >= clearance:
            # the zone plate may go while the aperture waits, the aperture when the zone plate has arrived
            self._require_clear(
                clearance - least_clearance((lens_way[1], lens_way[1]), way), "zone plate and order-sorting aperture"
            )
            return False
        self._require_clear(
            clearance - least_clearance((lens_way[0], lens_way[0]), way), "zone plate and order-sorting aperture"
        )
        self._require_clear(
            clearance - least_clearance((lens_way[0], lens_way[1]), (way[1], way[1])),
            "zone plate and order-sorting aperture",
        )
        return True

    def _require_clear(self, missing_mm: float, pair: str) -> None:
        if missing_mm > 0:
            clearance = self.aperture.law.clearance
            raise OutOfRange(
                f"distance of {pair}",
                clearance - missing_mm,
                f"would fall below the clearance, {clearance:g} mm, on the way",
                "mm",
                "move the aperture by hand to where it belongs",
            )


class MirrorEnergy(Energy):
    """The photon energy [eV] of a scanning microscope with mirrors: achromatic, but the spot must not have walked.

    Parameters
    ----------
    mirrors : KirkpatrickBaez
        Focus the beam.
    **kwargs
        As `Energy`.
    """

    def __init__(self, prefix: str = "", *, name: str, mirrors: KirkpatrickBaez, **kwargs: Any) -> None:
        self.mirrors = mirrors
        super().__init__(prefix, name=name, **kwargs)

    def legs(self, energy: float, harmonic: int) -> list[Leg]:
        """Return where every axis is to go; refuses if the spot of a mirror has walked too far.

        Raises
        ------
        OutOfRange
            Naming the mirror, the walk and its limit.
        """
        self.mirrors.require_on_spot()
        return super().legs(energy, harmonic)

"""The energy axis of a scanning microscope: the zone plate follows, and never meets its order-sorting aperture."""

from collections.abc import Iterator, Sequence
from typing import Any

from ophyd import Component

from whiteline.analysis.checks import require
from whiteline.analysis.laws.scanning import least_clearance
from whiteline.devices.energy import Energy
from whiteline.devices.legs import HERE, Leg, Stands
from whiteline.devices.optics import KirkpatrickBaez, OrderSortingAperture, ZonePlate
from whiteline.devices.positioner import Positioner
from whiteline.devices.shown import Computed

APERTURE_DEAD_BAND_MM = 0.02
"""By how much the order-sorting aperture may be off along the beam before it is moved [mm]."""


def aperture_goes_first(zone_plate: Sequence[float], aperture: Sequence[float], clearance: float) -> bool:
    """Tell in which order zone plate and order-sorting aperture keep clear of each other and of the sample.

    Parameters
    ----------
    zone_plate, aperture : sequence of float
        Where each starts, turns and ends [mm from the sample, downstream positive].
    clearance : float
        The least distance that two may have [mm].

    Returns
    -------
    bool
        Whether the aperture must go first; else the zone plate goes first.

    Raises
    ------
    OutOfRange
        If they would come nearer in either order, or the aperture would come too near to the sample.
    """

    def distance(lens: Sequence[float], pinhole: Sequence[float]) -> float:
        return least_clearance((min(lens), max(lens)), (min(pinhole), max(pinhole)))

    to_sample = -max(aperture)
    lens_first = min(distance(zone_plate, aperture[:1]), distance(zone_plate[-1:], aperture))
    aperture_first = min(distance(zone_plate[:1], aperture), distance(zone_plate, aperture[-1:]))
    for found, pair in (
        (to_sample, "order-sorting aperture and sample"),
        (max(lens_first, aperture_first), "zone plate and order-sorting aperture"),
    ):
        limit = f"would fall below the clearance, {clearance:g} mm, on the way"
        remedy = "move the aperture by hand to where it belongs"
        require(found, found >= clearance, f"distance of {pair}", limit, "mm", remedy)
    return lens_first < clearance


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

    def optics_legs(self, energy: float, stands: Stands = HERE) -> list[Leg]:
        """Return where aperture and zone plate are to go, if all before them arrive exactly.

        Raises
        ------
        OutOfRange
            If zone plate, aperture and sample cannot keep clear of each other on the way.
        """
        aperture, lens = self._aperture_leg(energy, stands), self._lens_legs(energy, stands)
        self._aperture_first(aperture, lens[0])
        return [aperture, *lens]

    def steps(self, energy: float, harmonic: int, stands: Stands = HERE) -> Iterator[list[Leg]]:
        """Yield monochromator and undulator with what opens the way, the other, then the zone plate for what came."""
        legs = self.legs(energy, harmonic, stands)
        if not stands.setting(self.optics_follow):
            yield legs
            return
        count = len(self.source_axes)
        others, aperture, lens = legs[:count], legs[count], legs[count + 1 :]
        if self._aperture_first(aperture, lens[0]):
            yield [*others, aperture]
            yield lens
        else:
            yield [*others, *lens]
            yield [aperture]
        reached = self._lens_legs(self.reached(stands), stands)
        self._aperture_first(self._aperture_leg(energy, stands), reached[0])
        yield reached

    def depth_of_focus(self, energy: float) -> float:
        """Return the full depth of focus at an energy [eV], of the zone plate [µm]."""
        return self.zone_plate.law.depth_of_focus(energy)

    def distances(self, stands: Stands = HERE) -> dict[str, float]:
        """Return how far apart zone plate, aperture and sample stand [mm], by what they are."""
        lens = stands.position(self.zone_plate.z) - self.zone_plate.calibration.calibration.a0
        aperture = stands.position(self.aperture.z) - float(self.aperture.zero.get())
        return {
            "zone plate and order-sorting aperture": aperture - lens,
            "order-sorting aperture and sample": -aperture,
        }

    @property
    def configured_by(self) -> Sequence[Any]:
        """Signals of other devices that the energy depends on."""
        lens = self.zone_plate
        return *super().configured_by, lens.calibration, lens.straight_at, self.aperture.distance, self.aperture.zero

    def _aperture_leg(self, energy: float, stands: Stands) -> Leg:
        z = self.aperture.z_at(self.zone_plate.calibration.calibration.focal_length(energy))
        return stands.leg(self.aperture.z, z, APERTURE_DEAD_BAND_MM)

    def _lens_legs(self, energy: float, stands: Stands) -> list[Leg]:
        lens = self.zone_plate
        return lens.legs_to(lens.calibration.calibration.scanning_reading(energy), energy, stands)

    def _aperture_first(self, aperture: Leg, lens: Leg) -> bool:
        """Tell whether the aperture must go before the zone plate."""
        # distances from the sample: readings count from where each would stand in its plane
        a0, zero = self.zone_plate.calibration.calibration.a0, float(self.aperture.zero.get())
        lens_way, way = [z - a0 for z in lens.way], [z - zero for z in aperture.way]
        return aperture_goes_first(lens_way, way, self.aperture.law.clearance)


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

    def depth_of_focus(self, energy: float) -> float:
        """Return the full depth of focus at an energy [eV], of the mirrors [µm]."""
        return self.mirrors.depth_of_focus(energy)

    def optics_legs(self, energy: float, stands: Stands = HERE) -> list[Leg]:
        """Return nothing, as mirrors stay; refuses if the spot of one has walked too far.

        Raises
        ------
        OutOfRange
            Naming the mirror, the walk and its limit.
        """
        self.mirrors.require_on_spot()
        return []

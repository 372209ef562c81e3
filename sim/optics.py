"""The optics as hardware: where zone plate and detector stand goes in, what is sharp and how large comes out.

Along the beam from the sample, downstream positive, in mm.
"""

from dataclasses import dataclass

import numpy as np

from whiteline.analysis.constants import HC_EV_ANGSTROM, IN_FOCUS_WIDTH, MIRROR_WIDTH


@dataclass(frozen=True)
class ZonePlate:
    """A zone plate and its axis along the beam.

    Parameters
    ----------
    diameter_um : float
        True diameter [µm].
    outer_zone_width_nm : float
        True outer zone width [nm].
    zero : float
        Reading of the axis when the zone plate stands in the plane of the sample [mm].
    run_out : tuple of float
        How far it wanders sideways (x, y) as the axis moves [µm/mm].
    straight_at : float
        Reading of the axis at which it stands on the optical axis [mm].
    efficiency : float
        Share of the light that goes into the first order.
    """

    diameter_um: float
    outer_zone_width_nm: float
    zero: float = 0.0
    run_out: tuple[float, float] = (0.0, 0.0)
    straight_at: float = 0.0
    efficiency: float = 0.1

    def position(self, reading: float) -> float:
        """Return where the zone plate stands [mm] for a reading of its axis [mm]."""
        return reading - self.zero

    def focal_length(self, energy: float) -> float:
        """Return the focal length of the first order [mm] at an energy [eV]."""
        angstrom = HC_EV_ANGSTROM / energy
        return 0.01 * self.diameter_um * self.outer_zone_width_nm / angstrom

    def energy_of_focal_length(self, focal_length: float) -> float:
        """Return the energy [eV] at which the zone plate has a focal length [mm]."""
        return 100 * HC_EV_ANGSTROM * focal_length / (self.diameter_um * self.outer_zone_width_nm)

    def wander(self, reading: float) -> tuple[float, float]:
        """Return how far the zone plate stands beside the optical axis (x, y) [µm]."""
        along = reading - self.straight_at
        return self.run_out[0] * along, self.run_out[1] * along

    def half_angle(self, energy: float) -> float:
        """Return the sine of the largest angle under which the zone plate focuses."""
        return 0.05 * HC_EV_ANGSTROM / (energy * self.outer_zone_width_nm)

    def depth_of_focus(self, energy: float) -> float:
        """Return the full depth of focus [mm]."""
        return 1e-7 * HC_EV_ANGSTROM / energy / self.half_angle(energy) ** 2

    def blur_nm(self, defocus: float, energy: float) -> float:
        """Return the Gaussian σ of the image or probe [nm] at a defocus [mm]."""
        focused = IN_FOCUS_WIDTH * self.outer_zone_width_nm
        cone = 1e6 * defocus * self.half_angle(energy) / 2
        return float(np.sqrt(focused**2 + cone**2))


def sharp_plane(focal_length: float, image_distance: float) -> float:
    """Return how far upstream of a lens the plane lies that it images sharply onto the detector [mm].

    Raises
    ------
    ValueError
        If the detector stands within a focal length: no image forms.
    """
    if image_distance <= focal_length:
        raise ValueError(
            f"detector {image_distance:.6g} mm behind the zone plate sees no image: "
            f"it must stand further than the focal length, {focal_length:.6g} mm"
        )
    return 1 / (1 / focal_length - 1 / image_distance)


def sharp_energy(zone_plate: ZonePlate, object_distance: float, image_distance: float) -> float:
    """Return the energy at which a zone plate images over these two distances [mm] sharply [eV]."""
    return zone_plate.energy_of_focal_length(object_distance * image_distance / (object_distance + image_distance))


@dataclass(frozen=True)
class OrderSortingAperture:
    """The pinhole before the sample of a scanning microscope.

    Parameters
    ----------
    aperture_um : float
        Diameter of the pinhole [µm].
    central_stop_um : float
        Diameter of the central stop of the zone plate [µm].
    """

    aperture_um: float
    central_stop_um: float

    def transmission(
        self, distance: float, focal_length: float, diameter_um: float, beside_um: tuple[float, float] = (0.0, 0.0)
    ) -> float:
        """Return the share of the first order that passes, from 0 to 1.

        The beam is the ring between the shadow of the central stop and the edge of the zone plate.

        Parameters
        ----------
        distance : float
            How far the pinhole stands upstream of the focus [mm].
        focal_length : float
            Of the zone plate [mm].
        diameter_um : float
            Of the zone plate [µm].
        beside_um : tuple of float
            How far the pinhole stands beside the middle of the beam (x, y) [µm].
        """
        shrunk = abs(distance) / focal_length / 2
        outer, inner, hole = diameter_um * shrunk, self.central_stop_um * shrunk, self.aperture_um / 2
        apart = float(np.hypot(*beside_um))
        if apart + outer <= hole:
            return 1.0
        ring = np.pi * (outer**2 - inner**2)
        return float((overlap(outer, hole, apart) - overlap(inner, hole, apart)) / ring)


def overlap(first: float, second: float, apart: float) -> float:
    """Return the area that two discs of these radii share with their middles so far apart."""
    if apart >= first + second:
        return 0.0
    if apart <= abs(first - second):
        return float(np.pi * min(first, second) ** 2)
    cut = [
        radius**2 * np.arccos((apart**2 + radius**2 - other**2) / (2 * apart * radius))
        for radius, other in ((first, second), (second, first))
    ]
    sides = (first + second - apart) * (apart + first - second) * (apart - first + second) * (apart + first + second)
    return float(sum(cut) - np.sqrt(sides) / 2)


@dataclass(frozen=True)
class Mirrors:
    """A Kirkpatrick–Baez pair: the first mirror focuses vertically, the second horizontally.

    Parameters
    ----------
    focal_lengths : tuple of float
        Of the vertical and the horizontal mirror [mm].
    apertures : tuple of float
        Their numerical apertures.
    source_um : tuple of float
        Full width at half maximum of the source, vertical and horizontal [µm].
    source_distance : float
        From the source to the mirrors [mm].
    reflectivity : float
        Share of the light that both together pass.
    best_pitch_urad : tuple of float
        Tilt of each at which the spot is where it should be [µrad].
    """

    focal_lengths: tuple[float, float]
    apertures: tuple[float, float]
    source_um: tuple[float, float]
    source_distance: float
    reflectivity: float
    best_pitch_urad: tuple[float, float] = (0.0, 0.0)

    def spot_nm(self, energy: float) -> tuple[float, float]:
        """Return the spot, vertical and horizontal, full width at half maximum [nm]: diffraction and source."""
        nanometres = 0.1 * HC_EV_ANGSTROM / energy
        vertical, horizontal = (
            float(np.hypot(MIRROR_WIDTH * nanometres / aperture, 1e3 * source * focal / self.source_distance))
            for focal, aperture, source in zip(self.focal_lengths, self.apertures, self.source_um, strict=True)
        )
        return vertical, horizontal

    def walk_um(self, pitch_urad: tuple[float, float]) -> tuple[float, float]:
        """Return how far the spot stands off, vertically and horizontally [µm], for tilts of the mirrors [µrad]."""
        vertical, horizontal = (
            2e-3 * (tilt - best) * focal
            for tilt, best, focal in zip(pitch_urad, self.best_pitch_urad, self.focal_lengths, strict=True)
        )
        return vertical, horizontal

"""The scanning microscope: where its zone plate stands, its order-sorting aperture, and its mirrors.

The reading of the zone-plate axis in focus is z(E) = A0 − A1 E: the zone plate stands one focal length upstream of the
sample, and downstream is positive. A1 = D Δr / hc is what the zone plate should have; A0 is the reading at f = 0.
"""

from dataclasses import dataclass

import numpy as np

from whiteline.analysis.checks import (
    Numbers,
    OutOfRange,
    first_where,
    require,
    require_energy,
    require_finite,
    require_positive,
)
from whiteline.analysis.constants import MIRROR_WIDTH
from whiteline.analysis.laws.bragg import wavelength


def zone_plate_reading(energy: Numbers, a0: float, a1: float) -> Numbers:
    """Return the reading of the zone-plate axis in focus, z = A0 − A1 E [mm].

    Parameters
    ----------
    energy : float or ndarray
        Photon energy [eV].
    a0 : float
        Reading at which the focal length would be zero [mm].
    a1 : float
        Focal length per energy [mm/eV].
    """
    require_energy(energy)
    require_positive(a1, "focal length per energy A1", "mm/eV")
    return a0 - a1 * energy


@dataclass(frozen=True)
class OrderSortingAperture:
    """The pinhole that lets the first order of a zone plate through and stops the others.

    Parameters
    ----------
    aperture_um : float
        Diameter a of the pinhole [µm].
    central_stop_um : float
        Diameter c of the stop in the middle of the zone plate [µm].
    zone_plate_um : float
        Diameter D of the zone plate [µm].
    clearance : float
        The nearest that the pinhole may come to the sample [mm].

    Raises
    ------
    OutOfRange
        If a figure is not positive, the pinhole is not smaller than the central stop (the zero order would pass), or
        the stop not smaller than the zone plate.
    """

    aperture_um: float
    central_stop_um: float
    zone_plate_um: float
    clearance: float

    def __post_init__(self) -> None:
        require_positive(self.aperture_um, "order-sorting aperture", "µm")
        require_positive(self.clearance, "clearance of the order-sorting aperture", "mm")
        require(
            self.aperture_um,
            self.aperture_um < self.central_stop_um,
            "order-sorting aperture",
            f"must be smaller than the central stop, {self.central_stop_um:g} µm",
            "µm",
            "else the zero order passes",
        )
        require(
            self.central_stop_um,
            self.central_stop_um < self.zone_plate_um,
            "central stop",
            f"must be smaller than the zone plate, {self.zone_plate_um:g} µm",
            "µm",
        )

    def beam_um(self, distance: Numbers, focal_length: Numbers) -> Numbers:
        """Return the width of the converging first order, D s / f [µm], at a distance s upstream of the sample [mm]."""
        return self.zone_plate_um * distance / focal_length

    def furthest(self, focal_length: Numbers) -> Numbers:
        """Return the largest distance from the sample, a f / D [mm], at which the whole first order still passes."""
        return self.aperture_um * focal_length / self.zone_plate_um

    def check(self, distance: Numbers, focal_length: Numbers) -> None:
        """Refuse a distance upstream of the sample [mm] that touches the sample, or cuts the beam.

        Parameters
        ----------
        distance : float or ndarray
            Distance s of the pinhole upstream of the sample [mm].
        focal_length : float or ndarray
            Focal length of the zone plate [mm].

        Raises
        ------
        OutOfRange
            Naming the clearance, or the furthest place at this energy.
        """
        require_positive(focal_length, "focal length", "mm")
        near = f"must be at least the clearance, {self.clearance:g} mm"
        name = "distance of the order-sorting aperture from the sample"
        require(distance, np.greater_equal(distance, self.clearance), name, near, "mm", "move it upstream")
        furthest = np.broadcast_arrays(self.furthest(focal_length), distance)[0]
        value = first_where(distance, np.greater(distance, furthest))
        if value is not None:
            limit = f"cuts the first order: at most {np.min(furthest):.6g} mm here"
            raise OutOfRange(name, value, limit, "mm", "move it downstream or open a larger aperture")


def least_clearance(first: tuple[float, float], second: tuple[float, float]) -> float:
    """Return the smallest distance that two things on one line can have while both move, whichever is quicker.

    Parameters
    ----------
    first, second : tuple of float
        Where each starts and ends [mm]; the second is the one downstream.

    Returns
    -------
    float
        The worst of the four combinations of ends [mm]; negative where they could meet. Moves are monotonic, so no
        moment between is worse.

    Raises
    ------
    OutOfRange
        If an end is no finite number.
    """
    require_finite((*first, *second), "end of a move", "mm")
    return min(second) - max(first)


def mirror_spot(energy: Numbers, numerical_aperture: float) -> Numbers:
    """Return the diffraction-limited spot of a Kirkpatrick–Baez mirror, 0.443 λ / NA [nm], full width at half maximum.

    NA is half of the angle under which the mirror is seen from the focus; a mirror is achromatic, its spot is not.

    Raises
    ------
    OutOfRange
        If an energy is no energy in eV, or the aperture is not positive.
    """
    require_positive(numerical_aperture, "numerical aperture")
    return MIRROR_WIDTH * 0.1 * wavelength(energy) / numerical_aperture


def mirror_aperture(length_mm: float, angle_mrad: float, focal_length: float) -> float:
    """Return the numerical aperture of a mirror: half of its projected length over its focal length.

    Parameters
    ----------
    length_mm : float
        Length of the mirror along the beam [mm].
    angle_mrad : float
        Grazing angle [mrad].
    focal_length : float
        From the middle of the mirror to the focus [mm].
    """
    for value, name, unit in (
        (length_mm, "mirror length", "mm"),
        (angle_mrad, "grazing angle", "mrad"),
        (focal_length, "focal length", "mm"),
    ):
        require_positive(value, name, unit)
    return float(length_mm * np.sin(angle_mrad * 1e-3) / (2 * focal_length))


def beam_walk(pitch_change_urad: Numbers, focal_length: float) -> Numbers:
    """Return how far the spot moves when a mirror is tilted, 2 δ f [µm], for a tilt [µrad] and focal length [mm]."""
    require_positive(focal_length, "focal length", "mm")
    return 2e-3 * pitch_change_urad * focal_length

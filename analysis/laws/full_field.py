"""The full-field microscope: where zone plate and detector stand.

Along the beam, origin at the sample, downstream positive: zone plate at p, detector at L, image distance q = L − p,
magnification M = q/p. One law serves every mode: the zone plate goes where it images the sample sharply onto the
detector as it stands, at the energy that was reached. Modes differ in where the detector goes. Lengths are in mm.
"""

import numpy as np

from whiteline.analysis.checks import Numbers, OutOfRange, first_where, require, require_positive


def detector_distance(focal_length: Numbers, magnification: float) -> Numbers:
    """Return the distance of the detector, L = f (M + 1)² / M [mm], that gives a magnification.

    Parameters
    ----------
    focal_length : float or ndarray
        Focal length of the zone plate [mm].
    magnification : float
        Magnification M, above 1.

    Raises
    ------
    OutOfRange
        If the focal length is not positive, or the magnification not above 1.
    """
    require_positive(focal_length, "focal length", "mm")
    require(magnification, np.greater(magnification, 1), "magnification", "must be above 1")
    return focal_length * ((magnification + 1) ** 2 / magnification)


def zone_plate_distance(focal_length: Numbers, detector: Numbers) -> Numbers:
    """Return the distance of the zone plate, p = (L − √(L² − 4 L f)) / 2 [mm], that images the sample sharply.

    Of the two places where a lens images the sample onto the detector, this is the one that magnifies.

    Parameters
    ----------
    focal_length : float or ndarray
        Focal length of the zone plate [mm].
    detector : float or ndarray
        Distance L of the detector from the sample [mm].

    Raises
    ------
    OutOfRange
        If the detector is nearer than 4 f: no lens images over so short a distance.
    """
    require_positive(focal_length, "focal length", "mm")
    enough = np.greater_equal(detector, np.multiply(4, focal_length))
    short = None if enough.all() else first_where(np.broadcast_arrays(detector, focal_length)[0], ~enough)
    if short is not None:
        limit = f"must be at least four focal lengths, {4 * np.max(focal_length):.6g} mm"
        raise OutOfRange("detector distance", short, limit, "mm", "move the detector downstream or go down in energy")
    # Written so that no two large numbers are subtracted: p is a small part of L.
    distance: Numbers = 2 * focal_length / (1 + np.sqrt(1 - 4 * focal_length / detector))
    return distance


def magnification(zone_plate: Numbers, detector: Numbers) -> Numbers:
    """Return the magnification M = (L − p) / p for a zone plate at p and a detector at L [mm].

    Raises
    ------
    OutOfRange
        If the zone plate is not downstream of the sample, or the detector not downstream of the zone plate.
    """
    require_positive(zone_plate, "zone-plate distance", "mm")
    require(
        detector, np.greater(detector, zone_plate), "detector distance", "must be above that of the zone plate", "mm"
    )
    return (detector - zone_plate) / zone_plate


def defocus(zone_plate: Numbers, detector: Numbers, focal_length: Numbers) -> Numbers:
    """Return how far the zone plate stands downstream of where this detector would see the sample sharply [mm].

    The plane that the detector sees sharply lies p₀ = f q / (q − f) upstream of the zone plate; the defocus is p − p₀.

    Parameters
    ----------
    zone_plate, detector : float or ndarray
        Distances p and L from the sample [mm].
    focal_length : float or ndarray
        Focal length of the zone plate at the energy of the beam [mm].

    Raises
    ------
    OutOfRange
        If the detector is within a focal length of the zone plate, where no image forms.
    """
    require_positive(focal_length, "focal length", "mm")
    image = detector - zone_plate
    require(image, np.greater(image, focal_length), "image distance", "must be above the focal length", "mm")
    return zone_plate - focal_length * image / (image - focal_length)


def pixel_at_sample(camera_pixel_um: float, objective: float, magnification: Numbers) -> Numbers:
    """Return the size of a camera pixel at the sample [nm].

    Parameters
    ----------
    camera_pixel_um : float
        Pixel of the camera [µm].
    objective : float
        Magnification of the visible-light objective behind the scintillator.
    magnification : float or ndarray
        Magnification of the zone plate.
    """
    require_positive(camera_pixel_um, "camera pixel", "µm")
    require_positive(objective, "objective magnification")
    require_positive(magnification, "magnification")
    return 1e3 * camera_pixel_um / (objective * magnification)


def image_shift(run_out: Numbers, magnification: Numbers) -> Numbers:
    """Return how far the image moves, in units at the sample, when the zone plate moves sideways: by (M + 1) / M."""
    return run_out * (magnification + 1) / magnification

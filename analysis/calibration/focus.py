"""The calibrations of the optics: focus and run-out of a zone plate, and magnification.

One pair (A0, A1) serves both microscopes: the focal length is f = A1 E, and A0 is the zero of the axis. A scanning zone
plate stands at z = A0 − A1 E, that of a full-field microscope at z = A0 + p(f, L).
"""

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.calibration.base import (
    LARGEST_FOCUS_ERROR,
    Calibration,
    Matrix,
    checked_covariance,
    propagated_error,
    refuse_uncertain,
)
from whiteline.analysis.checks import Numbers, require_energy, require_finite, require_positive
from whiteline.analysis.laws.full_field import zone_plate_distance
from whiteline.analysis.laws.scanning import zone_plate_reading
from whiteline.analysis.laws.zone_plate import ZonePlate

LARGEST_DEVIATION = 0.01
"""By how much A1 may differ from D Δr / hc before something is likely to be wrong with the axis or the optic."""


@dataclass(frozen=True, kw_only=True)
class FocusCalibration(Calibration):
    """Where the zone plate stands in focus, and how its axis wanders sideways.

    Parameters
    ----------
    a0 : float
        Zero of the axis [mm]: the reading at which the zone plate would touch the sample plane.
    a1 : float
        Focal length per energy [mm/eV].
    covariance : tuple of tuple of float
        Of (a0, a1), 2 × 2 [mm, mm/eV].
    diameter_um, outer_zone_width_nm : float
        The zone plate, as designed [µm, nm].
    run_out : tuple of float
        Sideways wander (x, y) of the axis as it moves along the beam [µm/mm].

    Warns
    -----
    UserWarning
        If a1 differs from the design of the zone plate by more than 1 %.
    """

    kind: ClassVar[str] = "focus"

    a0: float
    a1: float
    covariance: Matrix
    diameter_um: float
    outer_zone_width_nm: float
    run_out: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_finite(self.a0, "focus calibration A0", "mm")
        require_positive(self.a1, "focus calibration A1", "mm/eV")
        checked_covariance(self.covariance, 2)
        require_finite(self.run_out, "run-out", "µm/mm")
        if len(self.run_out) != 2:
            raise ValueError(f"run-out must be two numbers, x and y, not {len(self.run_out)}")
        if abs(self.deviation) > LARGEST_DEVIATION:
            design = self.zone_plate.chromaticity
            warnings.warn(
                f"A1 = {self.a1:.6g} mm/eV differs by {self.deviation:+.1%} from the {design:.6g} mm/eV of a zone "
                f"plate of {self.diameter_um:g} µm and {self.outer_zone_width_nm:g} nm; check the axis and the optic",
                stacklevel=3,
            )

    @cached_property
    def zone_plate(self) -> ZonePlate:
        """The zone plate, as designed."""
        return ZonePlate(self.diameter_um, self.outer_zone_width_nm)

    @property
    def deviation(self) -> float:
        """Relative difference of A1 from the design."""
        return self.a1 / self.zone_plate.chromaticity - 1

    def focal_length(self, energy: Numbers) -> Numbers:
        """Return the focal length [mm] that was measured for an energy [eV]."""
        require_energy(energy)
        return self.a1 * energy

    def scanning_reading(self, energy: Numbers) -> Numbers:
        """Return the reading of a scanning zone plate in focus, A0 − A1 E [mm].

        Raises
        ------
        Uncertain
            Where the focus is known to no better than 5 % of the depth of focus.
        """
        reading = zone_plate_reading(energy, self.a0, self.a1)
        self._refuse(energy, self.scanning_error(energy))
        return reading

    def full_field_reading(self, energy: Numbers, detector: Numbers) -> Numbers:
        """Return the reading of a full-field zone plate in focus, A0 + p(A1 E, L) [mm], for a detector at L [mm].

        Raises
        ------
        Uncertain
            Where the focus is known to no better than 5 % of the depth of focus.
        OutOfRange
            If the detector is nearer than four focal lengths.
        """
        distance = zone_plate_distance(self.focal_length(energy), detector)
        self._refuse(energy, self.full_field_error(energy, detector))
        return self.a0 + distance

    def scanning_error(self, energy: Numbers) -> NDArray[np.float64]:
        """Return the standard error of the focus of a scanning zone plate [mm] that the covariance predicts."""
        return propagated_error(1.0, -energy, self.covariance)

    def full_field_error(self, energy: Numbers, detector: Numbers) -> NDArray[np.float64]:
        """Return the standard error of the focus of a full-field zone plate [mm] that the covariance predicts."""
        # p = (L − √(L² − 4 L f)) / 2, so dp/df = L / √(L² − 4 L f)
        slope = 1 / np.sqrt(1 - 4 * self.focal_length(energy) / detector)
        return propagated_error(1.0, energy * slope, self.covariance)

    def wander(self, reading: float, reference: float) -> tuple[float, float]:
        """Return how far the zone plate has wandered sideways (x, y) [µm] between two readings of its axis [mm]."""
        x, y = self.run_out
        return x * (reading - reference), y * (reading - reference)

    def _refuse(self, energy: Numbers, error: NDArray[np.float64]) -> None:
        largest = LARGEST_FOCUS_ERROR * self.zone_plate.depth_of_focus(energy)
        refuse_uncertain(energy, 1e3 * error, largest, "focus", "µm")


@dataclass(frozen=True, kw_only=True)
class MagnificationCalibration(Calibration):
    """Measured over expected magnification.

    Parameters
    ----------
    factor : float
        What the law of the zone plate is multiplied by; 1 for a perfect instrument.
    error : float
        Its standard error.
    """

    kind: ClassVar[str] = "magnification"

    factor: float
    error: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self.factor, "magnification factor")
        require_finite(self.error, "error of the magnification factor")
        checked_covariance(((self.error,),), 1)

    def magnification(self, expected: Numbers) -> Numbers:
        """Return the magnification for what the law expects, (L − p) / p."""
        require_positive(expected, "magnification")
        return self.factor * expected

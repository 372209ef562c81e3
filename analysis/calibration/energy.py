"""The energy calibration of a monochromator: d-spacing and offset of the Bragg angle, from foil edges.

Measured Bragg angle = θ(E; d) − Δ. Over a usual range of foils d and Δ are almost one parameter (their correlation is
about −0.997), so neither means much without the covariance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import curve_fit

from whiteline.analysis.calibration.base import (
    LARGEST_ENERGY_ERROR_EV,
    Calibration,
    Matrix,
    checked_covariance,
    propagated_error,
    refuse_uncertain,
)
from whiteline.analysis.checks import Numbers, require_finite, require_positive
from whiteline.analysis.laws.bragg import bragg_angle, bragg_energy


@dataclass(frozen=True, kw_only=True)
class EnergyCalibration(Calibration):
    """Photon energy against the reading of the Bragg axis.

    Parameters
    ----------
    spacing : float
        Distance d of the lattice planes [Å].
    offset : float
        Offset Δ of the Bragg angle: reading = θ(E; d) − Δ [deg].
    covariance : tuple of tuple of float
        Of (spacing, offset), 2 × 2 [Å, deg].
    """

    kind: ClassVar[str] = "energy"

    spacing: float
    offset: float
    covariance: Matrix

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self.spacing, "d-spacing", "Å")
        require_finite(self.offset, "offset of the Bragg angle", "deg")
        checked_covariance(self.covariance, 2)

    def angle(self, energy: Numbers) -> Numbers:
        """Return the reading of the Bragg axis [deg] that gives an energy [eV].

        Raises
        ------
        Uncertain
            Where the energy is known to no better than 0.2 eV.
        OutOfRange
            If the energy is no energy in eV, or the crystal cannot reflect it.
        """
        angle = bragg_angle(energy, self.spacing) - self.offset
        self.refuse_uncertain(energy)
        return angle

    def energy(self, angle: Numbers) -> Numbers:
        """Return the energy [eV] at a reading of the Bragg axis [deg], whatever its error.

        A reading is a fact, and is never refused for the error of the calibration: `predicted_error` says it.

        Raises
        ------
        OutOfRange
            If the Bragg angle does not lie between 0 and 90 degrees.
        """
        return bragg_energy(angle + self.offset, self.spacing)

    def predicted_error(self, energy: Numbers) -> NDArray[np.float64]:
        """Return the standard error of an energy [eV] that the covariance predicts."""
        theta = np.radians(bragg_angle(energy, self.spacing))
        per_degree = -energy / np.tan(theta) * np.pi / 180
        return propagated_error(-energy / self.spacing, per_degree, self.covariance)

    def refuse_uncertain(self, energy: Numbers) -> None:
        """Raise `Uncertain` where an energy is known to no better than 0.2 eV."""
        refuse_uncertain(energy, self.predicted_error(energy), LARGEST_ENERGY_ERROR_EV, "energy", "eV")


def fit_energy(
    edges: Sequence[float],
    readings: Sequence[float],
    reading_errors: Sequence[float],
    *,
    spacing: float,
    spacing_error: float = 3e-5,
    version: int,
    date: str,
    source: str,
) -> EnergyCalibration:
    """Fit d-spacing and offset to the readings of the Bragg axis at the edges of foils, by weighted least squares.

    From one foil the two cannot be told apart: d stays as it is, and its uncertainty is carried into the covariance.

    Parameters
    ----------
    edges : sequence of float
        Energies of the edges [eV].
    readings : sequence of float
        Readings of the Bragg axis at them [deg].
    reading_errors : sequence of float
        Their standard errors [deg].
    spacing : float
        The d-spacing to start from, and to keep with one foil [Å].
    spacing_error : float
        Its standard error, used with one foil [Å]; the default is silicon within 4 °C of the temperature of its table.
    version, date, source
        As in `Calibration`.

    Returns
    -------
    EnergyCalibration
        With the covariance of the fit.

    Raises
    ------
    ValueError
        If the three lists differ in length or are empty, or two foils have the same edge.
    OutOfRange
        If an edge is no energy in eV, or an error is not positive.
    """
    energies, measured, errors = (np.asarray(values, float) for values in (edges, readings, reading_errors))
    if not energies.size or not energies.shape == measured.shape == errors.shape:
        sizes = f"{energies.size}, {measured.size} and {errors.size}"
        raise ValueError(f"edges, readings and errors must be lists of one length, not {sizes}")
    if np.unique(energies).size != energies.size:
        raise ValueError("two foils have the same edge; average their readings first")
    require_finite(measured, "reading of the Bragg axis", "deg")
    require_positive(errors, "error of a reading", "deg")

    if energies.size == 1:
        theta = bragg_angle(energies, spacing)[0]
        slope = float(-np.degrees(np.tan(np.radians(theta))) / spacing)
        shared = slope * spacing_error**2
        covariance: Matrix = (
            (spacing_error**2, shared),
            (shared, float(errors[0] ** 2 + slope**2 * spacing_error**2)),
        )
        offset = float(theta - measured[0])
        return EnergyCalibration(
            spacing=spacing, offset=offset, covariance=covariance, version=version, date=date, source=source
        )

    # Å and deg per unit of the fit, so that both of its parameters are of order one
    scale = np.array([1e-4, 1e-2])

    def reading(energy: NDArray[np.float64], stretch: float, shift: float) -> NDArray[np.float64]:
        return np.asarray(bragg_angle(energy, spacing + stretch * scale[0]) - shift * scale[1])

    # "trf", since MINPACK's "lm" gives no covariance where the start is already the answer
    found, matrix = curve_fit(
        reading, energies, measured, p0=(0, 0), sigma=errors, absolute_sigma=True, method="trf", xtol=1e-14
    )
    best, matrix = found * scale, matrix * np.outer(scale, scale)
    return EnergyCalibration(
        spacing=float(spacing + best[0]),
        offset=float(best[1]),
        covariance=tuple(tuple(float(value) for value in row) for row in (matrix + matrix.T) / 2),
        version=version,
        date=date,
        source=source,
    )

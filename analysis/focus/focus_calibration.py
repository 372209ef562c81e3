"""From the best focus at several energies to the calibration of the focus: (A0, A1) and the run-out of the axis.

A scanning zone plate stands at z = A0 − A1 E in focus, that of a full-field microscope at z = A0 + p(A1 E, L) with the
detector at L. The design says A1 = D Δr / hc, as well as the zone plate was made; that enters the fit as one more
measurement, so that even one energy gives A0, and several tell whether the axis or the optic is off.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc

from whiteline.analysis.calibration import FocusCalibration
from whiteline.analysis.checks import OutOfRange, require, require_energy, require_finite, require_positive
from whiteline.analysis.laws.full_field import zone_plate_distance
from whiteline.analysis.laws.zone_plate import ZonePlate

DESIGN_ERROR = 0.01
"""Relative standard error of D Δr as the maker states it."""

LEAST_PROBABILITY = 1e-3
"""Residuals less probable than this say that the errors were too small: the covariance is scaled up to them."""

LEAST_SPREAD_EV = 1.0


@dataclass(frozen=True)
class FocusCalibrationFit:
    """A calibration of the focus, and how well it describes the points.

    Parameters
    ----------
    calibration : FocusCalibration
        A0, A1 and their covariance.
    residuals : tuple of float
        Measured less fitted reading at each point [mm].
    reduced_chi_square : float
        χ² per degree of freedom, the design counted as a point; NaN without any freedom.
    scaled : bool
        Whether the covariance was scaled up, as the residuals are larger than the errors allow.
    """

    calibration: FocusCalibration
    residuals: tuple[float, ...]
    reduced_chi_square: float
    scaled: bool


@dataclass(frozen=True)
class RunOut:
    """How an axis wanders sideways as it moves along the beam.

    Parameters
    ----------
    x, y : float
        Run-out [µm/mm].
    error_x, error_y : float
        Standard errors [µm/mm].
    """

    x: float
    y: float
    error_x: float
    error_y: float


def fit_focus(
    energies: ArrayLike,
    readings: ArrayLike,
    errors: ArrayLike,
    zone_plate: ZonePlate,
    *,
    date: str,
    source: str,
    version: int = 1,
    detector: ArrayLike | None = None,
    design_error: float | None = DESIGN_ERROR,
    run_out: tuple[float, float] = (0.0, 0.0),
) -> FocusCalibrationFit:
    """Fit A0 and A1 to the readings in focus at several energies.

    Parameters
    ----------
    energies : array_like
        Photon energies [eV], shape (n,), in any order.
    readings : array_like
        Readings of the zone-plate axis in focus [mm], shape (n,).
    errors : array_like
        Their standard errors [mm], shape (n,), such as those of `focus_by_sharpness`.
    zone_plate : ZonePlate
        As designed.
    date, source, version
        Of the calibration, as `Calibration` has them.
    detector : array_like, optional
        Distance of the detector [mm], shape (n,) or one for all, for a full-field microscope; none for a scanning one.
    design_error : float or None
        Relative standard error of D Δr / hc; None leaves the design out.
    run_out : tuple of float
        Passed on to the calibration, (x, y) [µm/mm].

    Returns
    -------
    FocusCalibrationFit

    Raises
    ------
    OutOfRange
        If an energy is no energy in eV, an error not positive, there are too few energies for what is to be fitted, or
        a detector is nearer than four focal lengths.
    ValueError
        If the shapes differ, or the fit does not converge.

    Warns
    -----
    UserWarning
        If A1 differs from the design by more than 1 %.
    """
    energy, reading, error = (np.atleast_1d(np.asarray(one, float)) for one in (energies, readings, errors))
    if not energy.shape == reading.shape == error.shape or energy.ndim != 1:
        raise ValueError(
            f"energies {energy.shape}, readings {reading.shape} and errors {error.shape} must be of one length"
        )
    require(energy.size, energy.size > 0, "number of energies", "must be at least 1")
    require_energy(energy)
    require_finite(reading, "reading in focus", "mm")
    require_positive(error, "error of the reading", "mm")
    design = zone_plate.chromaticity
    if design_error is not None:
        require_positive(design_error, "relative error of the design")
    elif float(np.ptp(energy)) < LEAST_SPREAD_EV:
        raise OutOfRange(
            "spread of the energies", float(np.ptp(energy)), f"must be at least {LEAST_SPREAD_EV:g} eV", "eV",
            "A0 and A1 cannot be told apart at one energy: measure at another, or let the design count",
        )  # fmt: skip
    distance = None
    if detector is not None:
        distance = np.broadcast_to(np.asarray(detector, float), energy.shape)
        require_positive(distance, "detector distance", "mm")

    # A1 is fitted as its ratio to the design, so that both parameters are of the order of one.
    ratio = 1.0
    for _ in range(30):
        model, slope = _model(ratio * design, energy, distance)
        design_matrix = np.stack([np.ones_like(energy), slope * design], axis=1) / error[:, None]
        target = (reading - model + slope * design * ratio) / error
        if design_error is not None:
            design_matrix = np.vstack([design_matrix, [0.0, 1 / design_error]])
            target = np.append(target, 1 / design_error)
        solution, *_ = np.linalg.lstsq(design_matrix, target, rcond=None)
        step, ratio = float(solution[1]) - ratio, float(solution[1])
        if not (math.isfinite(ratio) and ratio > 0):
            raise ValueError(
                "the readings in focus do not follow the zone plate: a fit makes its focal length negative; check the "
                "direction of the axis and the order of energies and readings"
            )
        if abs(step) < 1e-12:
            break
    else:
        raise ValueError("the fit of A0 and A1 does not converge; check readings, energies and detector distances")
    a0 = float(solution[0])
    inverse = np.linalg.inv(design_matrix.T @ design_matrix)
    misfit = design_matrix @ solution - target
    free = target.size - 2
    chi_square = float(misfit @ misfit)
    reduced = chi_square / free if free > 0 else math.nan
    scaled = free > 0 and float(chdtrc(free, chi_square)) < LEAST_PROBABILITY
    covariance = inverse * np.outer([1, design], [1, design]) * (reduced if scaled else 1.0)
    model, _ = _model(ratio * design, energy, distance)
    calibration = FocusCalibration(
        version=version,
        date=date,
        source=source,
        a0=a0,
        a1=ratio * design,
        covariance=(
            (float(covariance[0, 0]), float(covariance[0, 1])),
            (float(covariance[0, 1]), float(covariance[1, 1])),
        ),
        diameter_um=zone_plate.diameter_um,
        outer_zone_width_nm=zone_plate.outer_zone_width_nm,
        run_out=run_out,
    )
    return FocusCalibrationFit(calibration, tuple((reading - a0 - model).tolist()), reduced, scaled)


def fit_run_out(
    readings: ArrayLike,
    shifts: ArrayLike,
    *,
    pixel_um: float,
    errors: ArrayLike | None = None,
    magnification: float | None = None,
) -> RunOut:
    """Fit the run-out of a zone-plate axis to the shifts of images taken along it.

    A full-field image moves with the zone plate, by (M + 1) / M times as far. A scanning one moves against it: where
    the probe has gone to the right, the sample appears to have gone to the left.

    Parameters
    ----------
    readings : array_like
        Readings of the axis [mm], shape (n,).
    shifts : array_like
        Where the content of each image has moved to, (y, x) [px], shape (n, 2). Rows that are not finite are left out.
    pixel_um : float
        Size of a pixel at the sample [µm], its axes along x and y of the sample.
    errors : array_like, optional
        Standard errors of the shifts [px], shape (n, 2); all equal, and taken from the scatter, if they are not given.
    magnification : float, optional
        M of a full-field microscope; none for a scanning one.

    Returns
    -------
    RunOut

    Raises
    ------
    OutOfRange
        If there are fewer than three finite points, all at one reading, or a size, error or magnification is not
        positive.
    ValueError
        If the shapes differ.
    """
    at, moved = np.asarray(readings, float), np.asarray(shifts, float)
    spread = np.ones_like(moved) if errors is None else np.asarray(errors, float)
    if moved.shape != (*at.shape, 2) or spread.shape != moved.shape or at.ndim != 1:
        raise ValueError(f"readings {at.shape}, shifts {moved.shape} and errors {spread.shape} must be (n,) and (n, 2)")
    require_positive(pixel_um, "pixel at the sample", "µm")
    factor = -pixel_um
    if magnification is not None:
        require_positive(magnification, "magnification")
        factor = pixel_um * magnification / (magnification + 1)
    use = np.isfinite(at) & np.isfinite(moved).all(axis=1)
    require(use.sum(), use.sum() >= 3, "number of images", "must be at least 3")
    require_positive(spread[use], "error of the shift", "px")
    span = float(np.ptp(at[use]))
    require(span, span > 0, "travel of the axis", "must be above 0 mm", "mm", "take images at several readings")
    slopes = [_slope(at[use], moved[use, axis], spread[use, axis], errors is None) for axis in (1, 0)]
    (x, error_x), (y, error_y) = ((factor * slope, abs(factor) * error) for slope, error in slopes)
    return RunOut(x, y, error_x, error_y)


def _model(
    a1: float, energy: NDArray[np.float64], detector: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the reading for A0 = 0, and its derivative by A1."""
    if detector is None:
        return -a1 * energy, -energy
    focal = a1 * energy
    distance = zone_plate_distance(focal, detector)
    return distance, energy / np.sqrt(np.maximum(1 - 4 * focal / detector, 1e-12))


def _slope(
    at: NDArray[np.float64], values: NDArray[np.float64], errors: NDArray[np.float64], from_scatter: bool
) -> tuple[float, float]:
    weights = 1 / errors**2
    away = at - np.average(at, weights=weights)
    square = float((weights * away * away).sum())
    slope = float((weights * away * values).sum()) / square
    rest = values - np.average(values, weights=weights) - slope * away
    scatter = float((weights * rest * rest).sum()) / (at.size - 2) if from_scatter else 1.0
    return slope, float(np.sqrt(scatter / square))

"""Focus that is followed during a scan: how far off an image is likely to be, and a calibration that learns from it.

A defocus δ blurs by σ = |δ| NA / 2 (PHYSICS of a thin lens, half the cone), which takes more from the fine detail of an
image than from the coarse. Edges have power spectra that fall with the cube of the frequency in two dimensions; the
energy of their gradients is then the same at all frequencies, and the share that is left of a band is the mean of
exp(−(2πfσ)²) over it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from whiteline.analysis.calibration import FocusCalibration
from whiteline.analysis.checks import require, require_energy, require_positive

COARSE, FINE = (0.02, 0.08), (0.08, 0.2)
"""Bands of spatial frequencies whose ratio tells of the focus [cycles/px]."""

BLUREST_PX = 8.0
"""With more blur the fine detail is gone, and only a lower limit of the defocus can be told [px]."""

SAMPLES = 64


def blur_of_detail(of_best: float) -> float:
    """Return the blur that has taken fine detail from an image.

    Parameters
    ----------
    of_best : float
        Ratio of fine to coarse detail, over that of the sharpest image: 1 without blur, less with it.

    Returns
    -------
    float
        Gaussian σ beyond that of the sharpest image [px]; 0 if it is as sharp, at most 8, NaN if it is not known.

    Raises
    ------
    OutOfRange
        If the ratio is not above 0.
    """
    if not np.isfinite(of_best):
        return float("nan")
    require_positive(of_best, "fine detail of the best")
    if of_best >= 1:
        return 0.0
    if of_best <= _left(BLUREST_PX):
        return BLUREST_PX
    return float(brentq(lambda sigma: _left(sigma) - of_best, 0.0, BLUREST_PX))


def defocus_of_detail(of_best: float, pixel_um: float, numerical_aperture: float) -> float:
    """Return by how much an image is out of focus, by the fine detail that it lacks.

    Parameters
    ----------
    of_best : float
        As `blur_of_detail` takes it.
    pixel_um : float
        Size of a pixel at the sample [µm].
    numerical_aperture : float
        Of the optic.

    Returns
    -------
    float
        |δ| [mm]; NaN if it is not known.
    """
    require_positive(numerical_aperture, "numerical aperture")
    return blur_of_detail(of_best) * pixel_um * 1e-3 * 2 / numerical_aperture


def refocused(
    calibration: FocusCalibration,
    *,
    energy: float,
    detector: float,
    reading: float,
    error: float,
    drifted: float = 0.0,
    **origin: Any,
) -> FocusCalibration:
    """Return a calibration that has learnt from one more focus.

    It is the linear least-squares update of (A0, A1) by one measurement: what was known weighs by its covariance, so a
    focus at one energy moves the zero of the axis, and hardly the slope.

    Parameters
    ----------
    calibration : FocusCalibration
        Of before.
    energy : float
        Of the new focus [eV].
    detector : float
        Distance of the detector [mm]; NaN for a scanning microscope.
    reading, error : float
        Of the axis in focus, and its standard error [mm].
    drifted : float
        By how much the zero may have moved since [mm], standard deviation.
    **origin
        Version, date and source run of the new calibration.

    Returns
    -------
    FocusCalibration

    Raises
    ------
    OutOfRange
        If the energy or the error cannot be.
    """
    require_energy(energy)
    require_positive(error, "error of the focus", "mm")
    require(drifted, drifted >= 0, "drift of the zero", "must not be negative", "mm")
    expected, gradient = _expected(calibration, energy, detector)
    before = np.array(calibration.covariance) + np.diag([drifted**2, 0.0])
    gain = before @ gradient / (gradient @ before @ gradient + error**2)
    a0, a1 = np.array([calibration.a0, calibration.a1]) + gain * (reading - expected)
    after = before - np.outer(gain, gradient @ before)
    after = (after + after.T) / 2
    return FocusCalibration(
        a0=float(a0),
        a1=float(a1),
        covariance=tuple(tuple(float(one) for one in row) for row in after),
        diameter_um=calibration.diameter_um,
        outer_zone_width_nm=calibration.outer_zone_width_nm,
        run_out=calibration.run_out,
        **origin,
    )


def _expected(calibration: FocusCalibration, energy: float, detector: float) -> tuple[float, NDArray[np.float64]]:
    """Return the reading that is expected [mm], and how it changes with (A0, A1)."""
    focal = calibration.a1 * energy
    if not np.isfinite(detector):
        return calibration.a0 - focal, np.array([1.0, -energy])
    root = np.sqrt(detector**2 - 4 * detector * focal)
    return calibration.a0 + (detector - root) / 2, np.array([1.0, energy * detector / root])


def _left(sigma: float) -> float:
    """Return the ratio of fine to coarse detail that a blur [px] leaves."""
    fine, coarse = (np.exp(-((2 * np.pi * np.linspace(*band, SAMPLES) * sigma) ** 2)).mean() for band in (FINE, COARSE))
    return float(fine / coarse)

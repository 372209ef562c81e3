"""Where a scan over a peak has its maximum: a rocking curve, a harmonic of an undulator, a slit across the beam.

A bell a exp(−(x − x₀)² / 2 s²) on a constant background is fitted by least squares. Nothing need be known of the noise:
errors come from the scatter about the fit, and what a constant describes as well, by an F test, is no peak.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares
from scipy.special import fdtrc

from whiteline.analysis.checks import require

Floats = NDArray[np.float64]

FEWEST_POINTS = 7
PARAMETERS = 4

MOST_CHANCE = 1e-5
"""Probability that noise about a constant would follow a bell as well; above it, no peak."""

FWHM_PER_SIGMA = 2 * np.sqrt(2 * np.log(2))

FLAT = 1e-9
"""Values that differ by less, relative to the largest, differ by rounding only."""


class NoPeak(ValueError):
    """The scan does not show where a maximum is; the sentence says why, and what to do."""


@dataclass(frozen=True)
class Peak:
    """A maximum.

    Parameters
    ----------
    position, error : float
        Where it is, and its standard error, in the unit of the axis.
    fwhm : float
        Full width at half maximum, in the unit of the axis.
    height, background : float
        Above the background, and the background, in the unit of the signal.
    """

    position: float
    error: float
    fwhm: float
    height: float
    background: float


def find_peak(places: ArrayLike, values: ArrayLike) -> Peak:
    """Find the maximum of a scan.

    Parameters
    ----------
    places : array_like
        Readings of the axis, in any order, shape (n,).
    values : array_like
        The signal at each, shape (n,). Points that are not finite are left out.

    Returns
    -------
    Peak

    Raises
    ------
    OutOfRange
        If fewer than seven places are finite.
    ValueError
        If the shapes differ.
    NoPeak
        If the signal is flat within its noise, or its maximum is not inside the scan.
    """
    at, of = np.asarray(places, float), np.asarray(values, float)
    if at.shape != of.shape or at.ndim != 1:
        raise ValueError(f"places {at.shape} and values {of.shape} must be of one length")
    finite = np.isfinite(at) & np.isfinite(of)
    at, of = at[finite], of[finite]
    count = np.unique(at).size
    require(count, count >= FEWEST_POINTS, "number of places", f"must be at least {FEWEST_POINTS}", "", "take more")
    low, span = float(at.min()), float(np.ptp(at))
    bottom, range_ = float(of.min()), float(np.ptp(of))
    where = f"from {low:g} to {low + span:g}"
    if range_ <= FLAT * float(np.abs(of).max()):
        raise NoPeak(f"the signal is {bottom:g} all over {where}: is there beam, and does the detector count?")
    # of one size, so that neither counts nor amperes lose digits
    fit = _fitted((at - low) / span, (of - bottom) / range_)
    if fit is None:
        raise NoPeak(f"the signal does not depend on the axis beyond its noise {where}; count longer, or scan farther")
    centre, sigma, height, background, error = fit
    step = 1.0 / (count - 1)
    position = low + span * centre
    if not step / 2 <= centre <= 1 - step / 2 or min(centre, 1 - centre) < 2 * min(error, 0.25):
        end = low if centre < 0.5 else low + span
        raise NoPeak(f"the signal rises towards {end:g}, the end of the scan {where}; scan on from there")
    if FWHM_PER_SIGMA * sigma < step:
        raise NoPeak(
            f"a single point stands out {where}, at {position:g}: take smaller steps to see whether it is a peak"
        )
    if not error < max(step, 0.1):
        raise NoPeak(f"the maximum is known to no better than {span * error:.3g} {where}; take smaller steps")
    return Peak(
        position=position,
        error=span * error,
        fwhm=float(FWHM_PER_SIGMA * span * sigma),
        height=range_ * height,
        background=bottom + range_ * background,
    )


def _fitted(x: Floats, y: Floats) -> tuple[float, float, float, float, float] | None:
    """Return centre, sigma, height, background, and error of the centre; None if a constant does as well."""
    start = _start(x, y)
    if start is None:
        return None

    def misfit(parameters: Floats) -> Floats:
        centre, sigma, height, background = parameters
        return np.asarray(background + height * np.exp(-0.5 * ((x - centre) / sigma) ** 2) - y)

    bounds = [-0.5, 1e-3, 0.0, -np.inf], [1.5, 2.0, np.inf, np.inf]
    solution = least_squares(misfit, np.clip(start, *bounds), bounds=bounds, x_scale=[0.1, 0.1, 1.0, 1.0], max_nfev=50)
    left, free = 2 * float(solution.cost), x.size - PARAMETERS
    variance = max(left / free, np.finfo(float).eps ** 2)
    gain = (float(((y - y.mean()) ** 2).sum()) - left) / (PARAMETERS - 1)
    if not fdtrc(PARAMETERS - 1, free, gain / variance) < MOST_CHANCE:
        return None
    # a parameter that does not matter has a large error, not an infinite one
    values, vectors = np.linalg.eigh(solution.jac.T @ solution.jac)
    values = np.maximum(values, 1e-12 * values[-1])
    error = float(np.sqrt(variance * (vectors[0] ** 2 / values).sum()))
    centre, sigma, height, background = (float(one) for one in solution.x)
    return centre, sigma, height, background, error


def _start(x: Floats, y: Floats) -> Floats | None:
    """Return the best of a grid of bells, whose height and background follow by linear least squares."""
    centres, sigmas = np.meshgrid(np.linspace(-0.1, 1.1, 61), np.geomspace(0.5 / x.size, 0.6, 12))
    bells = np.exp(-0.5 * ((x - centres.reshape(-1, 1)) / sigmas.reshape(-1, 1)) ** 2)
    mean = bells.mean(axis=1, keepdims=True)
    product, square = (bells - mean) @ (y - y.mean()), ((bells - mean) ** 2).sum(axis=1)
    good = (product > 0) & (square > 1e-9)
    if not good.any():
        return None
    best = int(np.argmax(np.where(good, product**2 / np.maximum(square, 1e-9), 0.0)))
    height = float(product[best] / square[best])
    centre, sigma = float(centres.flat[best]), float(sigmas.flat[best])
    return np.array([centre, sigma, height, float(y.mean() - height * mean[best, 0])])

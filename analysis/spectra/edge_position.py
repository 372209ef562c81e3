"""E0 of a spectrum: where the absorption rises steepest, or where one says that it is.

The derivative is that of the spectrum, taken as straight between its points, convolved with a Gaussian. It is known in
closed form at any energy, for any steps: D(E) = Σ s_i [Φ((E − E_i)/σ) − Φ((E − E_i+1)/σ)], with the slopes s_i between
points and the cumulative normal distribution Φ. So E0 is not tied to the points: it is where D′ = 0. D′ is linear in
the absorption, and E0 moves by −δD′/D″, which gives its standard error.

E0 by half height needs the spectrum normalised, and has a file of its own.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import brentq
from scipy.special import ndtr

from whiteline.analysis.checks import OutOfRange, require, require_energy, require_positive
from whiteline.analysis.spectra.checks import Floats, require_range, require_spectrum
from whiteline.analysis.spectra.noise import estimated_noise

Method = Literal["derivative", "half height", "fixed"]

FEWEST_POINTS = 7
"""Fewest points of a spectrum whose steepest rise is looked for."""

LEAST_SMOOTHING_EV = 0.5
"""Standard deviation [eV] of the smoothing where steps are fine: edges of hard X-rays are wider than 1 eV."""

LEAST_SLOPE_OVER_NOISE = 6.0
"""A rise of less than so many of its standard errors may be noise, and is no edge."""

CLEAR_OF_ENDS = 3.0
"""The steepest rise must lie so many widths of the smoothing inside the spectrum, else its top may lie outside."""

FINE = 0.1
"""Step of the grid on which the steepest rise is looked for, in widths of the smoothing, before it is refined."""


@dataclass(frozen=True)
class EdgePosition:
    """Where an edge is.

    Parameters
    ----------
    energy : float
        E0 [eV].
    error : float
        Its standard error from the noise of the spectrum [eV]; NaN if no noise was given.
    method : {"derivative", "half height", "fixed"}
        How it was found.
    smoothing : float
        Standard deviation of the Gaussian that the derivative was smoothed with [eV]; 0 where there was none.
    """

    energy: float
    error: float
    method: Method
    smoothing: float = 0.0


def edge_by_derivative(
    energy: ArrayLike,
    absorption: ArrayLike,
    error: ArrayLike | None = None,
    *,
    search: tuple[float, float] | None = None,
    smoothing: float | None = None,
    first_share: float = 1.0,
) -> EdgePosition:
    """Find E0 as the maximum of the smoothed derivative.

    Parameters
    ----------
    energy : array_like, shape (n,)
        Photon energies, ascending, each once [eV].
    absorption : array_like, shape (n,)
        Absorption, in any scale.
    error : array_like, shape (n,) or a number, optional
        Standard error of the absorption.
    search : tuple of float, optional
        Range in which to look [eV]; the whole spectrum if it is not given.
    smoothing : float, optional
        Standard deviation of the Gaussian [eV]. If it is not given, the steps about the edge, and at least 0.5 eV.
    first_share : float
        Take the first maximum that reaches this share of the largest. 1 is the largest; 0.5 finds the first inflection
        of a metal foil, whose edge rises in two or three parts of like steepness.

    Returns
    -------
    EdgePosition

    Raises
    ------
    OutOfRange
        If an energy is no energy in eV, an absorption is not finite, there are too few, the smoothing is not positive,
        or the share does not lie above 0 and up to 1.
    ValueError
        If energies do not ascend, each once; the absorption rises nowhere more than its noise; or it is steepest at an
        end of the range, so that the edge may lie outside.
    """
    energies, values, errors = require_spectrum(energy, absorption, error, fewest=FEWEST_POINTS)
    low, high = (energies[0], energies[-1]) if search is None else search
    require_energy((low, high), "search range")
    require(first_share, 0 < first_share <= 1, "share of the largest maximum", "must lie above 0 and up to 1")
    if not low < high:
        raise ValueError(f"search range {low:.8g} to {high:.8g} eV must ascend")
    inside = (energies >= low) & (energies <= high)
    require_range(energies, inside, low, high, "search range", 3)
    if smoothing is None:
        # Twice, as the steps that matter are those about the edge, and that has to be found first.
        first = _steepest(energies, values, low, high, _default_smoothing(energies, energies))
        near = np.abs(energies - first) <= max(10.0, 3 * float(np.min(np.abs(energies - first))))
        smoothing = _default_smoothing(energies, energies[near])
    require_positive(smoothing, "smoothing of the derivative", "eV")
    found = _steepest(energies, values, low, high, smoothing, first_share)

    noise = estimated_noise(energies, values) if errors is None else errors
    rise = smoothed_derivative(energies, np.array([found]), smoothing)[0]
    slope, slope_error = float(rise @ values), float(np.sqrt((rise**2) @ np.broadcast_to(noise**2, energies.shape)))
    scale = float(np.ptp(values)) / float(np.ptp(energies))
    if slope <= max(LEAST_SLOPE_OVER_NOISE * slope_error, 1e-9 * scale):
        raise ValueError(
            f"no edge between {max(low, energies[0]):.8g} and {min(high, energies[-1]):.8g} eV: the absorption rises "
            f"by at most {slope:.3g} per eV, at {found:.8g} eV, and its noise alone makes {slope_error:.3g}; "
            "measure across the edge, or count longer"
        )
    _require_clear_of_ends(found, energies, low, high, smoothing)
    found = _refined(energies, values, found, smoothing)
    if errors is None:
        return EdgePosition(found, np.nan, "derivative", smoothing)
    step = 1e-3 * smoothing
    beside = (_curvature(energies, found + step, smoothing) - _curvature(energies, found - step, smoothing)) @ values
    spread = np.sqrt((_curvature(energies, found, smoothing) ** 2) @ errors**2)
    return EdgePosition(found, float(spread / abs(beside / (2 * step))), "derivative", smoothing)


def edge_fixed(energy: ArrayLike, at: float, error: float = 0.0) -> EdgePosition:
    """Return E0 as one says that it is [eV], with the error that one says it has.

    Raises
    ------
    OutOfRange
        If this is no energy in eV, lies outside the energies of the spectrum, or the error is negative.
    """
    energies = np.asarray(energy, float)
    require_energy(energies)
    require_energy(at, "E0")
    require(error, error >= 0, "error of E0", "must not be negative", "eV")
    if not energies.min() <= at <= energies.max():
        limit = f"must lie within the spectrum, {energies.min():.8g} to {energies.max():.8g} eV"
        raise OutOfRange("E0", at, limit, "eV", "check the edge, or the calibration of the energy")
    return EdgePosition(float(at), float(error), "fixed")


def smoothed_derivative(energies: Floats, at: Floats, smoothing: float) -> Floats:
    """Return what turns a spectrum (n,) into its smoothed derivative at some energies (m,), shape (m, n) [1/eV]."""
    cumulative = ndtr((at[:, None] - energies) / smoothing)
    return _by_slopes(np.asarray(cumulative), energies)


def _curvature(energies: Floats, at: float, smoothing: float) -> Floats:
    """Return what turns a spectrum (n,) into the derivative of its smoothed derivative at an energy, shape (n,)."""
    density = np.exp(-0.5 * ((at - energies) / smoothing) ** 2) / (np.sqrt(2 * np.pi) * smoothing)
    return np.asarray(_by_slopes(density[None], energies)[0])


def _by_slopes(of_points: Floats, energies: Floats) -> Floats:
    """Return the matrix of Σ s_i (g_i − g_i+1), where s_i are slopes between points and g is given at the points."""
    share = (of_points[:, :-1] - of_points[:, 1:]) / np.diff(energies)
    matrix = np.zeros_like(of_points)
    matrix[:, 1:] += share
    matrix[:, :-1] -= share
    return matrix


def _steepest(energies: Floats, values: Floats, low: float, high: float, smoothing: float, share: float = 1.0) -> float:
    """Return where the smoothed derivative first has a maximum that reaches a share of its largest, on a grid."""
    low, high = max(low, energies[0]), min(high, energies[-1])
    reach = 8 * smoothing  # what lies further has no part in the derivative
    step = FINE * smoothing
    grid = np.arange(low - reach, high + reach, step)
    derivative = gaussian_filter1d(np.interp(grid, energies, values), 1 / FINE, order=1, mode="nearest", truncate=8.0)
    derivative[(grid < low) | (grid > high)] = -np.inf
    top = int(np.argmax(derivative))
    if share < 1:
        middle = derivative[1:-1]
        peak = (middle >= derivative[:-2]) & (middle > derivative[2:]) & (middle >= share * derivative[top])
        top = int(np.argmax(peak)) + 1 if peak.any() else top
    return float(grid[top])


def _refined(energies: Floats, values: Floats, found: float, smoothing: float) -> float:
    """Return the maximum of the smoothed derivative next to where the grid has it."""
    for room in (2, 4, 8):
        ends = found - room * FINE * smoothing, found + room * FINE * smoothing
        if _curvature(energies, ends[0], smoothing) @ values > 0 > _curvature(energies, ends[1], smoothing) @ values:
            return float(brentq(lambda at: _curvature(energies, at, smoothing) @ values, *ends, xtol=1e-9))
    raise ValueError(
        f"the derivative has no single maximum about {found:.8g} eV; smooth it more than {smoothing:.3g} eV"
    )


def _default_smoothing(energies: Floats, near: Floats) -> float:
    steps = np.diff(near if near.size > 2 else energies)
    return max(float(np.median(steps)), LEAST_SMOOTHING_EV)


def _require_clear_of_ends(found: float, energies: Floats, low: float, high: float, smoothing: float) -> None:
    first, last = max(low, float(energies[0])), min(high, float(energies[-1]))
    room = CLEAR_OF_ENDS * smoothing
    if not first + room <= found <= last - room:
        raise ValueError(
            f"the absorption rises steepest at {found:.8g} eV, at the end of the range {first:.8g} to {last:.8g} eV, "
            f"so the edge may lie outside: it must lie {room:.3g} eV inside; measure further, or widen the search"
        )

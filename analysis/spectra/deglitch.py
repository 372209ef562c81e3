"""Find the glitches of a spectrum, and leave them out or replace them.

A glitch, where the crystals of the monochromator reflect twice, is a few points that do not lie on the smooth curve
through their neighbours. The curve is a cubic through the nearest points on either side, fitted for the least sum of
absolute differences, so that a few bad neighbours do not bend it. A white line is no smooth curve either: near the edge
nothing is judged, and points on one side of it do not judge those on the other.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.checks import require, require_positive
from whiteline.analysis.spectra.checks import Floats, require_spectrum
from whiteline.analysis.spectra.edge_position import EdgePosition, edge_by_derivative, edge_fixed
from whiteline.analysis.spectra.noise import SIGMA_PER_MEDIAN, estimated_noise

PROTECTED_EV = (-20.0, 60.0)
"""Pre-edge peak, edge, white line and first oscillation, relative to E0: nothing there is taken for a glitch."""

THRESHOLD = 10.0
"""How many standard deviations a glitch lies off its neighbours' curve."""

NEIGHBOURS = 10
"""Points that the curve is fitted to, the nearest ones; up to three of them may be bad."""

DEGREE = 3
LOCAL = 31
"""Points whose median deviation says how smooth the spectrum is thereabouts."""

LEAST_SHARE = 0.01
"""A point that lies off by less than this share of the range of the absorption is no harm, and is left alone."""

ROUNDS = 6
FEWEST_ON_A_SIDE = NEIGHBOURS + 1
REWEIGHTINGS = 20


@dataclass(frozen=True, eq=False)
class Deglitched:
    """A spectrum without its glitches.

    Parameters
    ----------
    energy, absorption : ndarray of float64, shape (m,)
        The spectrum; without the glitches, or with other values at them [eV].
    valid : ndarray of bool, shape (n,)
        Which points of the spectrum as given are no glitches.
    replaced : bool
        Whether the glitches were replaced by their neighbours' curve, rather than left out.
    """

    energy: Floats
    absorption: Floats
    valid: NDArray[np.bool_]
    replaced: bool


def deglitch(
    energy: ArrayLike,
    absorption: ArrayLike,
    error: ArrayLike | None = None,
    *,
    edge: EdgePosition | float | None = None,
    protected: tuple[float, float] = PROTECTED_EV,
    threshold: float = THRESHOLD,
    replace: bool = False,
) -> Deglitched:
    """Leave the glitches of a spectrum out, or replace them.

    Parameters
    ----------
    energy : array_like, shape (n,)
        Photon energies, ascending, each once [eV].
    absorption : array_like, shape (n,)
        Absorption, in any scale.
    error : array_like, shape (n,) or a number, optional
        Standard error of the absorption; where the points scatter more than that, their scatter counts.
    edge : EdgePosition or float, optional
        E0 [eV]; the maximum of the derivative if it is not given. Give it where a glitch is steeper than the edge.
    protected : tuple of float
        Range in which nothing is a glitch, relative to E0 [eV].
    threshold : float
        How many standard deviations a glitch lies off.
    replace : bool
        Put the curve of the neighbours in the place of a glitch, instead of leaving it out. Such a value is no
        measurement, and `valid` says so.

    Returns
    -------
    Deglitched

    Raises
    ------
    OutOfRange, ValueError
        If this is no spectrum, has no edge, or the protected range does not hold E0. A side of the edge with too few
        points to judge by, 11, is left as it is.
    """
    energies, values, errors = require_spectrum(energy, absorption, error, fewest=5)
    require_positive(threshold, "threshold for glitches", "standard deviations")
    require(protected, (protected[0] < 0, protected[1] > 0), "protected range about E0", "must hold E0", "eV")
    if edge is None:
        edge = edge_by_derivative(energies, values, errors)
    e0 = edge_fixed(energies, edge.energy if isinstance(edge, EdgePosition) else edge).energy
    floor = np.broadcast_to(estimated_noise(energies, values) if errors is None else errors, energies.shape)

    valid, curve = np.ones(energies.size, bool), values.copy()
    least = LEAST_SHARE * float(np.diff(np.percentile(values, [5, 95]))[0])
    for side in (energies < e0 + protected[0], energies > e0 + protected[1]):
        if np.count_nonzero(side) >= FEWEST_ON_A_SIDE:
            valid[side], curve[side] = _judged(energies[side], values[side], floor[side], threshold, least)
    if replace:
        return Deglitched(energies, np.where(valid, values, curve), valid, True)
    return Deglitched(energies[valid], values[valid], valid, False)


def _judged(
    energies: Floats, values: Floats, noise: Floats, threshold: float, least: float
) -> tuple[NDArray[np.bool_], Floats]:
    """Return which points of one side of the edge are no glitches, and the curves of their neighbours."""
    valid = np.ones(energies.size, bool)
    for _ in range(ROUNDS):
        curve, spread = _neighbours_curve(energies, values, valid)
        off = np.abs(values - curve)
        scatter = np.maximum(_local_scatter(off / spread), noise)
        judged = off <= np.maximum(threshold * scatter * spread, least)
        # Neighbours of a glitch look bad until it is out of their curves: a point comes back if it fits then.
        if (judged == valid).all() or np.count_nonzero(judged) < FEWEST_ON_A_SIDE:
            break
        valid = judged
    return valid, curve


def _neighbours_curve(energies: Floats, values: Floats, valid: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return what the nearest valid neighbours of each point say of it, by a cubic of least absolute differences.

    The second array is how far a good point lies off it, in standard deviations of the noise: more where the curve is
    extrapolated, or its points are crowded.
    """
    curve, spread = np.empty_like(values), np.empty_like(values)
    good = np.flatnonzero(valid)
    for index, energy in enumerate(energies):
        others = good[good != index]
        start = int(np.clip(np.searchsorted(others, index) - NEIGHBOURS // 2, 0, others.size - NEIGHBOURS))
        near = others[start : start + NEIGHBOURS]
        offsets = energies[near] - energy
        powers = np.vander(offsets / np.abs(offsets).max(), DEGREE + 1, increasing=True)
        coefficients = _least_absolute(powers, values[near])
        curve[index] = coefficients[0]
        spread[index] = np.sqrt(1 + np.sum(np.linalg.pinv(powers)[0] ** 2))
    return curve, spread


def _least_absolute(powers: Floats, values: Floats) -> Floats:
    """Return the coefficients of least absolute differences, by least squares with weights that follow them."""
    weights = np.ones(values.size)
    for _ in range(REWEIGHTINGS):
        coefficients = np.linalg.lstsq(powers * weights[:, None], values * weights, rcond=None)[0]
        off = np.abs(values - powers @ coefficients)
        smallest = 1e-3 * float(off.max())
        if smallest == 0:
            break
        weights = 1 / np.sqrt(np.maximum(off, smallest))
    return np.asarray(coefficients)


def _local_scatter(off: Floats) -> Floats:
    """Return the standard deviation of the points about their curves, from the median thereabouts."""
    half = LOCAL // 2
    starts = np.clip(np.arange(off.size) - half, 0, max(off.size - LOCAL, 0))
    return np.array([SIGMA_PER_MEDIAN * np.median(off[start : start + LOCAL]) for start in starts])

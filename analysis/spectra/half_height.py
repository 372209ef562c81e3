"""E0 of a spectrum at half height: where it first rises through the middle between pre-edge line and post-edge.

The crossing is that of a cubic spline through the points, which is linear in them as pre-edge and edge step are. So the
standard error is that of the points carried through all three.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq

from whiteline.analysis.spectra.checks import Floats, require_range, require_spectrum
from whiteline.analysis.spectra.edge_position import EdgePosition, edge_by_derivative, edge_fixed
from whiteline.analysis.spectra.normalise import Range, normalisation_functionals

SEARCH_EV = (-20.0, 40.0)
"""Where the crossing is looked for, relative to the edge: shifts of valence and of calibration lie within."""


def edge_by_half_height(
    energy: ArrayLike,
    absorption: ArrayLike,
    error: ArrayLike | None = None,
    *,
    edge: EdgePosition | float | None = None,
    pre_edge: Range | None = None,
    post_edge: Range | None = None,
    degree: int | None = None,
    search: Range = SEARCH_EV,
) -> EdgePosition:
    """Find E0 where the normalised spectrum first rises through one half.

    Parameters
    ----------
    energy : array_like, shape (n,)
        Photon energies, ascending, each once [eV].
    absorption : array_like, shape (n,)
        Absorption, in any scale.
    error : array_like, shape (n,) or a number, optional
        Standard error of the absorption.
    edge : EdgePosition or float, optional
        Energy that the ranges are relative to, and at which the edge step is read [eV]; the maximum of the derivative
        if it is not given. Give one energy to compare spectra: a step that is read elsewhere is another.
    pre_edge, post_edge, degree
        As in `normalise`.
    search : tuple of float
        Where the crossing is looked for, relative to `edge` [eV].

    Returns
    -------
    EdgePosition

    Raises
    ------
    OutOfRange, ValueError
        As `normalise`; and if the spectrum does not rise through half height in the range of the search.
    """
    energies, values, errors = require_spectrum(energy, absorption, error, fewest=5)
    if edge is None:
        edge = edge_by_derivative(energies, values, errors)
    about = edge_fixed(energies, edge.energy if isinstance(edge, EdgePosition) else edge).energy
    rows = normalisation_functionals(energies, about, pre_edge, post_edge, degree)
    base = rows.line[0] + np.outer(energies - about, rows.line[1]) + rows.polynomial[0] / 2

    low, high = about + search[0], about + search[1]
    inside = (energies >= low) & (energies <= high)
    require_range(energies, inside, low, high, "range of the rising edge", 3)
    above = values - base @ values
    spline = CubicSpline(energies, above)
    first, last = float(energies[inside][0]), float(energies[inside][-1])
    grid = np.unique(np.concatenate([energies[inside], np.linspace(first, last, 1 + int((last - first) / 0.1))]))
    sign = spline(grid) >= 0
    rises = np.flatnonzero(~sign[:-1] & sign[1:])
    if not rises.size:
        raise ValueError(
            f"the spectrum does not rise through half of its edge step between {first:.8g} and {last:.8g} eV; check "
            f"pre-edge and post-edge, or search elsewhere"
        )
    found = float(brentq(spline, grid[rises[0]], grid[rises[0] + 1], xtol=1e-9))
    if errors is None:
        return EdgePosition(found, np.nan, "half height")
    return EdgePosition(found, _error(energies, base, spline, found, errors), "half height")


def _error(energies: Floats, base: Floats, spline: CubicSpline, found: float, errors: Floats) -> float:
    """Return √(Σ r² v) over the slope, for the row r that turns the spectrum into its height at the crossing."""
    to_spline = CubicSpline(energies, np.eye(energies.size))(found)
    row = to_spline @ (np.eye(energies.size) - base)
    return float(np.sqrt(row**2 @ errors**2) / spline(found, 1))

"""Normalise a spectrum: pre-edge line, post-edge polynomial, edge step, flattening.

The pre-edge line is fitted below the edge and subtracted. A polynomial is fitted to what remains above the edge; its
value at E0 is the edge step, by which the spectrum is divided. Flattening takes the curvature of the post-edge out, so
that it oscillates about 1 (after B. Ravel and M. Newville, J. Synchrotron Rad. 12 (2005) 537). All of this is linear in
the absorption but for the division, so the standard errors are those of the points carried through, correlations
included. They hold for the ranges that were chosen; that these were a wise choice no formula can tell.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from whiteline.analysis.checks import require, require_energy
from whiteline.analysis.spectra.checks import Floats, require_range, require_spectrum
from whiteline.analysis.spectra.edge_position import EdgePosition, edge_by_derivative, edge_fixed

Range = tuple[float, float]

PRE_EDGE_END_EV = -30.0
"""Where the pre-edge ends: before any feature of the edge. A scan that begins too near to it ends half-way instead."""

POST_EDGE_START_EV = 100.0
"""Where the post-edge begins at most: beyond white line and first oscillations. In a short scan, at a third of it."""

QUADRATIC_FROM_EV = 300.0
LINEAR_FROM_EV = 30.0
"""A post-edge as long as this is given a curvature, and a slope; a shorter one is its mean."""

LEAST_STEP_OVER_NOISE = 5.0
"""An edge step that is less than so many of its standard errors divides by noise."""


@dataclass(frozen=True, eq=False)
class NormalisedSpectrum:
    """A spectrum normalised, with all that was chosen and found on the way.

    Parameters
    ----------
    energy, absorption : ndarray of float64, shape (n,)
        As they were given [eV].
    error : ndarray of float64, shape (n,), or None
        Standard error of the absorption, as it was given.
    edge : EdgePosition
        E0, and how it was found.
    pre_edge_range, post_edge_range : tuple of float
        First and last energy that were fitted, relative to E0 [eV].
    pre_edge_coefficients : tuple of float
        Of the line, by powers of E − E0 [1, 1/eV].
    post_edge_coefficients : tuple of float
        Of the polynomial through absorption less the line, by powers of E − E0 [1, 1/eV, …]; the first is the step.
    edge_step, edge_step_error : float
        Height of the edge at E0; the error is NaN if no error was given.
    normalised, flattened : ndarray of float64, shape (n,)
        Absorption less the line over the step; and with the shape of the post-edge taken out above E0.
    normalised_error, flattened_error : ndarray of float64, shape (n,)
        Their standard errors, those of line, polynomial and step included; NaN if no error was given.
    """

    energy: Floats
    absorption: Floats
    error: Floats | None
    edge: EdgePosition
    pre_edge_range: Range
    post_edge_range: Range
    pre_edge_coefficients: tuple[float, ...]
    post_edge_coefficients: tuple[float, ...]
    edge_step: float
    edge_step_error: float
    normalised: Floats
    flattened: Floats
    normalised_error: Floats
    flattened_error: Floats

    @property
    def degree(self) -> int:
        """Degree of the post-edge polynomial."""
        return len(self.post_edge_coefficients) - 1

    def pre_edge(self, energy: ArrayLike) -> Floats:
        """Return the pre-edge line at energies [eV]."""
        offsets = np.asarray(energy, float) - self.edge.energy
        return np.asarray(np.polynomial.polynomial.polyval(offsets, self.pre_edge_coefficients))

    def post_edge(self, energy: ArrayLike) -> Floats:
        """Return the post-edge curve, pre-edge line included, at energies [eV]."""
        offsets = np.asarray(energy, float) - self.edge.energy
        above = np.polynomial.polynomial.polyval(offsets, self.post_edge_coefficients)
        return np.asarray(self.pre_edge(energy) + above)


@dataclass(frozen=True, eq=False)
class Functionals:
    """Pre-edge line and post-edge polynomial as what a spectrum (n,) is multiplied by.

    Parameters
    ----------
    line : ndarray, shape (2, n)
        Gives the coefficients of the pre-edge line, by powers of E − E0.
    polynomial : ndarray, shape (degree + 1, n)
        Gives those of the post-edge polynomial, through absorption less the line.
    pre_edge_range, post_edge_range : tuple of float
        First and last energy that are used, relative to E0 [eV].
    """

    line: Floats
    polynomial: Floats
    pre_edge_range: Range
    post_edge_range: Range


def normalise(
    energy: ArrayLike,
    absorption: ArrayLike,
    error: ArrayLike | None = None,
    *,
    edge: EdgePosition | float | None = None,
    pre_edge: Range | None = None,
    post_edge: Range | None = None,
    degree: int | None = None,
) -> NormalisedSpectrum:
    """Normalise a spectrum.

    Parameters
    ----------
    energy : array_like, shape (n,)
        Photon energies, ascending, each once [eV].
    absorption : array_like, shape (n,)
        Absorption, in any scale.
    error : array_like, shape (n,) or a number, optional
        Standard error of the absorption.
    edge : EdgePosition or float, optional
        E0 [eV]; the maximum of the derivative if it is not given.
    pre_edge : tuple of float, optional
        Range of the line, relative to E0 [eV]. If it is not given, from the second energy (the first is often bad) to
        −30 eV, or half-way to the edge if the scan begins less than 60 eV before it.
    post_edge : tuple of float, optional
        Range of the polynomial, relative to E0 [eV]. If it is not given, from a third of the scan above the edge, at
        most 100 eV, to its end.
    degree : int, optional
        Degree of the polynomial, 0 to 3. If it is not given: 2 where the range is longer than 300 eV, 1 from 30 eV,
        else 0.

    Returns
    -------
    NormalisedSpectrum

    Raises
    ------
    OutOfRange
        If an energy is no energy in eV, an absorption is not finite, the edge lies outside the spectrum, the degree is
        none of these, or the edge step is not positive.
    ValueError
        If energies do not ascend, each once; a range holds too few of them; there is no edge; or its step drowns in the
        noise.
    """
    energies, values, errors = require_spectrum(energy, absorption, error, fewest=5)
    if edge is None:
        edge = edge_by_derivative(energies, values, errors)
    elif not isinstance(edge, EdgePosition):
        edge = edge_fixed(energies, edge)
    else:
        edge_fixed(energies, edge.energy)
    functionals = normalisation_functionals(energies, edge.energy, pre_edge, post_edge, degree)
    line, polynomial = functionals.line @ values, functionals.polynomial @ values
    step = float(polynomial[0])
    require(
        step, step > 0, "edge step", "must be above 0", "", "check E0 and the ranges, or the sign of the absorption"
    )

    offsets = energies - edge.energy
    powers = np.vander(offsets, polynomial.size, increasing=True)
    above_line = values - line[0] - line[1] * offsets
    normalised = above_line / step
    # The shape of the post-edge, which flattening takes out: nothing at E0, and nothing below it.
    shape = np.where(offsets[:, None] > 0, powers, 0) * (np.arange(polynomial.size) > 0)
    flattened = normalised - shape @ polynomial / step

    step_error, normalised_error = np.nan, np.full(energies.size, np.nan)
    flattened_error = normalised_error.copy()
    if errors is not None:
        step_row = functionals.polynomial[0]
        step_error = float(np.sqrt(step_row**2 @ errors**2))
        if step <= LEAST_STEP_OVER_NOISE * step_error:
            raise ValueError(
                f"the edge step {step:.4g} at {edge.energy:.8g} eV is less than {LEAST_STEP_OVER_NOISE:g} of its "
                f"standard errors, {step_error:.3g}: the spectrum cannot be normalised; count longer"
            )
        to_line = np.eye(energies.size) - functionals.line[0] - np.outer(offsets, functionals.line[1])
        to_normalised = (to_line - np.outer(normalised, step_row)) / step
        normalised_error = np.sqrt(to_normalised**2 @ errors**2)
        to_flattened = (to_line - shape @ functionals.polynomial - np.outer(flattened, step_row)) / step
        flattened_error = np.sqrt(to_flattened**2 @ errors**2)
    return NormalisedSpectrum(
        energy=energies,
        absorption=values,
        error=errors,
        edge=edge,
        pre_edge_range=functionals.pre_edge_range,
        post_edge_range=functionals.post_edge_range,
        pre_edge_coefficients=tuple(float(one) for one in line),
        post_edge_coefficients=tuple(float(one) for one in polynomial),
        edge_step=step,
        edge_step_error=step_error,
        normalised=normalised,
        flattened=flattened,
        normalised_error=normalised_error,
        flattened_error=flattened_error,
    )


def normalisation_functionals(
    energies: Floats, e0: float, pre_edge: Range | None, post_edge: Range | None, degree: int | None
) -> Functionals:
    """Return pre-edge line and post-edge polynomial as functionals of a spectrum; as `normalise`.

    Raises
    ------
    OutOfRange
        If E0 is no energy in eV, or the degree is not 0 to 3.
    ValueError
        If a range lies on the wrong side of the edge, or holds too few energies.
    """
    require_energy(e0, "E0")
    pre = _default_pre_edge(energies, e0) if pre_edge is None else pre_edge
    post = _default_post_edge(energies, e0) if post_edge is None else post_edge
    if not pre[0] < pre[1] <= 0 <= post[0] < post[1]:
        raise ValueError(
            f"pre-edge {pre[0]:g} to {pre[1]:g} eV and post-edge {post[0]:g} to {post[1]:g} eV must be ranges "
            f"below and above the edge at {e0:.8g} eV, relative to it; the spectrum covers {energies[0] - e0:.6g} to "
            f"{energies[-1] - e0:.6g} eV"
        )
    below = (energies >= e0 + pre[0]) & (energies <= e0 + pre[1])
    above = (energies >= e0 + post[0]) & (energies <= e0 + post[1])
    require_range(energies, below, e0 + pre[0], e0 + pre[1], "pre-edge", 2)
    require_range(energies, above, e0 + post[0], e0 + post[1], "post-edge", 1)
    first, last = energies[above][[0, -1]]
    if degree is None:
        length = float(last - first)
        degree = 2 if length > QUADRATIC_FROM_EV else 1 if length >= LINEAR_FROM_EV else 0
        degree = min(degree, int(np.count_nonzero(above)) - 1)
    require(degree, degree in (0, 1, 2, 3), "degree of the post-edge", "must be 0, 1, 2 or 3")
    require_range(energies, above, e0 + post[0], e0 + post[1], f"post-edge of degree {degree}", degree + 1)

    offsets = energies - e0
    line = np.zeros((2, energies.size))
    line[:, below] = _coefficients(offsets[below], 1)
    to_line = np.eye(energies.size) - line[0] - np.outer(offsets, line[1])
    polynomial = _coefficients(offsets[above], degree) @ to_line[above]
    return Functionals(
        line,
        polynomial,
        (float(energies[below][0] - e0), float(energies[below][-1] - e0)),
        (float(first - e0), float(last - e0)),
    )


def _coefficients(offsets: Floats, degree: int) -> Floats:
    """Return what gives the coefficients of a polynomial by least squares from values at some offsets."""
    scale = float(np.abs(offsets).max()) or 1.0
    powers = np.arange(degree + 1)
    matrix = np.linalg.pinv(np.vander(offsets / scale, degree + 1, increasing=True))
    return np.asarray(matrix / scale ** powers[:, None])


def _default_pre_edge(energies: Floats, e0: float) -> Range:
    start = float(energies[1] - e0) if np.count_nonzero(energies < e0) > 3 else float(energies[0] - e0)
    return start, PRE_EDGE_END_EV if start <= 2 * PRE_EDGE_END_EV else start / 2


def _default_post_edge(energies: Floats, e0: float) -> Range:
    end = float(energies[-1] - e0)
    return min(POST_EDGE_START_EV, end / 3), end

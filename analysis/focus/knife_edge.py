"""The width of a beam from a scan over a sharp edge.

The signal is the beam integrated up to the edge. For a Gaussian beam that is an error function, and its derivative is
the beam: I(x) = base + slope (x − x0) + step · ½ [1 + erf((x − x0) / (√2 σ))]. The error function itself is fitted, as
the derivative of measured points is mostly noise.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, erf, fdtrc

from whiteline.analysis.checks import require, require_positive

FWHM_PER_SIGMA = 2 * np.sqrt(2 * np.log(2))
"""Full width at half maximum of a Gaussian, in σ."""

FEWEST_POINTS = 8

LEAST_STEP_ERRORS = 6.0
"""A step below so many of its standard errors is no edge: noise alone, fitted anywhere in a scan, reaches four."""

MOST_CHANCE = 1e-7
"""Probability that an edge would lower χ² as much in noise alone; above it, there is none."""


class NoEdge(ValueError):
    """The scan holds no edge that could be measured."""


@dataclass(frozen=True)
class KnifeEdge:
    """An edge, as the beam sees it.

    Parameters
    ----------
    position, position_error : float
        Where the beam is cut in half, in the unit of the positions.
    sigma, sigma_error : float
        Gaussian width of the beam, in that unit.
    step, step_error : float
        Height of the edge, in the unit of the signal; negative where the signal falls.
    base, slope : float
        Level before the edge, and slope of the background.
    reduced_chi_square : float
        χ² per degree of freedom; 1 by construction where no errors were given.
    """

    position: float
    position_error: float
    sigma: float
    sigma_error: float
    step: float
    step_error: float
    base: float
    slope: float
    reduced_chi_square: float

    @property
    def fwhm(self) -> float:
        """Full width at half maximum of the beam."""
        return float(FWHM_PER_SIGMA * self.sigma)

    @property
    def fwhm_error(self) -> float:
        """Its standard error."""
        return float(FWHM_PER_SIGMA * self.sigma_error)

    def profile(self, positions: ArrayLike) -> NDArray[np.float64]:
        """Return the signal of the fit at some positions."""
        return _edge(np.asarray(positions, float), self.position, self.sigma, self.step, self.base, self.slope)

    def beam(self, positions: ArrayLike) -> NDArray[np.float64]:
        """Return the beam, the derivative of the step, at some positions [signal per position]."""
        away = (np.asarray(positions, float) - self.position) / self.sigma
        profile: NDArray[np.float64] = self.step * np.exp(-away * away / 2) / (np.sqrt(2 * np.pi) * self.sigma)
        return profile


def fit_knife_edge(
    positions: ArrayLike, signal: ArrayLike, errors: ArrayLike | None = None, *, sloped: bool = False
) -> KnifeEdge:
    """Fit an edge to a scan.

    Parameters
    ----------
    positions : array_like
        Of the edge or of the beam, in any order, shape (n,).
    signal : array_like
        Counts, transmission or fluorescence over I0, shape (n,). Points that are not finite are left out.
    errors : array_like, optional
        Standard errors of the signal, shape (n,); all equal, and taken from the scatter, if they are not given.
    sloped : bool
        Whether the background has a slope.

    Returns
    -------
    KnifeEdge
        With standard errors.

    Raises
    ------
    OutOfRange
        If fewer than eight points are finite, or an error is not positive.
    ValueError
        If the shapes differ.
    NoEdge
        If the step does not stand out of the noise, lies outside of the scan, or is sharper than the points are apart.
    """
    at, values, weights = _checked(positions, signal, errors)
    span = float(at[-1] - at[0])
    spacing = float(np.median(np.diff(np.unique(at)))) if span > 0 else 0.0
    if not spacing > 0:
        raise NoEdge("all points of the scan are at one position; check that the axis moved")
    if not np.ptp(values) > 0:
        raise NoEdge("the signal is the same at every point of the scan; check the shutter and the detector")
    best = _best_fit(at, values, weights, span, spacing, sloped)
    straight = np.polynomial.polynomial.polyfit(at, values, 1 if sloped else 0, w=weights)
    plain = float(((weights * (values - np.polynomial.polynomial.polyval(at, straight))) ** 2).sum())
    free = max(best.nfree, 1)
    gain = max(plain - float(best.chisqr), 0.0)
    if errors is not None:
        by_chance = float(chdtrc(3, gain))
    else:  # the scatter about the fit stands in for errors
        by_chance = float(fdtrc(3, free, gain / 3 / max(best.chisqr / free, np.finfo(float).tiny)))
    remedy = "scan farther, count longer, or check that the edge is in the beam"
    none = f"no edge stands out of the noise of the scan from {at[0]:g} to {at[-1]:g}; {remedy}"
    if by_chance > MOST_CHANCE:
        raise NoEdge(none)
    found = {name: float(one) for name, one in best.params.valuesdict().items()}
    position, sigma, step = found["position"], found["sigma"], found["step"]
    variances = _variances(at, weights, found, sloped) * (1.0 if errors is not None else best.chisqr / free)
    position_error, sigma_error, step_error = (float(one) for one in np.sqrt(variances[:3]))
    if sigma < spacing / 4 or sigma_error > sigma:
        raise NoEdge(
            f"the edge at {position:g} is sharper than the points are apart, {spacing:g}, so it has no width that "
            "could be measured; scan in smaller steps"
        )
    if not at[0] < position < at[-1] or FWHM_PER_SIGMA * sigma > span:
        raise NoEdge(f"the scan from {at[0]:g} to {at[-1]:g} does not show both sides of the edge; {remedy}")
    if abs(step) < LEAST_STEP_ERRORS * step_error:
        raise NoEdge(none)
    reduced = float(best.chisqr / free) if errors is not None else 1.0
    return KnifeEdge(
        position, position_error, sigma, sigma_error, step, step_error, found["base"], found["slope"], reduced
    )


def _checked(
    positions: ArrayLike, signal: ArrayLike, errors: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    at, values = np.asarray(positions, float), np.asarray(signal, float)
    spread = np.ones_like(values) if errors is None else np.asarray(errors, float)
    if not at.shape == values.shape == spread.shape or at.ndim != 1:
        raise ValueError(f"positions {at.shape}, signal {values.shape} and errors {spread.shape} must be of one length")
    use = np.isfinite(at) & np.isfinite(values)
    require(use.sum(), use.sum() >= FEWEST_POINTS, "number of points of the scan", f"must be at least {FEWEST_POINTS}")
    require_positive(spread[use], "error of the signal")
    order = np.argsort(at[use], kind="stable")
    return at[use][order], values[use][order], 1 / spread[use][order]


def _edge(
    at: NDArray[np.float64], position: float, sigma: float, step: float, base: float, slope: float
) -> NDArray[np.float64]:
    away = (at - position) / (np.sqrt(2) * sigma)
    result: NDArray[np.float64] = base + slope * (at - position) + step * 0.5 * (1 + erf(away))
    return result


def _variances(
    at: NDArray[np.float64], weights: NDArray[np.float64], found: dict[str, float], sloped: bool
) -> NDArray[np.float64]:
    """Return the variances of position, sigma, step and base for errors of 1 / weights, from exact derivatives."""
    away = (at - found["position"]) / found["sigma"]
    beam = found["step"] * np.exp(-away * away / 2) / (np.sqrt(2 * np.pi) * found["sigma"])
    parts = [-beam - found["slope"], -beam * away, 0.5 * (1 + erf(away / np.sqrt(2))), np.ones_like(at)]
    if sloped:
        parts.append(found["sigma"] * away)
    slopes = np.stack(parts, axis=1) * weights[:, None]
    scale = np.linalg.norm(slopes, axis=0)
    if not (scale > 0).all():  # the width is between two points, where no point knows of it
        return np.full(len(parts), np.inf)
    inverse = np.linalg.pinv((slopes / scale).T @ (slopes / scale), rcond=1e-13, hermitian=True)
    variances: NDArray[np.float64] = np.diag(inverse) / scale**2
    return variances


def _best_fit(
    at: NDArray[np.float64],
    values: NDArray[np.float64],
    weights: NDArray[np.float64],
    span: float,
    spacing: float,
    sloped: bool,
) -> Any:
    """Fit from the best of a grid of positions and widths, where base and step follow linearly."""
    best = (np.inf, 0.0, 0.0, np.zeros(3))
    # The linear parts are solved relative to the smallest value, so that a large pedestal costs no digits.
    for sigma in np.geomspace(max(spacing / 2, span / 300), span / 3, 8):
        for position in np.linspace(at[0], at[-1], 41):
            parts = [np.ones_like(at), _edge(at, position, sigma, 1.0, 0.0, 0.0)]
            if sloped:
                parts.append(at - position)
            design = np.stack(parts, axis=1) * weights[:, None]
            solution, *_ = np.linalg.lstsq(design, values * weights, rcond=None)
            misfit = float(((design @ solution - values * weights) ** 2).sum())
            if misfit < best[0]:
                best = (misfit, position, sigma, np.append(solution, 0.0)[:3])
    _, position, sigma, (base, step, slope) = best
    import lmfit  # here: it takes a second to load

    parameters = lmfit.Parameters()
    parameters.add("position", position, min=at[0] - span, max=at[-1] + span)
    parameters.add("sigma", sigma, min=spacing * 1e-3, max=2 * span)
    parameters.add("step", step)
    parameters.add("base", base)
    parameters.add("slope", slope if sloped else 0.0, vary=sloped)

    def residual(now: Any) -> NDArray[np.float64]:
        numbers = now.valuesdict()
        return (_edge(at, **numbers) - values) * weights

    # Given errors are absolute: lmfit must not rescale them by the scatter.
    scaled = bool(np.all(weights == 1))
    return lmfit.minimize(residual, parameters, method="leastsq", scale_covar=scaled)

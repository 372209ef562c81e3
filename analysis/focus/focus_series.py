"""The best focus of a series of widths or sharpnesses, taken while the zone plate moves through focus.

A defocus δ blurs by σδ = |δ| NA / 2, added in quadrature to the width in focus: σ² = σ0² + (NA/2)² (z − z0)². Widths
are fitted by that law. The energy of the gradients of an image falls with the square of its blur to a power p that the
sample decides, 1/2 for sharp edges and 2 for a soft texture, so sharpnesses are fitted by S [1 + ((z − z0) / w)²]⁻ᵖ.
Both are symmetric about the focus. Points far from the rest, such as one taken while the beam was lost, are left out.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares
from scipy.special import chdtrc, fdtrc

from whiteline.analysis.checks import require, require_positive

Floats = NDArray[np.float64]

FEWEST_POINTS = 5

MOST_CHANCE = 1e-6
MOST_CHANCE_UNKNOWN = 1e-5
"""Probability that noise alone would follow the law as well, with errors that are given, or not; above it, no focus."""

INSIDE_ERRORS = 2.0
"""A focus nearer than so many standard errors to an end of the series may as well lie beyond it."""

FAR_OUT = 6.0
"""Points off by more than so many robust standard deviations are left out."""

MOST_LEFT_OUT = 0.2
"""Share of the points that may be left out."""

POWERS = (0.3, 4.0)
POINTS_FOR_POWER = 7
"""With fewer points the power of the sharpness is kept at 1."""


class NoFocus(ValueError):
    """The series does not show where the focus is."""


@dataclass(frozen=True)
class BestFocus:
    """Where a series is in focus.

    Parameters
    ----------
    z, error : float
        Reading of the axis in focus, and its standard error [mm].
    in_focus : float
        Width or sharpness in focus, in the unit that was given.
    in_focus_error : float
        Its standard error.
    depth : float
        Distance from the focus [mm] at which the blur is as large as what is there in focus.
    reduced_chi_square : float
        χ² per degree of freedom; 1 by construction where no errors were given.
    used : tuple of bool
        Which points were used, in the order given.
    """

    z: float
    error: float
    in_focus: float
    in_focus_error: float
    depth: float
    reduced_chi_square: float
    used: tuple[bool, ...]


def focus_by_width(
    z: ArrayLike, width: ArrayLike, errors: ArrayLike | None = None, *, blur_per_mm: float | None = None
) -> BestFocus:
    """Find the best focus of a series of widths, such as those of `fit_knife_edge`.

    Parameters
    ----------
    z : array_like
        Readings of the axis, in any order [mm], shape (n,).
    width : array_like
        Gaussian σ at each, in any unit, shape (n,). Points that are not finite are left out.
    errors : array_like, optional
        Standard errors of the widths; all equal, and taken from the scatter, if they are not given.
    blur_per_mm : float, optional
        Gaussian σ that a millimetre of defocus adds, in the unit of the widths: `ZonePlate.defocus_blur(1.0, energy)`
        in nm. Fitted if it is not given.

    Returns
    -------
    BestFocus

    Raises
    ------
    OutOfRange
        If fewer than five points are finite, or a width, an error or the blur is not positive.
    ValueError
        If the shapes differ.
    NoFocus
        If the focus lies outside of the series, or the widths do not depend on z beyond their noise.
    """
    series = _Series.checked(z, width, errors)
    require_positive(series.values, "width")
    if blur_per_mm is not None:
        require_positive(blur_per_mm, "blur per mm of defocus", "per mm")
    smallest = float(series.values.min())

    def law(parameters: Floats, at: Floats) -> Floats:
        blur = (blur_per_mm if blur_per_mm is not None else parameters[2]) * (at - parameters[0])
        return np.asarray(np.hypot(parameters[1], blur))

    usual = float(np.median(series.values))
    in_focus = np.linspace(smallest / 2, usual, 8)
    slopes = usual / series.span * np.geomspace(0.1, 30, 12)
    axes = [series.places, in_focus] if blur_per_mm is not None else [series.places, in_focus, slopes]
    bounds = ([-np.inf] + [0.0] * (len(axes) - 1), [np.inf] * len(axes))
    fit = _fit(series, law, axes, bounds)
    best = fit.parameters
    blur = blur_per_mm if blur_per_mm is not None else best[2]
    return fit.result(best[1] / blur if blur > 0 else np.inf, "the widths fall", "width")


def focus_by_sharpness(z: ArrayLike, sharpness: ArrayLike, errors: ArrayLike | None = None) -> BestFocus:
    """Find the best focus of a series of sharpnesses.

    Parameters
    ----------
    z : array_like
        Readings of the axis, in any order [mm], shape (n,).
    sharpness : array_like
        As `sharpness` gives it, noise subtracted, shape (n,). Points that are not finite are left out.
    errors : array_like, optional
        Standard errors; all equal, and taken from the scatter, if they are not given.

    Returns
    -------
    BestFocus

    Raises
    ------
    OutOfRange
        If fewer than five points are finite, or an error is not positive.
    ValueError
        If the shapes differ.
    NoFocus
        If the focus lies outside of the series, or the contrast is lost in noise throughout.
    """
    series = _Series.checked(z, sharpness, errors)
    highest = float(series.values.max())
    if not highest > 0:
        raise NoFocus("no image of the series is sharper than its noise: the contrast is lost; find a feature first")
    with_power = series.values.size >= POINTS_FOR_POWER

    def law(parameters: Floats, at: Floats) -> Floats:
        away = (at - parameters[0]) / parameters[2]
        return np.asarray(parameters[1] * (1 + away * away) ** -(parameters[3] if with_power else 1.0))

    # The third highest, as the highest may be an outlier.
    heights = np.array([0.7, 1.0, 1.4]) * float(np.sort(series.values)[-3])
    heights = heights if heights[0] > 0 else np.array([highest])
    axes = [series.places, heights, series.span * np.geomspace(0.05, 2, 8)]
    axes += [np.array([0.5, 1.0, 2.0])] * with_power
    low, high = [-np.inf, 0.0, 1e-3 * series.span], [np.inf, np.inf, 20 * series.span]
    bounds = (low + [POWERS[0]] * with_power, high + [POWERS[1]] * with_power)
    fit = _fit(series, law, axes, bounds)
    return fit.result(fit.parameters[2], "the sharpness rises", "sharpness")


@dataclass(frozen=True)
class _Series:
    """The finite points of a series."""

    z: Floats
    values: Floats
    errors: Floats
    known_errors: bool
    finite: NDArray[np.bool_]

    @classmethod
    def checked(cls, z: ArrayLike, values: ArrayLike, errors: ArrayLike | None) -> "_Series":
        at, of = np.asarray(z, float), np.asarray(values, float)
        spread = np.ones_like(of) if errors is None else np.asarray(errors, float)
        if not at.shape == of.shape == spread.shape or at.ndim != 1:
            raise ValueError(f"z {at.shape}, values {of.shape} and errors {spread.shape} must be of one length")
        finite = np.isfinite(at) & np.isfinite(of)
        remedy = "take more steps through focus"
        count = np.unique(at[finite]).size
        require(count, count >= FEWEST_POINTS, "number of places in z", f"must be at least {FEWEST_POINTS}", "", remedy)
        require_positive(spread[finite], "error of the series")
        return cls(at[finite], of[finite], spread[finite], errors is not None, finite)

    @property
    def span(self) -> float:
        return float(np.ptp(self.z))

    @property
    def places(self) -> Floats:
        """Where the focus may lie, also a little beyond the series."""
        return np.linspace(self.z.min() - self.span / 4, self.z.max() + self.span / 4, 46)


@dataclass(frozen=True)
class _Fitted:
    series: _Series
    parameters: Floats
    covariance: Floats
    chi_square: float
    by_chance: float
    kept: NDArray[np.bool_]

    def result(self, depth: float, trend: str, kind: str) -> BestFocus:
        """Build the result, or refuse what shows no focus."""
        series = self.series
        low, high = float(series.z.min()), float(series.z.max())
        where = f"from {low:g} to {high:g} mm"
        best = float(self.parameters[0])
        if not self.by_chance < (MOST_CHANCE if series.known_errors else MOST_CHANCE_UNKNOWN):
            raise NoFocus(
                f"the {kind} does not depend on z beyond its noise {where}: the contrast is lost, or the steps are far "
                "smaller than the depth of focus; find a feature, count longer, or scan farther"
            )
        if not low <= best <= high:
            side, end = ("below", low) if best < low else ("above", high)
            raise NoFocus(f"the focus lies {side} the series {where}: {trend} towards {end:g} mm; scan on from there")
        error = float(np.sqrt(self.covariance[0, 0]))
        if error < (high - low) / 4 and min(best - low, high - best) < INSIDE_ERRORS * error:
            raise NoFocus(
                f"the focus lies at the very end of the series {where}, at {best:g} ± {error:.2g} mm, and "
                "may be outside of it; scan on from there"
            )
        if not error < (high - low) / 4:
            raise NoFocus(
                f"the focus is known to no better than {error:.3g} mm {where}; take more steps, or count longer"
            )
        used = np.zeros(series.finite.size, bool)
        used[series.finite] = self.kept
        free = int(self.kept.sum()) - self.parameters.size
        return BestFocus(
            best,
            error,
            float(self.parameters[1]),
            float(np.sqrt(self.covariance[1, 1])),
            float(depth),
            self.chi_square / free if series.known_errors and free > 0 else 1.0,
            tuple(bool(one) for one in used),
        )


def _fit(
    series: _Series,
    law: Callable[[Floats, Floats], Floats],
    axes: list[Floats],
    bounds: tuple[list[float], list[float]],
) -> _Fitted:
    kept = np.ones(series.z.size, bool)
    # Without errors, one unit is a share of the range of the values, until the scatter is known.
    unit = 1.0 if series.known_errors else max(0.02 * float(np.ptp(series.values)), np.finfo(float).tiny)

    def residual(parameters: Floats) -> Floats:
        return (law(parameters, series.z) - series.values) / (series.errors * unit)

    def solved(begin: Floats, loss: str) -> Floats:
        scale = np.maximum(np.abs(begin), 1e-12)
        scale[0] = series.span
        inside = np.clip(begin, np.array(bounds[0]) + 1e-12, bounds[1])
        # An outlier pulls a plain fit to itself and hides; first a loss that grows slowly.
        solution = least_squares(
            lambda p: residual(p)[kept], inside, bounds=bounds, x_scale=scale, loss=loss, xtol=1e-10, max_nfev=100
        )
        return np.asarray(solution.x)

    # The best of a grid to start from, so that no other minimum is found.
    grid = np.stack([one.ravel() for one in np.meshgrid(*axes, indexing="ij")])
    steps = (law(grid[:, :, None], series.z) - series.values) / (series.errors * unit)
    best = solved(grid[:, int(np.argmin(np.sqrt(1 + steps**2).sum(axis=1)))], "soft_l1")
    off = np.abs(residual(best))
    spread = 1.4826 * float(np.median(off))
    limit = FAR_OUT * max(spread, 1.0) if series.known_errors else FAR_OUT * spread
    far = off > limit
    if spread > 0 and 0 < far.sum() <= MOST_LEFT_OUT * far.size:
        kept = ~far
    best = solved(best, "linear")

    misfit = residual(best)[kept]
    free = max(misfit.size - best.size, 1)
    chi_square = float(misfit @ misfit)
    factor = 1.0 if series.known_errors else chi_square / free
    weights = 1 / (series.errors[kept] * unit) ** 2
    flat = series.values[kept] - np.average(series.values[kept], weights=weights)
    gain = max(float((weights * flat * flat).sum()) - chi_square, 0.0)
    more = best.size - 1
    if series.known_errors:
        by_chance = float(chdtrc(more, gain))
    else:
        by_chance = float(fdtrc(more, free, gain / more / max(factor, np.finfo(float).tiny)))
    slopes = _slopes(lambda p: residual(p)[kept], best, series.span)
    # Millimetres beside sharpnesses of 10⁻⁴: scaled, so that no digits are lost in the inverse.
    scale = np.linalg.norm(slopes, axis=0)
    scale[scale < 1e-100] = 1e-100  # a parameter without any effect has no error that could be told
    normal = (slopes / scale).T @ (slopes / scale)
    covariance: Floats = factor * np.linalg.pinv(normal, rcond=1e-12, hermitian=True) / np.outer(scale, scale)
    return _Fitted(series, best, covariance, chi_square, by_chance, kept)


def _slopes(function: Callable[[Floats], Floats], at: Floats, span: float) -> Floats:
    columns = []
    for number in range(at.size):
        step = 1e-5 * (span if number == 0 else max(abs(at[number]), 1e-9))
        shifted = np.zeros_like(at)
        shifted[number] = step
        columns.append((function(at + shifted) - function(at - shifted)) / (2 * step))
    return np.stack(columns, axis=1)

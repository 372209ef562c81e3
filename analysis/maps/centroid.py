"""The centroid of a feature of the spectrum of every pixel, such as a pre-edge peak or the white line.

Over a window from a to b, the centroid of what lies above a baseline is ∫ E y dE / ∫ y dE. Both integrals are linear in
the spectrum: y is a cubic spline through it, less the baseline. So they are linear in the scores, and the error of the
quotient follows from the covariance of the scores, and from the noise of the learnt components.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.checks import require_finite
from whiteline.analysis.maps.edge_jump import (
    LEAST_JUMP_OVER_NOISE,
    EdgeNormalisation,
    linear_evaluation,
    normalisation_of,
)
from whiteline.analysis.maps.energy_checks import checked_energies, checked_window
from whiteline.analysis.maps.map import Map
from whiteline.analysis.maps.principal import Projection, learnt
from whiteline.analysis.maps.spline_pieces import spline_pieces
from whiteline.analysis.stacks.counting import Noise

Array = NDArray[Any]
Floats = NDArray[np.float64]

LEAST_AREA_OVER_NOISE = 5.0
"""Where the area is less than so many of its standard errors, it has no centroid to speak of."""

GAUSS_NODES, GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(3)
"""Exact up to the fifth degree: a cubic times the energy has the fourth."""


def centroid(
    energy: ArrayLike,
    optical_density: Any,
    variance: Noise,
    window: tuple[float, float],
    edge: float | EdgeNormalisation,
    *,
    baseline: float | Literal["chord"] = 0.0,
    projection: Projection | None = None,
    components: int | None = None,
    least_jump_over_noise: float = LEAST_JUMP_OVER_NOISE,
    valid: Any = None,
) -> Map:
    """Map the centroid of what lies above a baseline in a window of the normalised spectrum.

    Parameters
    ----------
    energy : array_like, shape (E,)
        Photon energies [eV], in any order.
    optical_density : array_like, shape (E, *pixels)
        A NumPy array, a dataset of h5py or a Dask array.
    variance : array_like, shape (E, *pixels), or CountingNoise
        Variance of the optical density.
    window : tuple of float
        From where to where to integrate [eV].
    edge : float or EdgeNormalisation
        Energy of the edge [eV], or where background and post-edge are to be read.
    baseline : float or "chord"
        Height of the baseline in the normalised spectrum, 0 before the edge and 1 beyond it; or the straight line that
        joins the spectrum at the ends of the window, as for a pre-edge peak on a rising edge.
    projection : Projection, optional
        Components to project on; learnt from the stack if it is not given.
    components : int, optional
        Number of the components to learn; if it is not given, as many as stand above the noise.
    least_jump_over_noise : float
        Pixels whose edge jump is less than so many of its standard errors are not valid.
    valid : array_like of bool, shape (*pixels,), optional
        Pixels that may be valid.

    Returns
    -------
    Map
        The centroid [eV] with its standard error. The noise of the learnt components is in it, which pixels that are
        alike have in common: a mean over a region is known no better.
        Not valid: an area above the baseline that is lost in its error or negative, a centroid outside the window, too
        small an edge jump, a spectrum outside the components' space.

    Raises
    ------
    ValueError
        If energies, stack, variance and mask do not belong together, the window, pre-edge or post-edge are not covered,
        or there are too few sound pixels to learn from.
    OutOfRange
        If an energy is no energy in eV, the baseline is no number, or the number of components is not possible.
    """
    energies = checked_energies(energy, optical_density)
    low, high = checked_window(window, energies, "centroid")
    normalisation = normalisation_of(edge)
    jump = normalisation.jump(energies)
    if baseline != "chord":
        require_finite(baseline, "baseline")
    projection = learnt(projection, energies, optical_density, variance, components, valid)
    # The spectrum as functionals of the optical density: what each energy adds to it, and to the integrals.
    curves = np.eye(energies.size) - normalisation.background(energies).T
    middle = (low + high) / 2
    areas, moments = _integrals(energies, curves, low, high, middle)
    if baseline == "chord":
        knots, pieces = spline_pieces(energies, curves, low, high)
        width = knots[-1] - knots[-2]
        first, last = pieces[0, 3], np.array([width**3, width**2, width, 1.0]) @ pieces[-1]
        # A straight line from `first` to `last`: its area, and its moment about the middle of the window.
        areas = areas - (first + last) / 2 * (high - low)
        moments = moments - (last - first) * (high - low) ** 2 / 12
    else:
        areas = areas - baseline * jump * (high - low)
    of_jump = linear_evaluation(projection, jump, least_jump_over_noise)
    of_area = linear_evaluation(projection, areas, LEAST_AREA_OVER_NOISE)
    outside = projection.outside(np.stack([areas, moments]))
    areas, moments = projection.components @ areas, projection.components @ moments
    first_index, second_index = np.tril_indices(projection.number)
    twice = np.where(first_index == second_index, 1.0, 2.0)

    def spread(left: Floats, right: Floats, covariance: Array) -> Array:
        both = (left[first_index] * right[second_index] + left[second_index] * right[first_index]) / 2
        return (twice * both) @ covariance

    def evaluate(scores: Array, covariance: Array, learning: Array) -> tuple[Array, Array, Array]:
        scores, covariance = scores.astype(float), covariance.astype(float)
        area, _, clear = of_area(scores, covariance, learning)
        with np.errstate(divide="ignore", invalid="ignore"):
            offset = (moments @ scores) / area
            # The gradient of the quotient is (moments − offset · areas) / area.
            square = (
                spread(moments, moments, covariance)
                - 2 * offset * spread(moments, areas, covariance)
                + offset**2 * spread(areas, areas, covariance)
                + outside[:, 1, 1] @ learning
                - 2 * offset * (outside[:, 0, 1] @ learning)
                + offset**2 * (outside[:, 0, 0] @ learning)
            )
            error = np.sqrt(np.maximum(square, 0)) / area
        inside = np.abs(offset) <= (high - low) / 2
        return middle + offset, error, clear & inside & of_jump(scores, covariance, learning)[2]

    return Map("centroid", "eV", *projection.over(evaluate, optical_density, variance, valid))


def _integrals(energy: Floats, curves: Floats, low: float, high: float, middle: float) -> tuple[Floats, Floats]:
    """Return ∫ y dE and ∫ (E − middle) y dE over the window, (k,) each, of the splines through curves (k, E)."""
    knots, pieces = spline_pieces(energy, curves, low, high)
    widths = np.diff(knots)
    offsets = widths[:, None] * (1 + GAUSS_NODES) / 2
    weights = widths[:, None] * GAUSS_WEIGHTS / 2
    powers = offsets[..., None] ** np.array([3, 2, 1, 0])
    values = np.einsum("ngp,npk->ngk", powers, pieces)
    about = knots[:-1, None] + offsets - middle
    return np.einsum("ng,ngk->k", weights, values), np.einsum("ng,ng,ngk->k", weights, about, values)

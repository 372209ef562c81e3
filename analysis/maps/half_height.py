"""The edge energy at half height of every pixel, after projection on principal components.

The normalised spectrum of a pixel, its optical density less the background and over the edge jump, crosses one half
where F(E) = OD(E) − background(E) − jump / 2 crosses zero. For a spectrum that is a combination of components, F is the
same combination of the F of each, F(E) = Σ s_j f_j(E) with the scores s. The f_j are cubic splines of energy, computed
once; each pixel only combines them and finds its zero. To first order the zero moves by −Σ f_j(E) δs_j / F′(E), which
with the covariance of the scores gives the standard error, that of background and jump included. What the noise of
the learnt components adds is in it: see `Projection.leverages`.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline

from whiteline.analysis.maps.counting_noise import Noise
from whiteline.analysis.maps.edge_jump import (
    LEAST_JUMP_OVER_NOISE,
    EdgeNormalisation,
    linear_evaluation,
    normalisation_of,
)
from whiteline.analysis.maps.energy_checks import checked_energies, checked_window
from whiteline.analysis.maps.map import Map
from whiteline.analysis.maps.principal import Projection, learnt

Array = NDArray[Any]
Floats = NDArray[np.float64]

SEARCH_EV = (-20.0, 40.0)
"""Where the rising edge is looked for, relative to the edge: shifts of valence and of calibration lie within."""


def half_height(
    energy: ArrayLike,
    optical_density: Any,
    variance: Noise,
    edge: float | EdgeNormalisation,
    *,
    search: tuple[float, float] = SEARCH_EV,
    projection: Projection | None = None,
    components: int | None = None,
    least_jump_over_noise: float = LEAST_JUMP_OVER_NOISE,
    valid: Any = None,
) -> Map:
    """Map the edge energy: where the normalised spectrum first rises through one half.

    Parameters
    ----------
    energy : array_like, shape (E,)
        Photon energies [eV], in any order.
    optical_density : array_like, shape (E, *pixels)
        A NumPy array, a dataset of h5py or a Dask array.
    variance : array_like, shape (E, *pixels), or CountingNoise
        Variance of the optical density.
    edge : float or EdgeNormalisation
        Energy of the edge [eV], or where background and post-edge are to be read.
    search : tuple of float
        Where the crossing is looked for, relative to the edge [eV].
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
        The edge energy [eV] with its standard error √(gᵀ C g + l), g the gradient with respect to the scores and C
        their covariance. The last term is the noise of the learnt components, which pixels that are alike have in
        common: a mean over a region is known no better than it, and their errors are correlated by so much.
        Not valid: no crossing in the range, too small a jump, a spectrum outside the components' space.

    Raises
    ------
    ValueError
        If energies, stack, variance and mask do not belong together, pre-edge, post-edge or the range of the search
        are not covered, or there are too few sound pixels to learn from.
    OutOfRange
        If an energy is no energy in eV, or the number of components is not possible.
    """
    normalisation = normalisation_of(edge)
    window = (normalisation.edge + search[0], normalisation.edge + search[1])
    energies = checked_energies(energy, optical_density)
    jump = normalisation.jump(energies)
    low, high = checked_window(window, energies, "rising edge")
    projection = learnt(projection, energies, optical_density, variance, components, valid)
    # F as functionals of the optical density: what each energy adds to it.
    above_half = np.eye(energies.size) - normalisation.background(energies).T - jump[:, None] / 2
    knots, functionals = spline_pieces(energies, above_half, low, high)
    pieces = functionals @ projection.components.T
    outside = square_of_pieces(projection.outside(functionals))
    at_knots = values_at_knots(knots, pieces).astype(np.float32)
    of_jump = linear_evaluation(projection, jump, least_jump_over_noise)

    def evaluate(scores: Array, covariance: Array, learning: Array) -> tuple[Array, Array, Array]:
        heights = at_knots @ scores
        value, error, good = _crossings(scores, covariance, learning, heights, knots, pieces, outside)
        return value, error, good & of_jump(scores, covariance, learning)[2]

    return Map("edge energy", "eV", *projection.over(evaluate, optical_density, variance, valid))


def spline_pieces(energy: Floats, curves: Floats, low: float, high: float, parts: int = 1) -> tuple[Floats, Floats]:
    """Return the cubic splines through curves, (k, E), by their pieces from low to high.

    Parameters
    ----------
    energy : ndarray, shape (E,)
        Energies [eV], in any order.
    curves : ndarray, shape (k, E)
        What to interpolate.
    low, high : float
        Range [eV].
    parts : int
        Into how many pieces to cut each interval between two energies.

    Returns
    -------
    knots : ndarray, shape (n + 1,)
        The ends of the range and the energies between them, ascending [eV].
    pieces : ndarray, shape (n, 4, k)
        Coefficients of (E − knot)³, (E − knot)², (E − knot) and 1.
    """
    order = np.argsort(energy)
    spline = CubicSpline(energy[order], curves[:, order].T)
    inside = spline.x[(spline.x > low) & (spline.x < high)]
    whole = np.concatenate([[low], inside, [high]])
    cuts = np.arange(parts) / parts
    knots = np.append((whole[:-1, None] + np.diff(whole)[:, None] * cuts).ravel(), high)
    # The third derivative jumps at an energy, so it is taken in the middle of the piece.
    cubic = spline((knots[:-1] + knots[1:]) / 2, 3) / 6
    return knots, np.stack([cubic, spline(knots[:-1], 2) / 2, spline(knots[:-1], 1), spline(knots[:-1])], axis=1)


def values_at_knots(knots: Floats, pieces: Floats) -> Floats:
    """Return the values of the pieces of splines at their knots, shape (n + 1, k)."""
    last = (knots[-1] - knots[-2]) ** np.array([3, 2, 1, 0]) @ pieces[-1]
    return np.vstack([pieces[:, 3], last])


def square_of_pieces(products: Floats) -> Floats:
    """Return the squares of polynomials as polynomials, highest power first, from the products of their coefficients.

    Parameters
    ----------
    products : ndarray, shape (…, m, m)
        Products of the coefficients of polynomials of m coefficients, in whatever scalar product.

    Returns
    -------
    ndarray, shape (…, 2 m − 1)
        Coefficients of the squares.
    """
    count = products.shape[-1]
    squares = np.zeros((*products.shape[:-2], 2 * count - 1))
    for power in range(count):
        squares[..., power : power + count] += products[..., power, :]
    return squares


@njit(cache=True, nogil=True)
def weighted(learning: Array, pixel: int, squares: Array, piece: int, offset: float) -> float:
    """Return the sum over the bands of what is learnt wrong in each (b, pixels) times its polynomial (n, b, m)."""
    total = 0.0
    for band in range(learning.shape[0]):
        value = 0.0
        for power in range(squares.shape[2]):
            value = value * offset + squares[piece, band, power]
        total += learning[band, pixel] * value
    return total


@njit(cache=True, nogil=True)
def spread(row: Array, covariance: Array, pixel: int) -> float:
    """Return the variance of Σ row_j s_j in a pixel, from the lower triangle of the covariance of the scores."""
    total, place = 0.0, 0
    for j in range(row.size):
        for i in range(j):
            total += 2 * row[i] * row[j] * covariance[place, pixel]
            place += 1
        total += row[j] * row[j] * covariance[place, pixel]
        place += 1
    return total


@njit(cache=True, nogil=True)
def combined(pieces: Array, piece: int, scores: Array, pixel: int) -> tuple[float, float, float, float]:
    """Return the four coefficients of one piece of the spline of a pixel: those of each component times its score."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for j in range(scores.shape[0]):
        score = float(scores[j, pixel])
        a += pieces[piece, 0, j] * score
        b += pieces[piece, 1, j] * score
        c += pieces[piece, 2, j] * score
        d += pieces[piece, 3, j] * score
    return a, b, c, d


@njit(cache=True, nogil=True)
def _crossings(
    scores: Array, covariance: Array, learning: Array, heights: Array, knots: Array, pieces: Array, outside: Array
) -> tuple[Array, Array, Array]:
    number, pixels = scores.shape
    value, error = np.full(pixels, np.nan), np.full(pixels, np.nan)
    good, row = np.zeros(pixels, np.bool_), np.empty(number)
    first = np.full(pixels, -1, np.int32)
    for knot in range(knots.size - 1, 0, -1):  # backwards, so that the first crossing is the last to be written
        for pixel in range(pixels):
            if (heights[knot - 1, pixel] < 0) & (heights[knot, pixel] >= 0):
                first[pixel] = knot - 1
    for pixel in range(pixels):
        piece = max(first[pixel], 0)
        a, b, c, d = combined(pieces, piece, scores, pixel)
        offset = _root(a, b, c, d, knots[piece + 1] - knots[piece])
        slope = c + offset * (2 * b + 3 * offset * a)
        for j in range(number):
            row[j] = pieces[piece, 3, j] + offset * (
                pieces[piece, 2, j] + offset * (pieces[piece, 1, j] + offset * pieces[piece, 0, j])
            )
        if slope > 0 and first[pixel] >= 0:
            value[pixel] = knots[piece] + offset
            variance = spread(row, covariance, pixel) + weighted(learning, pixel, outside, piece, offset)
            error[pixel] = np.sqrt(variance) / slope
            good[pixel] = True
    return value, error, good


@njit(cache=True, nogil=True)
def _root(a: float, b: float, c: float, d: float, width: float) -> float:
    """Return where a x³ + b x² + c x + d, below zero at 0 and not at `width`, is zero: Newton, kept in by bisection."""
    low, high = 0.0, width
    end = d + width * (c + width * (b + width * a))
    x = min(max(-d * width / (end - d), 0.0), width) if end > d else 0.5 * width
    for _ in range(60):
        residual = d + x * (c + x * (b + x * a))
        if residual < 0:
            low = x
        else:
            high = x
        slope = c + x * (2 * b + 3 * x * a)
        following = x - residual / slope if slope > 0 else low
        if not low < following < high:
            following = 0.5 * (low + high)
        if abs(following - x) < 1e-6:
            return following
        x = following
    return x

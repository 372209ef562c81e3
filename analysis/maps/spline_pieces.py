"""Spectra between their energies: cubic splines by their pieces, of which each pixel is a combination.

A spline is linear in the numbers that it goes through. So the splines of a few curves, such as component spectra, are
worked out once, and that of a pixel is the same combination of them as its spectrum is of the curves: its position in
energy is a root or a maximum of one cubic polynomial, and the variance of its height is a quadratic form.

The functions of whole curves are NumPy, those of single pixels are compiled and are called from compiled loops.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

Array = NDArray[Any]
Floats = NDArray[np.float64]

SQUARE = 7
"""Coefficients of the square of a cubic: so many for any square, as loops of a known length are much faster."""


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


def derivative_of_pieces(pieces: Floats) -> Floats:
    """Return the derivative of pieces (n, m, k): their coefficients, (n, m − 1, k), highest power first."""
    powers = np.arange(pieces.shape[1] - 1, 0, -1)
    derivative: Floats = pieces[:, :-1] * powers[:, None]
    return derivative


def values_at_knots(knots: Floats, pieces: Floats) -> Floats:
    """Return the values of pieces (n, m, k) at their knots, shape (n + 1, k)."""
    last = (knots[-1] - knots[-2]) ** np.arange(pieces.shape[1] - 1, -1, -1) @ pieces[-1]
    return np.vstack([pieces[:, -1], last])


def square_of_pieces(products: Floats) -> Floats:
    """Return the squares of polynomials as polynomials, highest power first, from the products of their coefficients.

    Parameters
    ----------
    products : ndarray, shape (…, m, m)
        Products of the coefficients of polynomials of m coefficients, at most those of a cubic, in whatever scalar
        product.

    Returns
    -------
    ndarray, shape (…, SQUARE)
        Coefficients of the squares.
    """
    count = products.shape[-1]
    squares = np.zeros((*products.shape[:-2], SQUARE))
    for power in range(count):
        first = SQUARE - 2 * count + 1 + power
        squares[..., first : first + count] += products[..., power, :]
    return squares


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def at_knot(values: Array, knot: int, scores: Array, out: Array) -> None:
    """Put into `out` (pixels,) the values (n + 1, k) at a knot times the scores (k, pixels), in float32."""
    for k in range(scores.shape[0]):
        value, score = values[knot, k], scores[k]
        if k == 0:
            for p in range(out.size):
                out[p] = value * score[p]
        else:
            for p in range(out.size):
                out[p] += value * score[p]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def weighted(learning: Array, pixel: int, squares: Array, piece: int, offset: float) -> float:
    """Return the sum over the bands of what is learnt wrong in each (b, pixels) times its polynomial (n, b, 7)."""
    total = 0.0
    for band in range(learning.shape[0]):
        value = 0.0
        for power in range(SQUARE):
            value = value * offset + squares[piece, band, power]
        total += learning[band, pixel] * value
    return total


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def spread(row: Array, covariance: Array, pixel: int) -> float:
    """Return the variance of Σ row_j s_j in a pixel, from the lower triangle of the covariance of the scores."""
    total, place = 0.0, 0
    for j in range(row.size):
        across = 0.0
        for i in range(j):
            across += row[i] * covariance[place + i, pixel]
        total += row[j] * (2 * across + row[j] * covariance[place + j, pixel])
        place += j + 1
    return total


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def shared(first: Array, second: Array, covariance: Array, pixel: int) -> float:
    """Return the covariance of Σ first_j s_j and Σ second_j s_j in a pixel; see `spread`."""
    total, place = 0.0, 0
    for j in range(first.size):
        for i in range(j):
            total += (first[i] * second[j] + first[j] * second[i]) * covariance[place + i, pixel]
        total += first[j] * second[j] * covariance[place + j, pixel]
        place += j + 1
    return total


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
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

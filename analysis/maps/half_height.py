"""The edge energy at half height of every pixel, after projection on principal components.

The normalised spectrum of a pixel, its optical density less the background and over the edge jump, crosses one half
where F(E) = OD(E) − background(E) − jump / 2 crosses zero. For a spectrum that is a combination of components, F is the
same combination of the F of each, F(E) = Σ s_j f_j(E) with the scores s. The f_j are cubic splines of energy, computed
once; each pixel only combines them and finds its zero. To first order the zero moves by −Σ f_j(E) δs_j / F′(E), which
with the covariance of the scores gives the standard error, that of background and jump included. What the noise of
the learnt components adds is in it: see `Projection.leverages`. To second order noise moves the mean of the zero, too,
by cov(F, F′) / F′² − F″ var(F) / (2 F′³): that is taken back, as far as it is no more than the standard error.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.maps.edge_jump import (
    LEAST_JUMP_OVER_NOISE,
    EdgeNormalisation,
    linear_evaluation,
    normalisation_of,
)
from whiteline.analysis.maps.energy_checks import checked_energies, checked_window
from whiteline.analysis.maps.map import Map
from whiteline.analysis.maps.principal import Projection, learnt
from whiteline.analysis.maps.spline_pieces import (
    at_knot,
    combined,
    shared,
    spline_pieces,
    spread,
    square_of_pieces,
    values_at_knots,
    weighted,
)
from whiteline.analysis.stacks.counting import Noise

Array = NDArray[Any]
Floats = NDArray[np.float64]

SEARCH_EV = (-20.0, 40.0)
"""Where the rising edge is looked for, relative to the edge: shifts of valence and of calibration lie within."""

MOST_STEPS, LEAST_STEP_EV = 60, 1e-6
"""Of the search for a crossing: where a step is shorter, it ends."""


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
        value, error, good = _crossings(scores, covariance, learning, at_knots, knots, pieces, outside)
        return value, error, good & of_jump(scores, covariance, learning)[2]

    return Map("edge energy", "eV", *projection.over(evaluate, optical_density, variance, valid))


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _crossings(
    scores: Array, covariance: Array, learning: Array, heights: Array, knots: Array, pieces: Array, outside: Array
) -> tuple[Array, Array, Array]:
    number, pixels = scores.shape
    value, error = np.full(pixels, np.nan), np.full(pixels, np.nan)
    good, row, slopes = np.zeros(pixels, np.bool_), np.empty(number), np.empty(number)
    first, zero = np.full(pixels, -1, np.int32), np.float32(0)
    before, after = np.empty(pixels, np.float32), np.empty(pixels, np.float32)
    at_knot(heights, knots.size - 1, scores, after)
    for knot in range(knots.size - 2, -1, -1):  # backwards, so that the first crossing is the last to be written
        at_knot(heights, knot, scores, before)
        for pixel in range(pixels):
            if before[pixel] < zero and after[pixel] >= zero:
                first[pixel] = knot
        before, after = after, before
    cubic, width = np.empty((4, pixels)), np.empty(pixels)
    for pixel in range(pixels):
        piece = max(first[pixel], 0)
        cubic[0, pixel], cubic[1, pixel], cubic[2, pixel], cubic[3, pixel] = combined(pieces, piece, scores, pixel)
        width[pixel] = knots[piece + 1] - knots[piece]
    offsets = _roots(cubic[0], cubic[1], cubic[2], cubic[3], width)
    for pixel in range(pixels):
        piece, offset = first[pixel], offsets[pixel]
        if piece < 0:
            continue
        slope = cubic[2, pixel] + offset * (2 * cubic[1, pixel] + 3 * offset * cubic[0, pixel])
        if slope > 0:
            for j in range(number):
                row[j] = pieces[piece, 3, j] + offset * (
                    pieces[piece, 2, j] + offset * (pieces[piece, 1, j] + offset * pieces[piece, 0, j])
                )
                slopes[j] = pieces[piece, 2, j] + offset * (2 * pieces[piece, 1, j] + 3 * offset * pieces[piece, 0, j])
            noise = spread(row, covariance, pixel)
            error[pixel] = np.sqrt(noise + weighted(learning, pixel, outside, piece, offset)) / slope
            bend = 2 * cubic[1, pixel] + 6 * offset * cubic[0, pixel]
            moved = (shared(row, slopes, covariance, pixel) - bend * noise / (2 * slope)) / slope**2
            value[pixel] = knots[piece] + offset - min(max(moved, -error[pixel]), error[pixel])
            good[pixel] = True
    return value, error, good


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _roots(a: Array, b: Array, c: Array, d: Array, width: Array) -> Array:
    """Return where a x³ + b x² + c x + d, below zero at 0 and not at `width`, is zero: Newton, kept in by bisection.

    All pixels take a step together, without a branch, which the processor does for several at a time. One that has
    come to its end stays there, so that it does not depend on how long others take.
    """
    low, high, x = np.zeros(a.size), width.copy(), np.empty(a.size)
    for i in range(a.size):
        end = d[i] + width[i] * (c[i] + width[i] * (b[i] + width[i] * a[i]))
        secant = min(max(-d[i] * width[i] / (end - d[i]), 0.0), width[i])
        x[i] = secant if end > d[i] else 0.5 * width[i]
    for _ in range(MOST_STEPS):
        moving = 0
        for i in range(a.size):
            at = x[i]
            residual = d[i] + at * (c[i] + at * (b[i] + at * a[i]))
            low[i] = at if residual < 0 else low[i]
            high[i] = high[i] if residual < 0 else at
            slope = c[i] + at * (2 * b[i] + 3 * at * a[i])
            newton = at - residual / slope
            inside = (slope > 0) & (newton >= low[i]) & (newton <= high[i])
            new = newton if inside else 0.5 * (low[i] + high[i])
            further = abs(new - at) >= LEAST_STEP_EV
            x[i] = new if further else at
            moving += 1 if further else 0
        if moving == 0:
            break
    return x

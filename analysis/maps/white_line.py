"""The position of the white line of every pixel: the maximum of its spectrum in a window, after projection.

The spectrum of a pixel is the same combination of cubic splines as of the component spectra. Its maximum is where the
slope D(E) = Σ s_j d_j(E) passes through zero from above. To first order it moves by −Σ d_j(E) δs_j / D′(E), which with
the covariance of the scores gives the standard error: that of the slope over the curvature.
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
    derivative_of_pieces,
    spline_pieces,
    spread,
    square_of_pieces,
    values_at_knots,
    weighted,
)
from whiteline.analysis.stacks.counting import Noise
from whiteline.analysis.tables import WHITE_LINE_WINDOWS_EV

Array = NDArray[Any]
Floats = NDArray[np.float64]

LEAST_PROMINENCE_OVER_NOISE = 5.0
"""By how many standard errors the maximum must stand above both ends of the window: what does not is no peak in it."""

LARGEST_ERROR_OF_WINDOW = 0.1
"""A standard error larger than this share of the window means that the curvature is lost in the noise."""


def white_line_window(element: str, edge: str = "K") -> tuple[float, float]:
    """Return where the white line of an edge is looked for [eV].

    Raises
    ------
    ValueError
        If there is no usual window for that edge.
    """
    if (element, edge) not in WHITE_LINE_WINDOWS_EV:
        known = ", ".join(f"{name} {of}" for name, of in WHITE_LINE_WINDOWS_EV)
        raise ValueError(
            f"there is no usual white-line window for the {edge} edge of {element}, only for {known}; "
            f"give one, (low, high) in eV"
        )
    return WHITE_LINE_WINDOWS_EV[element, edge]


def white_line(
    energy: ArrayLike,
    optical_density: Any,
    variance: Noise,
    window: tuple[float, float],
    edge: float | EdgeNormalisation | None = None,
    *,
    projection: Projection | None = None,
    components: int | None = None,
    least_jump_over_noise: float = LEAST_JUMP_OVER_NOISE,
    valid: Any = None,
) -> Map:
    """Map the position of the white line.

    Parameters
    ----------
    energy : array_like, shape (E,)
        Photon energies [eV], in any order.
    optical_density : array_like, shape (E, *pixels)
        A NumPy array, a dataset of h5py or a Dask array.
    variance : array_like, shape (E, *pixels), or CountingNoise
        Variance of the optical density.
    window : tuple of float
        Where the maximum is looked for, (low, high) [eV]; `white_line_window` has the usual ones.
    edge : float or EdgeNormalisation, optional
        Energy of the edge [eV], or where background and post-edge are to be read. If it is given, the background is
        subtracted, whose slope moves a broad maximum, and pixels with too small an edge jump are not valid. A scan over
        the white line alone has neither pre-edge nor post-edge, and does without.
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
        The energy of the maximum [eV] with its standard error. The noise of the learnt components is in it, which
        pixels that are alike have in common: a mean over a region is known no better.
        Not valid: a maximum at a border of the window or hardly above it, one without a curvature that stands above the
        noise, a spectrum outside the components' space.

    Raises
    ------
    ValueError
        If energies, stack, variance and mask do not belong together, the window, pre-edge or post-edge are not covered,
        or there are too few sound pixels to learn from.
    OutOfRange
        If an energy is no energy in eV, or the number of components is not possible.
    """
    energies = checked_energies(energy, optical_density)
    low, high = checked_window(window, energies, "white line")
    normalisation = None if edge is None else normalisation_of(edge)
    jump = None if normalisation is None else normalisation.jump(energies)
    projection = learnt(projection, energies, optical_density, variance, components, valid)
    # The spectrum as functionals of the optical density: what each energy adds to it.
    above = np.eye(energies.size)
    if normalisation is not None:
        above -= normalisation.background(energies).T
    # Cut in two, a piece has no more than one maximum, but for ripples finer than the energies can show.
    knots, functionals = spline_pieces(energies, above, low, high, parts=2)
    pieces = functionals @ projection.components.T
    outside = square_of_pieces(projection.outside(derivative_of_pieces(functionals)))
    heights = values_at_knots(knots, pieces)
    slopes = values_at_knots(knots, derivative_of_pieces(pieces)).astype(np.float32)
    ends = np.ascontiguousarray(heights[[0, -1]])
    heights = heights.astype(np.float32)
    of_jump = None if jump is None else linear_evaluation(projection, jump, least_jump_over_noise)

    def evaluate(scores: Array, covariance: Array, learning: Array) -> tuple[Array, Array, Array]:
        value, error, good = _maxima(scores, covariance, learning, heights, slopes, knots, pieces, outside, ends)
        return value, error, good if of_jump is None else good & of_jump(scores, covariance, learning)[2]

    return Map("white line", "eV", *projection.over(evaluate, optical_density, variance, valid))


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _maxima(
    scores: Array,
    covariance: Array,
    learning: Array,
    heights: Array,
    slopes: Array,
    knots: Array,
    pieces: Array,
    outside: Array,
    ends: Array,
) -> tuple[Array, Array, Array]:
    number, pixels = scores.shape
    value, error = np.full(pixels, np.nan), np.full(pixels, np.nan)
    good, row, at = np.zeros(pixels, np.bool_), np.empty(number), np.empty(number)
    best, highest, zero = np.full(pixels, -1, np.int32), np.full(pixels, -np.inf, np.float32), np.float32(0)
    here, there = np.empty((2, pixels), np.float32), np.empty((2, pixels), np.float32)
    at_knot(heights, 0, scores, here[0])
    at_knot(slopes, 0, scores, here[1])
    for knot in range(knots.size - 1):
        at_knot(heights, knot + 1, scores, there[0])
        at_knot(slopes, knot + 1, scores, there[1])
        for pixel in range(pixels):
            height = max(here[0, pixel], there[0, pixel])
            if here[1, pixel] > zero and there[1, pixel] <= zero and height > highest[pixel]:
                best[pixel] = knot
                highest[pixel] = height
        here, there = there, here
    largest = LARGEST_ERROR_OF_WINDOW * (knots[-1] - knots[0])
    for pixel in range(pixels):
        if best[pixel] < 0:
            continue
        piece = max(best[pixel], 0)
        a, b, c, _ = combined(pieces, piece, scores, pixel)
        # The falling zero of the slope 3 a x² + 2 b x + c, in the form that loses no digits where a is small.
        root = b * b - 3 * a * c
        if not root > 0:
            continue
        bend = np.sqrt(root)  # minus half the curvature at the maximum
        offset = c / (bend - b) if bend > b else (-b - bend) / (3 * a)
        offset = min(max(offset, 0.0), knots[piece + 1] - knots[piece])
        for j in range(number):
            third, second, slope, height = (
                pieces[piece, 0, j], pieces[piece, 1, j], pieces[piece, 2, j], pieces[piece, 3, j],
            )  # fmt: skip
            row[j] = slope + offset * (2 * second + 3 * offset * third)
            at[j] = height + offset * (slope + offset * (second + offset * third))
        variance = spread(row, covariance, pixel) + weighted(learning, pixel, outside, piece, offset)
        width = np.sqrt(variance) / (2 * bend)
        if not width <= largest:
            continue
        prominent = True
        for end in range(2):
            above = 0.0
            for j in range(number):
                row[j] = at[j] - ends[end, j]
                above += row[j] * scores[j, pixel]
            least = LEAST_PROMINENCE_OVER_NOISE
            prominent &= above > 0 and above * above >= least * least * spread(row, covariance, pixel)
        if prominent:
            value[pixel] = knots[piece] + offset
            error[pixel] = width
            good[pixel] = True
    return value, error, good

"""A second opinion on where a frame has moved to: least squares on the intensities themselves.

The frame, shifted back by d, is fitted as gain × reference + offset. The residual is linear in a small step of d, so d,
gain and offset follow from a few linear fits whose design is that of the reference and never changes: the inverse
compositional algorithm of S. Baker, I. Matthews, International Journal of Computer Vision 56, 221 (2004). A negative
gain is an inverted contrast. The fit goes from coarse to fine, and starts where the coarsest images correlate best,
normalised over what they have in common (D. Padfield, IEEE Transactions on Image Processing 21, 2703 (2012)).

Nothing of it is shared with `gradient_correlation`: no band, no phases, no windows. It is slower, and less precise
under a static pattern or where the contrast of the parts of a sample changes; it is there to be compared with.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, ndimage

from whiteline.analysis.checks import require
from whiteline.analysis.registration.bad_pixels import binned, filled, good_pixels
from whiteline.analysis.registration.resampling import resample_masked

COARSEST_SIDE = 48
"""Images are binned by two as long as their shorter side stays at or above this [px]."""

LARGEST_REACH = 0.25
"""Largest shift, as a share of the side."""

ITERATIONS = 12
CONVERGED_PX = 0.003
ALMOST_PX = 0.1
"""A step that small after the last iteration goes to and fro between two sets of common pixels, and is good enough."""

SMOOTHING_PX = 1.0
TRUNCATED = 2.5

BLOCK = 16
"""Side of the blocks within which residuals may be correlated [px]."""


@dataclass(frozen=True)
class Alignment:
    """Where the content of a frame has moved to, by its intensities.

    Parameters
    ----------
    y, x : float
        Shift [px]; NaN where the fit did not converge within its reach.
    error_y, error_x : float
        Standard errors [px], from the residuals by blocks, so that correlated residuals count as what they are.
    gain, offset : float
        Of the frame against the reference.
    correlation : float
        Correlation coefficient of the frame, shifted back, and the reference; negative for an inverted contrast.
    """

    y: float
    x: float
    error_y: float
    error_x: float
    gain: float
    offset: float
    correlation: float


NOT_CONVERGED = Alignment(np.nan, np.nan, np.nan, np.nan, np.nan, np.nan, 0.0)


def align(
    frame: ArrayLike,
    reference: ArrayLike,
    *,
    valid: NDArray[np.bool_] | None = None,
    reference_valid: NDArray[np.bool_] | None = None,
    start: tuple[float, float] | None = None,
) -> Alignment:
    """Fit shift, gain and offset of a frame against a reference.

    Parameters
    ----------
    frame, reference : array_like
        Optical density or flat-corrected transmission, both of one kind, shape (Y, X).
    valid, reference_valid : ndarray of bool, optional
        True for good pixels; pixels that are not finite are bad in any case.
    start : tuple of float, optional
        Shift to start from, (y, x) [px], instead of a search. A cross-check gives none.

    Returns
    -------
    Alignment
        NaN and a correlation of zero where there is nothing to fit.

    Raises
    ------
    OutOfRange
        If the frames are not images of at least 48 pixels a side.
    ValueError
        If frame, reference and masks differ in shape.
    """
    shape = np.shape(reference)
    require(len(shape), len(shape) == 2, "number of dimensions of a frame", "must be 2")
    require(min(shape), min(shape) >= COARSEST_SIDE, "side of a frame", f"must be at least {COARSEST_SIDE} px", "px")
    if np.shape(frame) != shape:
        raise ValueError(f"a frame of shape {np.shape(frame)} cannot be aligned with a reference of shape {shape}")
    levels = [(binned(reference, 1, reference_valid), binned(frame, 1, valid))]
    while min(levels[-1][0].shape) // 2 >= COARSEST_SIDE:
        levels.append((binned(levels[-1][0], 2), binned(levels[-1][1], 2)))
    if not all(np.isfinite(one).any() for one in levels[-1]):
        return NOT_CONVERGED

    coarsest = len(levels) - 1
    if start is None:
        y, x = _search(*levels[-1])
    else:
        y, x = start[0] / 2**coarsest, start[1] / 2**coarsest
    found = NOT_CONVERGED
    for level in range(coarsest, -1, -1):
        found = _fit(*levels[level], y, x)
        if not np.isfinite(found.y):
            return NOT_CONVERGED
        y, x = 2 * found.y, 2 * found.x
    return found


def _fit(reference: NDArray[Any], frame: NDArray[Any], y: float, x: float) -> Alignment:
    image, known = _smoothed(reference)
    frame, frame_known = _smoothed(frame)
    design = np.stack([image, np.ones_like(image), -_derivative(image, 0), -_derivative(image, 1)])
    usable = known & _neighbours_known(known, 0) & _neighbours_known(known, 1)
    largest = [LARGEST_REACH * side for side in image.shape]
    relaxation, before = 1.0, None
    for _ in range(ITERATIONS):
        moved, reached = resample_masked(frame, frame_known, shift=(y, x))
        use = reached & usable
        if use.sum() < COARSEST_SIDE**2 // 2:
            return NOT_CONVERGED
        columns = np.where(use, design, 0).reshape(4, -1)
        values = np.where(use, moved, 0).reshape(-1)
        level = columns[0].sum() / use.sum()
        columns[0] -= np.where(use, level, 0).reshape(-1)  # so that gain and offset are told apart in float32
        normal = (columns @ columns.T).astype(float)
        try:
            coefficients = np.linalg.solve(normal, (columns @ values).astype(float))
        except np.linalg.LinAlgError:
            return NOT_CONVERGED
        gain = coefficients[0]
        if gain == 0:
            return NOT_CONVERGED
        # Moved back too little by e, the frame is gain × (reference − e · gradient) + offset.
        step = coefficients[2:] / gain
        relaxation = _relaxed(relaxation, before, step)
        before = step
        moving = relaxation * step
        size = float(np.abs(moving).max())
        if size > 2:
            moving *= 2 / size  # the fit is linear over a pixel or two only
        y, x = y + moving[0], x + moving[1]
        if abs(y) > largest[0] or abs(x) > largest[1]:
            return NOT_CONVERGED
        if size < CONVERGED_PX:
            break
    else:
        if size > ALMOST_PX:
            return NOT_CONVERGED
    residual = values - coefficients.astype(values.dtype) @ columns
    residual[~use.reshape(-1)] = 0
    error = relaxation * _errors(normal, columns * residual, image.shape) / abs(gain)
    middle = np.where(use, moved - values.sum() / use.sum(), 0)
    spread = np.sqrt(normal[0, 0] * float((middle * middle).sum()))
    correlation = float(columns[0] @ middle.reshape(-1) / spread) if spread > 0 else 0.0
    offset = float(coefficients[1] - gain * level)
    return Alignment(float(y), float(x), float(error[0]), float(error[1]), float(gain), offset, correlation)


def _relaxed(relaxation: float, before: NDArray[np.float64] | None, step: NDArray[np.float64]) -> float:
    """Return by how much to lengthen a step, from what the last one left over (A. Aitken's Δ² process).

    Where the contrast of the fine parts of a sample has changed by another factor than its gain, or noise makes the
    slopes look steep, every step is too long, or too short, by one factor.
    """
    if before is None:
        return 1.0
    change = step - before
    square = float(change @ change)
    if square == 0:
        return relaxation
    return float(np.clip(-relaxation * float(before @ change) / square, 0.1, 3.0))


def _errors(normal: NDArray[np.float64], scores: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the standard errors of the two shifts times the gain, from the scores summed over blocks."""
    rows = np.arange(0, shape[0], BLOCK)
    columns = np.arange(0, shape[1], BLOCK)
    sums = np.add.reduceat(np.add.reduceat(scores.reshape(4, *shape), rows, axis=1), columns, axis=2)
    blocks = sums.reshape(4, -1).astype(float)
    try:
        inverse = np.linalg.inv(normal)
    except np.linalg.LinAlgError:
        return np.array([np.nan, np.nan])
    covariance = inverse @ (blocks @ blocks.T) @ inverse
    return np.asarray(np.sqrt(np.diag(covariance)[2:]))


def _smoothed(image: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Smooth an image, and say where only good pixels went in.

    Noise in the slopes of the reference makes the fit think them steeper than they are; a pixel's width of smoothing
    takes most of it away.
    """
    known = good_pixels(image)
    whole = bool(known.all())
    smooth = ndimage.gaussian_filter(image if whole else filled(image, known), SMOOTHING_PX, truncate=TRUNCATED)
    reach = int(SMOOTHING_PX * TRUNCATED + 0.5)
    return smooth, known if whole else ndimage.binary_erosion(known, iterations=reach, border_value=1)


def _derivative(image: NDArray[Any], axis: int) -> NDArray[Any]:
    """Slope of the cubic spline's local approximation: the central difference of fourth order."""

    def at(offset: int) -> NDArray[Any]:
        index = np.clip(np.arange(image.shape[axis]) + offset, 0, image.shape[axis] - 1)
        return image.take(index, axis)

    slope: NDArray[Any] = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / 12
    return slope


def _neighbours_known(known: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    result = np.zeros_like(known)
    inner = [slice(None), slice(None)]
    inner[axis] = slice(2, -2)
    length = known.shape[axis]
    result[tuple(inner)] = np.logical_and.reduce(
        [known.take(np.arange(2 + offset, length - 2 + offset), axis) for offset in (-2, -1, 1, 2)]
    )
    return result


def _search(reference: NDArray[Any], frame: NDArray[Any]) -> tuple[float, float]:
    """Return the shift by whole pixels at which two small images correlate most, of either sign."""
    shape = [fft.next_fast_len(2 * side, real=True) for side in reference.shape]

    def transformed(image: NDArray[Any]) -> tuple[Any, Any, Any]:
        good = np.isfinite(image)
        level = float(image[good].mean())
        values = np.where(good, image - level, 0.0)
        return fft.rfft2(good.astype(float), shape), fft.rfft2(values, shape), fft.rfft2(values**2, shape)

    def overlaps(one: Any, other: Any) -> NDArray[np.float64]:
        sums: NDArray[np.float64] = fft.irfft2(one * np.conj(other), shape)
        return sums

    ones, values, squares = transformed(frame)
    ref_ones, ref_values, ref_squares = transformed(reference)
    count = np.maximum(overlaps(ones, ref_ones), 1e-3)
    first, second = overlaps(values, ref_ones), overlaps(ones, ref_values)
    shared = overlaps(values, ref_values) - first * second / count
    spread = (overlaps(squares, ref_ones) - first**2 / count) * (overlaps(ones, ref_squares) - second**2 / count)
    floor = 1e-9 * max(float(spread.max()), np.finfo(float).tiny)
    score = np.where(spread > floor, shared / np.sqrt(np.maximum(spread, floor)), 0.0)
    shifts = [np.rint(fft.fftfreq(length) * length) for length in shape]
    near = [np.abs(one) <= LARGEST_REACH * side for one, side in zip(shifts, reference.shape, strict=True)]
    enough = count > 0.4 * count.max()
    allowed = near[0][:, None] & near[1][None] & enough
    row, column = divmod(int(np.argmax(np.where(allowed, np.abs(score), -1))), shape[1])
    return float(shifts[0][row]), float(shifts[1][column])

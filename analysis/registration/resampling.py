"""Bring a frame back onto its reference by spline interpolation, with what that does to its noise.

A frame is described by where its content has moved to: by `shift` (y, x) pixels, and enlarged by `scale` about its
centre. Resampling undoes both. Splines are used because their kernel is short: a shift by the phase of a Fourier
transform rings across the whole frame from every sharp boundary, bad pixel and edge of the field, and the ringing
passes for a component in an analysis of principal components.

Interpolation averages neighbouring pixels, so it lowers the variance of white noise, by the factor `noise_gain`: 0.76
for cubic and 0.44 for linear splines, averaged over all shifts of less than a pixel. It also correlates neighbouring
pixels. Noise of long wavelength passes unchanged, so nothing is gained where pixels are averaged: the mean of n
neighbouring pixels has the variance that it would have had without resampling, σ² / n, and not the gain × σ² / n of
independent pixels. Where maps of resampled frames are averaged, binned or fitted over an area, divide the number of
pixels by `correlation_area`, which is 1 / gain.

The B-splines and their recursive prefilter are those of M. Unser, IEEE Signal Processing Magazine 16 (6), 22 (1999).
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.checks import require, require_finite, require_positive
from whiteline.analysis.registration.bad_pixels import filled, good_pixels
from whiteline.analysis.registration.spline_kernels import (
    along_columns,
    along_rows,
    columns_reached,
    rows_reached,
)

Image = NDArray[Any]
Pair = tuple[float, float]

ORDERS = (1, 3)
"""Linear and cubic splines."""

SAME_PIXEL = 1e-6
"""A coordinate this near to a pixel [px] is that pixel, and needs no neighbours."""

PERIOD = 64
"""Length of the grid on which kernels are summed [px]: the cubic kernel has fallen below 10⁻¹⁷ half-way along it."""


def resample(
    image: ArrayLike,
    *,
    shift: Pair = (0.0, 0.0),
    scale: float = 1.0,
    order: int = 3,
    valid: NDArray[np.bool_] | None = None,
) -> Image:
    """Bring a frame back onto its reference.

    Parameters
    ----------
    image : array_like
        The frame, shape (Y, X). Pixels that are not finite count as bad.
    shift : tuple of float
        Where the content has moved to, (y, x) [px]: what a registration measures.
    scale : float
        By how much the content has been enlarged about the centre of the frame, such as M(E) over the magnification
        of the reference. The shift is that of the content at the centre.
    order : int
        3 for cubic splines, 1 for linear ones.
    valid : ndarray of bool, optional
        True for good pixels, shape (Y, X); all finite ones are good if it is not given.

    Returns
    -------
    ndarray
        The frame on the pixels of the reference, shape (Y, X), float32 for a float32 frame and else float64. NaN where
        the frame does not reach, and where a bad pixel lies within the spline's own neighbourhood of (order + 1)²
        pixels.

    Raises
    ------
    OutOfRange
        If a shift is not finite, the scale not positive, the order neither 1 nor 3, or the image not of two dimensions.
    ValueError
        If the mask has another shape than the image.
    """
    return resample_masked(image, valid, shift=shift, scale=scale, order=order)[0]


def resample_masked(
    image: ArrayLike,
    valid: NDArray[np.bool_] | None,
    *,
    shift: Pair = (0.0, 0.0),
    scale: float = 1.0,
    order: int = 3,
) -> tuple[Image, NDArray[np.bool_]]:
    """Bring a frame with a mask back onto its reference; parameters and errors as in `resample`.

    Returns
    -------
    image : ndarray
        The resampled frame, NaN where it is not valid, shape (Y, X).
    valid : ndarray of bool
        True where the value rests on good pixels only.
    """
    array = np.asarray(image)
    _require_image(array.shape)
    _require_geometry(shift, scale, order)
    array = array.astype(np.float32 if array.dtype == np.float32 else np.float64, copy=False)
    good = good_pixels(array, valid)
    if not good.any():
        return np.full_like(array, np.nan), np.zeros(array.shape, bool)
    whole = bool(good.all())
    result = array if whole else filled(array, good)
    reached = np.ones(array.shape, bool) if whole else good
    for axis, moved in enumerate(shift):
        at = _coordinates(array.shape[axis], moved, scale)
        result = _along(result, at, order, axis)
        reached = _reached(reached, at, order, axis)
    if result is array:
        result = array.copy()
    np.copyto(result, np.nan, where=~reached)
    return result, reached


def noise_gain(shift: Pair, order: int = 3) -> float:
    """Return the factor on the variance of white noise when a frame is resampled by a shift.

    It is the sum of the squared weights of the interpolation, Σ η(n − y)² · Σ η(m − x)² with the cardinal spline η: 1
    for a shift by whole pixels, smallest for half a pixel.

    Parameters
    ----------
    shift : tuple of float
        The shift (y, x) [px].
    order : int
        3 for cubic splines, 1 for linear ones.

    Raises
    ------
    OutOfRange
        If a shift is not finite, or the order neither 1 nor 3.

    Notes
    -----
    This is the variance of one pixel. The noise of neighbours is correlated: see `correlation_area`.
    """
    _require_geometry(shift, 1.0, order)
    y, x = (float(_gain_along(np.array([one]), order)[0]) for one in shift)
    return y * x


def mean_noise_gain(order: int = 3) -> float:
    """Return the factor on the variance of white noise, averaged over all shifts: what a change of scale gives.

    It is 0.76 for cubic and 4/9 for linear splines.
    """
    _require_geometry((0.0, 0.0), 1.0, order)
    return float(_gain_along((np.arange(256) + 0.5) / 256, order).mean() ** 2)


def correlation_area(shift: Pair, order: int = 3) -> float:
    """Return how many resampled pixels carry the information of one independent pixel, 1 / `noise_gain`.

    The variance of the mean of n neighbouring resampled pixels, of variance s² each, is correlation_area · s² / n.
    """
    return 1 / noise_gain(shift, order)


def noise_gain_map(shape: tuple[int, int], *, shift: Pair = (0.0, 0.0), scale: float = 1.0, order: int = 3) -> Image:
    """Return the factor on the variance of white noise at every pixel of a resampled frame, float32 (Y, X).

    With a scale other than 1 the sub-pixel position changes across the frame, and the gain with it, as a moiré.
    Parameters and errors as in `resample`.
    """
    _require_image(shape)
    _require_geometry(shift, scale, order)
    y, x = _gains(shape, shift, scale, order)
    return np.asarray((y[:, None] * x[None]).astype(np.float32))


def _gains(shape: tuple[int, ...], shift: Pair, scale: float, order: int) -> tuple[Image, Image]:
    y, x = (_gain_along(_coordinates(length, moved, scale), order) for length, moved in zip(shape, shift, strict=True))
    return y, x


def resample_variance(
    variance: ArrayLike, *, shift: Pair = (0.0, 0.0), scale: float = 1.0, order: int = 3
) -> tuple[Image, NDArray[np.bool_]]:
    """Return the variance of a resampled frame from that of the frame.

    It is the variance at the place that each pixel comes from, times the noise gain there: right where the variance
    changes little over the few pixels of the kernel, and the noise of the frame is white. Parameters and errors as in
    `resample`.

    Returns
    -------
    variance : ndarray
        Variance of the resampled frame, shape (Y, X), NaN where the frame does not reach.
    valid : ndarray of bool
        True where it is known.
    """
    # Linear, as a cubic spline may overshoot below zero beside a step of the variance.
    moved, valid = resample_masked(variance, None, shift=shift, scale=scale, order=1)
    for axis, gain in enumerate(_gains(moved.shape, shift, scale, order)):
        moved *= gain.astype(moved.dtype).reshape((-1, 1) if axis == 0 else (1, -1))
    return moved, valid


def common_field(shifts: ArrayLike, shape: tuple[int, int], scales: ArrayLike = 1.0) -> tuple[slice, slice]:
    """Return the part of the reference that every frame covers.

    Parameters
    ----------
    shifts : array_like
        Where the content of each frame has moved to, (y, x) [px], shape (E, 2).
    shape : tuple of int
        Shape (Y, X) of a frame.
    scales : array_like
        By how much the content of each frame is enlarged, shape (E,) or one for all.

    Returns
    -------
    tuple of slice
        Rows and columns: `resampled[:, rows, columns]` has no pixel outside of any frame.

    Raises
    ------
    OutOfRange
        If a shift is not finite, a scale not positive, or nothing of the field is common to all frames.
    """
    moved = np.asarray(shifts, float).reshape(-1, 2)
    _require_image(shape)
    require_finite(moved, "shift", "px")
    require(moved.shape[0], moved.shape[0] > 0, "number of shifts", "must be at least 1")
    enlarged = np.broadcast_to(np.asarray(scales, float), moved.shape[:1])
    require_positive(enlarged, "scale")
    slices = []
    for axis, length in enumerate(shape):
        centre = (length - 1) / 2
        # Inverse of `_coordinates`, at the first and the last pixel of the frame.
        first = ((-moved[:, axis] - centre) / enlarged + centre).max()
        last = ((length - 1 - moved[:, axis] - centre) / enlarged + centre).min()
        start, stop = max(0, int(np.ceil(first - SAME_PIXEL))), min(length, int(np.floor(last + SAME_PIXEL)) + 1)
        require(
            stop - start,
            stop > start,
            f"common field along {'yx'[axis]}",
            "must hold at least one pixel",
            "px",
            "the frames have drifted apart by more than the field: leave out those that have gone farthest",
        )
        slices.append(slice(start, stop))
    return slices[0], slices[1]


def _require_image(shape: tuple[int, ...]) -> None:
    require(len(shape), len(shape) == 2, "number of dimensions of an image", "must be 2")
    require(min(shape), min(shape) > 0, "side of an image", "must be at least 1", "px")


def _require_geometry(shift: Pair, scale: float, order: int) -> None:
    require(len(shift), len(shift) == 2, "length of a shift", "must be 2, (y, x)")
    require_finite(shift, "shift", "px")
    require_positive(scale, "scale")
    require(order, order in ORDERS, "order of the spline", "must be 1 (linear) or 3 (cubic)")


def _coordinates(length: int, shift: float, scale: float) -> NDArray[np.float64]:
    """Where in the frame the content of each pixel of the reference lies [px]."""
    centre = (length - 1) / 2
    at = np.asarray(centre + scale * (np.arange(length) - centre) + shift, np.float64)
    whole = np.rint(at)
    # Values a rounding error away from a pixel would otherwise ask for neighbours that are bad, or outside.
    near = np.abs(at - whole) < SAME_PIXEL
    at[near] = whole[near]
    return at


def _taps(at: NDArray[Any], order: int) -> tuple[NDArray[np.intp], list[NDArray[Any]]]:
    """First pixel and weights of the B-spline at some coordinates."""
    base = np.floor(at)
    part = at - base
    if order == 1:
        return base.astype(np.intp), [1 - part, part]
    rest = 1 - part
    weights = [rest**3 / 6, 2 / 3 - part**2 + part**3 / 2, 2 / 3 - rest**2 + rest**3 / 2, part**3 / 6]
    return base.astype(np.intp) - 1, weights


def _mirrored(index: NDArray[np.intp], length: int) -> NDArray[np.intp]:
    """Mirror indices beyond the ends at the middle of the last pixel, as the prefilter continues the frame."""
    if length == 1:
        return np.zeros_like(index)
    index = np.abs(index) % (2 * length - 2)
    return np.minimum(index, 2 * length - 2 - index)


def _along(image: Image, at: NDArray[np.float64], order: int, axis: int) -> Image:
    length = image.shape[axis]
    if np.array_equal(at, np.arange(length)):
        return image
    first, weights = _taps(at, order)
    taken = np.stack([_mirrored(first + number, length) for number in range(len(weights))])
    result = np.empty((at.size, image.shape[1]) if axis == 0 else (image.shape[0], at.size), image.dtype)
    interpolate = along_columns if axis == 0 else along_rows
    interpolate(image, taken, np.stack(weights).astype(image.dtype), order == 3, result)
    return result


def _reached(good: NDArray[np.bool_], at: NDArray[np.float64], order: int, axis: int) -> NDArray[np.bool_]:
    """Where every pixel of the kernel is good, along one axis; a coordinate on a pixel asks for that pixel alone."""
    length = good.shape[axis]
    inside = (at >= 0) & (at <= length - 1)
    result: NDArray[np.bool_] = np.empty(good.shape, np.bool_)
    result[...] = inside.reshape((-1, 1) if axis == 0 else (1, -1))
    if good.all():
        return result
    first, weights = _taps(at, order)
    own = (order - 1) // 2
    on_pixel = at == np.floor(at)
    indices = [np.where(on_pixel, first + own, first + number) for number in range(len(weights))]
    reached = columns_reached if axis == 0 else rows_reached
    reached(good, np.stack([_mirrored(one, length) for one in indices]), result)
    return result


@lru_cache
def _products(order: int) -> NDArray[np.float64]:
    """Sum over all pixels of the product of two cardinal splines' prefilters, by how far they are apart.

    By Parseval's theorem: the mean over all frequencies of one over the square of the B-spline's response.
    """
    cosine = np.cos(2 * np.pi * np.arange(PERIOD) / PERIOD)
    response = np.ones(PERIOD) if order == 1 else (2 + cosine) / 3
    apart = np.fft.ifft(response**-2.0).real[: order + 1]
    return np.asarray(apart[np.abs(np.subtract.outer(np.arange(order + 1), np.arange(order + 1)))])


def _gain_along(at: NDArray[Any], order: int) -> NDArray[np.float64]:
    """Sum of the squared weights of the cardinal spline."""
    _, weights = _taps(at, order)
    taps = np.stack(weights)
    gain: NDArray[np.float64] = np.einsum("ij,ik,kj->j", taps, _products(order), taps, optimize=False)
    return gain

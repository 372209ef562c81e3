"""One slice of a tomography by filtered back projection, at the angles that were measured.

Each projection is filtered with the ramp |k|, as its Fourier transform is a line through that of the slice and lines
crowd towards the middle; and laid back over the slice (Kak and Slaney, Principles of Computerized Tomographic Imaging,
chapter 3). Angles need not be even: each projection counts for the part of half a turn that is nearer to it than to any
other.
"""

from typing import Any, Literal, get_args

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from whiteline.analysis.checks import require, require_finite, require_positive

Numbers = NDArray[np.float64]

Window = Literal["ramp", "hann"]
"""The ramp as it is, or faded out towards the highest frequencies, where there is mostly noise."""

WIDEST_GAP = 3.0
"""An angle counts for no more than so many usual steps: what a missing wedge would show is not made up."""


def angular_weights(angles: ArrayLike) -> Numbers:
    """Return for what part of half a turn each projection counts [rad], shape (n,); they sum up to π without gaps.

    Parameters
    ----------
    angles : array_like, shape (n,)
        Measured [deg]; half a turn, a whole one, or what there is.

    Raises
    ------
    OutOfRange
        If there are fewer than two, or one is not finite.
    """
    at = np.asarray(angles, float)
    require_finite(at, "angle of a projection", "deg")
    require(at.size, at.size >= 2, "number of projections", "must be at least 2")
    # half a turn on, the same lines are seen from behind
    folded = np.deg2rad(np.mod(at, 180.0))
    order = np.argsort(folded, kind="stable")
    gaps = np.diff(folded[order], append=folded[order][0] + np.pi)
    usual = float(np.median(gaps[gaps > 1e-9])) if (gaps > 1e-9).any() else np.pi
    if not (gaps <= WIDEST_GAP * usual).all():
        gaps = np.where(gaps > WIDEST_GAP * usual, usual, gaps)
    weights = np.empty(at.size)
    weights[order] = (gaps + np.roll(gaps, 1)) / 2
    return weights


def filtered(sinogram: ArrayLike, window: Window = "ramp") -> Numbers:
    """Return projections filtered with the ramp, shape (n, X).

    The ramp is made from its samples in space, h(0) = 1/4 and h(k) = −1/(πk)² for odd k, so that the mean of the slice
    is right; padded to twice the width, so that one end of a projection does not reach the other.

    Raises
    ------
    ValueError
        If there is no such window.
    """
    if window not in get_args(Window):
        raise ValueError(f"window {window!r} is not known; take one of {', '.join(get_args(Window))}")
    values = np.asarray(sinogram, float)
    return _convolved(values, _response(values.shape[1], window))


def slice_error(
    variance: ArrayLike, angles: ArrayLike, *, centre: float, pixel_um: float | None = None, window: Window = "ramp"
) -> Numbers:
    """Return the standard error of a slice from the noise of its projections, shape (X, X).

    The variance goes the way of the values, with the squares of the filter and of the weights. Interpolation between
    two filtered values leaves, on average over all places between them, 2/3 + ρ/3 of it, with ρ their correlation.

    Parameters
    ----------
    variance : array_like, shape (n, X)
        Of the optical density; independent from column to column.
    angles, centre, pixel_um, window
        As in `reconstruct_slice`, which says what is raised.
    """
    values = np.asarray(variance, float)
    response = _response(values.shape[1], window)
    kernel = fft.irfft(response, 2 * (response.size - 1))
    kept = 2 / 3 + float(kernel @ np.roll(kernel, 1)) / float(kernel @ kernel) / 3
    # what is left below 0 by rounding is nothing
    spread = np.maximum(_convolved(values, fft.rfft(kernel**2).real), 0) * kept
    total = _summed(spread * angular_weights(angles)[:, None] ** 2, angles, centre, values.shape[1])
    return np.asarray(np.sqrt(total) / (pixel_um or 1.0))


def _response(width: int, window: Window) -> Numbers:
    """Return the filter over the frequencies of a real Fourier transform of even length, at least twice the width."""
    size = 2 * int(fft.next_fast_len(width, real=True))
    offset = np.minimum(np.arange(size), size - np.arange(size))
    kernel = np.zeros(size)
    kernel[0] = 0.25
    odd = offset % 2 == 1
    kernel[odd] = -1 / (np.pi * offset[odd]) ** 2
    response = fft.rfft(kernel).real
    if window == "hann":
        response *= 0.5 + 0.5 * np.cos(2 * np.pi * fft.rfftfreq(size))
    return np.asarray(response)


def _convolved(values: Numbers, response: Numbers) -> Numbers:
    size = 2 * (response.size - 1)
    waves = fft.rfft(values, size, axis=1, workers=2) * response
    return np.asarray(fft.irfft(waves, size, axis=1, workers=2)[:, : values.shape[1]])


def reconstruct_slice(
    sinogram: ArrayLike,
    angles: ArrayLike,
    *,
    centre: float,
    pixel_um: float | None = None,
    window: Window = "ramp",
    side: int | None = None,
) -> Numbers:
    """Return a slice.

    The axis of rotation is in its middle. A point (x, z) of it is seen in column centre + x cos θ + z sin θ; rows of
    the slice are z.

    Parameters
    ----------
    sinogram : array_like, shape (n, X)
        Optical density of one row of the camera for each projection.
    angles : array_like, shape (n,)
        Measured [deg].
    centre : float
        Column of the axis, from 0 in the middle of the first pixel.
    pixel_um : float, optional
        Size of a pixel [µm].
    window : {"ramp", "hann"}
        Filter.
    side : int, optional
        Of the slice [px]; as wide as the projections if it is not given.

    Returns
    -------
    ndarray of float64, shape (side, side)
        Absorption per µm, or per pixel if its size is not given; NaN where not every projection sees the place.

    Raises
    ------
    OutOfRange
        If the axis is outside of the field, or a value is not finite.
    ValueError
        If the shapes do not go together.
    """
    values = np.asarray(sinogram, float)
    if values.ndim != 2 or np.shape(angles) != values.shape[:1]:
        raise ValueError(f"a sinogram (n, X) with n angles is needed, not {values.shape} with {np.shape(angles)}")
    require_finite(values, "optical density")
    width = values.shape[1]
    require(
        centre, np.isfinite(centre) and 0 <= centre <= width - 1, "column of the rotation axis",
        f"must lie between 0 and {width - 1}", "px",
    )  # fmt: skip
    if pixel_um is not None:
        require_positive(pixel_um, "size of a pixel", "um")
    weights = angular_weights(angles)
    result = _summed(filtered(values, window) * weights[:, None], angles, centre, int(side or width))
    return result if pixel_um is None else result / pixel_um


def _summed(laid: Numbers, angles: ArrayLike, centre: float, side: int) -> Numbers:
    turned = np.deg2rad(np.asarray(angles, float))
    return np.asarray(_laid_back(laid, np.cos(turned), np.sin(turned), float(centre), side))


@njit(cache=True, nogil=True, error_model="numpy")
def _laid_back(laid: Any, cos: Any, sin: Any, centre: float, side: int) -> Any:
    """Lay filtered projections back over a slice, by linear interpolation; row by row, to stay in the cache."""
    number, width = laid.shape
    found = np.zeros((side, side))
    middle = (side - 1) / 2
    reach = min(centre, width - 1 - centre)
    for row in range(side):
        z = row - middle
        line = found[row]
        half = np.sqrt(reach * reach - z * z) if abs(z) <= reach else -1.0
        first, last = max(0, int(np.ceil(middle - half))), min(side - 1, int(np.floor(middle + half)))
        if half < 0:
            line[:] = np.nan
            continue
        line[:first] = np.nan
        line[last + 1 :] = np.nan
        for n in range(number):
            step, at = cos[n], centre + (first - middle) * cos[n] + z * sin[n]
            projection = laid[n]
            for column in range(first, last + 1):
                left = min(max(int(at), 0), width - 2)
                part = at - left
                line[column] += projection[left] * (1 - part) + projection[left + 1] * part
                at += step
    return found

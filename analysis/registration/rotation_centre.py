"""Where the axis of rotation stands in the image: two projections half a turn apart, one of them mirrored.

After half a turn a parallel projection is its own mirror image about the axis. With f(x − c) at first it is f(c − x)
then; mirrored, f(x − (W − 1 − c)) has moved by s = W − 1 − 2c against the first, and so c = (W − 1 − s) / 2: what is
half as far as the shift is known twice as well. An axis that leans by φ in the plane of the image mirrors about a line
that leans: the mirrored image is then turned by 2φ as well. In the upper and in the lower half c differs by φ times
their distance; the mirrored image is turned back by what was found, until nothing is left.

The pattern of the camera stands still, and is mirrored with the image: it cannot drag the shift to zero.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from whiteline.analysis.checks import require
from whiteline.analysis.registration.bad_pixels import Image, binned, filled, good_pixels
from whiteline.analysis.registration.confidence import judge
from whiteline.analysis.registration.gradient_correlation import SMALLEST_SIDE, Reference, Shift

MOST_TURNS = 6
"""How often an image is turned upright anew at most."""

ENOUGH = 0.2
"""It is upright when it leans by less than so many standard errors."""

UNTOLD_PX = 0.008
"""Error of a column that the scatter of the phases does not tell [px after binning]: the windows, and what each of the
two images has alone at its borders. Measured on synthetic projections."""


@dataclass(frozen=True)
class RotationCentre:
    """Where the axis of rotation stands in an image.

    Parameters
    ----------
    column, error : float
        Its column in the middle row, from 0 in the middle of the first pixel, and its standard error [px]; NaN where it
        was not found.
    tilt_mrad, tilt_error_mrad : float
        By how much it leans, positive where the column grows with the row [mrad]; NaN where that was not found.
    rise : float
        By how much the second image stands higher in rows than the first [px]: the sample has drifted, or wobbles.
    confidence : float
        Of the registration, between 0 and 1.
    trusted : bool
        Whether the column is to be believed.
    reason : str
        Why not, in a sentence; empty where it is.
    """

    column: float
    error: float
    tilt_mrad: float
    tilt_error_mrad: float
    rise: float
    confidence: float
    trusted: bool
    reason: str = ""


def rotation_centre(
    first: ArrayLike, half_a_turn_on: ArrayLike, *, valid: NDArray[np.bool_] | None = None, binning: int = 1
) -> RotationCentre:
    """Find the axis of rotation, which stands along the columns, by two images half a turn apart.

    Parameters
    ----------
    first, half_a_turn_on : array_like
        Optical densities, shape (Y, X) both, as the camera has them.
    valid : ndarray of bool, optional
        True for pixels that are good in both; those that are not finite are bad in any case.
    binning : int
        Register the means of squares of so many pixels.

    Returns
    -------
    RotationCentre
        Not trusted where the two images have too little in common, or the axis stands farther from the middle than an
        eighth of the shorter side.

    Raises
    ------
    OutOfRange
        If a side is below 32 pixels after binning.
    ValueError
        If the shapes differ, or no pixel is good.
    """
    one, other = np.asarray(first, float), np.asarray(half_a_turn_on, float)
    if one.shape != other.shape or one.ndim != 2:
        raise ValueError(f"two images half a turn apart must be of one shape (Y, X), not {one.shape} and {other.shape}")
    require(binning, binning == int(binning) and binning >= 1, "binning", "must be a whole number, at least 1")
    if valid is not None:
        one, other = (np.where(valid, image, np.nan) for image in (one, other))
    # what binning would cut off at the last columns would come first in the mirrored image: cut before
    rows, columns = (length - length % binning for length in one.shape)
    small = _whole(binned(one[:rows, :columns], binning, None))
    mirrored = _whole(binned(other[:rows, :columns], binning, None))[:, ::-1]
    reference = Reference.of(small)
    tilt, tilt_error, upright = 0.0, np.nan, mirrored
    for _ in range(MOST_TURNS):
        found = reference.shift(upright)
        more, tilt_error = _tilt(small, upright, found)
        if not math.isfinite(more):
            tilt = tilt if tilt else np.nan
            break
        tilt += more
        # where the two lean against each other, what each part of the image holds decides: until they do not
        upright = _turned(mirrored, 2 * tilt)
        if abs(more) < ENOUGH * tilt_error:
            found = reference.shift(upright)
            break
    verdict, reason = judge(found), ""
    if not verdict.trusted:
        tilt = tilt_error = np.nan
        reason = f"the image and the mirrored one half a turn on do not match: {verdict.reason}"
    share = 1 + math.cos(2 * tilt) if math.isfinite(tilt) else 2.0
    return RotationCentre(
        column=_unbinned((small.shape[1] - 1) / 2 - found.x / share, binning),
        error=binning * math.hypot(found.error_x / share, UNTOLD_PX),
        tilt_mrad=1e3 * tilt,
        tilt_error_mrad=1e3 * tilt_error,
        rise=binning * found.y,
        confidence=found.confidence,
        trusted=verdict.trusted,
        reason=reason,
    )


def _unbinned(column: float, binning: int) -> float:
    """Return a column of the binned image as one of the image."""
    return binning * column + (binning - 1) / 2


def _whole(image: Image) -> Image:
    """Return an image whose bad pixels are filled."""
    good = good_pixels(image)
    if not good.any():
        raise ValueError("an image has no good pixel; check its mask and its flat")
    return image if good.all() else filled(image, good)


def _turned(image: Image, angle: float) -> Image:
    """Return an image turned back about its middle by a small angle [rad]."""
    cos, sin = math.cos(angle), math.sin(angle)
    turn, middle = np.array([[cos, sin], [-sin, cos]]), (np.array(image.shape) - 1) / 2
    return np.asarray(ndimage.affine_transform(image, turn, middle - turn @ middle, order=3, mode="nearest"))


def _tilt(small: Image, mirrored: Image, found: Shift) -> tuple[float, float]:
    """Return how far the axis leans still [rad], and its error, by the shifts of the upper and of the lower half."""
    if not judge(found).trusted:
        return np.nan, np.nan
    rows, columns = round(found.y), round(found.x)
    height, width = small.shape
    # what both show, brought to the same place by whole pixels
    one = small[max(0, -rows) : height - max(0, rows), max(0, -columns) : width - max(0, columns)]
    other = mirrored[max(0, rows) : height + min(0, rows), max(0, columns) : width + min(0, columns)]
    half = one.shape[0] // 2
    if min(half, one.shape[1]) < SMALLEST_SIDE:
        return np.nan, np.nan
    shifts = [Reference.of(one[part]).shift(other[part]) for part in (slice(0, half), slice(half, 2 * half))]
    if not all(judge(one).trusted for one in shifts):
        return np.nan, np.nan
    upper, lower = shifts
    # c = (W − 1 − s) / 2, over the distance between the middles of the halves
    return -(lower.x - upper.x) / 2 / half, float(np.hypot(lower.error_x, upper.error_x)) / 2 / half

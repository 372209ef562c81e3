"""Where the images of a series lie against each other: each is compared with the mean of all the others.

One image as the reference of all lends its noise to every shift. The mean of many has little of its own; but it must
be without the image that is compared, which would find itself there. Over an absorption edge images differ in contrast
a, the standard deviation of what they show beyond noise of variance v: each is brought to a contrast of 1, and weighs
w = a²/v, by which its place is known. With xₖ the place of an image as its noise has it, and weights that add up to 1,
what is found against the mean of the others is

    rₖ = xₖ − Σ_{j≠k} wⱼ xⱼ / (1 − wₖ),    so    xₖ = (1 − wₖ) rₖ    but for a constant, the same for all,

and as rₖ has the noise of the others in it, that of xₖ alone is √(1 − wₖ) of its error.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.checks import OutOfRange, require_positive
from whiteline.analysis.registration.confidence import judge
from whiteline.analysis.registration.gradient_correlation import Reference

Numbers = NDArray[np.float64]

LEAST_ERROR_PX = 1e-3
"""Of a shift: images whose noise would allow for less differ by their interpolation."""


LEAST_CONTRAST = 1e-3
"""Variance of what an image shows, over that of its noise: below this it is not known to be more."""


class Among(NamedTuple):
    """Where images lie against each other.

    Parameters
    ----------
    shifts : ndarray of float64, shape (n, 2)
        Along y and x, but for a constant [px]; NaN where they are not to be believed.
    errors : ndarray of float64, shape (n, 2)
        Standard errors by the noise of each image alone [px].
    """

    shifts: Numbers
    errors: Numbers


def shifts_among(images: ArrayLike, variances: ArrayLike) -> Among:
    """Return where images that lie nearly on each other are still off.

    Parameters
    ----------
    images : array_like, shape (n, Y, X)
        Of one sample, with contrasts of one sign; NaN at missing pixels.
    variances : array_like, shape (n,)
        Of the noise of each image, the mean over its pixels.

    Raises
    ------
    OutOfRange
        If there are fewer than two images, a variance is not positive, or sides are below 32 pixels.
    """
    stack, noise = np.asarray(images, float), np.asarray(variances, float)
    if len(stack) < 2 or noise.shape != (len(stack),):
        raise OutOfRange("number of images", len(stack), f"must be that of the variances, {noise.size}, and at least 2")
    require_positive(noise, "variance of an image")
    known = np.isfinite(stack)
    mean = np.nanmean(stack, axis=(1, 2), keepdims=True)
    square = np.maximum(np.nanvar(stack, axis=(1, 2)) - noise, LEAST_CONTRAST * noise)
    share = square / noise / (square / noise).sum()
    alike = np.where(known, stack - mean, 0.0) / np.sqrt(square)[:, None, None]
    weights = share[:, None, None] * known
    total, whole = (weights * alike).sum(axis=0), weights.sum(axis=0)
    shifts, errors = np.full((len(stack), 2), np.nan), np.full((len(stack), 2), np.nan)
    for one, image in enumerate(stack):
        with np.errstate(invalid="ignore", divide="ignore"):
            rest = (total - weights[one] * alike[one]) / (whole - weights[one])
        found = Reference.of(rest.astype(np.float32)).shift(image.astype(np.float32))
        error = np.array([found.error_y, found.error_x])
        if judge(found).trusted and np.isfinite(error).all():
            shifts[one] = (1 - share[one]) * np.array([found.y, found.x])
            errors[one] = np.maximum(np.sqrt(1 - share[one]) * error, LEAST_ERROR_PX)
    return Among(shifts, errors)

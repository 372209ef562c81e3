"""Bring frames of a stack to one magnification.

Where the detector stands still while the energy changes, the magnification M drifts: by −1.6 % over 130 eV of a Ni
edge, 17 pixels at the edge of a frame of 2048. Each frame is enlarged about its centre by M over that of the
reference, and resampling undoes it. The order is flat field, then magnification, then registration.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.checks import require_positive
from whiteline.analysis.registration.resampling import resample_masked, resample_variance

UNNOTICED = 1e-3
"""A frame whose outermost pixel would move by less than this [px] is left as it is: without loss of sharpness."""


@dataclass(frozen=True, eq=False)
class Rescaled:
    """A stack at one magnification.

    Parameters
    ----------
    stack : ndarray of float32, shape (E, Y, X)
        NaN where a frame does not reach, and beside its bad pixels.
    variance : ndarray of float32 or None, shape (E, Y, X)
        Of the stack, with the noise gain of the interpolation; None if none was given.
    valid : ndarray of bool, shape (Y, X)
        Where every frame has a value.
    """

    stack: NDArray[np.float32]
    variance: NDArray[np.float32] | None
    valid: NDArray[np.bool_]


def relative_magnification(magnification: ArrayLike, reference: float) -> NDArray[np.float64]:
    """Return by how much each frame is enlarged, M(E) / M0.

    Parameters
    ----------
    magnification : array_like, shape (E,)
        Magnification recorded with each frame.
    reference : float
        M0, to which all are brought.

    Raises
    ------
    OutOfRange
        If one is not positive.
    """
    values = np.atleast_1d(np.asarray(magnification, float))
    require_positive(values, "magnification")
    require_positive(reference, "magnification of the reference")
    return values / reference


def rescale(
    stack: Any,
    magnification: ArrayLike,
    reference: float,
    *,
    variance: Any = None,
    order: int = 3,
) -> Rescaled:
    """Resample every frame to the magnification of a reference, about its centre.

    Parameters
    ----------
    stack : array_like, shape (E, Y, X)
        Optical density, or flat-fielded frames.
    magnification : array_like, shape (E,)
        Magnification recorded with each frame.
    reference : float
        Magnification of the reference.
    variance : array_like, shape (E, Y, X), optional
        Of the stack.
    order : int
        3 for cubic splines, 1 for linear ones.

    Raises
    ------
    OutOfRange
        If a magnification is not positive.
    ValueError
        If magnifications and frames differ in number, or stack and variance in shape.
    """
    scales = relative_magnification(magnification, reference)
    shape = tuple(stack.shape)
    if len(shape) != 3 or shape[0] != scales.size:
        raise ValueError(f"{scales.size} magnifications need a stack (E, Y, X) of as many frames, not {shape}")
    if variance is not None and tuple(variance.shape) != shape:
        raise ValueError(f"a variance of shape {tuple(variance.shape)} does not fit a stack of {shape}")
    result = np.empty(shape, np.float32)
    spread = None if variance is None else np.empty(shape, np.float32)
    valid = np.ones(shape[1:], bool)
    for index, scale in enumerate(scales):
        frame = np.asarray(stack[index], np.float32)
        same = abs(scale - 1) * max(shape[1:]) / 2 < UNNOTICED
        if same:
            result[index], good = frame, np.isfinite(frame)
        else:
            result[index], good = resample_masked(frame, None, scale=float(scale), order=order)
        valid &= good
        if spread is not None:
            noise = np.asarray(variance[index], np.float32)
            spread[index] = noise if same else resample_variance(noise, scale=float(scale), order=order)[0]
            spread[index][~good] = np.nan
    return Rescaled(result, spread, valid)

"""Compiled inner loops of resampling by B-splines: one axis at a time, its prefilter and its weights in one pass.

The recursive prefilter of the cubic spline has one pole, √3 − 2. A frame is continued beyond its ends by its mirror
image about the middle of the last pixel. (M. Unser, IEEE Signal Processing Magazine 16 (6), 22 (1999), box 2.)
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]

POLE = np.sqrt(3.0) - 2.0

HORIZON = 64
"""Pixels after which the memory of the prefilter has faded: 0.27⁶⁴ is 10⁻³⁷."""

STRIP = 256
"""Columns that are worked on together: the coefficients of 1000 rows of them stay near the core."""


# `contract` allows fused multiplication and addition, and nothing that would lose a NaN.
@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def along_rows(image, taken, weights, cubic, out):  # type: ignore[no-untyped-def]
    """Interpolate each row of an image.

    Parameters
    ----------
    image : ndarray, shape (Y, X)
        The image.
    taken : ndarray of int64, shape (taps, N)
        Columns that each new column is made of.
    weights : ndarray of the image's type, shape (taps, N)
        Their weights.
    cubic : bool
        Whether the prefilter of the cubic spline comes first.
    out : ndarray, shape (Y, N)
        Is filled with the result.
    """
    length, taps, wanted, rows = image.shape[1], taken.shape[0], taken.shape[1], image.shape[0]
    z, gain = image.dtype.type(POLE), image.dtype.type(6)
    one, two, three, four = np.empty((4, length), image.dtype)
    for first in range(0, rows, 4):
        # Each step of the prefilter waits for the one before it, so four rows go side by side; the last ones again.
        a, b, c, d = min(first, rows - 1), min(first + 1, rows - 1), min(first + 2, rows - 1), min(first + 3, rows - 1)
        if cubic and length > 1:
            last = length - 1
            one[0], two[0] = _begun(image[a], gain), _begun(image[b], gain)
            three[0], four[0] = _begun(image[c], gain), _begun(image[d], gain)
            for k in range(1, length):
                one[k] = gain * image[a, k] + z * one[k - 1]
                two[k] = gain * image[b, k] + z * two[k - 1]
                three[k] = gain * image[c, k] + z * three[k - 1]
                four[k] = gain * image[d, k] + z * four[k - 1]
            end = z / (z * z - image.dtype.type(1))
            one[last] = end * (z * one[last - 1] + one[last])
            two[last] = end * (z * two[last - 1] + two[last])
            three[last] = end * (z * three[last - 1] + three[last])
            four[last] = end * (z * four[last - 1] + four[last])
            for k in range(last - 1, -1, -1):
                one[k] = z * (one[k + 1] - one[k])
                two[k] = z * (two[k + 1] - two[k])
                three[k] = z * (three[k + 1] - three[k])
                four[k] = z * (four[k + 1] - four[k])
        else:
            one[:], two[:], three[:], four[:] = image[a], image[b], image[c], image[d]
        for row, line in ((a, one), (b, two), (c, three), (d, four)):
            if taps == 4:
                for k in range(wanted):
                    out[row, k] = (
                        weights[0, k] * line[taken[0, k]]
                        + weights[1, k] * line[taken[1, k]]
                        + weights[2, k] * line[taken[2, k]]
                        + weights[3, k] * line[taken[3, k]]
                    )
            else:
                for k in range(wanted):
                    out[row, k] = weights[0, k] * line[taken[0, k]] + weights[1, k] * line[taken[1, k]]


@njit(inline="always")
def _begun(line, gain):  # type: ignore[no-untyped-def]
    """Return the first value of the prefilter of a line and of its mirror image before it."""
    last, power, start = line.size - 1, 1.0, float(line[0])
    for k in range(1, min(last, HORIZON)):
        power *= POLE
        start += line[k] * (power + POLE ** (2 * last - k))
    start += line[last] * POLE**last
    return gain * line.dtype.type(start / (1 - POLE ** (2 * last)))


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def along_columns(image, taken, weights, cubic, out):  # type: ignore[no-untyped-def]
    """Interpolate each column of an image; parameters as in `along_rows`, `out` of shape (N, X)."""
    length, taps, wanted, columns = image.shape[0], taken.shape[0], taken.shape[1], image.shape[1]
    z, gain = image.dtype.type(POLE), image.dtype.type(6)
    held = np.empty((length, STRIP), image.dtype)
    for first in range(0, columns, STRIP):
        size = min(STRIP, columns - first)
        if cubic and length > 1:
            last, power = length - 1, 1.0
            start = np.zeros(STRIP, np.float64)
            for p in range(size):
                start[p] = image[0, first + p] + image[last, first + p] * POLE**last
            for k in range(1, min(last, HORIZON)):
                power *= POLE
                both = power + POLE ** (2 * last - k)
                for p in range(size):
                    start[p] += image[k, first + p] * both
            for p in range(size):
                held[0, p] = gain * image.dtype.type(start[p] / (1 - POLE ** (2 * last)))
            for k in range(1, length):
                for p in range(size):
                    held[k, p] = gain * image[k, first + p] + z * held[k - 1, p]
            for p in range(size):
                held[last, p] = z / (z * z - 1) * (z * held[last - 1, p] + held[last, p])
            for k in range(last - 1, -1, -1):
                for p in range(size):
                    held[k, p] = z * (held[k + 1, p] - held[k, p])
        else:
            for k in range(length):
                for p in range(size):
                    held[k, p] = image[k, first + p]
        for k in range(wanted):
            for p in range(size):
                out[k, first + p] = weights[0, k] * held[taken[0, k], p] + weights[1, k] * held[taken[1, k], p]
            if taps == 4:
                for p in range(size):
                    out[k, first + p] += weights[2, k] * held[taken[2, k], p] + weights[3, k] * held[taken[3, k], p]


@njit(cache=True, nogil=True)
def rows_reached(good, taken, out):  # type: ignore[no-untyped-def]
    """Clear `out`, shape (Y, N), where a column that a new one is made of is bad; `good` has the shape (Y, X)."""
    for row in range(good.shape[0]):
        whole = True
        for k in range(good.shape[1]):
            whole &= good[row, k]
        if not whole:
            for tap in range(taken.shape[0]):
                for k in range(taken.shape[1]):
                    out[row, k] &= good[row, taken[tap, k]]


@njit(cache=True, nogil=True)
def columns_reached(good, taken, out):  # type: ignore[no-untyped-def]
    """Clear `out`, shape (N, X), where a row that a new one is made of is bad; `good` has the shape (Y, X)."""
    whole = np.empty(good.shape[0], np.bool_)
    for row in range(good.shape[0]):
        every = True
        for column in range(good.shape[1]):
            every &= good[row, column]
        whole[row] = every
    for k in range(taken.shape[1]):
        for tap in range(taken.shape[0]):
            row = taken[tap, k]
            if not whole[row]:
                for column in range(good.shape[1]):
                    out[k, column] &= good[row, column]

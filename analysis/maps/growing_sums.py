"""The sums over energies that a growing linear fit keeps of every pixel, and what one more frame does to them.

A pixel that is not good in some frame is excluded while that frame is in. From how many frames it is excluded is kept
in the spare bits of the NaN that its error then is, so that no image is needed for what few pixels have.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from whiteline.analysis.blocks import Array
from whiteline.analysis.maps.composition import divide_by_sum
from whiteline.analysis.maps.products import PIECE

PLAIN_NAN, NUMBER_IN_NAN = np.uint32(0x7FC00000), np.uint32(0x003FFFFF)
"""A float32 that is no number has 22 bits to spare."""


def excluded_pixels(error: Array) -> NDArray[np.bool_]:
    """Where the error of a fraction says that the pixel was not good in some frame."""
    bits = np.ascontiguousarray(error).view(np.uint32)
    excluded: NDArray[np.bool_] = np.isnan(error) & ((bits & NUMBER_IN_NAN) > 0)
    return excluded


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def add_frame(
    images: Array,
    counts: Array,
    frame: Array,
    noise: Array,
    mask: Array,
    step: Array,
    steps: Array,
    rows: Array,
    pairs: Array,
    sign: int,
    least: np.float32,
    over_noise: np.float32,
    first: int,
    last: int,
) -> None:
    """Add a frame to the sums of some pixels, and work out the fractions if there are rows to do it.

    Images are, in this order: a sum for each column, a sum for each pair of columns, fractions, errors, (n, pixels) in
    all; `counts` is the first of the errors by its bits. Frame, noise and mask (empty if there is none) are (pixels,);
    `step` and `steps` are what a unit of density and of variance adds to the sums; `rows` and `pairs` turn the sums
    into coefficients and covariances. Pixels from `first` to before `last` are worked on; `sign` is −1 to take out.
    """
    columns, number = step.size, rows.shape[0]
    kept = (images.shape[0] - columns - steps.size) // 2
    result = columns + steps.size
    y, v, infinite = np.empty(PIECE, np.float32), np.empty(PIECE, np.float32), np.float32(np.inf)
    excluded = np.empty(PIECE, np.uint32)
    amounts, moments = np.empty((number, PIECE), np.float32), np.empty((pairs.shape[0], PIECE), np.float32)
    errors = np.empty((number, PIECE), np.float32)
    jump, jump_error = np.empty(PIECE, np.float32), np.empty(PIECE, np.float32)
    valid, known = np.empty(PIECE, np.bool_), np.empty(PIECE, np.bool_)
    change = np.uint32(1) if sign > 0 else np.uint32(0xFFFFFFFF)
    for start in range(first, last, PIECE):
        stop = min(start + PIECE, last)
        size = stop - start
        one, spread, bits = frame[start:stop], noise[start:stop], counts[start:stop]
        for p in range(size):
            good = (np.abs(one[p]) < infinite) & (spread[p] > np.float32(0)) & (spread[p] < infinite)
            y[p] = one[p] if good else np.float32(0)
            v[p] = spread[p] if good else np.float32(0)
            before = bits[p] & NUMBER_IN_NAN if (bits[p] & PLAIN_NAN) == PLAIN_NAN else np.uint32(0)
            excluded[p] = before if good else before + change
        if mask.size:
            for p in range(size):
                if not mask[start + p] and v[p] > np.float32(0):
                    y[p], v[p], excluded[p] = np.float32(0), np.float32(0), excluded[p] + change
        for k in range(columns):
            sums, by = images[k, start:stop], step[k]
            for p in range(size):
                sums[p] += by * y[p]
        for k in range(steps.size):
            sums, by = images[columns + k, start:stop], steps[k]
            for p in range(size):
                sums[p] += by * v[p]
        for i in range(number):
            row = amounts[i]
            row[:] = np.float32(0)
            for k in range(columns):
                sums, by = images[k, start:stop], rows[i, k]
                for p in range(size):
                    row[p] += by * sums[p]
        for i in range(pairs.shape[0]):
            row = moments[i]
            row[:] = np.float32(0)
            for k in range(steps.size):
                sums, by = images[columns + k, start:stop], pairs[i, k]
                for p in range(size):
                    row[p] += by * sums[p]
        if number:
            for p in range(size):
                valid[p] = excluded[p] == np.uint32(0)
            divide_by_sum(amounts, moments, least, over_noise, errors, valid, jump, jump_error, known)
        else:
            valid[:] = False
        for i in range(kept):
            # Of two references the second is kept.
            source = i + 1 if number == 2 else i
            value, error = images[result + i, start:stop], images[result + kept + i, start:stop]
            for p in range(size):
                value[p] = amounts[source, p] if valid[p] else np.float32(np.nan)
                error[p] = errors[source, p] if valid[p] else np.float32(np.nan)
        for p in range(size):
            if not valid[p]:
                bits[p] = PLAIN_NAN | excluded[p]

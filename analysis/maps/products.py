"""A few rows of numbers times a stack, in one pass through memory.

The linear fits of a map are products of a small matrix (m, energies) with the stack (energies, pixels). Memory sets
their pace, so the loop takes pixels in pieces that stay in the nearest cache while the energies pass by, four at a
time, and reads every number of the stack once. It runs in the thread that calls it: BLAS would start threads of its own
inside those that share out the blocks of a stack.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

Array = NDArray[Any]

PIECE = 1024
"""Pixels that stay in the nearest cache: a few rows of 4 kB each."""


def single(rows: NDArray[Any]) -> NDArray[np.float32]:
    """Return rows in float32, as compiled loops take them."""
    return np.ascontiguousarray(rows, np.float32)


def in_fours(rows: NDArray[Any]) -> NDArray[np.float32]:
    """Return rows (m, E) in float32, with zeros to the next multiple of four energies."""
    count, energies = rows.shape
    padded = np.zeros((count, -(-energies // 4) * 4), np.float32)
    padded[:, :energies] = rows
    return padded


def product(rows: NDArray[np.float32], block: Array) -> NDArray[np.float32]:
    """Return rows @ block in float32.

    Parameters
    ----------
    rows : ndarray of float32, shape (m, E)
        What to multiply by.
    block : ndarray, shape (E, pixels)
        A block of a stack; it is not copied if it is float32 and its pixels lie side by side.

    Returns
    -------
    ndarray of float32, shape (m, pixels)
        A pixel that is not finite at some energy is not finite here, and no other is touched by it.
    """
    out = np.empty((rows.shape[0], block.shape[1]), np.float32)
    line, stride = as_line(block)
    _product(line, stride, block.shape[0], in_fours(rows), out)
    return out


def as_line(block: Array, dtype: type = np.float32) -> tuple[Array, int]:
    """Return a block as one contiguous line of memory, and how far its rows lie apart in it.

    Compiled loops are vectorised only for pixels that are known to lie side by side, which the type of a block cut out
    of a stack does not tell. The line runs from the block's first number to its last, so it stays inside the stack.
    """
    if block.dtype != dtype or block.strides[1] != block.itemsize or block.strides[0] % block.itemsize:
        block = np.ascontiguousarray(block, dtype)
    energies, pixels = block.shape
    stride = block.strides[0] // block.itemsize
    if stride < pixels:  # rows that run backwards, or lie upon each other
        block, stride = np.ascontiguousarray(block), pixels
    return as_strided(block, ((energies - 1) * stride + pixels,), (block.itemsize,)), stride


@njit(cache=True, nogil=True, fastmath={"contract"})
def _product(line: Array, stride: int, energies: int, rows: Array, out: Array) -> None:
    pixels = out.shape[1]
    for start in range(0, pixels, PIECE):
        product_of_piece(line, stride, energies, rows, out, start, min(start + PIECE, pixels))


@njit(cache=True, nogil=True, fastmath={"contract"})
def product_of_piece(line: Array, stride: int, energies: int, rows: Array, out: Array, start: int, stop: int) -> None:
    """Put rows, see `in_fours`, times a block, see `as_line`, into the pixels start … stop of `out` (m, pixels)."""
    out[:, start:stop] = np.float32(0)
    for e in range(0, energies, 4):
        # Beyond the last energy the rows are zero, and the last one stands in: it is finite where the pixel is.
        second, third, fourth = min(e + 1, energies - 1), min(e + 2, energies - 1), min(e + 3, energies - 1)
        a, b, c, d = four(line, stride, e, second, third, fourth, start, stop)
        add_four(out, rows, e, a, b, c, d, start)


@njit(cache=True, nogil=True, inline="always")
def four(
    line: Array, stride: int, first: int, second: int, third: int, fourth: int, start: int, stop: int
) -> tuple[Array, Array, Array, Array]:
    """Return the pixels start … stop of a block, see `as_line`, at four energies."""
    return (
        line[first * stride + start : first * stride + stop],
        line[second * stride + start : second * stride + stop],
        line[third * stride + start : third * stride + stop],
        line[fourth * stride + start : fourth * stride + stop],
    )


@njit(cache=True, nogil=True, inline="always", fastmath={"contract"})
def add_four(sums: Array, rows: Array, e: int, a: Array, b: Array, c: Array, d: Array, start: int) -> None:
    """Add to sums (m, pixels) what rows (m, E) make of pixels from `start` on at the four energies from the e-th."""
    count, size = sums.shape[0], a.size
    for m in range(0, count - 1, 2):  # two at a time, for each number is then fetched half as often
        one, other = sums[m, start : start + size], sums[m + 1, start : start + size]
        ra, rb, rc, rd = rows[m, e], rows[m, e + 1], rows[m, e + 2], rows[m, e + 3]
        qa, qb, qc, qd = rows[m + 1, e], rows[m + 1, e + 1], rows[m + 1, e + 2], rows[m + 1, e + 3]
        for p in range(size):
            w, x, y, z = a[p], b[p], c[p], d[p]
            one[p] += ra * w + rb * x + rc * y + rd * z
            other[p] += qa * w + qb * x + qc * y + qd * z
    if count % 2:
        last = sums[count - 1, start : start + size]
        ra, rb, rc, rd = rows[count - 1, e], rows[count - 1, e + 1], rows[count - 1, e + 2], rows[count - 1, e + 3]
        for p in range(size):
            last[p] += ra * a[p] + rb * b[p] + rc * c[p] + rd * d[p]

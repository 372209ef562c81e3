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


def product(rows: NDArray[np.float32], block: Array) -> NDArray[np.float32]:
    """Return rows @ block in float32.

    Parameters
    ----------
    rows : ndarray of float32, shape (m, E)
        What to multiply by, C contiguous.
    block : ndarray, shape (E, pixels)
        A block of a stack; it is not copied if it is float32 and its pixels lie side by side.

    Returns
    -------
    ndarray of float32, shape (m, pixels)
        A pixel that is not finite at some energy is not finite here, and no other is touched by it.
    """
    out = np.empty((rows.shape[0], block.shape[1]), np.float32)
    line, stride = as_line(block)
    _product(line, stride, rows, out)
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
def _product(line: Array, stride: int, rows: Array, out: Array) -> None:
    count, energies = rows.shape
    pixels = out.shape[1]
    for start in range(0, pixels, PIECE):
        stop = min(start + PIECE, pixels)
        for m in range(count):
            out[m, start:stop] = np.float32(0)
        for e in range(0, energies - 3, 4):
            at = e * stride
            a, b = line[at + start : at + stop], line[at + stride + start : at + stride + stop]
            at += 2 * stride
            c, d = line[at + start : at + stop], line[at + stride + start : at + stride + stop]
            for m in range(count):
                sums = out[m, start:stop]
                ra, rb, rc, rd = rows[m, e], rows[m, e + 1], rows[m, e + 2], rows[m, e + 3]
                for p in range(stop - start):
                    sums[p] += ra * a[p] + rb * b[p] + rc * c[p] + rd * d[p]
        for e in range(energies - energies % 4, energies):
            a = line[e * stride + start : e * stride + stop]
            for m in range(count):
                sums = out[m, start:stop]
                ra = rows[m, e]
                for p in range(stop - start):
                    sums[p] += ra * a[p]

"""The composition of every pixel: fractions and edge jump, and their errors, from the coefficients of the references.

A fraction is a coefficient over their sum, f_i = c_i / Σ c, the sum is the edge jump, and its error follows to first
order from the covariance of the coefficients: var f_i = (C_ii − 2 f_i Σ_j C_ij + f_i² Σ_jk C_jk) / (Σ c)².
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from whiteline.analysis.blocks import Array
from whiteline.analysis.maps.basis import Basis, Floats
from whiteline.analysis.maps.map import Map
from whiteline.analysis.maps.products import PIECE

LEAST_JUMP_OVER_NOISE = 10.0
"""Where the edge jump is less than so many of its standard errors, a fraction of it means little, and its error, which
holds to first order, even less."""

Finish = Callable[..., Sequence[Array]]
"""From coefficients (R, pixels), their covariances (R (R + 1) / 2, pixels) and what else a fit needs, one number per
pixel each, to fractions and errors (R, pixels), their validity, edge jump, its error and validity (pixels,)."""


@dataclass(frozen=True, eq=False)
class Composition:
    """Maps of the fractions of all references, and of the edge jump that they share.

    Parameters
    ----------
    references : tuple of str
        Names of the references.
    fractions : tuple of Map
        Their fractions, in the same order.
    jump : Map
        Sum of their coefficients, in optical density.
    """

    references: tuple[str, ...]
    fractions: tuple[Map, ...]
    jump: Map

    def fraction(self, reference: str) -> Map:
        """Return the map of one reference.

        Raises
        ------
        ValueError
            If there is no such reference.
        """
        if reference not in self.references:
            raise ValueError(f"there is no reference {reference!r}; there are {', '.join(self.references)}")
        return self.fractions[self.references.index(reference)]


def packed(basis: Basis, parts: Sequence[Any]) -> Composition:
    """Return as maps what a `Finish` gave over all pixels."""
    value, error, good, jump, jump_error, known = parts
    names = basis.references
    return Composition(
        names,
        tuple(Map(f"fraction of {name}", "", value[i], error[i], good) for i, name in enumerate(names)),
        Map("edge jump", "", jump, jump_error, known),
    )


def pairs_of(rows: Floats) -> Floats:
    """Return what turns a variance into covariances of the coefficients, (0, 0), (1, 0), (1, 1), (2, 0) and so on."""
    first, second = np.tril_indices(rows.shape[0])
    pairs: Floats = rows[first] * rows[second]
    return pairs


def shares_with_errors(
    amounts: Array, moments: Array, good: Array, least_jump: np.float32, least_over_noise: np.float32
) -> Sequence[Array]:
    """Return fractions, errors and validity, edge jump, its error and validity, of a block of coefficients.

    Parameters
    ----------
    amounts : ndarray of float32, shape (R, pixels)
        Coefficients; the fractions take their place.
    moments : ndarray of float32, shape (R (R + 1) / 2, pixels)
        Their covariances.
    good : ndarray of bool, shape (pixels,)
        Pixels that may be valid.
    least_jump, least_over_noise : float32
        What the edge jump must be above, and how many of its errors.
    """
    pixels = amounts.shape[1]
    errors = np.empty_like(amounts)
    jump, jump_error = np.empty(pixels, np.float32), np.empty(pixels, np.float32)
    known = np.empty(pixels, np.bool_)
    valid = np.array(good, np.bool_)
    divide_by_sum(amounts, moments, least_jump, least_over_noise, errors, valid, jump, jump_error, known)
    return amounts, errors, valid, jump, jump_error, known


@njit(cache=True, nogil=True, error_model="numpy")
def divide_by_sum(
    amounts: Array,
    moments: Array,
    least: np.float32,
    over_noise: np.float32,
    errors: Array,
    valid: Array,
    jump: Array,
    jump_error: Array,
    known: Array,
) -> None:
    """Compiled part of `shares_with_errors`: all arrays but `moments` are written to, and `valid` is read first."""
    number, pixels = amounts.shape
    nan = np.float32(np.nan)
    for start in range(0, pixels, PIECE):
        stop = min(start + PIECE, pixels)
        size = stop - start
        total, error, mask, sure = jump[start:stop], jump_error[start:stop], valid[start:stop], known[start:stop]
        # The variance of the sum, and from here on the sum of each row of covariances.
        for p in range(size):
            total[p] = np.float32(0)
            error[p] = np.float32(0)
        for i in range(number):
            row = amounts[i, start:stop]
            for p in range(size):
                total[p] += row[p]
            across = errors[i, start:stop]
            for p in range(size):
                across[p] = np.float32(0)
            for j in range(number):
                pair = moments[max(i, j) * (max(i, j) + 1) // 2 + min(i, j), start:stop]
                for p in range(size):
                    across[p] += pair[p]
            for p in range(size):
                error[p] += across[p]
        for i in range(number):
            row, across = amounts[i, start:stop], errors[i, start:stop]
            own = moments[i * (i + 1) // 2 + i, start:stop]
            for p in range(size):
                share = row[p] / total[p]
                variance = own[p] - np.float32(2) * share * across[p] + share * share * error[p]
                row[p] = share
                across[p] = np.sqrt(max(variance, np.float32(0))) / total[p]
        for p in range(size):
            error[p] = np.sqrt(error[p])
            sure[p] = np.isfinite(total[p]) & np.isfinite(error[p]) & (error[p] > np.float32(0)) & mask[p]
            mask[p] = sure[p] & (total[p] >= over_noise * error[p]) & (total[p] >= least) & (total[p] > np.float32(0))
            total[p] = total[p] if sure[p] else nan
            error[p] = error[p] if sure[p] else nan
        for i in range(number):
            row, across = amounts[i, start:stop], errors[i, start:stop]
            for p in range(size):
                row[p] = row[p] if mask[p] else nan
                across[p] = across[p] if mask[p] else nan

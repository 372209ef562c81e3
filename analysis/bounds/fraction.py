"""How well a fraction can be known: the share of one reference in the sum of all.

The fit is linear: Σ c_k × basis_k, of which the first columns are references and the rest is background, which costs
accuracy and is no part of the fraction. The fraction of reference r is c_r / Σ c over the references.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.bounds.information import bound, fluorescence_weight, total_information, transmission_weight
from whiteline.analysis.checks import require

Array = NDArray[Any]


def fraction_bound(
    basis: ArrayLike,
    coefficients: ArrayLike,
    counts: ArrayLike,
    *,
    flats: ArrayLike = np.inf,
    of: int = 1,
    references: int = 2,
    density: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> Array:
    """Return the Cramér–Rao bound of a fraction in transmission, in every pixel.

    Parameters
    ----------
    basis : array_like, shape (E, K)
        Absorption of the references, then the background.
    coefficients : array_like, shape (K, *pixels) or (references, *pixels)
        Amount of each. Those of the background may be left out if the density is given.
    counts : array_like, shape (E, *pixels), (E,) or a number
        Incident counts in a pixel at each energy.
    flats : array_like, shape (E,) or a number
        Flats averaged at each energy, each with the same incident counts.
    of : int
        Which reference.
    references : int
        How many columns of the basis are references.
    density : array_like, shape (E, *pixels), optional
        Optical density, if it is not basis @ coefficients.
    weights : array_like, shape (E,), optional
        Weights of a least squares fit. The error returned is then that of this fit, which is no smaller than the bound.

    Returns
    -------
    ndarray of float64, shape (*pixels,)
        Standard error of the fraction; its root mean square over a map is what an accuracy is compared with. NaN where
        the references add up to nothing, infinite where the energies say nothing of the fraction.

    Raises
    ------
    OutOfRange
        If a number is not possible.
    ValueError
        If shapes do not fit.
    """
    columns, amounts = _checked(basis, coefficients, references, of, density is None)
    seen = np.asarray(density, float) if density is not None else np.tensordot(columns, amounts, axes=1)
    number = np.asarray(flats, float)
    if number.ndim:
        number = number.reshape(-1, *[1] * (seen.ndim - 1))
    share = transmission_weight(seen, number)
    slope = fraction_gradient(amounts[:references], of, columns.shape[1])
    if weights is None:
        return bound(total_information(columns, share, counts), slope)
    return _error_of_fit(columns, share, counts, slope, np.asarray(weights, float))


def fluorescence_fraction_bound(
    basis: ArrayLike, coefficients: ArrayLike, photons: ArrayLike, *, of: int = 1, references: int = 2
) -> Array:
    """Return the Cramér–Rao bound of a fraction from fluorescence counts, in every pixel.

    Parameters
    ----------
    basis : array_like, shape (E, K)
        Counts per incident photon and unit of each reference, then of the background.
    coefficients : array_like, shape (K, *pixels)
        Amount of each.
    photons : array_like, shape (E, *pixels), (E,) or a number
        Incident photons in a pixel at each energy, taken as known.
    of, references
        As in `fraction_bound`.

    Returns
    -------
    ndarray of float64, shape (*pixels,)

    Raises
    ------
    OutOfRange
        If a number is not possible, or nothing is counted at an energy.
    ValueError
        If shapes do not fit.
    """
    columns, amounts = _checked(basis, coefficients, references, of, True)
    share = fluorescence_weight(np.tensordot(columns, amounts, axes=1))
    slope = fraction_gradient(amounts[:references], of, columns.shape[1])
    return bound(total_information(columns, share, photons), slope)


def fraction_gradient(amounts: Array, of: int, parameters: int) -> Array:
    """Return the derivative of a fraction by all coefficients, (δ_kr − fraction) / sum for references and 0 for others.

    Parameters
    ----------
    amounts : ndarray, shape (references, *pixels)
        Coefficients of the references.
    of : int
        Which reference.
    parameters : int
        Number of coefficients, background included.

    Returns
    -------
    ndarray of float64, shape (*pixels, parameters)
        NaN where the amounts add up to nothing.
    """
    total = amounts.sum(axis=0)
    some = np.where(total == 0, np.nan, total)
    slope = np.zeros((*total.shape, parameters))
    for index in range(len(amounts)):
        slope[..., index] = ((index == of) - amounts[of] / some) / some
    return slope


def _checked(
    basis: ArrayLike, coefficients: ArrayLike, references: int, of: int, background: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    columns, amounts = np.asarray(basis, float), np.asarray(coefficients, float)
    if columns.ndim != 2:
        raise ValueError(f"a basis has the shape (E, K), not {columns.shape}")
    require(references, 2 <= references <= columns.shape[1], "number of references", "must be 2 to all of the basis")
    require(of, 0 <= of < references, "number of the reference", f"must be 0 to {references - 1}")
    wanted = {columns.shape[1]} if background else {columns.shape[1], references}
    if amounts.ndim < 1 or len(amounts) not in wanted:
        raise ValueError(f"coefficients of shape {amounts.shape} do not fit a basis of {columns.shape[1]} columns")
    return columns, amounts


def _error_of_fit(columns: Array, share: Array, counts: ArrayLike, slope: Array, weights: NDArray[np.float64]) -> Array:
    if weights.shape != columns.shape[:1]:
        raise ValueError(f"weights of shape {weights.shape} do not fit {len(columns)} energies")
    require(weights, np.isfinite(weights) & (weights >= 0), "weight of an energy", "must be finite and not negative")
    photons = np.asarray(counts, float)
    if photons.ndim == 1:
        photons = photons.reshape(-1, *[1] * (share.ndim - 1))
    rows = columns * weights[:, None]
    solve = np.linalg.solve(rows.T @ columns, rows.T)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.where(weights.reshape(-1, *[1] * (share.ndim - 1)) > 0, 1 / (photons * share), 0.0)
    along = np.tensordot(slope, solve, axes=1)
    return np.asarray(np.sqrt(np.einsum("...e,e...->...", along**2, variance)))

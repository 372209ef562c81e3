"""Fisher information: what each photon at each energy tells of the parameters of a model.

No unbiased estimate of a quantity g of parameters p has a smaller variance than ∇gᵀ I⁻¹ ∇g, with the Fisher information
I (H. Cramér 1946, C. R. Rao 1945). Photons are independent, so I is a sum over energies of counts times the information
of one photon; parameters that are of no interest are in it too, and what they cost is in its inverse.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.checks import require

Array = NDArray[Any]

ROUNDING = 1e-12
"""Relative size below which an eigenvalue of an information is rounding: nothing is known in its direction."""


def transmission_weight(density: ArrayLike, flats: ArrayLike = np.inf) -> Array:
    """Return what one incident photon tells of an optical density, 1 / (exp(OD) + 1/F).

    With I0 incident counts a pixel, in the frame and in each of F flats, the density has at least the variance
    exp(OD)/I0 + 1/(F I0).

    Parameters
    ----------
    density : array_like
        Optical density.
    flats : array_like
        Flats that are averaged, each exposed as the frame is; infinite for a beam that is known.

    Raises
    ------
    OutOfRange
        If a density is not finite, or the number of flats not above 0.
    """
    values, number = np.asarray(density, float), np.asarray(flats, float)
    require(values, np.isfinite(values), "optical density", "must be a finite number")
    require(number, number > 0, "averaged flats", "must be above 0")
    return np.asarray(1 / (np.exp(values) + 1 / number))


def fluorescence_weight(signal: ArrayLike) -> Array:
    """Return what one incident photon tells of a mean number of fluorescence counts per photon, 1 / signal.

    Parameters
    ----------
    signal : array_like
        Detected counts per incident photon, background included.

    Raises
    ------
    OutOfRange
        If one is not positive: a channel that never counts has no bound.
    """
    values = np.asarray(signal, float)
    require(values, np.isfinite(values) & (values > 0), "counts per incident photon", "must be finite and above 0")
    return np.asarray(1 / values)


def information(jacobian: ArrayLike, weight: ArrayLike) -> Array:
    """Return the information of one incident photon at each energy.

    Parameters
    ----------
    jacobian : array_like, shape (E, K)
        Derivative of the signal at each energy by each parameter: for a linear model its basis.
    weight : array_like, shape (E, *pixels)
        From `transmission_weight` or `fluorescence_weight`.

    Returns
    -------
    ndarray of float64, shape (E, *pixels, K, K)

    Raises
    ------
    ValueError
        If derivatives and weights differ in energies.
    """
    slopes, share = np.asarray(jacobian, float), np.asarray(weight, float)
    _require_same_energies(slopes, share)
    outer = slopes[:, :, None] * slopes[:, None, :]
    return np.asarray(share[..., None, None] * outer.reshape(len(outer), *[1] * (share.ndim - 1), *outer.shape[1:]))


def total_information(jacobian: ArrayLike, weight: ArrayLike, counts: ArrayLike) -> Array:
    """Return the information of a whole list of energies, Σ counts × `information`, without keeping its parts.

    Parameters
    ----------
    jacobian : array_like, shape (E, K)
        As in `information`.
    weight : array_like, shape (E, *pixels)
        As in `information`.
    counts : array_like, shape (E, *pixels), (E,) or a number
        Incident photons, detected ones if the efficiency is not in the weight, in a pixel at each energy.

    Returns
    -------
    ndarray of float64, shape (*pixels, K, K)

    Raises
    ------
    OutOfRange
        If counts are negative or not finite.
    ValueError
        If the energies differ in number.
    """
    slopes, share = np.asarray(jacobian, float), np.asarray(weight, float)
    _require_same_energies(slopes, share)
    photons = np.asarray(counts, float)
    require(photons, np.isfinite(photons) & (photons >= 0), "incident counts", "must be finite and not negative")
    if photons.ndim and photons.shape not in (share.shape, share.shape[:1]):
        raise ValueError(f"counts of shape {photons.shape} fit neither {share.shape} nor {share.shape[:1]}")
    if photons.ndim == 1:
        photons = photons.reshape(-1, *[1] * (share.ndim - 1))
    parameters = slopes.shape[1]
    outer = (slopes[:, :, None] * slopes[:, None, :]).reshape(len(slopes), -1)
    summed = (photons * share).reshape(len(slopes), -1).T @ outer
    return np.asarray(summed.reshape(*share.shape[1:], parameters, parameters))


def bound(total: ArrayLike, gradient: ArrayLike) -> Array:
    """Return the smallest standard error of a quantity, √(∇gᵀ I⁻¹ ∇g).

    Parameters
    ----------
    total : array_like, shape (*pixels, K, K)
        Information.
    gradient : array_like, shape (*pixels, K) or (K,)
        Derivative of the quantity by the parameters.

    Returns
    -------
    ndarray of float64, shape (*pixels,)
        Infinite where the information says nothing of the quantity, as with fewer energies than parameters.
    """
    matrix = np.asarray(total, float)
    slope = np.broadcast_to(np.asarray(gradient, float), matrix.shape[:-1])
    # In units in which each parameter alone has information 1, so that eV and optical density can be compared.
    size = np.sqrt(np.einsum("...ii->...i", matrix))
    told = size > 0
    unit = np.where(told, size, 1.0)
    values, vectors = np.linalg.eigh(matrix / (unit[..., :, None] * unit[..., None, :]))
    along = np.einsum("...ki,...k->...i", vectors, slope / unit)
    known = values > ROUNDING * values[..., -1:]
    with np.errstate(divide="ignore"):
        variance = np.where(known, along**2 / np.where(known, values, 1.0), 0.0).sum(axis=-1)
    lost = (~known & (np.abs(along) > 1e-6 * np.linalg.norm(slope / unit, axis=-1, keepdims=True))).any(axis=-1)
    return np.asarray(np.where(lost, np.inf, np.sqrt(variance)))


def _require_same_energies(slopes: Array, share: Array) -> None:
    if slopes.ndim != 2 or share.ndim < 1 or len(slopes) != len(share):
        raise ValueError(f"derivatives (E, K) of shape {slopes.shape} and weights {share.shape} must have one E")

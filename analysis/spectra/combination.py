"""The linear combination of references that a spectrum is, with errors.

Least squares of the spectrum against the references at its energies, with a constant or a line as background if that is
wanted, weighted by the errors if they are given. Fractions are weights over their sum, with their covariance carried
through. The R-factor is Σ(data − fit)² / Σ data², as in Athena (B. Ravel and M. Newville, J. Synchrotron Rad. 12 (2005)
537).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import lsq_linear

from whiteline.analysis.spectra.checks import Floats, require_range, require_spectrum
from whiteline.analysis.spectra.reference import on_energies
from whiteline.analysis.spectrum_files import Spectrum

Background = Literal["none", "constant", "linear"]

LARGEST_CONDITION = 1e8
"""References whose fit is worse conditioned cannot be told apart at these energies."""


@dataclass(frozen=True, eq=False)
class Combination:
    """A spectrum as a linear combination of references.

    Parameters
    ----------
    names : tuple of str
        Of the K references.
    weights, weight_errors : ndarray of float64, shape (K,)
        How much of each, and the standard errors. A weight that was held at 0 has NaN for an error.
    covariance : ndarray of float64, shape (K, K)
        Of the weights; NaN for one that was held at 0.
    fractions, fraction_errors : ndarray of float64, shape (K,)
        Weights over their sum; NaN if the sum is not positive.
    background : tuple of float
        Constant, and slope per eV about the middle of the energies [1, 1/eV]; as many as were fitted.
    energy, fitted, residual : ndarray of float64, shape (n,)
        Energies that were fitted [eV], the combination, and the spectrum less the combination.
    r_factor : float
        Σ residual² / Σ spectrum².
    reduced_chi_square : float
        Of the fit; NaN if no error was given, as the errors are then scaled to make it 1.
    """

    names: tuple[str, ...]
    weights: Floats
    weight_errors: Floats
    covariance: Floats
    fractions: Floats
    fraction_errors: Floats
    background: tuple[float, ...]
    energy: Floats
    fitted: Floats
    residual: Floats
    r_factor: float
    reduced_chi_square: float


def fit_combination(
    energy: ArrayLike,
    absorption: ArrayLike,
    references: Sequence[Spectrum],
    error: ArrayLike | None = None,
    *,
    background: Background = "none",
    non_negative: bool = False,
    fit_range: tuple[float, float] | None = None,
) -> Combination:
    """Fit a spectrum by references.

    Parameters
    ----------
    energy : array_like, shape (n,)
        Photon energies, ascending, each once [eV].
    absorption : array_like, shape (n,)
        Absorption: normalised as the references are, or optical density with a background.
    references : sequence of Spectrum
        The references, normalised.
    error : array_like, shape (n,) or a number, optional
        Standard error of the absorption. If it is not given, each energy counts alike, and the errors come from the
        scatter about the fit.
    background : {"none", "constant", "linear"}
        What is fitted besides the references.
    non_negative : bool
        Whether weights may not be negative. The errors are then those of the weights that are not held at 0, as if one
        had known which.
    fit_range : tuple of float, optional
        Energies that are fitted [eV]; all, if it is not given.

    Returns
    -------
    Combination

    Raises
    ------
    OutOfRange
        If an energy is no energy in eV, or an absorption not finite.
    ValueError
        If energies do not ascend, each once; there are fewer than parameters; there is no reference, or two of one
        name; a reference does not cover the energies; or the references cannot be told apart at them.
    """
    if background not in get_args(Background):
        raise ValueError(f"background {background!r} must be one of {', '.join(get_args(Background))}")
    names = tuple(reference.name for reference in references)
    if not names:
        raise ValueError("a linear combination needs at least one reference")
    if len(set(names)) != len(names):
        raise ValueError(f"two references have one name: {', '.join(names)}; name each once")
    energies, values, errors = require_spectrum(energy, absorption, error)
    low, high = (energies[0], energies[-1]) if fit_range is None else fit_range
    inside = (energies >= low) & (energies <= high)
    extra = {"none": 0, "constant": 1, "linear": 2}[background]
    require_range(energies, inside, low, high, "range of the fit", len(names) + extra + 1)
    energies, values = energies[inside], values[inside]
    sigma = np.ones_like(values) if errors is None else errors[inside]

    middle = (energies[0] + energies[-1]) / 2
    columns = [on_energies(reference, energies) for reference in references]
    columns += [(energies - middle) ** power for power in range(extra)]
    basis = np.stack(columns, axis=1)
    _require_distinct(basis / sigma[:, None], names)
    lowest = np.array([0.0 if non_negative else -np.inf] * len(names) + [-np.inf] * extra)
    solution = _least_squares(basis / sigma[:, None], values / sigma, lowest)
    free = solution != lowest
    fitted = basis @ solution
    residual = values - fitted
    chi_square = float(np.sum((residual / sigma) ** 2)) / (energies.size - np.count_nonzero(free))

    covariance = np.full((basis.shape[1],) * 2, np.nan)
    scaled = np.linalg.pinv(basis[:, free] / sigma[:, None])
    covariance[np.ix_(free, free)] = scaled @ scaled.T * (chi_square if errors is None else 1.0)
    weights, covariance = solution[: len(names)], covariance[: len(names), : len(names)]
    fractions, fraction_errors = _fractions(weights, covariance)
    return Combination(
        names=names,
        weights=weights,
        weight_errors=np.sqrt(np.diag(covariance)),
        covariance=covariance,
        fractions=fractions,
        fraction_errors=fraction_errors,
        background=tuple(float(one) for one in solution[len(names) :]),
        energy=energies,
        fitted=fitted,
        residual=residual,
        r_factor=float(np.sum(residual**2) / np.sum(values**2)),
        reduced_chi_square=np.nan if errors is None else chi_square,
    )


def _least_squares(basis: Floats, values: Floats, lowest: Floats) -> Floats:
    """Return the solution of least squares with lower bounds; one at its bound is exactly that."""
    scale = np.linalg.norm(basis, axis=0)
    if np.isinf(lowest).all():
        return np.asarray(np.linalg.lstsq(basis / scale, values, rcond=None)[0] / scale)
    found = lsq_linear(basis / scale, values, bounds=(lowest, np.inf), method="bvls")
    return np.where(found.active_mask < 0, lowest, found.x / scale)


def _fractions(weights: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """Return weights over their sum, and the standard errors; NaN for the error of a weight that was held at 0."""
    total = float(weights.sum())
    if total <= 0:
        return np.full(weights.size, np.nan), np.full(weights.size, np.nan)
    fractions = weights / total
    gradient = (np.eye(weights.size) - fractions[:, None]) / total
    held = np.isnan(np.diag(covariance))
    variance = np.einsum("ki,ij,kj->k", gradient, np.nan_to_num(covariance), gradient)
    return fractions, np.where(held, np.nan, np.sqrt(np.maximum(variance, 0)))


def _require_distinct(basis: Floats, names: tuple[str, ...]) -> None:
    norms = np.linalg.norm(basis, axis=0)
    if (norms == 0).any():
        raise ValueError(f"reference {names[int(np.argmin(norms))]} is zero at all energies of the fit")
    if np.linalg.cond(basis / norms) > LARGEST_CONDITION:
        raise ValueError(
            f"references {', '.join(names)} and the background cannot be told apart at these {len(basis)} energies; "
            f"fit a range across the edge, or leave one out"
        )

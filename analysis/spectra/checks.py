"""Refuse a spectrum that cannot be analysed, in a sentence that says which of its points is wrong."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.checks import OutOfRange, require_energy
from whiteline.analysis.energies import SAME_ENERGY_EV

Floats = NDArray[np.float64]


def require_spectrum(
    energy: ArrayLike, absorption: ArrayLike, error: ArrayLike | None = None, *, fewest: int = 2
) -> tuple[Floats, Floats, Floats | None]:
    """Raise unless energies, absorption and its standard error are a spectrum; return them as arrays of shape (n,).

    Parameters
    ----------
    energy : array_like, shape (n,)
        Photon energies, ascending, each once [eV].
    absorption : array_like, shape (n,)
        Absorption, in any scale.
    error : array_like, shape (n,) or a number, optional
        Standard error of the absorption.
    fewest : int
        Fewest points that the caller can work with.

    Raises
    ------
    OutOfRange
        If an energy is no energy in eV, an absorption is not finite, an error not positive, or there are too few.
    ValueError
        If they differ in number, or the energies do not ascend, each once.
    """
    energies, values = np.asarray(energy, float), np.asarray(absorption, float)
    if energies.ndim != 1 or energies.shape != values.shape:
        raise ValueError(
            f"energies of shape {energies.shape} and absorption of shape {values.shape} are no spectrum: "
            "give one absorption for each energy"
        )
    require_energy(energies)
    if energies.size < fewest:
        raise OutOfRange("number of energies", energies.size, f"must be at least {fewest}", "", "take more energies")
    _require_ascending(energies)
    _require_at_each(energies, values, np.isfinite(values), "absorption", "must be a finite number", "leave it out")
    if error is None:
        return energies, values, None
    errors = np.asarray(error, float)
    if errors.ndim and errors.shape != energies.shape:
        raise ValueError(f"{errors.size} errors for {energies.size} energies: give one for each, or one for all")
    errors = np.broadcast_to(errors, energies.shape).copy()
    right = np.isfinite(errors) & (errors > 0)
    _require_at_each(energies, errors, right, "error of the absorption", "must be a finite number above 0", "")
    return energies, values, errors


def require_range(energies: Floats, inside: NDArray[np.bool_], low: float, high: float, name: str, fewest: int) -> None:
    """Raise unless a range [eV] holds enough of the energies.

    Raises
    ------
    ValueError
        Naming the range, what it holds, and what the spectrum covers.
    """
    if np.count_nonzero(inside) < fewest:
        raise ValueError(
            f"{np.count_nonzero(inside)} of {energies.size} energies, {energies[0]:.8g} to {energies[-1]:.8g} eV, lie "
            f"in the {name}, {low:.8g} to {high:.8g} eV; at least {fewest} are needed: measure there, or give another "
            f"range"
        )


def _require_ascending(energies: Floats) -> None:
    steps = np.diff(energies)
    down = np.flatnonzero(steps < 0)
    if down.size:
        at = int(down[0])
        raise ValueError(
            f"energies must ascend, and after {energies[at]:.10g} eV comes {energies[at + 1]:.10g} eV (point "
            f"{at + 1}); sort energies and absorption by numpy.argsort of the energies"
        )
    twice = np.flatnonzero(steps < SAME_ENERGY_EV)
    if twice.size:
        at = int(twice[0])
        raise ValueError(
            f"energy {energies[at]:.10g} eV stands there twice, as points {at} and {at + 1}; average them, or drop one"
        )


def _require_at_each(
    energies: Floats, values: Floats, right: NDArray[np.bool_], name: str, limit: str, remedy: str
) -> None:
    if not right.all():
        at = int(np.argmin(right))
        raise OutOfRange(f"{name} at {energies[at]:.10g} eV,", values[at], limit, "", remedy)

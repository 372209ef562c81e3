"""Refuse a stack that does not belong to its energies."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.checks import OutOfRange, require_energy
from whiteline.analysis.energies import SAME_ENERGY_EV


def require_stack(energies: ArrayLike, stack: Any, *, least: int = 1, ascending: bool = False) -> NDArray[np.float64]:
    """Raise unless a stack has one frame for each of some energies; return the energies.

    Parameters
    ----------
    energies : array_like, shape (E,)
        Photon energies, absolute, each once, in any order [eV].
    stack : array_like, shape (E, ...)
        Frames, energy first.
    least : int
        Fewest energies that the caller can work with.
    ascending : bool
        Whether the caller needs them in ascending order.

    Returns
    -------
    ndarray of float64, shape (E,)

    Raises
    ------
    OutOfRange
        If an energy is no energy in eV, or there are fewer than `least`.
    ValueError
        If energies and frames differ in number, an energy stands there twice, or the order is not the one that is
        needed.
    """
    values = np.asarray(energies, float)
    if values.ndim != 1:
        raise ValueError(f"energies must be a list of numbers, one a frame, not an array of shape {values.shape}")
    require_energy(values)
    shape: Sequence[int] = np.shape(stack)
    frames = shape[0] if shape else 0
    if frames != values.size:
        raise ValueError(
            f"{values.size} energies and a stack of shape {tuple(shape)}: "
            f"its first axis must be the energies, and holds {frames} frames"
        )
    if values.size < least:
        raise OutOfRange("number of energies", values.size, f"must be at least {least}", "", "take more energies")
    _require_once(values)
    if ascending:
        _require_ascending(values)
    return values


def _require_once(values: NDArray[np.float64]) -> None:
    order = np.argsort(values, kind="stable")
    twice = np.flatnonzero(np.diff(values[order]) < SAME_ENERGY_EV)
    if twice.size:
        first, second = sorted((int(order[twice[0]]), int(order[twice[0] + 1])))
        raise ValueError(
            f"energy {values[first]:.10g} eV stands there twice, for frames {first} and {second}; "
            "average the two frames, or drop one"
        )


def _require_ascending(values: NDArray[np.float64]) -> None:
    down = np.flatnonzero(np.diff(values) < 0)
    if down.size:
        at = int(down[0])
        raise ValueError(
            f"energies must ascend, and after {values[at]:.10g} eV comes {values[at + 1]:.10g} eV (frame {at + 1}); "
            "sort energies and frames by numpy.argsort of the energies"
        )

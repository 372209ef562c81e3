"""Checks of the energies of a stack and of a window of them, before anything is learnt or mapped."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.checks import require_energy, require_finite

Floats = NDArray[np.float64]


def checked_energies(energy: ArrayLike, stack: Any) -> Floats:
    """Return the energies of a stack as an array, or say what is wrong with them.

    Raises
    ------
    ValueError
        If they are not one to each frame of the stack, an energy is there twice, or there are fewer than three.
    OutOfRange
        If one is no energy in eV.
    """
    energies = np.asarray(energy, float)
    require_energy(energies)
    if energies.ndim != 1 or len(stack.shape) < 2 or stack.shape[0] != energies.size:
        raise ValueError(
            f"a stack of shape {tuple(stack.shape)} must have energy first, one frame to each of the "
            f"{energies.size} energies, and pixels after it"
        )
    if energies.size < 3:
        raise ValueError(f"{energies.size} energies are too few to speak of components; take at least 3")
    ascending = np.sort(energies)
    if (np.diff(ascending) == 0).any():
        twice = ascending[int(np.argmax(np.diff(ascending) == 0))]
        raise ValueError(f"energy {twice:.10g} eV is there twice; average its frames, or leave one out")
    return energies


def checked_window(window: tuple[float, float], energy: Floats, what: str, fewest: int = 4) -> tuple[float, float]:
    """Return a window of energies, or say why it cannot be used.

    Raises
    ------
    ValueError
        If it is no interval, is not covered by the energies, or has too few of them.
    """
    low, high = float(window[0]), float(window[1])
    require_finite((low, high), f"window of the {what}", "eV")
    require_energy((low, high), f"window of the {what}")
    if not low < high:
        raise ValueError(f"window of the {what} from {low:g} to {high:g} eV must end after it starts; swap the two")
    if energy.min() > low or energy.max() < high:
        raise ValueError(
            f"window of the {what}, {low:g} to {high:g} eV, is not covered by energies from {energy.min():g} to "
            f"{energy.max():g} eV; measure there, or narrow the window"
        )
    inside = int(((energy >= low) & (energy <= high)).sum())
    if inside < fewest:
        raise ValueError(
            f"window of the {what}, {low:g} to {high:g} eV, holds {inside} energies and needs {fewest}; widen it, or "
            f"measure more"
        )
    return low, high

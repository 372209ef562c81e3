"""The made XANES stack and its truth, as every peer gets it: transmission, energies, references, true fraction."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np


@dataclass(frozen=True)
class BenchStack:
    """Transmission (E, Y, X) float64, energies (E,) [eV], references (E, 2), true fraction of the second (Y, X)."""

    transmission: np.ndarray
    energy: np.ndarray
    references: np.ndarray
    fraction: np.ndarray


def read(stack: Path, truth: Path) -> BenchStack:
    """Read a stack: transmission is raw less dark over flat less dark."""
    with h5py.File(stack) as file:
        dark = file["dark"][()].astype(float)
        transmission = (file["raw"][()] - dark) / (file["flat"][()] - dark)
        energy = file["energy_eV"][()]
    known = np.load(truth)
    return BenchStack(transmission, energy, known["references"], known["fraction"])


def rms(found: np.ndarray, truth: np.ndarray) -> float:
    """Root of the mean square of what was found less the truth."""
    return float(np.sqrt(np.mean((found - truth) ** 2)))

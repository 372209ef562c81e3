"""Positions of an axis measured against energy: interpolated, never extrapolated."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from whiteline.analysis.calibration.base import Calibration
from whiteline.analysis.checks import Numbers, as_given, require_between, require_energy, require_finite


@dataclass(frozen=True, kw_only=True)
class Table(Calibration):
    """Where an axis stood at measured energies.

    Between two points the table is monotonic (PCHIP, Fritsch and Carlson 1980), so it cannot overshoot.

    Parameters
    ----------
    axis : str
        Which axis, as the description of the beamline names it.
    unit : str
        Unit of the positions.
    energies : tuple of float
        Measured energies, ascending [eV].
    positions : tuple of float
        Positions at them.
    errors : tuple of float
        Their standard errors.
    harmonic : int or None
        Of the undulator, for a table of gaps.
    """

    kind: ClassVar[str] = "table"

    axis: str
    unit: str
    energies: tuple[float, ...]
    positions: tuple[float, ...]
    errors: tuple[float, ...]
    harmonic: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        sizes = {len(self.energies), len(self.positions), len(self.errors)}
        if len(sizes) != 1 or min(sizes) < 2:
            raise ValueError(
                f"table of {self.axis} needs at least two energies, and as many positions and errors, not "
                f"{len(self.energies)}, {len(self.positions)} and {len(self.errors)}"
            )
        require_energy(self.energies, f"energy in the table of {self.axis}")
        if not (np.diff(self.energies) > 0).all():
            raise ValueError(f"energies in the table of {self.axis} must ascend, each once")
        require_finite(self.positions, f"position in the table of {self.axis}", self.unit)
        require_between(self.errors, 0, np.inf, f"error in the table of {self.axis}", self.unit)

    def position(self, energy: Numbers) -> Numbers:
        """Return the position at an energy [eV].

        Raises
        ------
        OutOfRange
            If the energy is outside the table.
        """
        self._require_inside(energy)
        return as_given(energy, PchipInterpolator(self.energies, self.positions)(energy))

    def predicted_error(self, energy: Numbers) -> NDArray[np.float64]:
        """Return the standard error of a position, from those of the two points beside it.

        Raises
        ------
        OutOfRange
            If the energy is outside the table.
        """
        self._require_inside(energy)
        grid, errors = np.array(self.energies), np.array(self.errors)
        left = np.clip(np.searchsorted(grid, energy, side="right") - 1, 0, grid.size - 2)
        weight = (np.asarray(energy, float) - grid[left]) / (grid[left + 1] - grid[left])
        return np.asarray(np.hypot((1 - weight) * errors[left], weight * errors[left + 1]))

    def _require_inside(self, energy: Numbers) -> None:
        require_energy(energy)
        remedy = "a table is never extrapolated: measure it there"
        require_between(
            energy, self.energies[0], self.energies[-1], f"energy for the table of {self.axis}", "eV", remedy
        )

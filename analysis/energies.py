"""Lists of photon energies: by regions, in k, ready-made by element and edge, from a file.

A list ascends and holds each energy once. Regions may be absolute [eV], or relative to an edge; which of the two is
said, never guessed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.checks import OutOfRange, require, require_energy, require_positive
from whiteline.analysis.constants import ELECTRON_MASS_EV, HC_EV_ANGSTROM
from whiteline.analysis.spectrum_files import EV_PER_UNIT, EnergyUnit, read_numbers
from whiteline.analysis.tables import edge_energy

Region = tuple[float, float, float] | tuple[float, float, float, float]
"""(start, stop, step) or (start, stop, step, dwell): both ends belong to it, where the step reaches them."""

SAME_ENERGY_EV = 1e-3
"""Energies nearer than this are one: no monochromator tells them apart."""

MOST_ENERGIES = 100_000
"""A list that is longer is a slip in a step."""

EV_PER_SQUARE_WAVENUMBER = (HC_EV_ANGSTROM / (2 * np.pi)) ** 2 / (2 * ELECTRON_MASS_EV)
"""ħ² / 2m [eV Å²]: energy of a photoelectron over the square of its wavenumber."""

XANES_REGIONS: tuple[Region, ...] = (
    (-133, -33, 20),
    (-23, -8, 5),
    (-6, 26, 1),
    (28, 40, 2),
    (45, 75, 5),
    (117, 267, 50),
)
"""61 energies relative to an edge [eV]: a line before it, 1 eV over edge and white line, and enough after it."""

EXAFS_REGIONS: tuple[Region, ...] = ((-150, -30, 10), (-28, -12, 2), (-10, 25, 0.5))
"""Relative to an edge [eV]; the rest of an EXAFS list is in k."""


@dataclass(frozen=True)
class EnergyList:
    """Photon energies to go to, in order, with the dwell at each.

    Parameters
    ----------
    energies : tuple of float
        Ascending, each once [eV].
    dwell_s : tuple of float
        How long to count at each [s].
    edge : float or None
        The edge that they are about [eV], for the columns of the table.

    Raises
    ------
    OutOfRange
        If the list is empty, an energy is no energy in eV, or a dwell is not positive.
    ValueError
        If the energies do not ascend, or energies and dwells differ in number.
    """

    energies: tuple[float, ...]
    dwell_s: tuple[float, ...]
    edge: float | None = None

    def __post_init__(self) -> None:
        require(len(self.energies), len(self.energies) > 0, "number of energies", "must be at least 1")
        require_energy(self.energies)
        require_positive(self.dwell_s, "dwell", "s")
        if len(self.energies) != len(self.dwell_s):
            raise ValueError(f"{len(self.energies)} energies need as many dwells, not {len(self.dwell_s)}")
        if not (np.diff(self.energies) > 0).all():
            raise ValueError("energies must ascend, each once; build the list with `from_points`, which sees to it")
        if self.edge is not None:
            require_energy(self.edge, "edge")

    @classmethod
    def from_points(cls, points: Iterable[tuple[float, float]], edge: float | None = None) -> "EnergyList":
        """Build a list from (energy, dwell) in any order; where two have one energy, the later one gives the dwell."""
        kept: list[tuple[float, float]] = []
        # A stable sort keeps the given order among equals, so the last of them is the later one.
        for energy, dwell in sorted(points, key=lambda point: point[0]):
            if kept and energy - kept[-1][0] < SAME_ENERGY_EV:
                kept[-1] = (kept[-1][0], dwell)
            else:
                kept.append((energy, dwell))
        return cls(tuple(float(energy) for energy, _ in kept), tuple(float(dwell) for _, dwell in kept), edge)

    def __len__(self) -> int:
        return len(self.energies)

    def __iter__(self) -> Iterator[float]:
        return iter(self.energies)

    def __add__(self, other: "EnergyList") -> "EnergyList":
        """Join two lists; where both have an energy, the other gives the dwell."""
        points = [*zip(self.energies, self.dwell_s, strict=True), *zip(other.energies, other.dwell_s, strict=True)]
        return EnergyList.from_points(points, self.edge if self.edge is not None else other.edge)

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> NDArray[np.float64]:
        """Return the energies as an array of shape (n,) [eV]."""
        return np.array(self.energies, dtype or float)

    @property
    def total_dwell_s(self) -> float:
        """Sum of the dwells [s]."""
        return float(sum(self.dwell_s))

    def __str__(self) -> str:
        """Print the list as a table."""
        head = f"{'#':>4} {'E / eV':>10}"
        if self.edge is not None:
            head += f" {'E − E0':>9} {'k / Å⁻¹':>8}"
        rows = [head + f" {'step / eV':>10} {'dwell / s':>10}"]
        for number, (energy, dwell) in enumerate(zip(self.energies, self.dwell_s, strict=True)):
            row = f"{number + 1:>4} {energy:>10.2f}"
            if self.edge is not None:
                k = f"{wavenumber(energy, self.edge):.3f}" if energy > self.edge else ""
                row += f" {energy - self.edge:>+9.2f} {k:>8}"
            step = f"{energy - self.energies[number - 1]:.2f}" if number else ""
            rows.append(row + f" {step:>10} {dwell:>10.3g}")
        return "\n".join([*rows, f"{len(self)} energies, {self.total_dwell_s:.4g} s"])


def wavenumber(energy: float, edge: float) -> float:
    """Return the wavenumber k = √(2m (E − E0)) / ħ of the photoelectron [1/Å].

    Raises
    ------
    OutOfRange
        If the energy lies below the edge [eV].
    """
    require(energy, energy >= edge, "energy", f"must lie above the edge, {edge:g} eV", "eV")
    return float(np.sqrt((energy - edge) / EV_PER_SQUARE_WAVENUMBER))


def by_regions(regions: Sequence[Region], *, relative_to: float | None = None, dwell_s: float = 1.0) -> EnergyList:
    """Build a list from regions.

    Parameters
    ----------
    regions : sequence of tuple
        (start, stop, step) or (start, stop, step, dwell) [eV, s]; they may touch or overlap.
    relative_to : float or None
        Energy of the edge that starts and stops are offsets from [eV]; None if they are absolute.
    dwell_s : float
        Dwell of the regions that name none [s].

    Raises
    ------
    OutOfRange
        If a step or dwell is not positive, an energy is no energy in eV, or there are far too many.
    ValueError
        If a region stops before it starts, or there is none.
    """
    if not regions:
        raise ValueError("a list of energies needs at least one region (start, stop, step)")
    if relative_to is not None:
        require_energy(relative_to, "edge that regions are relative to")
    points = []
    for region in regions:
        if len(region) not in (3, 4):
            raise ValueError(f"region {region} must be (start, stop, step) or (start, stop, step, dwell)")
        dwell = region[3] if len(region) == 4 else dwell_s
        origin = 0.0 if relative_to is None else relative_to
        points += [(origin + offset, dwell) for offset in _steps(*region[:3], unit="eV")]
    return EnergyList.from_points(points, relative_to)


def by_wavenumber(
    edge: float, start: float, stop: float, step: float, *, dwell_s: float = 1.0, weight: float = 0.0
) -> EnergyList:
    """Build a list of even steps in k, above an edge.

    Parameters
    ----------
    edge : float
        Energy of the edge [eV].
    start, stop, step : float
        Wavenumbers [1/Å].
    dwell_s : float
        Dwell at the start [s].
    weight : float
        The dwell grows as (k / start) to this power, to make up for the fall of the oscillations.

    Raises
    ------
    OutOfRange
        If a wavenumber, step or dwell is not positive, or the weight is negative.
    ValueError
        If the stop lies before the start.
    """
    require_energy(edge, "edge")
    require_positive(start, "first wavenumber", "1/Å")
    require(weight, weight >= 0, "k weight of the dwell", "must not be negative")
    wavenumbers = _steps(start, stop, step, unit="1/Å")
    points = [(edge + EV_PER_SQUARE_WAVENUMBER * k**2, dwell_s * (k / start) ** weight) for k in wavenumbers]
    return EnergyList.from_points(points, edge)


def xanes(element: str, edge: str = "K", *, dwell_s: float = 1.0) -> EnergyList:
    """Return the ready-made list of 61 energies over an edge, from 133 eV below to 267 eV above.

    Raises
    ------
    ValueError
        If there is no such element or edge.
    """
    return by_regions(XANES_REGIONS, relative_to=edge_energy(element, edge), dwell_s=dwell_s)


def exafs(
    element: str, edge: str = "K", *, to: float = 12.0, step: float = 0.05, dwell_s: float = 1.0, weight: float = 1.0
) -> EnergyList:
    """Return the ready-made list for EXAFS: in eV near the edge, then in even steps of k, with a dwell that grows.

    Parameters
    ----------
    element, edge : str
        Such as "Ni", "K".
    to : float
        Largest wavenumber [1/Å].
    step : float
        Step in k [1/Å].
    dwell_s : float
        Dwell before the edge [s].
    weight : float
        The dwell grows as k to this power.

    Raises
    ------
    ValueError
        If there is no such element or edge, or the largest wavenumber lies within the XANES.
    """
    origin = edge_energy(element, edge)
    near = by_regions(EXAFS_REGIONS, relative_to=origin, dwell_s=dwell_s)
    first = step * np.ceil(wavenumber(near.energies[-1], origin) / step)  # whole steps, so that `to` is one of them
    return near + by_wavenumber(origin, first, to, step, dwell_s=dwell_s, weight=weight)


def from_file(path: Path, unit: EnergyUnit, *, dwell_s: float = 1.0) -> EnergyList:
    """Read a list: energies in the first column, in any order, and dwells [s] in the second if there is one.

    Raises
    ------
    ValueError
        If the file cannot be read, or the unit is neither eV nor keV.
    OutOfRange
        If an energy is not in that unit, or a dwell is not positive.
    """
    if unit not in EV_PER_UNIT:
        raise ValueError(f"unit of energy {unit!r} of {path} must be eV or keV")
    numbers = read_numbers(path)
    energies = numbers[:, 0] * EV_PER_UNIT[unit]
    dwells = numbers[:, 1] if numbers.shape[1] > 1 else np.full(energies.size, dwell_s)
    return EnergyList.from_points(zip(energies.tolist(), dwells.tolist(), strict=True))


def _steps(start: float, stop: float, step: float, unit: str) -> list[float]:
    require_positive(step, "step", unit)
    if not stop >= start:
        raise ValueError(f"a region from {start:g} to {stop:g} {unit} must stop at or after its start; swap the two")
    # A hair of tolerance, so that 0 to 0.3 in steps of 0.1 has four points in floating point too.
    count = np.floor((stop - start) / step + 1e-9) + 1
    if count > MOST_ENERGIES:
        raise OutOfRange(
            "step", step, f"makes {count:.0f} points between {start:g} and {stop:g} {unit}", unit, "take a larger one"
        )
    return [start + number * step for number in range(int(count))]

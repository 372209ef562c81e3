"""Layers in the beam: filters that weaken it, and foils whose edges it is calibrated by."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis import tables
from whiteline.sim.species import EdgeModel, Species, modelled


@dataclass(frozen=True)
class Filter:
    """A layer of a material, far from any edge.

    Parameters
    ----------
    name : str
        What it is called.
    formula : str
        Chemical formula.
    density : float
        [g/cm³].
    thickness_um : float
        [µm].
    """

    name: str
    formula: str
    density: float
    thickness_um: float

    def transmission(self, energy: float) -> float:
        """Return the share of the photons of an energy [eV] that pass."""
        return float(np.exp(-tables.absorption(self.formula, self.density, energy) * self.thickness_um))


@dataclass(frozen=True, eq=False)
class Foil:
    """A layer whose edge is known: its steepest point lies at the tabulated energy.

    Parameters
    ----------
    material : Species
        What it is of, with the spectrum at its edge.
    thickness_um : float
        [µm].
    """

    material: Species
    thickness_um: float

    def transmission(self, energy: float) -> float:
        """Return the share of the photons of an energy [eV] that pass."""
        return float(np.exp(-self.material.absorption(energy) * self.thickness_um))

    def transmissions(self, energies: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the shares of the photons of many energies [eV] that pass."""
        return np.asarray(np.exp(-self.material.absorptions(energies) * self.thickness_um))


def metal_foil(element: str, density: float, thickness_um: float, resolution: float) -> Foil:
    """Return a foil of an element, with a plain step at its K edge broadened by core hole and resolution [eV].

    Parameters
    ----------
    element : str
        Such as "Ni".
    density : float
        [g/cm³].
    thickness_um : float
        [µm].
    resolution : float
        Energy width of the beam, full width at half maximum [eV].
    """
    position = tables.edge_energy(element)
    step = EdgeModel(position, (0.0, position, 1.0))
    return Foil(Species(element, element, density, modelled(element, "K", step, resolution)), thickness_um)


def transmission(layers: Iterable[Filter | Foil], energy: float) -> float:
    """Return the share of the photons of an energy [eV] that pass all of the layers."""
    passed = 1.0
    for layer in layers:
        passed *= layer.transmission(energy)
    return passed

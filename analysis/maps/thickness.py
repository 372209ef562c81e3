"""Thickness by absorption: from the edge jump, which is of one element alone, or from the optical density.

The edge jump of a micrometre of the material is what the same functional, that reads the jump of a pixel, reads of the
tabulated absorption of the material (W. T. Elam, B. D. Ravel, J. R. Sieber, Radiat. Phys. Chem. 63 (2002) 121): so the
fall of the absorption over pre-edge and post-edge counts in both alike.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.checks import require
from whiteline.analysis.maps.edge_jump import LEAST_JUMP_OVER_NOISE, EdgeNormalisation, edge_jump
from whiteline.analysis.maps.energy_checks import checked_energies
from whiteline.analysis.maps.map import Map
from whiteline.analysis.maps.principal import Projection
from whiteline.analysis.stacks.counting import Noise
from whiteline.analysis.tables import absorption, edge_energy, jump_ratio, partial_absorption

Floats = NDArray[np.float64]

NEAR_EDGE_EV = 1.0
"""Distance from an edge at which the tables are read on a definite side of it."""


def absorption_jump(formula: str, density: float, element: str, edge: str = "K") -> float:
    """Return by how much the absorption of a material rises at an edge of one of its elements [1/µm].

    Above the edge the element absorbs μ, below it μ over the jump ratio.

    Raises
    ------
    ValueError
        If the formula cannot be read, the element is not in it, or it has no such edge.
    OutOfRange
        If the density is not positive.
    """
    above = partial_absorption(formula, density, element, edge_energy(element, edge) + NEAR_EDGE_EV)
    return above * (1 - 1 / jump_ratio(element, edge))


def thickness(
    energy: ArrayLike,
    optical_density: Any,
    variance: Noise,
    *,
    formula: str,
    density: float,
    element: str,
    edge: str = "K",
    normalisation: EdgeNormalisation | None = None,
    projection: Projection | None = None,
    least_jump_over_noise: float = LEAST_JUMP_OVER_NOISE,
    valid: Any = None,
) -> Map:
    """Map the thickness of a material by the edge jump of one of its elements.

    Parameters
    ----------
    energy : array_like, shape (E,)
        Photon energies [eV], in any order.
    optical_density : array_like, shape (E, *pixels)
        A NumPy array, a dataset of h5py or a Dask array.
    variance : array_like, shape (E, *pixels), or CountingNoise
        Variance of the optical density.
    formula, density : str, float
        The material, such as "NiO", and its mass density [g/cm³].
    element, edge : str
        Whose edge was scanned, such as "Ni", "K".
    normalisation : EdgeNormalisation, optional
        Where background and post-edge are to be read; the usual ranges about the tabulated edge if it is not given.
    projection : Projection, optional
        Project the spectra on these components first. Not projected if it is not given.
    least_jump_over_noise : float
        Pixels whose jump is less than so many of its standard errors are not valid.
    valid : array_like of bool, shape (*pixels,), optional
        Pixels that may be valid.

    Returns
    -------
    Map
        The thickness [µm] with its standard error, that of the jump; that of the tables, some per cent, is common to
        all pixels and not in it.

    Raises
    ------
    ValueError
        If energies, stack, variance and mask do not belong together, pre-edge or post-edge are not covered, or the
        material cannot be read or has no such element.
    OutOfRange
        If an energy is no energy in eV, or the density is not positive.
    """
    energies = checked_energies(energy, optical_density)
    ranges = normalisation or EdgeNormalisation(edge_energy(element, edge))
    per_um = float(ranges.jump(energies) @ _tabulated(energies, formula, density, element, edge, ranges.edge))
    jump = edge_jump(
        energies,
        optical_density,
        variance,
        ranges,
        projection=projection,
        least_jump_over_noise=least_jump_over_noise,
        valid=valid,
    )
    return _over(jump, per_um, formula)


def thickness_from_jump(jump: Map, *, formula: str, density: float, element: str, edge: str = "K") -> Map:
    """Map the thickness [µm] of a material from a map of the edge jump, by the tabulated jump of its absorption.

    The jump should be that at the edge itself, read by a post-edge line that is extrapolated to it (degree 1); the mean
    over a long post-edge is some per cent smaller, for which `thickness` allows.

    Raises
    ------
    ValueError
        If the formula cannot be read, the element is not in it, or it has no such edge.
    OutOfRange
        If the density is not positive.
    """
    return _over(jump, absorption_jump(formula, density, element, edge), formula)


def thickness_from_density(
    optical_density: Any, variance: Any, energy: float, *, formula: str, density: float, least_over_noise: float = 0.0
) -> Map:
    """Map the thickness of a material from the optical density at one energy, OD / μ.

    Parameters
    ----------
    optical_density, variance : array_like, shape (*pixels,)
        Optical density of one image, and its variance.
    energy : float
        Its photon energy [eV], away from the edges of the material, where the tables are those of free atoms.
    formula, density : str, float
        The material, and its mass density [g/cm³].
    least_over_noise : float
        Pixels thinner than so many standard errors are not valid.

    Raises
    ------
    ValueError
        If image and variance differ in shape, or the formula cannot be read.
    OutOfRange
        If the energy is no energy in eV, or the density is not positive.
    """
    if tuple(optical_density.shape) != tuple(variance.shape):
        raise ValueError(
            f"an optical density of shape {tuple(optical_density.shape)} needs a variance of that shape, not "
            f"{tuple(variance.shape)}"
        )
    per_um = float(absorption(formula, density, energy))
    error = np.sqrt(np.where(variance > 0, variance, np.nan))
    valid = optical_density >= least_over_noise * error
    return Map.masked(f"thickness of {formula}", "µm", optical_density / per_um, error / per_um, valid)


def _tabulated(energy: Floats, formula: str, density: float, element: str, edge: str, at: float) -> Floats:
    """Return the absorption of a material [1/µm] by the tables, their edge moved to where the edge is taken to be."""
    shift = edge_energy(element, edge) - at
    require(at, abs(shift) < 50, "edge", f"must lie within 50 eV of the {edge} edge of {element}, {shift + at:g}", "eV")
    return absorption(formula, density, energy + shift)


def _over(jump: Map, per_um: float, formula: str) -> Map:
    return Map(f"thickness of {formula}", "µm", jump.value / per_um, jump.error / per_um, jump.valid)

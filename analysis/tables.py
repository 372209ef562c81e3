"""Tables of the elements: edges, lines, cross sections, diffraction widths, by xraydb.

xraydb is imported when a table is first asked for: it opens a database, which takes seconds where the disk is cold, and
a device that only turns an angle does not need it. Cross sections are those of Elam, Ravel and Sieber (2002), core-hole
widths those of Keski-Rahkonen and Krause (1974).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.checks import OutOfRange, require, require_energy, require_positive
from whiteline.analysis.constants import AVOGADRO_PER_MOL

WHITE_LINE_WINDOWS_EV: Final[Mapping[tuple[str, str], tuple[float, float]]] = {
    ("Fe", "K"): (7115.0, 7140.0),
    ("Co", "K"): (7715.0, 7740.0),
    ("Ni", "K"): (8341.0, 8360.0),
    ("Cu", "K"): (8970.0, 9010.0),
}
"""Where the white line of an edge is looked for [eV], as TXM users choose it."""

ELEMENTS: Final = (
    "H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "Ar", "K", "Ca",
    "Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Br", "Kr", "Rb", "Sr",
    "Y", "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd", "In", "Sn", "Sb", "Te", "I", "Xe", "Cs", "Ba",
    "La", "Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf", "Ta", "W",
    "Re", "Os", "Ir", "Pt", "Au", "Hg", "Tl", "Pb", "Bi", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Th", "Pa", "U",
)  # fmt: skip
"""Symbols of the elements that the cross sections cover, hydrogen to uranium."""


HIGHEST_ENERGY_EV: Final = 8e5
"""The cross sections are given up to this energy."""


@dataclass(frozen=True)
class Line:
    """A fluorescence line: its name (Siegbahn), energy [eV], and share of the fluorescence of its edge."""

    name: str
    energy: float
    branching: float


def _xraydb() -> ModuleType:
    import xraydb

    return xraydb  # type: ignore[no-any-return]


def edge_energy(element: str, edge: str = "K") -> float:
    """Return the energy of an absorption edge [eV].

    Raises
    ------
    ValueError
        If there is no such element, or it has no such edge.
    """
    return _edge(element, edge)[0]


def fluorescence_yield(element: str, edge: str = "K") -> float:
    """Return the probability that a vacancy at the edge emits a photon.

    Raises
    ------
    ValueError
        If there is no such element, or it has no such edge.
    """
    return _edge(element, edge)[1]


def jump_ratio(element: str, edge: str = "K") -> float:
    """Return the ratio of the photoabsorption of the element just above its edge to that just below.

    Raises
    ------
    ValueError
        If there is no such element, or it has no such edge.
    """
    return _edge(element, edge)[2]


@cache
def has_edge(element: str, edge: str) -> bool:
    """Return whether an element has an edge of that name."""
    return edge in _xraydb().xray_edges(element)


@cache
def _edge(element: str, edge: str) -> tuple[float, float, float]:
    # The lookups of xraydb take "Ni" and "ni" alike; a description that says "ni" is a slip of the pen, and is told so.
    require_element(element)
    edges = _xraydb().xray_edges(element)
    if edge not in edges:
        raise ValueError(f"edge {edge!r} of {element} is not known; it has {', '.join(sorted(edges))}")
    found = edges[edge]
    return float(found.energy), float(found.fyield), float(found.jump_ratio)


def require_element(element: str) -> None:
    """Raise unless there is an element of that symbol.

    Raises
    ------
    ValueError
        Naming the symbol that was perhaps meant.
    """
    if element not in ELEMENTS:
        close = [symbol for symbol in ELEMENTS if symbol.lower() == element.lower()]
        raise ValueError(f"element {element!r} is not known; write {close[0] if close else 'a symbol such as Ni'}")


@cache
def core_hole_width(element: str, edge: str = "K") -> float:
    """Return the natural width of an edge: full width at half maximum of its core hole [eV].

    Raises
    ------
    ValueError
        If there is no such element, or it has no such edge.
    """
    _edge(element, edge)
    return float(_xraydb().core_width(element, edge))


@cache
def lines(element: str, edge: str = "K") -> tuple[Line, ...]:
    """Return the fluorescence lines of an edge, strongest first.

    Raises
    ------
    ValueError
        If there is no such element, or it has no such edge.
    """
    _edge(element, edge)
    found = _xraydb().xray_lines(element, edge)
    every = (Line(name, float(line.energy), float(line.intensity)) for name, line in found.items())
    return tuple(sorted(every, key=lambda line: -line.branching))


def excitable_line(element: str, line: str, energy: float) -> Line:
    """Return a line, or refuse it where the photon energy cannot excite it.

    Parameters
    ----------
    element : str
        Symbol, such as "Ni".
    line : str
        Siegbahn name, such as "Ka1"; "Ka" is the strongest line that begins so.
    energy : float
        Photon energy [eV].

    Raises
    ------
    ValueError
        If the element has no such line.
    OutOfRange
        If the energy lies below the edge of the line; the message names the edge.
    """
    require_energy(energy)
    require_element(element)
    if not line:
        raise ValueError(f"name a line of {element}, such as 'Ka'")
    for edge in _xraydb().xray_edges(element):
        for found in lines(element, edge):
            if found.name.startswith(line):
                threshold = edge_energy(element, edge)
                if energy < threshold:
                    limit = f"cannot excite {element} {found.name}: its {edge} edge is at {threshold:g} eV"
                    raise OutOfRange("energy", energy, limit, "eV", "go above the edge or choose another line")
                return found
    raise ValueError(f"{element} has no line {line!r}; it has {', '.join(known.name for known in lines(element))}")


def absorption(formula: str, density: float, energy: ArrayLike) -> NDArray[np.float64]:
    """Return the linear attenuation coefficient of a material.

    Parameters
    ----------
    formula : str
        Chemical formula, such as "LiNi0.8Mn0.1Co0.1O2".
    density : float
        Mass density [g/cm³].
    energy : array_like
        Photon energies [eV].

    Returns
    -------
    ndarray
        Photoabsorption [1/µm], of the shape of `energy`, without near-edge structure.

    Raises
    ------
    ValueError
        If the formula cannot be read.
    OutOfRange
        If the density is not positive, or an energy is no energy in eV.
    """
    require_positive(density, f"density of {formula}", "g/cm³")
    return 1e-4 * density * mass_absorption(formula, energy)


def mass_absorption(formula: str, energy: ArrayLike) -> NDArray[np.float64]:
    """Return the photoabsorption coefficient by mass [cm²/g] of a material; as `absorption`, without its density."""
    require_energy(energy)
    require(
        energy,
        np.less_equal(energy, HIGHEST_ENERGY_EV),
        "energy",
        "must be at most 800 keV",
        "eV",
        "the tables end there",
    )
    grid = np.atleast_1d(np.asarray(energy, float))
    total, mass = np.zeros_like(grid), 0.0
    for element, count in composition(formula).items():
        weight = count * atomic_mass(element)
        total += weight * _xraydb().mu_elam(element, grid, kind="photo")
        mass += weight
    return np.reshape(total / mass, np.shape(energy))


def partial_absorption(formula: str, density: float, element: str, energy: float) -> float:
    """Return the part of the attenuation of a material that is due to one of its elements [1/µm].

    Raises
    ------
    ValueError
        If the formula cannot be read, or the element is not in it.
    OutOfRange
        If the density is not positive, or the energy is no energy in eV.
    """
    require_energy(energy)
    per_atom = float(_xraydb().mu_elam(element, energy, kind="photo")) * atomic_mass(element) / AVOGADRO_PER_MOL
    # atoms/µm³ · cm²/atom, and 10⁸ µm² in a cm²
    return 1e8 * atoms_per_um3(formula, density, element) * per_atom


@cache
def composition(formula: str) -> Mapping[str, float]:
    """Return the number of atoms of each element in one unit of a formula.

    Raises
    ------
    ValueError
        If the formula cannot be read.
    """
    try:
        return {element: float(count) for element, count in _xraydb().chemparse(formula).items()}
    except ValueError as error:
        raise ValueError(f"formula {formula!r} cannot be read; write it as 'LiNi0.8Mn0.1Co0.1O2'") from error


@cache
def atomic_mass(element: str) -> float:
    """Return the molar mass of an element [g/mol]."""
    return float(_xraydb().atomic_mass(element))


def atoms_per_um3(formula: str, density: float, element: str) -> float:
    """Return how many atoms of an element a cubic micrometre of a material holds.

    Raises
    ------
    ValueError
        If the formula cannot be read, or the element is not in it.
    """
    require_positive(density, f"density of {formula}", "g/cm³")
    atoms = composition(formula)
    if element not in atoms:
        raise ValueError(f"{formula} holds no {element}; it holds {', '.join(atoms)}")
    mass = sum(count * atomic_mass(name) for name, count in atoms.items())
    return atoms[element] / mass * AVOGADRO_PER_MOL * density * 1e-12


@cache
def darwin_width(energy: float, crystal: str = "Si", reflection: tuple[int, int, int] = (1, 1, 1)) -> float:
    """Return the intrinsic energy width of a Bragg reflection, full width at half maximum [eV].

    By the dynamical theory of diffraction, for a flat perfect crystal and polarisation normal to the plane of
    diffraction (xraydb, after S. Brennan).

    Raises
    ------
    OutOfRange
        If the energy is no energy in eV.
    """
    require_energy(energy)
    return float(_xraydb().darwin_width(energy, crystal, reflection).energy_fwhm)

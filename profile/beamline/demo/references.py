"""Measured spectra that the sample of a demonstration is made of: NAME=FILE, the name being a chemical formula.

The formula says what the material absorbs away from the edge, and which edge to look for in the file. A unit may be
given behind the file, as FILE:eV or FILE:keV; without one it is the unit in which an edge of the formula lies where the
spectrum rises, so that nothing is guessed by magnitude.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis import tables
from whiteline.analysis.spectra.edge_position import edge_by_derivative
from whiteline.analysis.spectra.normalise import normalise
from whiteline.analysis.spectrum_files import EnergyUnit, Spectrum, read_columns, read_xdi

DENSITIES: Mapping[str, float] = {
    "NiO": 6.67, "LiNiO2": 4.78, "FeO": 5.74, "Fe2O3": 5.24, "Fe3O4": 5.17, "LiFePO4": 3.60, "FePO4": 3.06,
    "CoO": 6.44, "Co3O4": 6.11, "LiCoO2": 5.06, "MnO": 5.37, "MnO2": 5.03, "Mn2O3": 4.50, "LiMn2O4": 4.28,
    "CuO": 6.31, "Cu2O": 6.00, "Ni": 8.91, "Fe": 7.87, "Co": 8.90, "Cu": 8.96, "Mn": 7.44,
}  # fmt: skip
"""Of materials that are often looked at [g/cm³]."""

USUAL_DENSITY = 5.0
"""Of the others: it only says how strongly a micrometre of them absorbs [g/cm³]."""

EDGES = ("K", "L3")

NEAR_EDGE_EV = 20.0
"""How far from the tabulated edge a spectrum may rise steepest: valence shifts an edge by less [eV]."""


@dataclass(frozen=True, eq=False)
class Reference:
    """A material with its measured spectrum.

    Parameters
    ----------
    formula : str
        Which is its name, too.
    density : float
        [g/cm³].
    element, edge : str
        Such as "Ni", "K".
    energy, absorption : ndarray of float64, shape (n,)
        Normalised to 0 before the edge and 1 after it; energies ascend [eV].
    file : Path
        Where it was read.
    """

    formula: str
    density: float
    element: str
    edge: str
    energy: NDArray[np.float64]
    absorption: NDArray[np.float64]
    file: Path


def read_references(texts: Sequence[str]) -> tuple[Reference, ...]:
    """Read references of one and the same edge.

    Parameters
    ----------
    texts : sequence of str
        Each NAME=FILE, NAME=FILE:eV or NAME=FILE:keV; two or more, or none.

    Raises
    ------
    ValueError
        If one is not written so, has no spectrum in its file, or shows no edge of its formula; or if there is only one,
        a name is there twice, or they are spectra of different edges.
    """
    found = tuple(read_reference(text) for text in texts)
    if len(found) == 1:
        raise ValueError(
            f"one reference, {found[0].formula}, makes no map of chemistry; give two or more, such as "
            "--references NiO=nio.txt LiNiO2=linio2.txt"
        )
    names = [one.formula for one in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"reference {twice[0]} is there twice; a name stands for one spectrum")
    edges = {(one.element, one.edge): one.formula for one in found}
    if len(edges) > 1:
        listed = ", ".join(f"{formula} at the {element} {edge} edge" for (element, edge), formula in edges.items())
        raise ValueError(f"references must be spectra of one edge, and these differ: {listed}")
    return found


def read_reference(text: str) -> Reference:
    """Read one reference, NAME=FILE; errors as those of `read_references`."""
    name, separator, file = text.partition("=")
    if not (separator and name.strip() and file.strip()):
        raise ValueError(f"reference {text!r} must be NAME=FILE, such as NiO=nio.txt, its name a chemical formula")
    formula = name.strip()
    try:
        elements = tuple(tables.composition(formula))
    except ValueError as error:
        raise ValueError(f"reference {text!r}: {formula!r} is no chemical formula, such as NiO") from error
    spectra = _spectra(file.strip())
    path, _ = _path_and_unit(file.strip())
    found = [one for spectrum in spectra if (one := _edge_of(spectrum, elements)) is not None]
    if not found:
        edges = ", ".join(
            f"{element} {edge} {tables.edge_energy(element, edge):.0f}"
            for element in elements
            for edge in EDGES
            if tables.has_edge(element, edge) and tables.edge_energy(element, edge) > 1000
        )
        first, last = spectra[0].energy[[0, -1]]
        raise ValueError(
            f"{path} shows no edge of {formula} ({edges or 'none above 1000'} eV); it holds {first:g} to {last:g} eV: "
            "give the formula of what was measured, or the unit of the file as FILE:eV or FILE:keV"
        )
    _, spectrum, element, edge = min(found, key=lambda one: one[0])
    flat = _normalised(spectrum, path)
    density = DENSITIES.get(formula, USUAL_DENSITY)
    return Reference(formula, density, element, edge, spectrum.energy, flat, path)


def _path_and_unit(file: str) -> tuple[Path, EnergyUnit | None]:
    path, _, unit = file.rpartition(":")
    if unit == "eV":
        return Path(path).expanduser(), "eV"
    if unit == "keV":
        return Path(path).expanduser(), "keV"
    return Path(file).expanduser(), None


def _spectra(file: str) -> list[Spectrum]:
    """Return the spectrum of a file, once for each unit in which it may be."""
    path, unit = _path_and_unit(file)
    if unit is None and path.suffix.lower() == ".xdi":
        return [read_xdi(path)]
    units: tuple[EnergyUnit, ...] = (unit,) if unit else ("eV", "keV")
    found, problems = [], list[ValueError]()
    for one in units:
        try:
            found.append(read_columns(path, one))
        except ValueError as error:
            problems.append(error)
    if not found:
        raise problems[0]
    return found


def _edge_of(spectrum: Spectrum, elements: Sequence[str]) -> tuple[float, Spectrum, str, str] | None:
    """Return the edge at which a spectrum rises, with how far it lies from there [eV]; None if there is none."""
    try:
        rises = edge_by_derivative(spectrum.energy, spectrum.absorption).energy
    except ValueError:
        return None
    if not math.isfinite(rises):
        return None
    near = [
        (abs(rises - tables.edge_energy(element, edge)), spectrum, element, edge)
        for element in elements
        for edge in EDGES
        if tables.has_edge(element, edge)
    ]
    best = min(near, key=lambda one: one[0], default=None)
    return best if best is not None and best[0] < NEAR_EDGE_EV else None


def _normalised(spectrum: Spectrum, path: Path) -> NDArray[np.float64]:
    try:
        return normalise(spectrum.energy, spectrum.absorption).flattened
    except ValueError as error:
        raise ValueError(f"{path} cannot be normalised: {error}") from error

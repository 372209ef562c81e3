"""The references that fit a simulated sample: the spectra of which it is made."""

from collections.abc import Sequence

import numpy as np

from whiteline.analysis import tables
from whiteline.analysis.spectrum_files import Spectrum
from whiteline.beamline.description import Beamline
from whiteline.beamline.species_of import species_of
from whiteline.sim.species import Species

STEP_EV = 0.1
"""Of the references: what spectra change by within it, a spline gives exactly [eV]."""

JUMP_AT_EV = 100.0
"""Where the height of an edge jump is taken to be 1, above the edge, as spectra are flat there [eV]."""

BEFORE_EV, BEHIND_EV = 400.0, 600.0
"""How far references reach from the edge, if the spectra do [eV]."""


def simulated_references(beamline: Beamline) -> tuple[Spectrum, ...]:
    """Return the references of a simulated beamline's sample; none of a real one.

    Those of the first species' edge, as one scan goes over one edge.
    """
    if beamline.simulation is None:
        return ()
    first, *others = species_of(beamline.simulation, beamline.monochromator.spacing)
    edge = first.near_edge.element, first.near_edge.edge
    return references_of([first, *(one for one in others if (one.near_edge.element, one.near_edge.edge) == edge)])


def references_of(species: Sequence[Species]) -> tuple[Spectrum, ...]:
    """Return what the edge that is studied absorbs in each species, to an edge jump of 1, as references to be fitted.

    These are the spectra that the twin was given. Above its edge the absorption of an element falls with energy, which
    a normalised spectrum has been freed of; it is given back here, as the twin does: so fractions are shares of atoms.
    """
    found = []
    for one in species:
        near = one.near_edge
        edge = tables.edge_energy(near.element, near.edge)
        low, high = max(near.energy[0], edge - BEFORE_EV), min(near.energy[-1], edge + BEHIND_EV)
        grid = np.arange(low, high, STEP_EV)
        found.append(Spectrum(one.name, grid, one.vacancies_at(grid) / jump_of(one)))
    return tuple(found)


def jump_of(species: Species) -> float:
    """Return the height of the edge of a species [1/µm], where its reference is taken to be 1."""
    near = species.near_edge
    at = tables.edge_energy(near.element, near.edge) + JUMP_AT_EV
    return species.vacancies(at) / float(near(at))

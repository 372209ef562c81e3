"""What a simulated sample is made of, by its description; a session needs this, and nothing else of the twin."""

from whiteline.analysis.laws.bragg import energy_resolution
from whiteline.analysis.spectrum_files import read_columns, read_xdi
from whiteline.analysis.tables import edge_energy
from whiteline.beamline.description import DescriptionError
from whiteline.beamline.description.simulation import Simulation, SpeciesTable
from whiteline.sim.species import EdgeModel, NearEdge, Species, modelled


def species_of(simulation: Simulation, spacing: float) -> tuple[Species, ...]:
    """Return the species of a simulation, their models broadened by the resolution of its monochromator.

    Parameters
    ----------
    simulation : Simulation
        With the species, and how the monochromator wanders.
    spacing : float
        Distance of the lattice planes [Å].

    Raises
    ------
    DescriptionError
        If a spectrum cannot be read, or does not cover its edge.
    """
    return tuple(
        Species(
            name=table.name,
            formula=table.formula,
            density=table.density,
            near_edge=near_edge(table, resolution_of(simulation, spacing, table.element, table.edge)),
            luminescence=table.luminescence,
        )
        for table in simulation.species
    )


def resolution_of(simulation: Simulation, spacing: float, element: str, edge: str) -> float:
    """Return the energy width of the beam at an edge [eV], for the distance of the lattice planes [Å]."""
    wander = simulation.wander
    energy = edge_energy(element, edge)
    return energy_resolution(energy, spacing, wander.intrinsic_resolution, wander.divergence_urad)


def near_edge(table: SpeciesTable, resolution: float) -> NearEdge:
    """Return the spectrum of a species: its model broadened by a resolution [eV], or its file as it was measured.

    Raises
    ------
    DescriptionError
        If the file cannot be read, or does not cover the edge.
    """
    try:
        if table.model is not None:
            model = table.model
            pre_edge = model.pre_edge or (0.0, model.position, 1.0)
            return modelled(
                table.element, table.edge, EdgeModel(model.position, model.white_line, pre_edge), resolution
            )
        assert table.file is not None  # the description sees to it
        spectrum = read_xdi(table.file) if table.unit is None else read_columns(table.file, table.unit)
        return NearEdge(table.element, table.edge, spectrum.energy, spectrum.absorption)
    except ValueError as error:
        raise DescriptionError(f"species {table.name!r}: {error}") from error

"""The beamline of a demonstration: a shipped simulated one, with a sample of given spectra and hidden errors.

What it hides is drawn anew from each seed: the offset of the Bragg angle and the spacing of the crystal's planes, where
the zone plate's axis reads zero and how wide its zones are. Nothing but the twin is told. The sample drifts as the
description says, by the same seed.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from whiteline.analysis import tables
from whiteline.analysis.checks import require_between
from whiteline.analysis.spectrum_files import Spectrum
from whiteline.beamline import description
from whiteline.beamline.demo.references import Reference
from whiteline.beamline.description import Beamline, DescriptionError, load
from whiteline.beamline.description.simulation import Simulation
from whiteline.beamline.simulated_references import references_of
from whiteline.beamline.species_of import species_of

HIDDEN_RANGES = {
    "bragg_offset_deg": 0.01,
    "spacing_ppm": 50.0,
    "undulator_gap_mm": 1e-4,
    "zone_plate_zero_mm": 0.3,
    "zone_plate_ppm": 2000.0,
}
"""Each error is drawn evenly from minus to plus so much: 5 eV, 0.4 eV, and several depths of focus."""


@dataclass(frozen=True)
class Particles:
    """The particles of a sample.

    Parameters
    ----------
    per_um2 : float
        How many [1/µm²].
    smallest_um, largest_um : float
        Half axes [µm].
    of_field : float
        The largest half axis at most, as a share of the field.
    """

    per_um2: float = 0.14
    smallest_um: float = 0.6
    largest_um: float = 2.0
    of_field: float = 0.2


HIDDEN_STREAM = 0x5EED
"""Keeps the draw of the errors apart from the twin's own draws of the same seed."""


@dataclass(frozen=True)
class Sample:
    """A description, and what its sample is studied by.

    Parameters
    ----------
    beamline : Path
        The description that was written.
    references : tuple of Spectrum
        What the edge of each species absorbs, to an edge jump of 1, by name; these are fitted.
    element, edge : str
        Which edge, such as "Ni", "K".
    formula : str
        Of the species that most of the surface is made of, for the dose.
    """

    beamline: Path
    references: tuple[Spectrum, ...]
    element: str
    edge: str
    formula: str


def make_sample(
    beamline: str,
    references: Sequence[Reference],
    field_um: float,
    seed: int,
    folder: Path,
    drift: str = "",
    particles: Particles | None = None,
) -> Sample:
    """Write the description of a demonstration.

    Parameters
    ----------
    beamline : str
        "txm" or "nanoprobe".
    references : sequence of Reference
        Spectra that the sample is made of; those of the description if there are none.
    field_um : float
        Side of the field that particles lie in [µm].
    seed : int
        Of the hidden errors, the layout, the drift and the noise.
    folder : Path
        Where the description and the spectra go; it is made if it is not there.
    drift : str
        The line that says how the sample drifts, instead of that of the description, if it is not empty.
    particles : Particles, optional
        Of the sample; as those of the full-field microscope if they are not given.

    Raises
    ------
    DescriptionError
        If it cannot reach the edge, or has no foil to calibrate the energy on.
    OutOfRange
        If particles of a visible size do not fit into the field.
    OSError
        If the folder cannot be written into.
    """
    shipped = load(beamline)
    first = _simulation(shipped).species[0]
    element, edge = (references[0].element, references[0].edge) if references else (first.element, first.edge)
    require_reachable(shipped, element, edge)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"folder {folder} cannot be made: {error.strerror}; name another one by --out") from error
    text = (Path(description.__file__).parent / f"{beamline}.toml").read_text()
    text = with_particles(with_hidden_errors(text, seed), field_um, particles or Particles())
    if drift:
        text = _replaced(text, r"\ndrift = \{.*\}", f"\n{drift}")
    if references:
        text = with_species(text, references, folder)
    path = folder / f"{beamline}.toml"
    path.write_text(text)
    simulation = _simulation(load(str(path)))
    fitted = references_of(species_of(simulation, shipped.monochromator.spacing))
    return Sample(path, fitted, element, edge, simulation.species[0].formula)


def require_reachable(beamline: Beamline, element: str, edge: str) -> None:
    """Refuse an edge that a beamline does not reach, or has no foil for.

    Raises
    ------
    DescriptionError
        Naming what there is.
    """
    position = tables.edge_energy(element, edge)
    low, high = beamline.energy.low, beamline.energy.high
    if not low < position < high:
        raise DescriptionError(
            f"{beamline.name} reaches {low:g} to {high:g} eV, and the {element} {edge} edge lies at {position:g} eV; "
            "give references of another element"
        )
    known = [one.name for one in beamline.foil_wheel.foils]
    if element not in known:
        raise DescriptionError(
            f"{beamline.name} has no foil of {element} to calibrate the energy on, only {', '.join(known)}; give "
            "references of one of these"
        )


def with_hidden_errors(text: str, seed: int) -> str:
    """Return a description with errors of the instrument that devices are not told."""
    rng = np.random.default_rng([seed, HIDDEN_STREAM])
    for name, largest in HIDDEN_RANGES.items():
        text = _replaced(text, rf"\n{name} = 0\.0", f"\n{name} = {rng.uniform(-largest, largest):.9g}")
    return text


def with_particles(text: str, field_um: float, particles: Particles) -> str:
    """Return a description with as many particles as a field of some size holds [µm]."""
    largest = min(particles.largest_um, particles.of_field * field_um)
    smallest = min(particles.smallest_um, 0.5 * largest)
    require_between(field_um, 1.0, 100.0, "field of view", "um")
    text = _replaced(text, r"\ncount = \d+", f"\ncount = {max(3, round(particles.per_um2 * field_um**2))}")
    text = _replaced(text, r"\nfield_um = [\d.]+", f"\nfield_um = {field_um:.6g}")
    return _replaced(text, r"\nradius_um = \[.*\]", f"\nradius_um = [{smallest:.6g}, {largest:.6g}]")


def with_species(text: str, references: Sequence[Reference], folder: Path) -> str:
    """Return a description whose species are the references, their spectra in files beside it."""
    kept = text[: text.index("[[simulation.species]]")]
    tables_of = []
    for one in references:
        file = folder / f"{one.formula}_{one.element}_{one.edge}.txt"
        np.savetxt(file, np.column_stack([one.energy, one.absorption]), header="energy / eV, normalised absorption")
        values = {"name": one.formula, "formula": one.formula, "density": one.density, "element": one.element,
                  "edge": one.edge, "file": file.name, "unit": "eV"}  # fmt: skip
        lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        tables_of.append("\n".join(["[[simulation.species]]", *lines]))
    edge = tables.edge_energy(references[0].element, references[0].edge)
    kept = _replaced(kept, r"\nenergy = [\d.]+", f"\nenergy = {edge:.6g}")
    return kept + "\n\n".join(tables_of) + "\n"


def _simulation(beamline: Beamline) -> Simulation:
    if beamline.simulation is None:
        raise DescriptionError(f"{beamline.name} is no simulated beamline: nothing is known of its sample")
    return beamline.simulation


def _replaced(text: str, pattern: str, value: str) -> str:
    changed, count = re.subn(pattern, lambda _: value, text, count=1)
    if count != 1:
        raise DescriptionError(f"the shipped description has no line like {pattern!r}; it was changed")
    return changed

"""What a worker does: look through a slice, and map some of its rows. Each is a function of what it is handed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.blocks import most_threads
from whiteline.analysis.live.alignment import Place
from whiteline.analysis.live.edge_maps import EdgeFit
from whiteline.analysis.live.fraction_fit import FractionFit, Misfit, energy_shift_of_sample, misfit_of_sample
from whiteline.analysis.live.recipes import Recipe, grouped
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.maps.map import Map
from whiteline.analysis.scale.slices import Developing, Slice
from whiteline.analysis.scale.spectral_copy import spectra_of
from whiteline.analysis.scale.survey import Survey, survey_of

Image = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Looked:
    """A slice that was looked through, and how its rows are to be mapped.

    Parameters
    ----------
    survey : Survey
        What was seen.
    fractions : FractionFit or None
        The fit of the fractions, if they are wanted.
    edge : EdgeFit or None
        That of the edge.
    misfit : Misfit
        Whether the references explain what was seen.
    energy_shift : tuple of float or None
        As in `Results`.
    troubles : tuple of str
        Why something is not mapped.
    """

    survey: Survey
    fractions: FractionFit | None
    edge: EdgeFit | None
    misfit: Misfit
    energy_shift: tuple[float, float] | None
    troubles: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Part:
    """Some rows of a slice that are to be mapped.

    Parameters
    ----------
    path : Path
        Of their copy in spectral order.
    developing : Developing
        How frames are read.
    steps : tuple of (Recipe, Place)
        The frames.
    rows : slice
        Which rows.
    fractions, edge
        As of `Looked`.
    """

    path: Path
    developing: Developing
    steps: tuple[tuple[Recipe, Place], ...]
    rows: slice
    fractions: FractionFit | None
    edge: EdgeFit | None


def look_through(one: Slice, folder: Path, settings: Settings, fractions: bool, edge: bool) -> Looked:
    """Look through a slice, and prepare the fits of its rows.

    Raises
    ------
    UnreadableRun
        If none of its frames can be followed.
    ValueError
        If the references do not fit the energies, or an edge that alone was asked for cannot be mapped.
    """
    with most_threads(1):
        survey = survey_of(one, folder)
        sample, troubles = survey.sample, list(survey.troubles)
        of_fractions = of_edge = None
        if fractions:
            of_fractions = FractionFit.of(survey.energies, [each.weight for each in survey.sampled], settings)
        if edge:
            try:
                of_edge = EdgeFit.of(sample, settings)
                # a few pixels say whether the energies suffice
                of_edge.maps_of(sample.density[:, None, :8], sample.variance[:, None, :8])
            except ValueError as trouble:
                if not fractions:
                    raise
                of_edge = None
                troubles.append(f"edge energy and white line are not mapped: {trouble}")
        misfit = misfit_of_sample(sample, settings) if fractions else Misfit(np.nan, "unknown")
        shift = energy_shift_of_sample(sample, settings) if fractions else None
        return Looked(survey, of_fractions, of_edge, misfit, shift, tuple(troubles))


def map_part(part: Part) -> dict[str, Map]:
    """Map some rows of a slice.

    Returns
    -------
    dict of str to Map
        By name, shape (rows, X), numbers in float32.

    Raises
    ------
    UnreadableRun, OSError
        If frames cannot be read, or the copy cannot be written.
    """
    with most_threads(1):
        density, variance = spectra_of(part.path, part.developing, part.steps, part.rows)
        found: dict[str, Map] = {}
        if part.fractions is not None:
            chosen = _frames(part.fractions.chosen)
            found |= part.fractions.maps_of(density[chosen], variance[chosen])
        if part.edge is not None:
            found |= part.edge.maps_of(*_averaged(density, variance, [recipe.energy for recipe, _ in part.steps]))
        return {
            name: Map(
                name,
                one.unit,
                one.value.astype(np.float32, copy=False),
                one.error.astype(np.float32, copy=False),
                np.asarray(one.valid, bool),
            )
            for name, one in found.items()
        }


def _frames(chosen: Sequence[int]) -> slice | list[int]:
    """Return what selects some of the frames, without a copy where they are neighbours."""
    first, last = chosen[0], chosen[-1]
    return slice(first, last + 1) if list(chosen) == list(range(first, last + 1)) else list(chosen)


def _averaged(density: Image, variance: Image, energies: Sequence[float]) -> tuple[Image, Image]:
    """Return density and variance by ascending energy, frames of one energy averaged."""
    groups = grouped(energies)
    if groups == [[index] for index in range(len(energies))]:
        return density, variance
    if all(len(group) == 1 for group in groups):
        order = [group[0] for group in groups]
        return density[order], variance[order]
    means = [density[group].sum(axis=0) / np.float32(len(group)) for group in groups]
    noise = [variance[group].sum(axis=0) / np.float32(len(group) ** 2) for group in groups]
    return np.stack(means), np.stack(noise)

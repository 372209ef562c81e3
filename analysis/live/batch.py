"""A finished run, or what there is of one, analysed at once: what the live analysis comes to when the run has ended.

Each frame goes through the same step as live. Then the fractions are the product of one matrix with bands of rows, not
sums that grew, so that either checks the other.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from whiteline.analysis.live.alignment import Aligner, Place
from whiteline.analysis.live.density import Developer
from whiteline.analysis.live.edge_maps import PreparedRows, edge_maps
from whiteline.analysis.live.fraction_fit import (
    FractionFit,
    Misfit,
    covered,
    energy_shift_of_sample,
    error_found,
    misfit_of_sample,
)
from whiteline.analysis.live.frame_work import Followed, FrameWork
from whiteline.analysis.live.kinds import kind_of
from whiteline.analysis.live.mean_spectrum import mean_spectrum
from whiteline.analysis.live.points import points_of
from whiteline.analysis.live.raster import raster_of
from whiteline.analysis.live.recipes import Recipe, cookbook_of, pixel_um
from whiteline.analysis.live.results import ErrorFound, Results, provenance_of
from whiteline.analysis.live.sample import Sample
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.maps.map import Map
from whiteline.analysis.runs.opening import open_run
from whiteline.analysis.runs.path_map import PathMap, PathMapLike
from whiteline.analysis.runs.run import Run
from whiteline.analysis.runs.unreadable import UnreadableRun


def analyse(
    run: Any,
    *,
    path_map: PathMapLike = None,
    maps: bool = True,
    progress: Callable[[int, int], None] = lambda done, of: None,
    **options: Any,
) -> Results:
    """Analyse a run as far as it goes.

    Parameters
    ----------
    run : object
        What `open_run` takes: what a catalog gives, documents, a Run.
    path_map : mapping, optional
        From folders as documents name them to folders of this client.
    maps : bool
        Whether edge energy and white line are mapped too.
    progress : callable
        Called with the number of frames that are done, and of all.
    **options
        References and all else of `Settings`.

    Raises
    ------
    UnreadableRun
        If it is no run that could be analysed: it records no energy, or has no flats.
    ValueError
        If a setting is not possible, or the references do not fit the energies.
    """
    settings = Settings(**options)
    opened = open_run(run, path_map=path_map)
    kind = kind_of(opened)
    if kind == "points":
        return points_of(opened, settings)
    if kind == "raster":
        return raster_of(opened, settings)
    if kind == "tomography":
        from whiteline.analysis.live.tomography import tomography_of

        return tomography_of(opened, settings)
    return stack_of(opened, settings, maps=maps, progress=progress)


def stack_of(
    run: Run, settings: Settings, *, maps: bool = True, progress: Callable[[int, int], None] = lambda done, of: None
) -> Results:
    """Analyse a stack; see `analyse`. Of several places of a sample each is analysed by itself; the last one leads."""
    places = run.position_indices
    if places:
        found = {
            index: replace(_stack_of(run.at_position(index), settings, maps=maps, progress=progress), position=index)
            for index in places
        }
        return replace(found[places[-1]], positions=found) if len(places) > 1 else found[places[0]]
    return _stack_of(run, settings, maps=maps, progress=progress)


def _stack_of(run: Run, settings: Settings, *, maps: bool, progress: Callable[[int, int], None]) -> Results:
    cookbook = cookbook_of(run, settings)
    label = f"frames of {run.name}"

    def developer() -> Developer:
        return Developer(
            settings, PathMap.of(run.path_map), cookbook.frame_shape, cookbook.dtype, label, cookbook.blank
        )

    followed, unfollowed = follow(
        FrameWork(developer(), Aligner(settings)), list(cookbook.recipes.values()), settings, progress
    )
    troubles = [*cookbook.left_out, *unfollowed]
    if not followed:
        raise UnreadableRun(troubles[0] if troubles else f"{run.name} has no frame that could be analysed")
    rows = PreparedRows(developer(), [(one.recipe, one.place) for one in followed])
    sample = Sample.of([one.sampled for one in followed])
    found, known = fraction_maps(rows, followed, sample, settings)
    if maps:
        try:
            found |= edge_maps(rows, sample, settings)
        except ValueError as trouble:
            troubles.append(f"edge energy and white line are not mapped: {trouble}")
    progress(len(cookbook.recipes), len(cookbook.recipes))
    planned = run.planned_energies
    return Results(
        kind="stack",
        uid=run.uid,
        run=run.name,
        energies=np.array([one.recipe.energy for one in followed]),
        planned=None if planned is None else int(planned.size),
        maps=found,
        frames=tuple(one.found for one in followed),
        error=known,
        spectrum=mean_spectrum(sample, settings),
        energy_shift=energy_shift_of_sample(sample, settings),
        pixel_um=pixel_um(run, run.points),
        over=not run.going,
        exit_status=run.exit_status,
        troubles=tuple(troubles),
        provenance=provenance_of(settings, run.uid),
    )


def follow(
    work: FrameWork,
    recipes: Sequence[Recipe],
    settings: Settings,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> tuple[list[Followed], list[str]]:
    """Follow the frames of a stack one after the other; return what stays of each, and a sentence for each left out."""
    troubles, last, followed = list[str](), Place(), list[Followed]()
    for number, recipe in enumerate(recipes):
        progress(number, len(recipes))
        try:
            prepared = work.prepare(recipe, last)
            _ = prepared.sampled.weight
        except (ValueError, OSError) as error:
            troubles.append(str(error))
            continue
        last = prepared.place if prepared.drift.trusted else last
        followed.append(work.followed(prepared, fitted=covered(settings, recipe.energy)))
    return followed, troubles


def fraction_maps(
    rows: PreparedRows, followed: list[Followed], sample: Sample, settings: Settings
) -> tuple[dict[str, Map], ErrorFound]:
    """Return fractions and edge jump of a stack, by bands of rows.

    Raises
    ------
    ValueError
        If the references cannot be told apart at the energies, or do not cover them.
    """
    if not settings.references:
        return {}, ErrorFound()
    fit = FractionFit.of([one.recipe.energy for one in followed], [one.sampled.weight for one in followed], settings)
    bands = [fit.maps_of(*rows.band(band, fit.chosen)) for band in rows.bands]
    found: dict[str, Map] = {}
    for name, first in bands[0].items():
        joined = (np.concatenate([getattr(band[name], what) for band in bands]) for what in ("value", "error", "valid"))
        found[name] = Map(name, first.unit, *joined)
    fractions = tuple(found[f"fraction of {name}"] for name in fit.basis.references)
    misfit: Misfit = misfit_of_sample(sample, settings)
    return found, error_found(fractions, misfit, len(fit.chosen))

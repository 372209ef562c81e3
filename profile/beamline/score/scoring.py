"""Score a run: its maps, as they are made live and offline, against its truth."""

from pathlib import Path

from whiteline.analysis.live import analyse
from whiteline.analysis.live.results import Results
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.runs.run import Run
from whiteline.beamline.score.edges import score_edges
from whiteline.beamline.score.fractions import bounds_of_stack, score_fractions, valid_pixels
from whiteline.beamline.score.motion import brought_back, drift_residual, frames_lost
from whiteline.beamline.score.raster_maps import is_raster_stack
from whiteline.beamline.score.rasters import score_raster
from whiteline.beamline.score.scored import Scored, card_of
from whiteline.beamline.score.truth import NoTruth, read_truth


def places_of(run: Run) -> tuple[Run, ...]:
    """Return a run as one for each place of the sample that it was taken at, in their order."""
    indices = run.position_indices
    return tuple(run.at_position(index) for index in indices) if len(indices) > 1 else (run,)


def score_run(run: Run, truth_file: Path, *, results: Results | None = None) -> Scored:
    """Score a stack of frames at one place, or a raster at several energies.

    Parameters
    ----------
    run : Run
        That has ended.
    truth_file : Path
        From `keep_truth`.
    results : Results, optional
        Of the live analysis; they are made anew if they are not given, with the spectra of the truth as references.

    Raises
    ------
    NoTruth
        If the truth of this run is not in the file, or it was taken at several places.
    KeyError
        If the results have no map of a species of the truth.
    ValueError
        If the run cannot be analysed.
    """
    if is_raster_stack(run):
        return score_raster(run, truth_file, results=results)
    if len(run.position_indices) > 1:
        raise NoTruth(f"{run.name} was taken at {len(run.position_indices)} places; score each of `places_of`")
    truth = read_truth(truth_file, run)
    settings = Settings(references=truth.references)
    if results is None:
        results = analyse(run, references=truth.references)
    valid = valid_pixels(results, truth)
    fractions = score_fractions(results, truth, bounds_of_stack(run, settings, truth, valid), valid)
    edges = score_edges(run, results, truth, settings.edge_energy() or truth.edge_eV)
    card = card_of(
        results, truth, valid, fractions, edges,
        drift_residual_px=drift_residual(results, truth), frames_lost=frames_lost(run, truth),
    )  # fmt: skip
    return Scored(
        run, results, truth, card, energies=run.energies, found_px=brought_back(results, run.energies.size),
        edge_truth=edges.true,
    )  # fmt: skip

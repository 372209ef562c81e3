"""Score a run: its maps, as they are made live and offline, against its truth."""

from pathlib import Path

import numpy as np

from whiteline.analysis.live import analyse
from whiteline.analysis.live.results import Results
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.runs.run import Run
from whiteline.beamline.score.card import ScoreCard
from whiteline.beamline.score.edges import score_edges
from whiteline.beamline.score.fractions import bounds_of_stack, score_fractions, valid_pixels
from whiteline.beamline.score.motion import brought_back, defocus_max, drift_residual, frames_lost
from whiteline.beamline.score.raster_truth import is_fly_stack
from whiteline.beamline.score.rasters import score_raster
from whiteline.beamline.score.scored import Scored
from whiteline.beamline.score.truth import read_truth


def score_run(run: Run, truth_file: Path, *, results: Results | None = None) -> Scored:
    """Score a stack of frames, or a fly raster at several energies.

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
        If the truth of this run is not in the file.
    KeyError
        If the results have no map of a species of the truth.
    ValueError
        If the run cannot be analysed.
    """
    if is_fly_stack(run):
        return score_raster(run, truth_file, results=results)
    truth = read_truth(truth_file, run)
    settings = Settings(references=truth.references)
    if results is None:
        results = analyse(run, references=truth.references)
    valid = valid_pixels(results, truth)
    fractions = score_fractions(results, truth, bounds_of_stack(run, settings, truth, valid), valid)
    edges = score_edges(run, results, truth, settings.edge_energy() or truth.edge_eV)
    particles = truth.particles
    return Scored(
        run,
        results,
        truth,
        ScoreCard(
            energies=int(results.energies.size),
            pixels=int(particles.size),
            particle_pixels=int(np.count_nonzero(particles)),
            valid_pixels=int(np.count_nonzero(valid & particles)),
            fraction_rms=fractions.rms,
            fraction_bound=fractions.bound,
            fraction_pull_rms=fractions.pull_rms,
            edge_rms_eV=edges.rms,
            edge_bias_eV=edges.bias,
            defocus_max_dof=defocus_max(truth),
            drift_residual_px=drift_residual(results, truth),
            frames_lost=frames_lost(run, truth),
        ),
        energies=run.energies,
        found_px=brought_back(results, run.energies.size),
    )

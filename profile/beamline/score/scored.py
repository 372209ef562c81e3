"""A run that was scored, and the card that its figures fill."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.live.results import Results
from whiteline.analysis.runs.run import Run
from whiteline.beamline.score.card import ScoreCard
from whiteline.beamline.score.edges import EdgeScore
from whiteline.beamline.score.fractions import FractionScore
from whiteline.beamline.score.motion import defocus_max
from whiteline.beamline.score.truth import RunTruth


@dataclass(frozen=True, eq=False)
class Scored:
    """A run with its truth and its score.

    Parameters
    ----------
    run : Run
        The run.
    results : Results
        The maps that were scored.
    truth : RunTruth
        What they were held against.
    card : ScoreCard
        The score.
    energies : ndarray of float64, shape (E,)
        Of its images, as they were read back [eV].
    found_px : ndarray of float64, shape (E, 2)
        By how much each image was found to have moved since the first one (y, x) [px]; NaN where that is not known.
    edge_truth : ndarray of float64 or None, shape (Y, X)
        True edge energies [eV], NaN where they were not compared; None where the edge was not mapped.
    """

    run: Run
    results: Results
    truth: RunTruth
    card: ScoreCard
    energies: NDArray[np.float64]
    found_px: NDArray[np.float64]
    edge_truth: NDArray[np.float64] | None = None


def card_of(
    results: Results,
    truth: RunTruth,
    valid: NDArray[np.bool_],
    fractions: FractionScore,
    edges: EdgeScore,
    *,
    drift_residual_px: float,
    frames_lost: int,
) -> ScoreCard:
    """Return the card of a run, from the scores of its parts; `valid` has the shape of its maps."""
    particles = truth.particles
    return ScoreCard(
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
        drift_residual_px=drift_residual_px,
        frames_lost=frames_lost,
    )

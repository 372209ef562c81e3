"""A run that was scored."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.live.results import Results
from whiteline.analysis.runs.run import Run
from whiteline.beamline.score.card import ScoreCard
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
    """

    run: Run
    results: Results
    truth: RunTruth
    card: ScoreCard
    energies: NDArray[np.float64]
    found_px: NDArray[np.float64]

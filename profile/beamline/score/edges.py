"""Edge positions against the truth: half height of the noise-free mixture, by the estimator that the map is made by."""

from dataclasses import dataclass

import numpy as np

from whiteline.analysis.live.results import Results
from whiteline.analysis.maps.edge_jump import EdgeNormalisation
from whiteline.analysis.maps.half_height import half_height
from whiteline.analysis.runs.run import Run
from whiteline.beamline.score.fractions import rms
from whiteline.beamline.score.truth import RunTruth

NOISE_FREE = 1e-5
"""Standard error that is said of a true optical density: the estimator wants one."""


@dataclass(frozen=True)
class EdgeScore:
    """How right the edge energies of a map are, over its valid pixels.

    Parameters
    ----------
    rms, bias : float
        Root mean square and mean of found minus true [eV].
    """

    rms: float
    bias: float


def score_edges(run: Run, results: Results, truth: RunTruth, edge: float) -> EdgeScore:
    """Compare the map of the edge energy with the truth.

    Parameters
    ----------
    run : Run
        Whose energies are those that were read back: where they are off, so are the edges.
    results : Results
        With a map "edge energy".
    truth : RunTruth
        In the frame of the map.
    edge : float
        Energy of the edge that the map was made with [eV].
    """
    found = results.map("edge energy")
    chosen = found.valid & truth.particles
    energies = np.sort(run.energies)
    density = truth.density(energies, chosen).astype(np.float32)
    variance = np.full_like(density, NOISE_FREE**2)
    true = half_height(energies, density, variance, EdgeNormalisation(edge), components=len(truth.names))
    good = true.valid
    off = found.value[chosen][good] - true.value[good]
    return EdgeScore(rms(off), float(off.mean()) if off.size else float("nan"))

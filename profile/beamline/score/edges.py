"""Edge positions against the truth: half height of the noise-free mixture, by the estimator that the map is made by."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.live.recipes import grouped
from whiteline.analysis.live.results import Results
from whiteline.analysis.maps.edge_jump import EdgeNormalisation
from whiteline.analysis.maps.half_height import half_height
from whiteline.analysis.maps.map import Map
from whiteline.analysis.runs.run import Run
from whiteline.beamline.score.fractions import rms
from whiteline.beamline.score.truth import RunTruth

Numbers = NDArray[np.float64]

NOISE_FREE = 1e-5
"""Standard error that is said of a true optical density: the estimator wants one."""


@dataclass(frozen=True, eq=False)
class EdgeScore:
    """How right the edge energies of a map are, over its valid pixels.

    Parameters
    ----------
    rms, bias : float
        Root mean square and mean of found minus true [eV].
    true : ndarray of float64 or None, shape (Y, X)
        True edge energies of the pixels that were compared, NaN elsewhere [eV]; None where there is no map.
    """

    rms: float
    bias: float
    true: Numbers | None = None


def score_edges(run: Run, results: Results, truth: RunTruth, edge: float) -> EdgeScore:
    """Compare the map of the edge energy with the truth; NaN where there is none, as energies end too near the edge.

    Parameters
    ----------
    run : Run
        Whose energies are those that were read back: where they are off, so are the edges.
    results : Results
        Of the run.
    truth : RunTruth
        In the frame of the map.
    edge : float
        Energy of the edge that the map was made with [eV].
    """
    if "edge energy" not in results.maps:
        return EdgeScore(float("nan"), float("nan"))
    found = results.map("edge energy")
    chosen = found.valid & truth.particles
    groups = grouped(run.energies.tolist())  # as the map was made: each energy once, whatever the passes
    energies = np.array([float(run.energies[group].mean()) for group in groups])
    return edge_score(found, chosen, energies, truth.density(energies, chosen), len(truth.names), edge)


def edge_score(
    found: Map, chosen: NDArray[np.bool_], energies: Numbers, spectra: Numbers, components: int, edge: float
) -> EdgeScore:
    """Compare a map of the edge energy with what the same estimator finds in the true spectra.

    Parameters
    ----------
    found : Map
        Edge energy.
    chosen : ndarray of bool, shape (Y, X)
        Pixels that are compared.
    energies : ndarray of float64, shape (E,)
        As they were read back, ascending [eV].
    spectra : ndarray of float64, shape (E, pixels)
        Of these pixels, without noise.
    components : int
        Species.
    edge : float
        Energy of the edge that the map was made with [eV].
    """
    density = spectra.astype(np.float32)
    variance = np.full_like(density, NOISE_FREE**2)
    try:
        true = half_height(energies, density, variance, EdgeNormalisation(edge), components=components)
    except ValueError:  # its components are learnt from pixels, which are too few here
        return EdgeScore(float("nan"), float("nan"))
    good = true.valid
    off = found.value[chosen][good] - true.value[good]
    truth = np.full(chosen.shape, np.nan)
    truth[chosen] = np.where(good, true.value, np.nan)
    return EdgeScore(rms(off), float(off.mean()) if off.size else float("nan"), truth)

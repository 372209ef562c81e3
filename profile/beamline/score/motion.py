"""What the hardware truly did in a run: focus, drift and frames."""

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.live.results import Results
from whiteline.analysis.runs.run import Run
from whiteline.beamline.score.fractions import rms
from whiteline.beamline.score.truth import RunTruth


def defocus_max(truth: RunTruth) -> float:
    """Return the largest defocus of all frames, in depths of focus."""
    return float(np.fmax.reduce(truth.defocus_dof))


def drift_residual(results: Results, truth: RunTruth) -> float:
    """Return by how much frames are off after they were brought onto the first one, root mean square per axis [px].

    What the stage has taken back is in it as much as what the analysis has: the true shift is that which the image of
    each point has against the first.
    """
    if results.pixel_um is None:
        return float("nan")
    used = np.array([[one.used_y, one.used_x] for one in results.frames])
    if used.shape != truth.shift_nm.shape:
        return float("nan")
    return rms(used - truth.shift_nm / (1e3 * results.pixel_um))


def brought_back(results: Results, number: int) -> NDArray[np.float64]:
    """Return by how much each of so many frames was brought back (y, x) [px]; NaN where none was."""
    found = np.full((number, 2), np.nan)
    for row, one in zip(range(number), results.frames, strict=False):
        found[row] = one.used_y, one.used_x
    return found


def frames_lost(run: Run, truth: RunTruth) -> int:
    """Return how many planned frames with the sample are missing: never recorded, or not in their file.

    A run at one of several places does not say how many points there should be; its energies, frames and passes do.
    """
    points = len(run.points)
    if not run.good_enough:
        if told := run.start.get("num_points"):
            points = int(told)
        elif (energies := run.planned_energies) is not None:
            per_energy = int(run.start.get("frames_per_energy") or 1) // int(run.start.get("frames_per_event") or 1)
            points = int(energies.size) * int(run.start.get("passes") or 1) * max(1, per_energy)
    planned = points * int(run.start.get("frames_per_event") or 1)
    return planned - sum(point.size for point in truth.numbers)

"""The truth of a fly raster at several energies, from what the simulated capture box has written.

Beside each of its files it writes where the spot fell on the sample in each pulse, at which energy, and how far from
its focus.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.runs.fly_maps import moved_um, places_of, planned_or_measured
from whiteline.analysis.runs.hdf5 import opened
from whiteline.analysis.runs.places import FrameFile
from whiteline.analysis.runs.pulses import require_pulses
from whiteline.analysis.runs.run import Run
from whiteline.beamline.description import Beamline
from whiteline.beamline.score.raster_maps import twin_of, write_maps
from whiteline.beamline.score.truth import NoTruth

Numbers = NDArray[np.float64]

TRUTH = "entry/truth"
"""Group of the columns, line by line, in a file of the box's truth."""


def box_file(run: Run) -> Path:
    """Return the file of the capture box of a run, as its documents have it.

    Raises
    ------
    NoTruth
        If there is none, or there are several.
    """
    files = {place.file.path for point in run.fly.stream.points for place in point.places.values()}
    if len(files) != 1:
        raise NoTruth(f"{run.name} has {len(files)} files of a capture box; a score needs a run with one")
    return Path(files.pop())


def write_fly_truth(beamline: Beamline, run: Run, box_truth: Path, file: Path) -> None:
    """Work out the truth of a fly raster, and write it.

    Parameters
    ----------
    beamline : Beamline
        That has taken it; seed and species of its sample are those that the box has written.
    run : Run
        Its lines, in one file of the box.
    box_truth : Path
        What the box has written beside that file.
    file : Path
        Where the truth goes.

    Raises
    ------
    NoTruth
        If what the box has written cannot be read, or the first map has no pixel.
    OSError
        If it cannot be written.
    """
    pulses = require_pulses(run.points)
    nanoprobe = twin_of(beamline, run, box_truth)
    columns = _columns(run, box_truth, ("place_x", "place_y", "energy", "flux", "defocus"))
    y, x = places_of(pulses)
    grid = planned_or_measured(pulses, y, x)
    rows, steps = np.rint((y - grid.first_y) / grid.step_y), np.rint((x - grid.first_x) / grid.step_x)
    lit = np.isfinite(rows) & np.isfinite(steps) & (columns["flux"] > 0)
    lit &= (rows >= 0) & (rows < grid.rows) & (steps >= 0) & (steps < grid.columns)
    if not lit.any():
        raise NoTruth(f"no pixel of {run.name} had beam")
    row, column = np.where(lit, rows, 0).astype(int), np.where(lit, steps, 0).astype(int)
    # the beam stands still, and the sample goes by: a pixel that lies higher shows what lies lower in the sample
    at_centre = (
        columns["place_y"] + (y - grid.first_y - row * grid.step_y),
        columns["place_x"] + (x - grid.first_x - column * grid.step_x),
    )
    number = int((run.raster_shape or (1,))[0])
    plane = np.broadcast_to(((run.fly.lines - 1) // int((run.raster_shape or (1, 1))[1]))[:, None], lit.shape)
    maps = np.full((number, 2, *grid.shape), np.nan)
    for axis, values in enumerate(at_centre):
        maps[plane[lit], axis, row[lit], column[lit]] = values[lit]
    write_maps(
        file, run, nanoprobe, maps, step_um=(grid.step_y, grid.step_x), path_um=(grid.step_x, 0.0),
        moved_um=moved_um(run),
        energy=_of_planes(columns["energy"], plane, lit, number, np.mean),
        defocus_dof=_of_planes(np.abs(columns["defocus"]), plane, lit, number, np.max),
    )  # fmt: skip


def _columns(run: Run, file: Path, names: tuple[str, ...]) -> dict[str, Numbers]:
    """Return columns of the truth of the lines that count, shape (lines, pulses)."""
    rows = np.array([next(iter(point.places.values())).first for point in run.fly.stream.points])
    found = {}
    for name in names:
        with opened(file, FrameFile(str(file), f"{TRUTH}/{name}"), f"{name} of the truth of {run.name}") as dataset:
            found[name] = np.asarray(dataset[:], float)[rows]
    return found


def _of_planes(values: Numbers, plane: NDArray[np.int64], lit: NDArray[np.bool_], number: int, of: object) -> Numbers:
    assert callable(of)
    return np.array([float(of(values[lit & (plane == one)])) if (lit & (plane == one)).any() else np.nan
                     for one in range(number)])  # fmt: skip

"""The truth of a fly raster at several energies: what the spot saw in each pixel, and what the hardware truly did.

The simulated capture box writes beside each of its files where the spot fell on the sample in each pulse, at which
energy, and how far from its focus. From this and the sample the maps follow that were to be found: what the spot in
focus sees, averaged along the path of each pixel of the first map. They are kept beside the catalog.
"""

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.fly.grid import Grid
from whiteline.analysis.runs.fly_maps import moved_um, places_of, planned_or_measured
from whiteline.analysis.runs.hdf5 import opened
from whiteline.analysis.runs.places import FrameFile
from whiteline.analysis.runs.pulses import require_pulses
from whiteline.analysis.runs.run import FLY, Run
from whiteline.beamline import twin
from whiteline.beamline.description import Beamline
from whiteline.beamline.score.truth import NoTruth, RunTruth, read_species
from whiteline.sim.gated_counts import thickness_along
from whiteline.sim.ioc.truth_file import write_species
from whiteline.sim.nanoprobe import Nanoprobe
from whiteline.sim.truth import truth_of_thickness

Numbers = NDArray[np.float64]

TRUTH = "entry/truth"
"""Group of the columns, line by line, in a file of the box's truth."""

HELD = "thickness_um", "fraction", "energy", "defocus_dof", "shift_nm"
"""What is kept of a raster."""


def is_fly_stack(run: Run) -> bool:
    """Tell whether a run is a fly raster at several energies."""
    return FLY in run.streams and run.raster_shape is not None and len(run.raster_shape) == 3


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


def write_raster_truth(beamline: Beamline, run: Run, box_truth: Path, file: Path) -> None:
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
    nanoprobe = _twin_of(beamline, run, box_truth)
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
    first = _filled(maps[0], grid)
    off = np.array([np.nanmean((one - first).reshape(2, -1), axis=1) for one in maps])
    moved = moved_um(run)
    energies = _of_planes(columns["energy"], plane, lit, number, np.mean)
    path = np.broadcast_to([grid.step_x, 0.0], (grid.rows * grid.columns, 2))
    sigma = np.broadcast_to(nanoprobe.sharp_spot_nm(float(energies.mean())), path.shape)
    place = np.stack([first[1].ravel(), first[0].ravel()], axis=1)
    thickness = thickness_along(nanoprobe.sample, place, np.array(sigma, float), path).T
    thickness = thickness.reshape(-1, *grid.shape)
    kept = {
        "thickness_um": thickness,
        "fraction": truth_of_thickness(nanoprobe.sample.species, thickness.astype(np.float32)).fraction,
        "energy": energies,
        "defocus_dof": _of_planes(np.abs(columns["defocus"]), plane, lit, number, np.max),
        "shift_nm": 1e3 * (off + moved),
    }
    with h5py.File(file, "w") as out:
        out.attrs["run"] = run.uid
        write_species(out, nanoprobe)
        for name in HELD:
            out[f"raster/{name}"] = kept[name]


def read_raster_truth(file: Path, run: Run) -> RunTruth:
    """Return the truth of a fly raster.

    Raises
    ------
    NoTruth
        If the file cannot be read, or is of another run.
    """
    try:
        with h5py.File(file) as held:
            if str(held.attrs["run"]) != run.uid:
                raise NoTruth(f"the truth in {file} is that of run {held.attrs['run']}, not of {run.name}")
            species = read_species(held)
            kept = {name: np.asarray(held[f"raster/{name}"][:], float) for name in HELD}
    except (OSError, KeyError) as error:
        raise NoTruth(f"{file} does not hold the truth of a fly raster: {error}") from error
    return RunTruth(species=species, numbers=(), **kept)


def _twin_of(beamline: Beamline, run: Run, box_truth: Path) -> Nanoprobe:
    """Return the microscope with the very sample that was scanned, whatever its beamline says by now."""
    try:
        with h5py.File(box_truth) as held:
            return twin.nanoprobe(beamline, seed=int(held.attrs["seed"]), species=read_species(held))
    except (OSError, KeyError) as error:
        raise NoTruth(f"{box_truth} does not say which sample {run.name} has scanned: {error}") from error


def _columns(run: Run, file: Path, names: tuple[str, ...]) -> dict[str, Numbers]:
    """Return columns of the truth of the lines that count, shape (lines, pulses)."""
    rows = np.array([next(iter(point.places.values())).first for point in run.fly.stream.points])
    found = {}
    for name in names:
        with opened(file, FrameFile(str(file), f"{TRUTH}/{name}"), f"{name} of the truth of {run.name}") as dataset:
            found[name] = np.asarray(dataset[:], float)[rows]
    return found


def _filled(first: Numbers, grid: Grid) -> Numbers:
    """Return where each pixel of the first map saw the sample, pixels that are missing by their neighbours' steps."""
    known = np.isfinite(first).all(axis=0)
    if not known.any():
        raise NoTruth("no pixel of the first map had beam")
    down, along = np.indices(grid.shape)
    steps = np.stack([-down * grid.step_y, -along * grid.step_x])
    middle = np.array([float((first[axis] - steps[axis])[known].mean()) for axis in range(2)])
    return np.where(known, first, steps + middle[:, None, None])


def _of_planes(values: Numbers, plane: NDArray[np.int64], lit: NDArray[np.bool_], number: int, of: object) -> Numbers:
    assert callable(of)
    return np.array([float(of(values[lit & (plane == one)])) if (lit & (plane == one)).any() else np.nan
                     for one in range(number)])  # fmt: skip

"""The truth of a step raster at several energies, from what the twin has written of its exposures.

Each spectrum of the fluorescence detector carries the number of its exposure; where everything truly stood in it is in
the file of the twin.
"""

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.runs.rasters import on_map, pixels_of
from whiteline.analysis.runs.roles import spectra_key
from whiteline.analysis.runs.run import Run
from whiteline.beamline.description import Beamline
from whiteline.beamline.score.raster_maps import mean_of_known, twin_of, write_maps
from whiteline.beamline.score.truth import NoTruth, exposures_at

Numbers = NDArray[np.float64]


def spectra_exposures(run: Run) -> NDArray[np.int64]:
    """Return the number of the exposure of each point of a step raster, shape (n,); −1 where its spectrum is missing.

    Raises
    ------
    NoTruth
        If the run kept no fluorescence spectra, or their file does not tell.
    """
    key = spectra_key(run.start, run.points)
    if key is None:
        raise NoTruth(
            f"{run.name} kept no fluorescence spectra in a file, by whose exposures a step raster is known; name the "
            "fluorescence detector among its detectors"
        )
    found = np.full(len(run.points), -1, np.int64)
    for row, point in enumerate(run.points.points):
        numbers = exposures_at(point.places[key], run) if key in point.places else np.empty(0, np.int64)
        if numbers.size:
            found[row] = numbers[0]
    if not (found >= 0).any():
        raise NoTruth(f"no spectrum of {run.name} is in its file, by which its exposures are known")
    return found


def planned_um(run: Run) -> tuple[Numbers, Numbers]:
    """Return where the stage was to go, along y and x, in the order of the maps [µm].

    Raises
    ------
    NoTruth
        If the start document does not say it.
    """
    if "extents" not in run.start:
        raise NoTruth(f"the start document of {run.name} has no extents, so nobody knows where its maps were to be")
    (low_y, high_y), (low_x, high_x) = run.start["extents"][-2:]
    rows, columns = list(run.raster_shape or (1, 1, 1))[-2:]
    return np.linspace(low_y, high_y, rows), np.linspace(low_x, high_x, columns)


def moved_of_steps_um(run: Run) -> Numbers:
    """Return by how much the region of each map followed the sample (y, x) [µm], shape (E, 2): as the stage read."""
    shape = run.raster_shape or (1, 1, 1)
    pixels = pixels_of(run.start, run.points.seq_nums, shape)
    y, x = planned_um(run)
    found = []
    for axis, planned in zip(run.start["motors"][-2:], (y[:, None], x[None, :]), strict=True):
        read = on_map(run.positions(str(axis)).read, pixels, shape)
        found.append(mean_of_known((read - planned).reshape(shape[0], -1)))
    return np.stack(found, axis=1)


def write_step_truth(beamline: Beamline, run: Run, written: Path, file: Path) -> None:
    """Work out the truth of a step raster, and write it.

    Parameters
    ----------
    beamline : Beamline
        That has taken it.
    run : Run
        The raster.
    written : Path
        What the twin has written after it.
    file : Path
        Where the truth goes.

    Raises
    ------
    NoTruth
        If what the twin has written does not know the exposures of the run.
    OSError
        If it cannot be written.
    """
    numbers = spectra_exposures(run)
    try:
        with h5py.File(written) as held:
            states = {name: values[:] for name, values in held["exposures"].items()}
    except (OSError, KeyError) as error:
        raise NoTruth(f"{written} does not hold the truth of a simulated beamline: {error}") from error
    rows = {int(number): row for row, number in enumerate(states["frame"])}
    missing = [int(one) for one in numbers if one >= 0 and int(one) not in rows]
    if missing:
        raise NoTruth(f"the twin knows no exposure {missing[0]} of {run.name} any more")
    there = np.array([rows.get(int(one), -1) for one in numbers])
    shape = run.raster_shape or (1, 1, 1)
    pixels = pixels_of(run.start, run.points.seq_nums, shape)

    def maps(values: Numbers) -> Numbers:
        lit = (there >= 0) & states["open"][there].astype(bool)
        return on_map(np.where(lit, values[there], np.nan), pixels, shape)

    # where the spot is in the frame of the laboratory, less where the sample is
    places = np.stack([1e-3 * maps(states[f"field_{axis}"] - states[f"sample_{axis}"]) for axis in "yx"], axis=1)
    y, x = planned_um(run)
    step_um = tuple(float(one[1] - one[0]) if one.size > 1 else 0.0 for one in (y, x))
    per_map = (shape[0], -1)
    write_maps(
        file, run, twin_of(beamline, run, written), places, step_um=(step_um[0], step_um[1]), path_um=(0.0, 0.0),
        moved_um=moved_of_steps_um(run),
        energy=mean_of_known(maps(states["energy"]).reshape(per_map)),
        defocus_dof=np.fmax.reduce(np.abs(maps(states["defocus"] / states["depth_of_focus"])).reshape(per_map), axis=1),
    )  # fmt: skip

"""The truth of a raster at several energies, worked out from where its spot truly was, and kept beside the catalog.

The maps that were to be found are those of the first energy: what the spot in focus sees, averaged along the path of
each pixel.
"""

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.live.kinds import kind_of
from whiteline.analysis.runs.run import Run
from whiteline.beamline import twin
from whiteline.beamline.description import Beamline
from whiteline.beamline.score.truth import NoTruth, RunTruth, read_species
from whiteline.sim.gated_counts import thickness_along
from whiteline.sim.ioc.truth_file import write_species
from whiteline.sim.nanoprobe import Nanoprobe
from whiteline.sim.truth import truth_of_thickness

Numbers = NDArray[np.float64]

HELD = "thickness_um", "fraction", "energy", "defocus_dof", "shift_nm"
"""What is kept of a raster."""


def is_raster_stack(run: Run) -> bool:
    """Tell whether a run is a raster at several energies, flown or stepped."""
    return run.has_points and kind_of(run) == "raster" and len(run.raster_shape or ()) == 3


def write_maps(
    file: Path,
    run: Run,
    nanoprobe: Nanoprobe,
    places_um: Numbers,
    *,
    step_um: tuple[float, float],
    path_um: tuple[float, float],
    moved_um: Numbers,
    energy: Numbers,
    defocus_dof: Numbers,
) -> None:
    """Write the truth of a raster.

    Parameters
    ----------
    file : Path
        Where it goes.
    run : Run
        The raster.
    nanoprobe : Nanoprobe
        The instrument with the sample that was scanned.
    places_um : ndarray of float64, shape (E, 2, Y, X)
        Where in the sample the spot was at the centre of each pixel (y, x) [µm]; NaN where a pixel had no beam.
    step_um : (y, x)
        From a row, and a column, to the next one as the stage goes [µm].
    path_um : (x, y)
        How far the sample moves during a pixel [µm].
    moved_um : ndarray of float64, shape (E, 2)
        By how much the region of each map has followed the sample (y, x) [µm].
    energy, defocus_dof : ndarray of float64, shape (E,)
        True photon energy [eV] and largest defocus, in depths of focus, of each map.

    Raises
    ------
    NoTruth
        If the first map has no pixel.
    OSError
        If it cannot be written.
    """
    first = _filled(places_um[0], step_um)
    off = np.array([mean_of_known((one - first).reshape(2, -1)) for one in places_um])
    path = np.broadcast_to(path_um, (first[0].size, 2))
    sigma = np.broadcast_to(nanoprobe.sharp_spot_nm(float(mean_of_known(energy))), path.shape)
    place = np.stack([first[1].ravel(), first[0].ravel()], axis=1)
    thickness = thickness_along(nanoprobe.sample, place, np.array(sigma, float), path).T
    thickness = thickness.reshape(-1, *first.shape[1:])
    kept = {
        "thickness_um": thickness,
        "fraction": truth_of_thickness(nanoprobe.sample.species, thickness.astype(np.float32)).fraction,
        "energy": energy,
        "defocus_dof": defocus_dof,
        "shift_nm": 1e3 * (off + moved_um),
    }
    with h5py.File(file, "w") as out:
        out.attrs["run"] = run.uid
        write_species(out, nanoprobe)
        for name in HELD:
            out[f"raster/{name}"] = kept[name]


def read_raster_truth(file: Path, run: Run) -> RunTruth:
    """Return the truth of a raster.

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
        raise NoTruth(f"{file} does not hold the truth of a raster: {error}") from error
    return RunTruth(species=species, numbers=(), **kept)


def mean_of_known(values: Numbers) -> Numbers:
    """Return the mean along the last axis over what is not NaN; NaN where nothing is known, as of a map not begun."""
    known = np.isfinite(values)
    number = known.sum(axis=-1)
    return np.asarray(np.where(known, values, 0.0).sum(axis=-1) / np.where(number > 0, number, np.nan))


def twin_of(beamline: Beamline, run: Run, written: Path) -> Nanoprobe:
    """Return the microscope with the very sample that was scanned, whatever its beamline says by now.

    Parameters
    ----------
    beamline : Beamline
        That has taken the run.
    run : Run
        The raster.
    written : Path
        A file of the simulated beamline, which says seed and species.

    Raises
    ------
    NoTruth
        If it does not.
    """
    try:
        with h5py.File(written) as held:
            return twin.nanoprobe(beamline, seed=int(held.attrs["seed"]), species=read_species(held))
    except (OSError, KeyError) as error:
        raise NoTruth(f"{written} does not say which sample {run.name} has scanned: {error}") from error


def _filled(first: Numbers, step_um: tuple[float, float]) -> Numbers:
    """Return where each pixel of the first map saw the sample, pixels that are missing by their neighbours' steps."""
    known = np.isfinite(first).all(axis=0)
    if not known.any():
        raise NoTruth("no pixel of the first map had beam")
    down, along = np.indices(first.shape[1:])
    # the beam stands still, and the sample goes by: a pixel that lies higher shows what lies lower in the sample
    steps = np.stack([-down * step_um[0], -along * step_um[1]])
    middle = np.array([float((first[axis] - steps[axis])[known].mean()) for axis in range(2)])
    return np.where(known, first, steps + middle[:, None, None])

"""The truth of a run: what was to be found in it, and what the hardware truly did at each of its points.

The twin writes it into a file, in the frame of one exposure. Each frame of the run carries the number of its exposure
in the file of the detector, so that no frame is taken for another, whatever was exposed before or between.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from whiteline.analysis import tables
from whiteline.analysis.runs.path_map import PathMap
from whiteline.analysis.runs.places import Place
from whiteline.analysis.runs.roles import frames_key
from whiteline.analysis.runs.run import PRIMARY, Run
from whiteline.analysis.runs.unreadable import UnreadableRun
from whiteline.analysis.spectrum_files import Spectrum
from whiteline.beamline.simulated_references import jump_of, references_of
from whiteline.sim.species import NearEdge, Species

Numbers = NDArray[np.float64]

UNIQUE_ID = "entry/instrument/NDAttributes/NDArrayUniqueId"
"""Where a detector's file holds the numbers of the exposures."""


SCORED = "a score is of a stack of frames, or of a raster at several energies, over an edge"
"""What there is a truth for that maps can be held against."""


class NoTruth(ValueError):
    """A run whose truth is not known."""


@dataclass(frozen=True, eq=False)
class RunTruth:
    """The truth of a run.

    Parameters
    ----------
    species : tuple of Species
        With the spectra that the twin was given.
    thickness_um : ndarray of float64, shape (species, Y, X)
        Blurred by the width of the image in focus, in the frame of the first image [µm].
    fraction : ndarray of float64, shape (species, Y, X)
        Share of the absorbing atoms; NaN where there are none.
    energy : ndarray of float64, shape (E,)
        True photon energy, the mean over the frames of each point [eV].
    defocus_dof : ndarray of float64, shape (E,)
        Largest defocus of the frames of each point, in depths of focus.
    shift_nm : ndarray of float64, shape (E, 2)
        By how much the image, or the content of the map, has moved since the first point (y, x) [nm].
    numbers : tuple of ndarray
        Of the exposures of each point; none of a raster.
    """

    species: tuple[Species, ...]
    thickness_um: Numbers
    fraction: Numbers
    energy: Numbers
    defocus_dof: Numbers
    shift_nm: Numbers
    numbers: tuple[NDArray[np.int64], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the species."""
        return tuple(one.name for one in self.species)

    @property
    def edge_eV(self) -> float:
        """Energy of the edge that is studied [eV]."""
        near = self.species[0].near_edge
        return tables.edge_energy(near.element, near.edge)

    @cached_property
    def references(self) -> tuple[Spectrum, ...]:
        """What the edge absorbs in each species, to an edge jump of 1, as references to be fitted."""
        return references_of(self.species)

    @cached_property
    def jumps(self) -> Numbers:
        """Edge jump of each species, as its reference is fitted, shape (species, Y, X)."""
        heights = np.array([jump_of(one) for one in self.species])
        return heights[:, None, None] * self.thickness_um

    @property
    def particles(self) -> NDArray[np.bool_]:
        """Pixels of the particles, shape (Y, X): where there is more than a fiftieth of the largest edge jump."""
        total = self.jumps.sum(axis=0)
        return np.asarray(total > 0.02 * total.max())

    def density(self, energies: Numbers, chosen: NDArray[np.bool_]) -> Numbers:
        """Return the true optical density at energies [eV] of some pixels, without noise, shape (E, pixels)."""
        attenuation = np.stack([one.absorptions(energies) for one in self.species], axis=1)
        return np.asarray(attenuation @ self.thickness_um[:, chosen])


def read_truth(file: Path, run: Run) -> RunTruth:
    """Read the truth of a stack of frames.

    Parameters
    ----------
    file : Path
        That the twin has written after the run, in the frame of its first point.
    run : Run
        The run.

    Raises
    ------
    NoTruth
        If the file cannot be read, does not know the run's exposures, or is in the frame of another run.
    """
    numbers = exposures_of(run)
    try:
        with h5py.File(file) as held:
            species = read_species(held)
            states = {name: values[:] for name, values in held["exposures"].items()}
            maps = held["truth"]
            frame = int(maps.attrs["frame"])
            thickness, fraction = maps["thickness_um"][:].astype(float), maps["fraction"][:].astype(float)
    except (OSError, KeyError) as error:
        raise NoTruth(f"{file} does not hold the truth of a simulated beamline: {error}") from error
    if frame not in numbers[0]:
        raise NoTruth(
            f"the truth in {file} is in the frame of exposure {frame}, and {run.name} begins with {numbers[0][0]}; ask "
            "the twin again, as long as it runs"
        )
    rows = {int(number): row for row, number in enumerate(states["frame"])}
    missing = sorted({int(one) for point in numbers for one in point} - set(rows))
    if missing:
        raise NoTruth(f"the truth in {file} knows no exposure {missing[0]} of {run.name}; it was written too early")
    places = [[rows[int(one)] for one in point] for point in numbers]

    def mean(values: Numbers) -> Numbers:
        return np.array([float(np.mean(values[place])) for place in places])

    defocus = np.abs(states["defocus"] / states["depth_of_focus"])
    moved = np.stack([mean(states[f"sample_{axis}"] - states[f"field_{axis}"]) for axis in "yx"], axis=1)
    return RunTruth(
        species=species,
        thickness_um=thickness,
        fraction=fraction,
        energy=mean(states["energy"]),
        defocus_dof=np.array([float(defocus[place].max()) for place in places]),
        shift_nm=moved - moved[0],
        numbers=numbers,
    )


def exposures_of(run: Run) -> tuple[NDArray[np.int64], ...]:
    """Return the numbers of the exposures of each point of a stack of frames.

    Raises
    ------
    NoTruth
        If the run has no frames, or their file does not tell.
    """
    if PRIMARY not in run.streams or not len(run.points):
        raise NoTruth(f"{run.name} has no points; a score needs a run over an edge")
    try:
        camera = frames_key(run.start, run.points)
    except UnreadableRun as error:
        raise NoTruth(f"{run.name} cannot be scored: {SCORED}") from error
    found = tuple(exposures_at(point.places[camera], run) for point in run.points.points if camera in point.places)
    if not found or not found[0].size:
        raise NoTruth(f"{run.name} has no frames in a file; {SCORED}")
    return found


def exposures_at(place: Place, run: Run) -> NDArray[np.int64]:
    """Return the numbers of the exposures that are in their file, of those that a point should have."""
    path = PathMap.of(run.path_map).find(place.file.path)
    try:
        with h5py.File(path, "r", libver="latest", locking=False) as held:
            return np.asarray(held[UNIQUE_ID][place.first : place.first + place.count], np.int64)
    except (OSError, KeyError) as error:
        raise NoTruth(f"{path} does not tell the numbers of the exposures of {run.name}: {error}") from error


def read_species(held: h5py.File) -> tuple[Species, ...]:
    """Return the species that a file of the truth holds."""
    return tuple(_species(held["species"][name]) for name in sorted(held["species"], key=int))


def _species(group: h5py.Group) -> Species:
    about = group.attrs
    near = NearEdge(str(about["element"]), str(about["edge"]), group["energy"][:], group["absorption"][:])
    return Species(str(about["name"]), str(about["formula"]), float(about["density"]), near)

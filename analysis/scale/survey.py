"""A slice looked through frame by frame, as a stack in memory is: drift, weight, and some thousand pixels of each."""

from dataclasses import dataclass, fields
from pathlib import Path

import h5py
import numpy as np

from whiteline.analysis.live.alignment import Place
from whiteline.analysis.live.batch import follow
from whiteline.analysis.live.frame_work import FrameWork
from whiteline.analysis.live.results import FrameFound
from whiteline.analysis.live.sample import Sample, SampledFrame
from whiteline.analysis.runs.unreadable import UnreadableRun
from whiteline.analysis.scale.slices import Slice
from whiteline.analysis.whole_files import written_whole

NAME = "survey.h5"


@dataclass(frozen=True, eq=False)
class Survey:
    """What is known of a slice when each of its frames was seen once.

    Parameters
    ----------
    kept : tuple of int
        Which of its recipes could be followed; the others below are of these.
    places : tuple of Place
        How each is brought onto the first one.
    found : tuple of FrameFound
        Drift, sharpness and more.
    sampled : tuple of SampledFrame
        Some of the pixels.
    troubles : tuple of str
        Why the others could not, a sentence each.
    """

    kept: tuple[int, ...]
    places: tuple[Place, ...]
    found: tuple[FrameFound, ...]
    sampled: tuple[SampledFrame, ...]
    troubles: tuple[str, ...]

    @property
    def energies(self) -> list[float]:
        """Of the frames [eV]."""
        return [one.energy for one in self.sampled]

    @property
    def sample(self) -> Sample:
        """The sampled pixels, energies ascending and each once."""
        return Sample.of(self.sampled)


def survey_of(one: Slice, folder: Path) -> Survey:
    """Look through a slice, or return what was kept when that was done before.

    Parameters
    ----------
    one : Slice
        The slice.
    folder : Path
        Where it is kept.

    Raises
    ------
    UnreadableRun
        If none of its frames can be followed.
    OSError
        If it cannot be kept.
    """
    path = folder / NAME
    if path.exists():
        return _kept(path)
    work = FrameWork(one.developing.developer(), one.developing.aligner())
    followed, troubles = follow(work, one.recipes, one.developing.settings)
    if not followed:
        raise UnreadableRun(troubles[0] if troubles else f"{one.name} has no frame that could be mapped")
    numbers = [recipe.number for recipe in one.recipes]
    found = Survey(
        tuple(numbers.index(each.recipe.number) for each in followed),
        tuple(each.place for each in followed),
        tuple(each.found for each in followed),
        tuple(each.sampled for each in followed),
        tuple(troubles),
    )
    folder.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as part, h5py.File(part, "w") as file:
        _keep(file, found)
    return found


def _keep(file: h5py.File, found: Survey) -> None:
    file["kept"] = np.array(found.kept)
    file["places"] = np.array([(one.y, one.x, one.scale) for one in found.places])
    file["troubles"] = np.array(found.troubles, h5py.string_dtype())
    for field in fields(FrameFound):
        file[f"found/{field.name}"] = np.array([getattr(one, field.name) for one in found.found])
    for name in ("energy", "density", "variance", "area"):
        file[f"sampled/{name}"] = np.array([getattr(one, name) for one in found.sampled])


def _kept(path: Path) -> Survey:
    with h5py.File(path) as file:
        columns = {field.name: file[f"found/{field.name}"][:].tolist() for field in fields(FrameFound)}
        sampled = file["sampled"]
        return Survey(
            tuple(int(one) for one in file["kept"][:]),
            tuple(Place(*(float(number) for number in one)) for one in file["places"][:]),
            tuple(FrameFound(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)),
            tuple(
                SampledFrame(float(energy), density, variance, float(area))
                for energy, density, variance, area in zip(
                    *(sampled[name][:] for name in ("energy", "density", "variance", "area")), strict=True
                )
            ),
            tuple(text.decode() for text in file["troubles"][:]),
        )

"""Map the slices of a stack that is larger than memory, by a Dask cluster.

What is held at a time, whatever the size of the stack: in a worker one whole frame while it is registered, or one part;
in this process the parts that are ready. Every number is what the same analysis in memory gives, as both call the same
fits: weights, components and drift are those of the whole slice, and not of its parts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from whiteline.analysis.live.results import ErrorFound
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.maps.map import Map
from whiteline.analysis.scale.maps_file import MapsFile, maps_file
from whiteline.analysis.scale.part_maps import Looked, Part, look_through, map_part
from whiteline.analysis.scale.parts import bands_of, bytes_of_copy, require_room
from whiteline.analysis.scale.slices import Slice
from whiteline.analysis.scale.spectral_copy import path_of_part, remove_left_behind
from whiteline.analysis.scale.tasks import Task, carry_out

What = Literal["fractions", "edge", "both"]

BYTES_OF_MAP = 9
"""Of a pixel: value and error in float32, and whether it is valid."""


@dataclass(frozen=True)
class Mapped:
    """What has come of it.

    Parameters
    ----------
    path : Path
        The file with the maps.
    spectra : int
        Number of pixels of all slices.
    errors : tuple of ErrorFound
        How well the fractions of each slice are known.
    troubles : tuple of str
        What was left out and why, a sentence each.
    """

    path: Path
    spectra: int
    errors: tuple[ErrorFound, ...]
    troubles: tuple[str, ...]


def map_slices(
    slices: Sequence[Slice],
    settings: Settings,
    client: Any,
    path: Path,
    cache: Path,
    *,
    what: What = "both",
    progress: Callable[[int, int, str], None] = lambda done, of, what: None,
) -> Mapped:
    """Map all slices into one file.

    Parameters
    ----------
    slices : sequence of Slice
        One or more.
    settings : Settings
        References, edge; counting as it was for the slices.
    client : distributed.Client
        Of a cluster whose workers see files where this process does.
    path : Path
        Of the result; it replaces one that is there already.
    cache : Path
        Folder for the copies in spectral order; those of the same frames are used again.
    what : {"fractions", "edge", "both"}
        Fractions and edge jump, edge energy and white line, or all four.
    progress : callable
        Called with the spectra that are mapped, the spectra of all slices, and what was done last.

    Raises
    ------
    ValueError
        If there are no references though fractions are wanted, they do not fit the energies, or the edge is not known.
    UnreadableRun
        If frames cannot be read.
    OSError
        If there is no room, a file cannot be written, a worker was lost, or the scheduler does not answer.
    """
    require_sense(slices, settings, what)
    fractions, edge = what != "edge", what != "fractions"
    work = _Work(slices, settings, cache, fractions, edge, progress)
    number = (len(settings.references) + 1 if fractions else 0) + (2 if edge else 0)
    require_room(
        [
            (cache, work.missing_bytes, "the copy in spectral order (--cache)"),
            (path.parent, number * BYTES_OF_MAP * work.spectra, "the file of maps (--out)"),
        ]
    )
    with maps_file(path, slices, settings) as file:
        work.file = file
        carry_out(client, [work.look(index) for index in range(len(slices))])
    errors = tuple(work.errors[index] for index in range(len(slices)))
    return Mapped(path, work.spectra, errors, tuple(dict.fromkeys(work.troubles)))


def require_sense(slices: Sequence[Slice], settings: Settings, what: What) -> None:
    """Raise if there is nothing to map, or not what it takes.

    Raises
    ------
    ValueError
        Naming what is missing.
    """
    fractions, edge = what != "edge", what != "fractions"
    if not slices:
        raise ValueError("there is nothing to map: give one slice or more")
    if fractions and not settings.references:
        raise ValueError(
            "fractions are those of references, and there are none: give --reference NAME=FILE for each, or map the "
            "edge alone, --what edge"
        )
    if edge and settings.edge_energy() is None:
        raise ValueError(
            "the energy of the edge is not known: the run does not say it, and there are no references; give --edge "
            "such as Ni-K, or --reference NAME=FILE"
        )


class _Work:
    """The tasks, and what is done with what they return."""

    file: MapsFile

    def __init__(
        self,
        slices: Sequence[Slice],
        settings: Settings,
        cache: Path,
        fractions: bool,
        edge: bool,
        progress: Callable[[int, int, str], None],
    ) -> None:
        self.slices, self.settings, self.wanted = slices, settings, (fractions, edge)
        self.folders = [cache / f"{one.uid[:8]}_{one.digest()[:16]}" for one in slices]
        for folder in self.folders:
            remove_left_behind(folder)
        self.spectra = sum(one.spectra for one in slices)
        self.errors: dict[int, ErrorFound] = {}
        self.troubles: list[str] = []
        self._progress, self._done = progress, 0

    @property
    def missing_bytes(self) -> int:
        """How much of the copies is not there yet [bytes]."""
        kept = sum(part.stat().st_size for folder in self.folders for part in folder.glob("rows_*.h5"))
        whole = sum(bytes_of_copy(len(one.recipes), one.developing.frame_shape) for one in self.slices)
        return max(0, whole - kept)

    def look(self, index: int) -> Task:
        """Return the task of looking through a slice, after which come those of its parts."""
        one, folder = self.slices[index], self.folders[index]

        def done(looked: Looked) -> list[Task]:
            self.troubles += [*one.troubles, *looked.troubles]
            self.file.begin(index, looked)
            self._say(0, f"{one.name} looked through")
            steps = tuple(
                (one.recipes[at], place) for at, place in zip(looked.survey.kept, looked.survey.places, strict=True)
            )
            bands = bands_of(len(steps), one.developing.frame_shape)
            left = set(range(len(bands)))
            return [
                self._part(index, number, left, looked, Part(
                    path_of_part(folder, rows), one.developing, steps, rows, looked.fractions, looked.edge
                ))
                for number, rows in enumerate(bands)
            ]  # fmt: skip

        return Task(look_through, (one, folder, self.settings, *self.wanted), done)

    def _part(self, index: int, number: int, left: set[int], looked: Looked, part: Part) -> Task:
        one = self.slices[index]

        def done(maps: dict[str, Map]) -> list[Task]:
            self.file.fill(index, part.rows, maps)
            left.discard(number)
            if not left:
                energies = 0 if looked.fractions is None else len(looked.fractions.chosen)
                self.errors[index] = self.file.finish(index, looked.misfit, energies)
            rows = part.rows.stop - part.rows.start
            self._say(rows * one.developing.frame_shape[1], f"{one.name} mapped")
            return []

        return Task(map_part, (part,), done)

    def _say(self, spectra: int, what: str) -> None:
        self._done += spectra
        self._progress(self._done, self.spectra, what)

"""The slices of a stack in three dimensions: which frames each is made of, and how they are developed."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from whiteline.analysis.live.alignment import Aligner
from whiteline.analysis.live.density import Developer
from whiteline.analysis.live.kinds import kind_of
from whiteline.analysis.live.recipes import Cookbook, Recipe, cookbook_of, pixel_um
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.runs.path_map import PathMap
from whiteline.analysis.runs.run import Run
from whiteline.analysis.runs.unreadable import UnreadableRun

FORM_OF_COPY = 1
"""Of what is kept of a slice; another number makes it anew."""


@dataclass(frozen=True)
class Developing:
    """How raw frames become optical densities: the settings that this takes, and the frames of the run.

    Parameters
    ----------
    gain, read_noise, saturation, dark_level, register, registration_side
        As in `Settings`.
    frame_shape : tuple of int
        Rows and columns.
    dtype : str
        Of the raw frames.
    blank : tuple of int or None
        First row, row behind, first column, column behind, of where there is no sample.
    path_map : PathMap
        Where the files are.
    label : str
        What is read, for errors.
    """

    gain: float
    read_noise: float
    saturation: float | None
    dark_level: float
    register: bool
    registration_side: int
    frame_shape: tuple[int, int]
    dtype: str
    blank: tuple[int, int, int, int] | None
    path_map: PathMap
    label: str

    @classmethod
    def of(cls, settings: Settings, book: Cookbook, run: Run) -> "Developing":
        """Return that of a run."""
        blank = None
        if book.blank is not None:
            rows, columns = book.blank
            blank = rows.start, rows.stop, columns.start, columns.stop
        return cls(
            settings.gain, settings.read_noise, settings.saturation, settings.dark_level, settings.register,
            settings.registration_side, book.frame_shape, book.dtype.str, blank, PathMap.of(run.path_map),
            f"frames of {run.name}",
        )  # fmt: skip

    @property
    def settings(self) -> Settings:
        """The settings that it is made of."""
        return Settings(
            gain=self.gain, read_noise=self.read_noise, saturation=self.saturation, dark_level=self.dark_level,
            register=self.register, registration_side=self.registration_side,
        )  # fmt: skip

    def aligner(self) -> Aligner:
        """Return what measures the drift of frames of a slice."""
        return Aligner(self.settings)

    def developer(self) -> Developer:
        """Return what reads frames; of this process the same one again, as it keeps the darks."""
        return _developer(self)


@lru_cache(maxsize=1)
def _developer(one: Developing) -> Developer:
    blank = None if one.blank is None else (slice(*one.blank[:2]), slice(*one.blank[2:]))
    return Developer(one.settings, one.path_map, one.frame_shape, np.dtype(one.dtype), one.label, blank)


@dataclass(frozen=True)
class Slice:
    """One slice: frames at some energies, of one place of the sample, or at one angle.

    Parameters
    ----------
    uid, run : str
        Of the run, and what it is called.
    recipes : tuple of Recipe
        What its optical densities are made of, a frame each.
    developing : Developing
        How.
    position : int or None
        Which place of the sample, where a run has several.
    angle : float or None
        Of a tomogram [deg].
    pixel_um : float or None
        Size of a pixel [µm].
    planned : int or None
        How many energies there should be.
    over : bool
        Whether the run has ended.
    exit_status : str
        Of the run.
    troubles : tuple of str
        What was left out and why, a sentence each.
    """

    uid: str
    run: str
    recipes: tuple[Recipe, ...]
    developing: Developing
    position: int | None = None
    angle: float | None = None
    pixel_um: float | None = None
    planned: int | None = None
    over: bool = True
    exit_status: str = "success"
    troubles: tuple[str, ...] = ()

    @property
    def spectra(self) -> int:
        """Number of its pixels."""
        return int(np.prod(self.developing.frame_shape))

    @property
    def name(self) -> str:
        """What it is called."""
        where = f", position {self.position}" if self.position is not None else ""
        turned = f", {self.angle:.6g}°" if self.angle is not None else ""
        return f"{self.run}{where}{turned}"

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of its frames, flats and darks, where they are for this client, each once."""
        paths = (place.file.path for one in self.recipes for place in (*one.frames, *one.flats, *one.darks))
        return tuple(self.developing.path_map.find(path) for path in dict.fromkeys(paths))

    def digest(self) -> str:
        """Return a hash of all that its optical densities are made of.

        Raises
        ------
        UnreadableRun
            If a file is not there.
        """
        about = self.developing
        said = [
            FORM_OF_COPY, about.gain, about.read_noise, about.saturation, about.dark_level, about.register,
            about.registration_side, about.frame_shape, about.dtype, about.blank, self.recipes,
        ]  # fmt: skip
        found = hashlib.sha256(repr(said).encode())
        for path in self.files:
            found.update(_stamp(path, self.run).encode())
        return found.hexdigest()


def _stamp(path: Path, run: str) -> str:
    """Return what changes when a file does; of many slices the same files are asked."""
    try:
        state = path.stat()
    except OSError as error:
        raise UnreadableRun(
            f"{path} of {run} is not there ({error.strerror}); name the folder that it is in for this client in the "
            "description of the beamline: files.read of the detector"
        ) from error
    return f"{path.name} {state.st_size} {state.st_mtime_ns}"


def slices_of(runs: Iterable[Run], settings: Settings) -> list[Slice]:
    """Return the slices of stacks: of each run its places of the sample, or itself.

    Parameters
    ----------
    runs : iterable of Run
        Stacks, finished or as far as they are.
    settings : Settings
        Counting, flats, camera, registration.

    Raises
    ------
    UnreadableRun
        If one is no stack, or has no flats or no frames.
    """
    found = []
    for run in runs:
        if kind_of(run) != "stack":
            raise UnreadableRun(
                f"{run.name} is no stack of frames over the energy, but of the kind {kind_of(run)}; give runs of "
                "xanes_stack, or of xanes_tomography"
            )
        places = run.position_indices
        for index in places or (None,):
            there = run if index is None else run.at_position(index)
            found.append(_slice(there, settings, index if len(places) > 1 else None))
    return found


def _slice(run: Run, settings: Settings, position: int | None) -> Slice:
    book, planned = cookbook_of(run, settings), run.planned_energies
    if not book.recipes:
        raise UnreadableRun(book.left_out[0] if book.left_out else f"{run.name} has no frame that could be mapped")
    return Slice(
        run.uid, run.name, tuple(book.recipes.values()), Developing.of(settings, book, run), position, None,
        pixel_um(run, run.points), None if planned is None else int(planned.size), not run.going, run.exit_status,
        book.left_out,
    )  # fmt: skip

"""The frames of a stack as an export takes them: by ascending energy, divided by their flats, one at a time.

Which flats and darks belong to a frame is what the analysis of the run takes too. No more than a frame with its flat
and its dark is in memory, so that a stack may be larger than that.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.exports.request import Request
from whiteline.analysis.live.recipes import Places, Recipe, cookbook_of, darks_of, pixel_um
from whiteline.analysis.runs.frames import FrameStack
from whiteline.analysis.runs.roles import frames_key
from whiteline.analysis.runs.run import FLAT, PRIMARY, Run
from whiteline.analysis.runs.streams import Stream
from whiteline.analysis.runs.unreadable import UnreadableRun

Image = NDArray[np.float32]
Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class StackFrames:
    """Frames of a stack; none is read before it is asked for.

    Parameters
    ----------
    run : Run
        Of which they are.
    camera : str
        Data key of the frames.
    recipes : tuple of Recipe
        By ascending energy, in the order of their points where energies repeat.
    energies : ndarray of float64, shape (E,)
        That were reached [eV].
    shape : tuple of int
        Rows and columns.
    has_flats : bool
        Whether there are flats; without, there are only counts.
    left_out : tuple of str
        A sentence for each point that cannot be exported.
    """

    run: Run
    camera: str
    recipes: tuple[Recipe, ...]
    energies: Numbers
    shape: tuple[int, int]
    has_flats: bool
    left_out: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.recipes)

    @property
    def has_darks(self) -> bool:
        """Whether each frame has a dark."""
        return all(one.darks for one in self.recipes)

    @property
    def points(self) -> Stream:
        """The stream that they are of."""
        return self.run.stream(PRIMARY)

    @property
    def quantity(self) -> str:
        """What `image` returns: "transmission" or "counts"."""
        return "transmission" if self.has_flats else "counts"

    @property
    def processing(self) -> tuple[str, ...]:
        """What was done to them, a sentence each."""
        dark = "the mean of the darks of its exposure" if self.has_darks else "no dark, as the run has none"
        if self.has_flats:
            how = (
                f"transmission is (I − D) / (F − D): of each frame {dark}, and its own flat, scaled by exposure; "
                "it is NaN where the flat is not above the dark"
            )
        else:
            how = f"counts less {dark}; they are divided by no flat, as the run has none"
        blank = self.run.start.get("blank")
        beam = (
            (f"the beam may differ between frame and flat: take I0 where there is no sample, rows and columns {blank}",)
            if blank is not None
            else ()
        )
        return how, "frames are by ascending energy, and not moved against each other", *beam, *self.left_out

    @cached_property
    def pixel_um(self) -> float | None:
        """Size of a pixel of the frames at the sample [µm], binning included; None if it was not recorded."""
        return pixel_um(self.run, self.points)

    def reading(self, key: str) -> Numbers:
        """Return a reading of each frame, shape (E,); NaN where it was not recorded."""
        points = self.points
        if key not in points:
            return np.full(len(self), np.nan)
        place = np.searchsorted(points.seq_nums, [one.number for one in self.recipes])
        found: Numbers = points.numbers(key)[place]
        return found

    @cached_property
    def exposure_s(self) -> Numbers:
        """Time that each frame was exposed, all frames of a point together [s], shape (E,); NaN if not recorded."""
        number = np.array([sum(place.count for place in recipe.frames) for recipe in self.recipes], float)
        total: Numbers = number * self.reading(f"{self.points.object_of.get(self.camera, '')}_exposure")
        return total

    def image(self, index: int) -> Image:
        """Return the transmission of a frame, or its counts where there are no flats, shape (Y, X).

        Raises
        ------
        UnreadableRun
            If a flat or a dark cannot be read.
        """
        dark = self.dark(index)
        light = self._mean(self.recipes[index].frames) - dark
        if not self.has_flats:
            return light
        beam = (self.flat(index) - dark) * np.float32(self.recipes[index].flat_scale)
        found = np.full(self.shape, np.nan, np.float32)
        np.divide(light, beam, out=found, where=beam > 0)
        return found

    def images(self) -> Iterator[Image]:
        """Yield them all, one at a time."""
        return (self.image(index) for index in range(len(self)))

    def flat(self, index: int) -> Image:
        """Return the flat of a frame as it was taken, dark included, shape (Y, X)."""
        return self._mean(self.recipes[index].flats)

    def dark(self, index: int) -> Image:
        """Return the dark of a frame, shape (Y, X); zeros where the run has none."""
        darks = self.recipes[index].darks
        if self._last_dark and self._last_dark[0][0] == darks:
            return self._last_dark[0][1]
        image = self._mean(darks) if darks else np.zeros(self.shape, np.float32)
        self._last_dark[:] = [(darks, image)]
        return image

    @cached_property
    def _last_dark(self) -> list[tuple[Places, Image]]:
        return []

    def _mean(self, places: Places) -> Image:
        dtype = np.dtype(self.points.data_keys[self.camera].get("dtype_numpy") or "<u2")
        label = f"frames of {self.run.name}"
        return np.asarray(FrameStack((places,), self.shape, dtype, self.run.path_map, label)[0], np.float32)  # type: ignore[arg-type]


def stack_frames(request: Request) -> StackFrames:
    """Return the frames of a stack.

    Raises
    ------
    UnsuitableRun
        If the run is no stack.
    UnreadableRun
        If none of its frames can be read, or it records no energies.
    """
    request.require("stack")
    run = request.run
    points = run.stream(PRIMARY)
    camera = frames_key(run.start, points, request.camera)
    has_flats = bool(len(run.streams.get(FLAT, ())))
    if has_flats:
        book = cookbook_of(run, request.settings)
        recipes, left_out = list(book.recipes.values()), list(book.left_out)
    else:
        recipes, left_out = _without_flats(run, points, camera), []
    shape = (points.external[camera][-2], points.external[camera][-1])
    dtype = np.dtype(points.data_keys[camera].get("dtype_numpy") or "<u2")
    frames = FrameStack(tuple(one.frames for one in recipes), shape, dtype, run.path_map, f"frames of {run.name}")  # type: ignore[arg-type]
    there = frames.readable()
    if not there.any():
        if recipes:
            _ = frames[0]  # says which file it is
        raise UnreadableRun(f"{run.name} has no frame that could be exported")
    left_out += [
        f"point {one.number} is left out: its frames are not in their file"
        for one, whole in zip(recipes, there, strict=True)
        if not whole
    ]
    whole_ones = [one for one, whole in zip(recipes, there, strict=True) if whole]
    reached = dict(zip(points.seq_nums.tolist(), run.energies.tolist(), strict=True))
    ordered = sorted(whole_ones, key=lambda one: (reached[one.number], one.number))
    energies = np.array([reached[one.number] for one in ordered])
    return StackFrames(run, camera, tuple(ordered), energies, shape, has_flats, tuple(left_out))


def _without_flats(run: Run, points: Stream, camera: str) -> list[Recipe]:
    darks = darks_of(run, points, camera)
    return [
        Recipe(
            number=point.seq_num, energy=float(energy), time=point.time, frames=(point.places[camera],), flats=(),
            darks=darks[point.seq_num], magnification=None, stage=None, own_flat=False, of_this_visit=False,
        )
        for point, energy in zip(points.points, run.energies, strict=True)
        if camera in point.places and np.isfinite(energy)
    ]  # fmt: skip

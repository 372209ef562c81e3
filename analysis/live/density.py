"""From the files of a point to its optical density and variance: whole, or some of its rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.live.recipes import Places, Recipe
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.runs.frames import FrameStack
from whiteline.analysis.runs.path_map import PathMap
from whiteline.analysis.stacks import Counting, density_of_block, good_pixels, require_light

Image = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Dark:
    image: Image
    number: int | None


class Developer:
    """Turns the frames of recipes into optical densities; keeps the darks, and nothing else.

    Parameters
    ----------
    settings : Settings
        Gain, read noise, saturation, level without light.
    path_map : PathMap
        Where the files are.
    frame_shape : tuple of int
        Rows and columns.
    dtype : dtype
        Of raw frames.
    label : str
        What is read, for errors.
    blank : tuple of slice, optional
        Rows and columns where there is no sample: there frame and flat are to be alike, and the flat is scaled to it.
        The beam is not the same in both: it decays, is topped up, and wanders.
    """

    def __init__(
        self,
        settings: Settings,
        path_map: PathMap,
        frame_shape: tuple[int, int],
        dtype: np.dtype[Any],
        label: str,
        blank: tuple[slice, slice] | None = None,
    ) -> None:
        self.settings, self.frame_shape = settings, frame_shape
        self._path_map, self._dtype, self._label, self._blank = path_map, dtype, label, blank
        self._darks: dict[Places, _Dark] = {}
        self._beams: dict[Recipe, float] = {}

    def whole(self, recipe: Recipe) -> tuple[Image, Image]:
        """Return density and variance of a point, shape (Y, X) each; NaN where they are not determined.

        Parameters
        ----------
        recipe : Recipe
            Of the point.

        Raises
        ------
        UnreadableRun
            If they are not there, or not yet.
        ValueError
            If its flat is nowhere above the dark; it names the energy.
        """
        raw, flat, dark = self._mean(recipe.frames), self._mean(recipe.flats), self._floor(recipe.darks)
        require_light(flat[None], dark.image, [recipe.energy])
        return self._density(recipe, raw, flat, dark, dark.image)

    def rows(self, recipe: Recipe, rows: slice) -> tuple[Image, Image]:
        """Return density and variance of some rows of a point, as `whole`, without reading more than these."""
        dark = self._floor(recipe.darks)
        raw, flat = self._mean(recipe.frames, rows), self._mean(recipe.flats, rows)
        return self._density(recipe, raw, flat, dark, dark.image[rows])

    def _density(self, recipe: Recipe, raw: Any, flat: Any, dark: _Dark, floor: Image) -> tuple[Image, Image]:
        settings, scale = self.settings, recipe.flat_scale * self._beam(recipe)
        if scale != 1:  # of another exposure or beam: light is in proportion, and so is the variance of few frames
            flat = floor + np.float32(scale) * (np.asarray(flat, np.float32) - floor)
        counting = Counting(
            gain=settings.gain,
            read_noise=settings.read_noise,
            frames=sum(place.count for place in recipe.frames),
            # how far the beam differs matters for the light, and is nothing to the noise
            flats=float(sum(place.count for place in recipe.flats)) / recipe.flat_scale,
            darks=dark.number,
            saturation=settings.saturation,
        )
        shape = raw.shape
        density, variance, _ = density_of_block(
            raw.reshape(1, -1), np.asarray(flat, np.float32).reshape(1, -1), floor.reshape(1, -1), counting
        )
        if variance is None:
            raise ValueError("the variance is missing")
        return density.reshape(shape), variance.reshape(shape)

    def _beam(self, recipe: Recipe) -> float:
        """Return the beam of the frame over that of its flats, by the light where there is no sample; 1 if unknown."""
        if self._blank is None:
            return 1.0
        if recipe not in self._beams:
            rows, columns = self._blank
            dark = self._floor(recipe.darks).image[rows, columns]
            frame, flat = (self._mean(one, rows)[:, columns] - dark for one in (recipe.frames, recipe.flats))
            good = np.isfinite(dark)
            ratio = float(frame[good].sum(dtype=float)) / max(float(flat[good].sum(dtype=float)), 1.0)
            ratio /= recipe.flat_scale
            self._beams[recipe] = ratio if np.isfinite(ratio) and ratio > 0 else 1.0
        return self._beams[recipe]

    def _floor(self, places: Places) -> _Dark:
        """Return the dark, NaN at pixels that are hot or dead; there is one for each exposure, and they are kept."""
        if places not in self._darks:
            if places:
                image = np.asarray(self._mean(places), np.float32).copy()
                image[~good_pixels(image)] = np.nan
                self._darks[places] = _Dark(image, sum(place.count for place in places))
            else:
                level = np.full(self.frame_shape, self.settings.dark_level, np.float32)
                self._darks[places] = _Dark(level, None)
        return self._darks[places]

    def _mean(self, places: Places, rows: slice = slice(None)) -> NDArray[Any]:
        stack = FrameStack((places,), self.frame_shape, self._dtype, self._path_map, self._label)
        return np.asarray(stack[0, rows])

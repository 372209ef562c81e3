"""One frame from its files to the pixels of the reference: the step that live and offline analysis share."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.focus.sharpness import sharpness
from whiteline.analysis.live.alignment import STILL, Aligner, Drift, Place, brought_back
from whiteline.analysis.live.density import Developer
from whiteline.analysis.live.recipes import Recipe
from whiteline.analysis.live.results import FrameFound
from whiteline.analysis.live.sample import SampledFrame

Image = NDArray[np.float32]

SHARPNESS_SIDE = 512
"""Of the middle of a frame, on which the sharpness is found [px]."""


COARSE, FINE = (0.02, 0.08), (0.08, 0.2)
"""Bands of spatial frequencies whose ratio tells of the focus [cycles/px]."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A frame that is ready for the fit.

    Parameters
    ----------
    recipe : Recipe
        What it was made of.
    drift : Drift
        Where its content had moved to.
    place : Place
        How it was brought back.
    own : ndarray of float32, shape (rows, columns)
        Middle of the optical density as it was taken, for its sharpness; and its variance.
    density, variance : ndarray of float32, shape (Y, X)
        On the pixels of the reference.
    sampled : SampledFrame
        A few of its pixels.
    """

    recipe: Recipe
    drift: Drift
    place: Place
    own: tuple[Image, Image]
    density: Image
    variance: Image
    sampled: SampledFrame


@dataclass(frozen=True, eq=False)
class Followed:
    """What stays of a frame when its images are gone."""

    recipe: Recipe
    drift: Drift
    place: Place
    sampled: SampledFrame
    fitted: bool
    found: FrameFound


class FrameWork:
    """Prepares frames one after the other; the first one becomes the reference.

    Parameters
    ----------
    developer : Developer
        Reads frames.
    aligner : Aligner
        Measures their drift.
    """

    def __init__(self, developer: Developer, aligner: Aligner) -> None:
        self.developer, self.aligner = developer, aligner
        self.reference: Recipe | None = None

    def prepare(self, recipe: Recipe, last_trusted: Place) -> Prepared:
        """Return a frame that is ready for the fit.

        Parameters
        ----------
        recipe : Recipe
            Of the frame.
        last_trusted : Place
            How the last frame before it was brought back whose shift was to be believed.

        Raises
        ------
        UnreadableRun
            If its frames are not there, or not yet.
        ValueError
            If it has no good pixel, or its flat no light.
        """
        density, variance = self.developer.whole(recipe)
        if not self.aligner.ready:
            self.aligner.start(density, recipe.magnification)
            self.reference = recipe
            drift = STILL
        else:
            drift = self.aligner.measure(density, recipe.magnification)
        scale = self.aligner.scale(recipe.magnification)
        place = Place(drift.y, drift.x, scale) if drift.trusted else Place(last_trusted.y, last_trusted.x, scale)
        middle = tuple(_middle(length) for length in density.shape)
        own = density[middle], variance[middle]
        return self._brought_back(recipe, drift, place, own, density, variance)

    def again(self, followed: Followed) -> tuple[Image, Image]:
        """Return density and variance of a frame as they were when it was followed."""
        density, variance = self.developer.whole(followed.recipe)
        return brought_back(density, variance, followed.place)

    def _brought_back(
        self,
        recipe: Recipe,
        drift: Drift,
        place: Place,
        own: tuple[Image, Image],
        density: Image,
        variance: Image,
    ) -> Prepared:
        density, variance = brought_back(density, variance, place)
        resampled = place.resampled((density.shape[0], density.shape[1]))
        sampled = SampledFrame.of(recipe.energy, density, variance, resampled=resampled)
        return Prepared(recipe, drift, place, own, density, variance, sampled)

    def followed(self, prepared: Prepared, *, fitted: bool, sharp: bool = True) -> Followed:
        """Return what stays of a frame; its sharpness is found here, unless that can wait."""
        recipe, drift, place = prepared.recipe, prepared.drift, prepared.place
        found = self._found(recipe, drift, place, prepared.own if sharp else None)
        return Followed(recipe, drift, place, prepared.sampled, fitted, found)

    def look(self, recipe: Recipe) -> FrameFound:
        """Return shift and sharpness of a frame that is no part of the stack; raises as `prepare`."""
        density, variance = self.developer.whole(recipe)
        drift = self.aligner.measure(density, recipe.magnification)
        place = Place(drift.y, drift.x, self.aligner.scale(recipe.magnification))
        middle = tuple(_middle(length) for length in density.shape)
        return self._found(recipe, drift, place, (density[middle], variance[middle]))

    def _found(self, recipe: Recipe, drift: Drift, place: Place, own: tuple[Image, Image] | None) -> FrameFound:
        unknown = (np.nan, np.nan)
        value, error = unknown if own is None else sharpness_of(*own)
        detail, detail_error = unknown if own is None else detail_of(*own)
        here, first = recipe.stage, None if self.reference is None else self.reference.stage
        moved = (np.nan, np.nan) if here is None or first is None else (here[0] - first[0], here[1] - first[1])
        return FrameFound(
            number=recipe.number,
            energy=recipe.energy,
            shift_y=drift.y,
            shift_x=drift.x,
            shift_error_y=drift.error_y,
            shift_error_x=drift.error_x,
            confidence=drift.confidence,
            trusted=drift.trusted,
            used_y=place.y,
            used_x=place.x,
            scale=place.scale,
            sharpness=value,
            sharpness_error=error,
            detail=detail,
            detail_error=detail_error,
            stage_y=moved[0],
            stage_x=moved[1],
            time=recipe.time,
        )


def sharpness_of(density: Image, variance: Image) -> tuple[float, float]:
    """Return the sharpness of a transmission and its error; NaN where too many pixels are bad or they are too few."""
    transmission = np.exp(-density.astype(float))
    noise = transmission**2 * variance
    known = np.isfinite(noise)
    if not known.any():
        return np.nan, np.nan
    try:
        found = sharpness(transmission, valid=known, variance=float(noise[known].mean()))
    except ValueError:
        return np.nan, np.nan
    return found.value, found.error


def detail_of(density: Image, variance: Image) -> tuple[float, float]:
    """Return the share of fine detail in an optical density, and its error.

    It is the energy of its gradients at 0.08 to 0.2 cycles per pixel over that at 0.02 to 0.08. Over an absorption edge
    the contrast of a sample changes many times over, and with it all sharpness; but it does at both bands alike.
    """
    known = np.isfinite(variance) & np.isfinite(density)
    if not known.any():
        return np.nan, np.nan
    noise = float(variance[known].mean())
    try:
        fine, coarse = (sharpness(density, valid=known, variance=noise, band=band) for band in (FINE, COARSE))
    except ValueError:
        return np.nan, np.nan
    if not coarse.value > 0:
        return np.nan, np.nan
    ratio = fine.value / coarse.value
    return ratio, float(np.hypot(fine.error, ratio * coarse.error) / coarse.value)


def _middle(length: int) -> slice:
    start = max(0, (length - SHARPNESS_SIDE) // 2)
    return slice(start, start + min(length, SHARPNESS_SIDE))

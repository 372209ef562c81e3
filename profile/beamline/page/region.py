"""The spectrum of a rectangle of the map, with its fits: its mean at each energy.

Of a stack that is the optical density, from the frames' files: a rectangle of many pixels is sampled on a grid, as the
mean of the map is, as 16 000 pixels tell its mean as well as all of them do. Of a raster it is what a line counts per
incident beam, in all pixels. Only pixels that are good at every energy count, so all energies are of the same ones.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from whiteline.analysis.live.alignment import Place
from whiteline.analysis.live.edge_maps import PreparedRows
from whiteline.analysis.live.planes import Planes
from whiteline.analysis.live.raster import per_photon
from whiteline.analysis.live.recipes import Recipe
from whiteline.analysis.live.sample import FAR_APART, PIXELS, Sample, SampledFrame
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.live.spectrum import FittedSpectrum, fit_spectrum
from whiteline.analysis.registration import mean_noise_gain


@dataclass(frozen=True)
class Rectangle:
    """Pixels of a map, from the first to before the last: rows `top` to `bottom`, columns `left` to `right`."""

    top: int
    bottom: int
    left: int
    right: int

    @classmethod
    def drawn(cls, x: tuple[float, float], y: tuple[float, float], shape: tuple[int, ...]) -> "Rectangle | None":
        """Return the pixels whose centres lie in what was drawn; None if there are none.

        Parameters
        ----------
        x, y : tuple of float
            Edges, in columns and rows: pixel n covers n to n + 1.
        shape : tuple of int
            Rows and columns of the map.
        """
        ends = []
        for (one, other), length in ((y, shape[0]), (x, shape[1])):
            low, high = sorted((one, other))
            first, last = max(0, int(np.ceil(low - 0.5))), min(length, int(np.floor(high - 0.5)) + 1)
            if last <= first:
                return None
            ends += [first, last]
        return cls(*ends)

    @property
    def step(self) -> int:
        """Distance of the pixels that are sampled [px]."""
        return max(1, int(np.sqrt((self.bottom - self.top) * (self.right - self.left) / PIXELS)))

    def of(self, image: Any) -> Any:
        """Return the part of an image, or of several, shape (…, Y, X), that lies inside."""
        return image[..., self.top : self.bottom, self.left : self.right]


class RegionSpectrum:
    """The spectrum of one rectangle while frames are added; each frame is read once.

    Parameters
    ----------
    rectangle : Rectangle
        In question.
    settings : Settings
        References, edge, and with what the model of the edge is convolved.
    """

    def __init__(self, rectangle: Rectangle, settings: Settings) -> None:
        self.rectangle, self._settings = rectangle, settings
        self._frames: dict[tuple[Recipe, Place], SampledFrame] = {}

    def of(self, rows: PreparedRows) -> FittedSpectrum | None:
        """Return the spectrum of all frames that there are; None if no pixel is good at all energies.

        Raises
        ------
        UnreadableRun, OSError
            If a frame cannot be read any more.
        """
        known, self._frames = self._frames, {}
        for index, step in enumerate(rows.steps):
            self._frames[step] = known[step] if step in known else self._sampled(rows, index)
        return _fitted(list(self._frames.values()), self._settings)

    def of_planes(self, planes: Planes) -> FittedSpectrum | None:
        """Return the spectrum of the maps of a raster; None if no pixel is good at all energies."""
        inside = self.rectangle.of(planes.value), self.rectangle.of(planes.variance)
        if self._settings.incident_current:
            inside = per_photon(planes.energies, *inside)
        parts = zip(map(float, planes.energies), *inside, strict=True)
        frames = [SampledFrame(energy, value.ravel(), variance.ravel(), 1.0) for energy, value, variance in parts]
        return _fitted(frames, self._settings)

    def _sampled(self, rows: PreparedRows, index: int) -> SampledFrame:
        recipe, place = rows.steps[index]
        inside, step = self.rectangle, self.rectangle.step
        density, variance = (
            np.array(image[step // 2 :: step, inside.left + step // 2 : inside.right : step]).ravel()
            for image in rows.frame(index, slice(inside.top, inside.bottom))
        )
        near = place.resampled(rows.shape) and step < FAR_APART
        return SampledFrame(recipe.energy, density, variance, 1 / mean_noise_gain() if near else 1.0)


def _fitted(frames: list[SampledFrame], settings: Settings) -> FittedSpectrum | None:
    if not frames:
        return None
    sample = Sample.of(frames)
    chosen = sample.good
    number = int(np.count_nonzero(chosen))
    if not number:
        return None
    return fit_spectrum(sample.energies, *sample.mean(chosen), settings, pixels=number)


def mean_of(value: Any, error: Any, rectangle: Rectangle) -> tuple[float, float, int]:
    """Return the mean of a map over a rectangle, the spread of its pixels (σ), and how many of them are known.

    Parameters
    ----------
    value, error : ndarray, shape (Y, X)
        Of the map; a pixel is known where both are finite.
    rectangle : Rectangle
        In question.
    """
    inside, sure = rectangle.of(value), rectangle.of(error)
    known = inside[np.isfinite(inside) & np.isfinite(sure)]
    if not known.size:
        return np.nan, np.nan, 0
    return float(known.mean(dtype=float)), float(known.std(dtype=float)), int(known.size)

"""Edge energy and white line over the map, by bands of rows read from the files: no stack is ever kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis import tables
from whiteline.analysis.live.alignment import Place, rows_brought_back
from whiteline.analysis.live.density import Developer
from whiteline.analysis.live.recipes import Recipe, grouped
from whiteline.analysis.live.sample import Sample
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.maps.edge_jump import EdgeNormalisation
from whiteline.analysis.maps.half_height import half_height
from whiteline.analysis.maps.map import Map
from whiteline.analysis.maps.principal import Projection
from whiteline.analysis.maps.white_line import white_line

Image = NDArray[np.float32]
Step = tuple[Recipe, Place]

BAND_BYTES = 96 * 2**20
"""Of optical densities and variances that are held at a time."""

WHITE_LINE_EV = (2.0, 30.0)
"""Where the white line is looked for, relative to an edge whose usual range is not tabulated."""


class Stopped(RuntimeError):
    """The work is no longer wanted."""


class PreparedRows:
    """Rows of all frames of a run, brought back onto the reference: read when they are asked for.

    Parameters
    ----------
    developer : Developer
        Reads frames; of the thread that uses this.
    steps : sequence of (Recipe, Place)
        The frames, and how each is brought back.
    """

    def __init__(self, developer: Developer, steps: Sequence[Step]) -> None:
        self._developer, self._steps = developer, tuple(steps)
        self.groups = grouped([recipe.energy for recipe, _ in self._steps])

    @property
    def steps(self) -> tuple[Step, ...]:
        """The frames, and how each is brought back."""
        return self._steps

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a frame."""
        return self._developer.frame_shape

    @property
    def bands(self) -> list[slice]:
        """Rows that are worked on at a time."""
        height, width = self.shape
        rows = max(16, BAND_BYTES // (8 * max(1, len(self._steps)) * width))
        return [slice(start, min(height, start + rows)) for start in range(0, height, rows)]

    def frame(self, index: int, rows: slice) -> tuple[Image, Image]:
        """Return density and variance of some rows of a frame."""
        recipe, place = self._steps[index]
        source = place.source(rows, self.shape[0]) if place.resampled(self.shape) else rows
        density, variance = self._developer.rows(recipe, source)
        return rows_brought_back(density, variance, place, rows, source, self.shape)

    def band(self, rows: slice, chosen: Sequence[int] | None = None) -> tuple[Image, Image]:
        """Return density and variance of some rows of frames one by one, shape (E, rows, X)."""
        numbers = range(len(self._steps)) if chosen is None else chosen
        shape = (len(numbers), rows.stop - rows.start, self.shape[1])
        density, variance = np.empty(shape, np.float32), np.empty(shape, np.float32)
        for at, index in enumerate(numbers):
            density[at], variance[at] = self.frame(index, rows)
        return density, variance

    def averaged(self, rows: slice) -> tuple[Image, Image]:
        """Return the same by ascending energy, frames of one energy averaged, shape (G, rows, X)."""
        shape = (len(self.groups), rows.stop - rows.start, self.shape[1])
        density, variance = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        for at, group in enumerate(self.groups):
            for index in group:
                one, noise = self.frame(index, rows)
                density[at] += one
                variance[at] += noise
            density[at] /= len(group)
            variance[at] /= len(group) ** 2
        return density, variance


@dataclass(frozen=True, eq=False)
class EdgeFit:
    """What the maps of the edge are made by, which is the same for each band of rows of a stack.

    Parameters
    ----------
    energies : ndarray of float64, shape (G,)
        Ascending, each once [eV].
    normalisation : EdgeNormalisation
        Where background and post-edge are read.
    projection : Projection
        The components of the stack.
    window : tuple of float
        Where the white line is looked for [eV].
    least_jump_over_noise : float
        As in `Settings`.
    """

    energies: NDArray[np.float64]
    normalisation: EdgeNormalisation
    projection: Projection
    window: tuple[float, float]
    least_jump_over_noise: float

    @classmethod
    def of(cls, sample: Sample, settings: Settings) -> Self:
        """Learn it from the sampled pixels.

        Raises
        ------
        ValueError
            If edge or energies are not known well enough for it yet.
        """
        edge = settings.edge_energy()
        if edge is None:
            raise ValueError("the energy of the edge is not known; give it, or references")
        energies, normalisation = sample.energies, EdgeNormalisation(edge)
        normalisation.jump(energies)  # raises where pre-edge or post-edge are still missing
        projection = Projection.learn(energies, sample.density, sample.variance)
        window = settings.white_line or usual_window(edge)
        return cls(energies, normalisation, projection, window, settings.least_jump_over_noise)

    def maps_of(self, density: Image, variance: Image) -> dict[str, Map]:
        """Return "edge energy" and, where the energies cover its range, "white line" of some rows, (G, rows, X) [eV].

        Raises
        ------
        ValueError
            If the energies do not cover the rising edge.
        """
        given = self.energies, density, variance
        more: dict[str, Any] = {
            "projection": self.projection, "least_jump_over_noise": self.least_jump_over_noise
        }  # fmt: skip
        found = {"edge energy": half_height(*given, self.normalisation, **more)}
        try:
            found["white line"] = white_line(*given, self.window, self.normalisation, **more)
        except ValueError:
            return found
        return found


def edge_maps(
    rows: PreparedRows, sample: Sample, settings: Settings, wanted: Callable[[], bool] = lambda: True
) -> dict[str, Map]:
    """Map the edge energy and the white line.

    Parameters
    ----------
    rows : PreparedRows
        Where the frames come from.
    sample : Sample
        The sampled pixels of the same frames, from which the components are learnt.
    settings : Settings
        Edge, range of the white line, least jump.
    wanted : callable
        Asked before each band whether to go on.

    Returns
    -------
    dict of str to Map
        "edge energy" and "white line" [eV].

    Raises
    ------
    ValueError
        If edge or energies are not known well enough for them yet.
    Stopped
        If it is not wanted any more.
    """
    fit = EdgeFit.of(sample, settings)
    parts: dict[str, list[Map]] = {}
    for band in rows.bands:
        if not wanted():
            raise Stopped("the map of the edge is no longer wanted")
        for name, one in fit.maps_of(*rows.averaged(band)).items():
            parts.setdefault(name, []).append(one)
    return {name: _joined(bands) for name, bands in parts.items() if len(bands) == len(rows.bands)}


def usual_window(edge: float) -> tuple[float, float]:
    """Return where the white line of an edge is looked for [eV]."""
    for (element, name), window in tables.WHITE_LINE_WINDOWS_EV.items():
        if abs(tables.edge_energy(element, name) - edge) < 15:
            return window
    return edge + WHITE_LINE_EV[0], edge + WHITE_LINE_EV[1]


def _joined(bands: Sequence[Map]) -> Map:
    first = bands[0]
    value, error = (np.concatenate([getattr(one, part) for one in bands]) for part in ("value", "error"))
    valid = np.concatenate([one.valid for one in bands])
    return Map(first.name, first.unit, value.astype(np.float32), error.astype(np.float32), valid)

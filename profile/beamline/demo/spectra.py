"""Spectra of the picture: the mean of the map, and those of single pixels, each with its fit.

The pixels are the ones that tell most: one that is rich in each of the first two species, and the most even mixture,
among those whose edge jump is not among the smallest quarter.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.live.edge_maps import PreparedRows
from whiteline.analysis.live.raster import per_photon
from whiteline.analysis.maps.basis import Basis
from whiteline.analysis.spectrum_files import Spectrum
from whiteline.beamline.score.scored import Scored

Numbers = NDArray[np.float64]

MOST_PIXELS = 3
"""How many single pixels are shown."""

RICH = 0.98
"""Quantile of the pixels that counts as rich in a species: the very richest owes it to its noise."""


@dataclass(frozen=True, eq=False)
class ShownSpectrum:
    """A spectrum with its fit by the references and a straight background.

    Parameters
    ----------
    title : str
        What it is of.
    mark : str
        Letter by which its pixel is marked on the map; empty for none.
    pixel : (row, column) or None
        Where it is.
    energy, value, error : ndarray of float64, shape (E,)
        Measured, and its standard error; energies ascend [eV].
    parts : mapping of str to ndarray
        Of the fit: each species and "background".
    """

    title: str
    mark: str
    pixel: tuple[int, int] | None
    energy: Numbers
    value: Numbers
    error: Numbers
    parts: dict[str, Numbers]

    @property
    def fit(self) -> Numbers:
        """The sum of its parts."""
        return np.asarray(np.sum(list(self.parts.values()), axis=0))


def spectra_of(scored: Scored, rows: PreparedRows | None) -> tuple[ShownSpectrum, ...]:
    """Return the spectra that are shown of a scored run.

    Parameters
    ----------
    scored : Scored
        The run with maps and truth.
    rows : PreparedRows or None
        Its frames; of a raster its maps tell.
    """
    references, found = scored.truth.references, []
    mean = scored.results.spectrum
    if mean is not None:
        error = np.ones(mean.energy.size) if mean.error is None else mean.error
        found.append(_fitted("mean of the map", "", None, mean.energy, mean.absorption, error, references))
    for mark, pixel in zip("ABC", pixels_that_tell(scored), strict=False):
        of_pixel = _of_pixel(scored, rows, pixel)
        if of_pixel is not None:
            found.append(_fitted(_title(scored, mark, pixel), mark, pixel, *of_pixel, references))
    return tuple(found)


def pixels_that_tell(scored: Scored) -> list[tuple[int, int]]:
    """Return the pixels whose spectra are shown (row, column): richest in each species, and the most even mixture."""
    maps = [scored.results.map(f"fraction of {name}") for name in scored.truth.names]
    jump = scored.results.map("edge jump").value
    valid = np.all([one.valid for one in maps], axis=0) & scored.truth.particles & np.isfinite(jump)
    if not valid.any():
        return []
    valid &= jump >= np.quantile(jump[valid], 0.25)
    shares = np.stack([one.value for one in maps])
    wanted = [np.abs(one - np.quantile(one[valid], RICH)) for one in shares][: MOST_PIXELS - 1]
    wanted.append(np.abs(shares - 1 / len(maps)).max(axis=0))
    places = [np.unravel_index(np.argmin(np.where(valid, one, np.inf)), valid.shape) for one in wanted]
    return [(int(row), int(column)) for row, column in dict.fromkeys(places)]


def _title(scored: Scored, mark: str, pixel: tuple[int, int]) -> str:
    name = scored.truth.names[-1]
    found = scored.results.map(f"fraction of {name}")
    value, error, true = found.value[pixel], found.error[pixel], scored.truth.fraction[-1][pixel]
    return f"pixel {mark}: {value:.2f} ± {error:.2f} of it {name}, in truth {true:.2f}"


def _of_pixel(
    scored: Scored, rows: PreparedRows | None, pixel: tuple[int, int]
) -> tuple[Numbers, Numbers, Numbers] | None:
    """Return energies, value and standard error of one pixel; None if its frames are not there."""
    row, column = pixel
    planes = scored.results.planes
    if planes is not None:
        value, variance = per_photon(planes.energies, planes.value, planes.variance)
        order = np.argsort(planes.energies)
        energy, value, variance = planes.energies[order], value[order, row, column], variance[order, row, column]
    elif rows is not None:
        value, variance = (image[:, 0, column] for image in rows.averaged(slice(row, row + 1)))
        energies = np.array([recipe.energy for recipe, _ in rows.steps])
        energy = np.array([float(energies[group].mean()) for group in rows.groups])
    else:
        return None
    known = np.isfinite(value) & (variance > 0)
    return energy[known], value[known].astype(float), np.sqrt(variance[known], dtype=float)


def _fitted(
    title: str,
    mark: str,
    pixel: tuple[int, int] | None,
    energy: Numbers,
    value: Numbers,
    error: Numbers,
    references: tuple[Spectrum, ...],
) -> ShownSpectrum:
    low, high = max(one.energy[0] for one in references), min(one.energy[-1] for one in references)
    inside = (energy >= low) & (energy <= high) & np.isfinite(value) & (error > 0)
    energy, value, error = energy[inside], value[inside], error[inside]
    basis = Basis.from_spectra(references, energy, background=("constant", "linear"))
    matrix = basis.matrix
    found = np.linalg.lstsq(matrix / error[:, None], value / error, rcond=None)[0]
    number = len(basis.references)
    parts = {name: matrix[:, index] * found[index] for index, name in enumerate(basis.references)}
    return ShownSpectrum(
        title, mark, pixel, energy, value, error, parts | {"background": matrix[:, number:] @ found[number:]}
    )

"""Maps of elements by fits of their lines to every spectrum, which takes apart the lines that overlap.

The spectrum of a pixel is a sum of shapes: the lines of each edge, as Gaussians of the detector's width in the ratio of
their branchings, the scattered beam, and a smooth background. It is linear in their amounts, so with one set of weights
for the whole map the best amounts are one matrix product,

    c = A N,    A = (Xᵀ W X)⁻¹ Xᵀ W,

with the shapes X, and the weights W the inverse of the mean spectrum, which is the variance of its counts. The counts N
of a pixel scatter as chance has it, whatever the weights are, so that var(c) = Σ A² N.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis import tables
from whiteline.analysis.blocks import over_pixels
from whiteline.analysis.channels import Channels
from whiteline.analysis.checks import OutOfRange, require, require_energy
from whiteline.analysis.constants import ELECTRON_MASS_EV
from whiteline.analysis.fluorescence.bins_first import bins_first
from whiteline.analysis.fluorescence.regions import BLOCK_SPECTRA
from whiteline.analysis.maps.map import Map

Array = NDArray[np.float64]

LARGEST_CONDITION = 1e6
"""Shapes that are more alike than this cannot be told apart."""

LEAST_WEIGHTED = 0.01
"""Channels with fewer counts than this share of the mean weigh no more than those with it."""

REWEIGHTED = 4
"""How often the weights are taken from the fit of the mean spectrum; the second time settles them already."""


@dataclass(frozen=True, eq=False)
class LineShapes:
    """What a spectrum is made of.

    Parameters
    ----------
    names : tuple of str
        "Ni_K" and the like, then "elastic" and "Compton", then "background 0" and on.
    shapes : ndarray of float64, shape (channels, K)
        Counts in each channel of the window per unit of each. The unit of lines and of scattering is one count in all
        of the spectrum; that of the background is one count in all of the window.
    window : slice
        The channels that are fitted.
    lines : int
        How many of the shapes are lines of elements: they come first.
    """

    names: tuple[str, ...]
    shapes: Array
    window: slice
    lines: int


@dataclass(frozen=True, eq=False)
class LineFit:
    """Fit of the spectra of a map.

    Parameters
    ----------
    maps : dict of str to Map
        Counts of each shape in every pixel, with their standard error.
    mean_spectrum, mean_fit : ndarray of float64, shape (channels,)
        Mean over the map in the window, and its fit: what is in the first and not in the second is a line left out.
    window : slice
        The channels that were fitted.
    """

    maps: dict[str, Map]
    mean_spectrum: Array
    mean_fit: Array
    window: slice


def line_shapes(
    edges: Sequence[tuple[str, str]],
    energy: float,
    channels: Channels,
    *,
    window: tuple[float, float] | None = None,
    background: int = 3,
    scattered: bool = False,
    scattering_deg: float = 90.0,
) -> LineShapes:
    """Return the shapes of the lines of some edges, with background and scattered beam.

    Parameters
    ----------
    edges : sequence of (str, str)
        Elements and edges whose lines are seen, such as ("Ni", "K"), ("Pb", "L3").
    energy : float
        Of the photons that excite them [eV].
    channels : Channels
        Of the spectra.
    window : tuple of float, optional
        Energies between which the spectra are fitted [eV]; by default from three widths below the lowest line to three
        above the highest one, or above the scattered beam.
    background : int
        Polynomials of the background: 0 for none, 1 for a constant, 3 for a parabola.
    scattered : bool
        Whether the scattered beam, elastic and Compton, is in the spectra.
    scattering_deg : float
        Angle between beam and detector, for the Compton line [deg].

    Raises
    ------
    OutOfRange
        If an edge is not excited, which it names, or a number is not possible.
    ValueError
        If there is no such element or edge, an edge is named twice, has no line inside the spectrum, or the shapes are
        too alike to be told apart.

    Notes
    -----
    The Compton line lies at E / (1 + (E / m c²)(1 − cos θ)), as wide as a line; that the bound electrons of the sample
    widen it is left out. So is the tail of a line towards low energies.
    """
    require_energy(energy)
    require(background, background >= 0, "polynomials of the background", "must not be negative")
    require(
        scattering_deg, 0 < scattering_deg <= 180, "angle of scattering", "must lie above 0 and up to 180 deg", "deg"
    )
    if not edges:
        raise ValueError("name at least one element and edge to fit, such as ('Ni', 'K')")
    if len(set(edges)) != len(edges):
        raise ValueError("an edge is named twice; each has one shape")
    names, columns, places = [], [], []
    for element, edge in edges:
        shape, energies = _lines_of(element, edge, energy, channels)
        names.append(f"{element}_{edge}")
        columns.append(shape)
        places += energies
    lines = len(names)
    if scattered:
        compton = energy / (1 + energy / ELECTRON_MASS_EV * (1 - np.cos(np.deg2rad(scattering_deg))))
        for name, place in (("elastic", energy), ("Compton", compton)):
            names.append(name)
            columns.append(channels.shape(place))
            places.append(place)
    low, high = min(places), max(places)
    if window is None:
        window = low - 3 * channels.fwhm(low), high + 3 * channels.fwhm(high)
    part = channels.slice_of(*window)
    centres = channels.centres[part]
    scaled = (centres - centres.mean()) / max(np.ptp(centres) / 2, 1.0)
    for degree in range(background):
        names.append(f"background {degree}")
        columns.append(np.zeros(channels.bins))
        columns[-1][part] = np.polynomial.legendre.Legendre.basis(degree)(scaled) / centres.size
    shapes = np.stack(columns, axis=1)[part]
    _require_distinct(shapes, names, lines)
    return LineShapes(tuple(names), shapes, part, lines)


def fit_lines(spectra: Any, shapes: LineShapes, channels: Channels) -> LineFit:
    """Return the counts of each shape in every pixel, by linear least squares.

    Parameters
    ----------
    spectra : array_like, shape (..., bins)
        Counts, at least one pixel: NumPy, h5py or Dask, such as (Y, X, bins). The mean spectrum of a Dask array is
        computed at once, as it gives the weights; the maps are lazy.
    shapes : LineShapes
        From `line_shapes`.
    channels : Channels
        Of the spectra.

    Returns
    -------
    LineFit
        A pixel with a channel of the window that is NaN or negative is not valid. The error of a pixel without a count
        is that of one count where it tells most.

    Raises
    ------
    ValueError
        If the spectra have other channels, or hold no count in the window.
    """
    stack = bins_first(spectra, channels.bins)
    total, number = _total_in(stack, shapes.window)
    if number == 0 or not total.sum() > 0:
        raise ValueError("the spectra hold no count in the window, so there is nothing to fit")
    mean = total / number
    solve, fitted = _solution(shapes.shapes, mean)
    kernel = partial(_amounts, solve=solve, window=shapes.window)
    value, error, valid = over_pixels(kernel, stack, block=BLOCK_SPECTRA)
    maps = {
        name: Map(f"counts of {name.replace('_', ' ')}", "", value[index], error[index], valid)
        for index, name in enumerate(shapes.names)
    }
    return LineFit(maps, mean, fitted, shapes.window)


def _lines_of(element: str, edge: str, energy: float, channels: Channels) -> tuple[Array, list[float]]:
    threshold = tables.edge_energy(element, edge)
    if energy < threshold:
        limit = f"cannot excite the lines of {element} {edge}: its edge is at {threshold:g} eV"
        raise OutOfRange("energy", energy, limit, "eV", "go above the edge or leave them out")
    known = [line for line in tables.lines(element, edge) if line.branching > 0 and line.energy < channels.end]
    whole = sum(line.branching for line in tables.lines(element, edge))
    if not known:
        raise ValueError(f"no line of {element} {edge} lies in the spectrum, which ends at {channels.end:g} eV")
    shape = np.sum([line.branching / whole * channels.shape(line.energy) for line in known], axis=0)
    # Lines of a hundredth do not widen the window.
    return shape, [line.energy for line in known if line.branching >= 0.01 * whole] or [known[0].energy]


def _require_distinct(shapes: Array, names: Sequence[str], lines: int) -> None:
    norms = np.linalg.norm(shapes, axis=0)
    if not (norms[:lines] > 0).all():
        raise ValueError(f"{names[int(np.argmin(norms[:lines]))]} has no line in the window; widen it, or leave it out")
    if shapes.shape[0] < shapes.shape[1]:
        raise ValueError(
            f"{shapes.shape[1]} shapes cannot be told apart by {shapes.shape[0]} channels; widen the window"
        )
    unit = shapes / np.where(norms > 0, norms, 1)
    if np.linalg.cond(unit) > LARGEST_CONDITION:
        alike = np.abs(np.triu(unit.T @ unit, 1))
        first, second = np.unravel_index(int(np.argmax(alike)), alike.shape)
        raise ValueError(
            f"the shapes {names[int(first)]} and {names[int(second)]} are too alike to be told apart; leave one out"
        )


def _total_in(stack: Any, window: slice) -> tuple[Array, int]:
    """Return the sum of all spectra without a fault, in the window, and how many they are."""
    if type(stack).__module__.partition(".")[0] == "dask":
        part = stack[window]
        good = (part >= 0).all(axis=0)
        return np.asarray(np.where(good, part, 0).sum(axis=tuple(range(1, part.ndim)))), int(good.sum())
    total, number = np.zeros(window.stop - window.start), 0
    for row in range(stack.shape[1]):
        part = np.asarray(stack[:, row : row + 1])[window].reshape(total.size, -1)
        good = (part >= 0).all(axis=0)
        total += part.sum(axis=1, dtype=float) if good.all() else part[:, good].sum(axis=1, dtype=float)
        number += int(np.count_nonzero(good))
    return total, number


def _solution(shapes: Array, mean: Array) -> tuple[Array, Array]:
    """Return the matrix that turns spectra into amounts, and the fit of the mean spectrum."""
    least = LEAST_WEIGHTED * mean.mean()
    expected = np.full_like(mean, mean.mean())
    for _ in range(REWEIGHTED):
        rows = shapes / expected[:, None]
        solve = np.linalg.solve(shapes.T @ rows, rows.T)
        fitted = shapes @ (solve @ mean)
        expected = np.maximum(fitted, least)
    return np.asarray(solve, float), fitted


def _amounts(spectra: NDArray[Any], *, solve: Array, window: slice) -> list[NDArray[Any]]:
    counts = spectra[window]
    good = np.ones(counts.shape[1], bool)
    if not np.issubdtype(counts.dtype, np.unsignedinteger):
        good = np.asarray((counts >= 0).all(axis=0))
        counts = np.where(good, counts, 0)
    counts = counts.astype(float)
    variance = solve**2 @ counts
    one = (solve**2).max(axis=1)[:, None]
    error = np.sqrt(np.where(counts.any(axis=0), variance, one))
    return [np.where(good, solve @ counts, np.nan), np.where(good, error, np.nan), good]

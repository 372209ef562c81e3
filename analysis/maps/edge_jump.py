"""The edge jump of every pixel, and the normalisation of a spectrum as linear functionals.

The background is what the energies before the edge say it is, a constant and a part that falls as E⁻³ like
photoabsorption (after Victoreen; over a XANES scan it is a straight line but for its slight bend), fitted by least
squares. The edge jump is how far the spectrum lies above it beyond the edge. Both are linear in the spectrum. So they
can be applied to component spectra instead of to pixels, and their errors are exact.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.blocks import over_pixels
from whiteline.analysis.checks import require, require_energy
from whiteline.analysis.maps.energy_checks import checked_energies
from whiteline.analysis.maps.map import Map
from whiteline.analysis.maps.principal import Projection, learnt
from whiteline.analysis.maps.projected_pixels import Evaluation
from whiteline.analysis.stacks.counting import CountingNoise, Noise

Array = NDArray[Any]
Floats = NDArray[np.float64]

LEAST_JUMP_OVER_NOISE = 10.0
"""Where the edge jump is less than so many of its standard errors, a pixel says nothing about the shape of the edge."""


@dataclass(frozen=True)
class EdgeNormalisation:
    """Where the background and the edge jump of a spectrum are read.

    Parameters
    ----------
    edge : float
        Energy of the edge E0 [eV]; the ranges are relative to it.
    pre_edge : tuple of float
        Range of the background [eV].
    post_edge : tuple of float
        Range of the post-edge [eV]; it should begin beyond the white line, and hold whole oscillations.
    degree : int
        Degree of the polynomial through the post-edge. 0 is its mean over the range, each energy counting for the
        interval that it stands for, whatever the density of the list: right for spectra that are flat beyond the edge,
        and the steadiest against oscillations. 1 is a straight line, extrapolated to the edge: right where the
        absorption of a thick pure sample falls visibly.

    Raises
    ------
    OutOfRange
        If the edge is no energy in eV, or the degree is not 0, 1 or 2.
    ValueError
        If the ranges do not lie before and beyond the edge.
    """

    edge: float
    pre_edge: tuple[float, float] = (-np.inf, -20.0)
    post_edge: tuple[float, float] = (60.0, np.inf)
    degree: int = 0

    def __post_init__(self) -> None:
        require_energy(self.edge, "edge")
        require(self.degree, self.degree in (0, 1, 2), "degree of the post-edge", "must be 0, 1 or 2")
        (first, last), (begin, end) = self.pre_edge, self.post_edge
        if not first < last <= 0 <= begin < end:
            raise ValueError(
                f"pre-edge {self.pre_edge} and post-edge {self.post_edge} must be ranges (low, high) below and above "
                f"the edge, in eV relative to it"
            )

    def background(self, energy: Floats) -> Floats:
        """Return what turns a spectrum (E,) into its background at those energies, shape (E, E).

        Raises
        ------
        ValueError
            If the pre-edge holds fewer than two energies.
        """
        inside = self._range(energy, self.pre_edge, "pre-edge", 2)
        basis = np.stack([np.ones_like(energy), (self.edge / energy) ** 3], axis=1)
        matrix = np.zeros((energy.size, energy.size))
        matrix[:, inside] = basis @ np.linalg.pinv(basis[inside])
        return matrix

    def jump(self, energy: Floats) -> Floats:
        """Return what turns a spectrum (E,) into its edge jump, shape (E,).

        Raises
        ------
        ValueError
            If pre-edge or post-edge hold too few energies.
        """
        inside = self._range(energy, self.post_edge, "post-edge", self.degree + 1)
        weights = np.sqrt(_intervals(energy[inside]))
        basis = np.vander((energy[inside] - self.edge) / 100, self.degree + 1, increasing=True)
        level = np.zeros(energy.size)
        level[inside] = np.linalg.pinv(basis * weights[:, None])[0] * weights
        return level - level @ self.background(energy)

    def _range(self, energy: Floats, offsets: tuple[float, float], name: str, fewest: int) -> Array:
        low, high = self.edge + offsets[0], self.edge + offsets[1]
        inside: Array = (energy >= low) & (energy <= high)
        if inside.sum() < fewest:
            where = (
                f"below {high:g}" if np.isinf(low) else f"above {low:g}" if np.isinf(high) else f"{low:g} to {high:g}"
            )
            raise ValueError(
                f"{int(inside.sum())} of {energy.size} energies, {energy.min():g} to {energy.max():g} eV, lie in the "
                f"{name} ({where} eV) of the edge at {self.edge:g} eV; at least {fewest} are needed: measure there, or "
                f"give EdgeNormalisation another {name}"
            )
        return inside


def normalisation_of(edge: float | EdgeNormalisation) -> EdgeNormalisation:
    """Return a normalisation as it is, or the usual one about an edge [eV]."""
    return edge if isinstance(edge, EdgeNormalisation) else EdgeNormalisation(edge)


def edge_jump(
    energy: ArrayLike,
    optical_density: Any,
    variance: Noise,
    edge: float | EdgeNormalisation,
    *,
    projection: Projection | None = None,
    least_jump_over_noise: float = LEAST_JUMP_OVER_NOISE,
    valid: Any = None,
) -> Map:
    """Map the edge jump: how far the optical density rises at the edge.

    Parameters
    ----------
    energy : array_like, shape (E,)
        Photon energies [eV], in any order.
    optical_density : array_like, shape (E, *pixels)
        A NumPy array, a dataset of h5py or a Dask array.
    variance : array_like, shape (E, *pixels), or CountingNoise
        Variance of the optical density.
    edge : float or EdgeNormalisation
        Energy of the edge [eV], or where background and post-edge are to be read.
    projection : Projection, optional
        Project the spectra on these components first, which lessens the error. Not projected if it is not given.
    least_jump_over_noise : float
        Pixels whose jump is less than so many of its standard errors are not valid.
    valid : array_like of bool, shape (*pixels,), optional
        Pixels that may be valid.

    Returns
    -------
    Map
        The jump in optical density, with its standard error √(Σ q² v) for the functional q and the variance v. After
        projection the variance is that of the projected spectrum, and that of the noise of the learnt components, which
        pixels that are alike have in common: a mean over a region is known no better.

    Raises
    ------
    ValueError
        If energies, stack, variance and mask do not belong together, or pre-edge or post-edge are not covered.
    OutOfRange
        If an energy is no energy in eV.
    """
    energies = checked_energies(energy, optical_density)
    functional = normalisation_of(edge).jump(energies)
    least = least_jump_over_noise
    if projection is not None:
        projection = learnt(projection, energies, optical_density, variance, None, valid)
        evaluation = linear_evaluation(projection, functional, least)
        return Map("edge jump", "", *projection.over(evaluation, optical_density, variance, valid))
    value_row, error_row = functional.astype(np.float32)[None], (functional**2).astype(np.float32)[None]

    def kernel(density: Array, *rest: Array) -> tuple[Array, Array, Array]:
        with np.errstate(all="ignore"):  # what is not finite is masked; that it was met is no news
            density = np.asarray(density, np.float32)
            noise = variance.of(density) if isinstance(variance, CountingNoise) else np.asarray(rest[0], np.float32)
            value, error = (value_row @ density)[0], np.sqrt((error_row @ noise)[0])
            good = (value > least * error) & np.isfinite(value) & np.isfinite(error)
        if valid is not None:
            good &= rest[-1][0].astype(bool)
        return np.where(good, value, np.nan), np.where(good, error, np.nan), good

    stacks = [optical_density] if isinstance(variance, CountingNoise) else [optical_density, variance]
    return Map("edge jump", "", *over_pixels(kernel, *stacks, *([] if valid is None else [np.asarray(valid)[None]])))


def linear_evaluation(projection: Projection, functional: Floats, least_over_noise: float) -> Evaluation:
    """Return the evaluation of a linear functional (E,) of the spectrum by way of its projection."""
    row = projection.components @ functional
    outside = projection.outside(functional[None])[:, 0, 0]

    def evaluate(scores: Array, covariance: Array, learning: Array) -> tuple[Array, Array, Array]:
        value, error = np.empty(scores.shape[1]), np.empty(scores.shape[1])
        _linear(scores, covariance, learning, row, outside, value, error)
        return value, error, value > least_over_noise * error

    return evaluate


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _linear(
    scores: Array, covariance: Array, learning: Array, row: Array, outside: Array, value: Array, error: Array
) -> None:
    """Put a combination of the scores into `value`, and its standard error into `error`, (pixels,) each."""
    value[:], error[:] = 0.0, 0.0
    pixels, place = value.size, 0
    for j in range(row.size):
        by = row[j]
        for p in range(pixels):
            value[p] += by * scores[j, p]
        for i in range(j + 1):
            both = by * row[i] * (1.0 if i == j else 2.0)
            for p in range(pixels):
                error[p] += both * covariance[place, p]
            place += 1
    for band in range(outside.size):
        of = outside[band]
        for p in range(pixels):
            error[p] += of * learning[band, p]
    for p in range(pixels):
        error[p] = 0.0 if error[p] < 0 else np.sqrt(error[p])  # by rounding; what is not finite stays so


def _intervals(energy: Floats) -> Floats:
    """Return the interval of energy that each point stands for [eV], of points in any order."""
    if energy.size == 1:
        return np.ones(1)
    order = np.argsort(energy)
    steps = np.diff(energy[order])
    weights = np.empty_like(energy)
    weights[order] = (np.append(steps, 0) + np.append(0, steps)) / 2
    return weights

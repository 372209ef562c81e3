"""One shift of energy between a sample and its references, for a whole map.

A monochromator whose zero has moved by 0.3 eV between the references and the map biases fractions by 0.04 to 0.12,
far more than their noise. The shift δ is fitted with the fractions free, y = A(E − δ) c, so that a sample that is truly
between the references does not pass for a shifted one: along the edge a shift moves every spectrum, whatever its
fraction, by its own slope.

The map is first averaged over tiles of neighbouring pixels. The model is linear in the coefficients, so the mean of a
tile is a mixture as good as a pixel, but its noise is small enough that the product of noise with noise, which would
bias the fit of single pixels, does not matter. And tiles are chosen without regard to their fractions, which would
select noise. The iteration is that of Gauss and Newton on what the columns of the basis leave of residual and
derivative (G. H. Golub and V. Pereyra, SIAM J. Numer. Anal. 10 (1973) 413).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.blocks import in_threads
from whiteline.analysis.checks import OutOfRange, require, require_positive
from whiteline.analysis.maps.basis import Basis, Floats
from whiteline.analysis.maps.linear import LinearFit, row_weights
from whiteline.analysis.maps.principal import Noise
from whiteline.analysis.stacks.checks import require_stack

MOST_TILES, FEWEST_TILES, LEAST_SIDE = 1024, 64, 4
"""Tiles enough that their scatter gives the error to a tenth, and each of 16 pixels or more where there are so many."""

COARSE_STEP_EV = 0.5
"""Well below the width of an edge, so that the best of these steps lies in the right minimum."""

DERIVATIVE_STEP_EV = 0.05
LEAST_JUMP = 4.0
"""Edge jump over noise, root mean square over the tiles, below which a shift would be that of noise."""

CONVERGED_EV = 1e-7
MOST_ITERATIONS = 50


@dataclass(frozen=True, eq=False)
class EnergyShift:
    """A fitted shift of energy.

    Parameters
    ----------
    value : float
        By how much the energies of the stack read higher than those of the references [eV].
    error : float
        Its standard error by noise [eV], from the scatter of the tiles: noise that neighbouring pixels share is in it,
        an error that the whole map shares, as of the references, is not.
    basis : Basis
        The basis with its references shifted by it.
    tiles : int
        Number of the tiles that it was fitted to.
    """

    value: float
    error: float
    basis: Basis
    tiles: int


def fit_energy_shift(
    basis: Basis,
    optical_density: Any,
    variance: Noise,
    *,
    weights: ArrayLike | None = None,
    valid: Any = None,
    largest: float = 3.0,
) -> EnergyShift:
    """Fit the shift of energy between a stack and its references.

    Parameters
    ----------
    basis : Basis
        Built by `Basis.from_spectra`, because the references are needed between the energies. A shift that it has
        already counts as 0 … `value` is the whole.
    optical_density : array_like, shape (E, Y, X) or (E, pixels)
        A NumPy array, a dataset of h5py or a Dask array; pixels that are not finite at some energy are left out.
    variance : array_like of that shape, or CountingNoise
        Variance of the optical density; it only weighs the energies.
    weights : array_like, shape (E,), optional
        Weight of each energy; one over the mean variance if they are not given.
    valid : array_like of bool, shape (Y, X) or (pixels,), optional
        Pixels that count.
    largest : float
        Largest shift to look for, either way [eV].

    Raises
    ------
    OutOfRange
        If the best shift is not within `largest`.
    ValueError
        If the references were given as arrays, the stack does not fit, too few pixels are good, or they show no edge
        that could be placed.
    """
    require_stack(basis.energies, optical_density, least=len(basis.names) + 2)
    require_positive(largest, "largest shift", "eV")
    at_rest = basis.shifted(0.0)
    scale = LinearFit(basis, row_weights(optical_density, variance) if weights is None else np.asarray(weights, float))
    root = np.sqrt(scale.weights)[:, None]
    means, counts = tile_means(optical_density, valid)
    if counts.size < len(basis.names) + 2:
        raise ValueError(f"only {counts.size} tiles of the map hold good pixels; widen the mask")
    spectra = means * root
    coarse = np.arange(-largest, largest + COARSE_STEP_EV / 2, COARSE_STEP_EV)
    moment = (spectra * counts) @ spectra.T
    misfits = [_misfit(at_rest.shifted(float(one)).matrix * root, moment) for one in coarse]
    shift = float(coarse[int(np.argmin(misfits))])
    for _ in range(MOST_ITERATIONS):
        slopes, left = _slopes_and_residuals(at_rest, shift, spectra, root)
        curvature = float(np.sum(counts * np.sum(slopes**2, axis=0)))
        if not curvature > 0:
            raise ValueError("the map shows no edge whose energy could be fitted")
        scores = counts * np.sum(slopes * left, axis=0)
        step = float(np.sum(scores)) / curvature
        shift += float(np.clip(step, -COARSE_STEP_EV, COARSE_STEP_EV))
        if abs(shift) > largest:
            break
        if abs(step) < CONVERGED_EV:
            break
    require(
        shift,
        abs(shift) <= largest,
        "shift of energy",
        f"must lie within {largest:g} eV",
        "eV",
        "calibrate the monochromator, or check that the references are those of the sample",
    )
    # Each tile is independent of the others, whatever its pixels share: the sum of the squares of its scores.
    freedom = counts.size / (counts.size - 1)
    error = float(np.sqrt(freedom * np.sum(scores**2)) / curvature)
    if not _jump_over_noise(at_rest.shifted(shift), left, spectra, counts, root) > LEAST_JUMP:
        raise ValueError(
            "the map shows no edge whose energy could be fitted; choose pixels with an edge, or count longer"
        )
    return EnergyShift(shift, error, at_rest.shifted(shift), int(counts.size))


def tile_means(optical_density: Any, valid: Any = None) -> tuple[Floats, Floats]:
    """Return mean spectra over tiles of neighbouring pixels, shape (E, tiles), and the number of pixels in each.

    Pixels that are not finite at some energy are left out, and tiles without any pixel.
    """
    pixels = tuple(optical_density.shape[1:])
    mask = None if valid is None else np.asarray(valid, bool)
    if mask is not None and mask.shape != pixels:
        raise ValueError(f"a mask of shape {mask.shape} does not fit a stack of shape {tuple(optical_density.shape)}")
    size, width = int(np.prod(pixels)), int(np.prod(pixels[1:]))
    area = min(max(LEAST_SIDE**2, -(-size // MOST_TILES)), max(1, size // FEWEST_TILES))
    # Square, but for maps that are narrower than that.
    side = min(pixels[0], max(int(np.sqrt(area)), area // width))
    columns = np.arange(0, width, max(1, area // side))
    starts = range(0, pixels[0], side)
    bands: list[tuple[Floats, Floats]] = [(np.empty(0), np.empty(0))] * len(starts)

    def work(index: int, _stop: int) -> None:
        rows = slice(starts[index], starts[index] + side)
        band = np.asarray(optical_density[:, rows], np.float32)
        band = band.reshape(band.shape[0], band.shape[1], -1)
        good = np.isfinite(band).all(axis=0)
        if mask is not None:
            good &= mask[rows].reshape(good.shape)
        sums = np.where(good, band, np.float32(0)).sum(axis=1, dtype=float)
        bands[index] = (
            np.add.reduceat(sums, columns, axis=1),
            np.add.reduceat(good.sum(axis=0, dtype=float), columns),
        )

    in_threads(work, len(starts), 1)
    sums = np.concatenate([one for one, _ in bands], axis=1)
    counts: Floats = np.concatenate([number for _, number in bands])
    filled = counts > 0
    if not filled.any():
        raise OutOfRange("number of good pixels", 0, "must be above 0", "", "look for an energy whose frame is bad")
    return sums[:, filled] / counts[filled], counts[filled]


def _jump_over_noise(basis: Basis, left: Floats, spectra: Floats, counts: Floats, root: Floats) -> float:
    """Return edge jump over its error, root mean square over the tiles; 1 where there is none.

    The noise is that of the residuals: weights may be known but for a factor.
    """
    columns = basis.matrix * root
    total = np.linalg.pinv(columns)[: basis.number].sum(axis=0)
    noise = np.mean(counts * np.sum(left**2, axis=0)) / (columns.shape[0] - columns.shape[1])
    squares = (total @ spectra) ** 2 * counts / (noise * np.sum(total**2))
    return float(np.sqrt(np.mean(squares)))


def _misfit(columns: Floats, moment: Floats) -> float:
    """Sum of squares that the columns leave of all spectra, from their second moment."""
    across, _ = np.linalg.qr(columns)
    return float(np.trace(moment) - np.sum(across * (moment @ across)))


def _slopes_and_residuals(
    basis: Basis, shift: float, spectra: NDArray[np.float64], root: NDArray[np.float64]
) -> tuple[Floats, Floats]:
    """Return ∂y/∂δ and residual of all spectra, less what the columns make of them, weighted."""
    before, here, after = (
        basis.shifted(shift + step).matrix * root for step in (-DERIVATIVE_STEP_EV, 0, DERIVATIVE_STEP_EV)
    )
    across, triangle = np.linalg.qr(here)
    inside = across.T @ spectra
    slopes = (after - before) / (2 * DERIVATIVE_STEP_EV) @ np.linalg.solve(triangle, inside)
    return slopes - across @ (across.T @ slopes), spectra - across @ inside

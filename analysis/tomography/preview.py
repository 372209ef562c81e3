"""A look at a tomography right after it: rotation axis and one slice, from the frames as they lie in their file."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.checks import OutOfRange, require, require_positive
from whiteline.analysis.tomography.back_projection import Window, reconstruct_slice, slice_error
from whiteline.analysis.tomography.centre import Centre, centre_from_pairs, centre_from_sinogram

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Preview:
    """One slice of a tomography.

    Parameters
    ----------
    value, error : ndarray of float64, shape (X, X)
        Absorption per µm, or per pixel, and its standard error by counting; NaN where not every projection sees the
        place.
    row : int
        Row of the camera that it is of; the middle of those that were averaged.
    centre : Centre
        Column of the rotation axis.
    by : str
        "pairs", "sinogram" or "given": how the axis was found.
    sinogram : ndarray of float64, shape (n, X)
        Optical density.
    """

    value: Numbers
    error: Numbers
    row: int
    centre: Centre
    by: str
    sinogram: Numbers


def sinogram_of(
    frames: Any, flat: ArrayLike, dark: ArrayLike | float = 0.0, *, rows: slice, gain: float = 1.0
) -> tuple[Numbers, Numbers]:
    """Return the optical density of a band of rows for each projection, and its variance; only the band is read.

    Pixels that tell nothing, as no light reached them, go by the mean of the others of their column, and a column that
    has none by its neighbours, so that the filter has something everywhere.

    Parameters
    ----------
    frames : array_like or stack, shape (n, Y, X)
        Raw counts.
    flat, dark : array_like, shape (Y, X), or a number
        Counts without the sample, and without light.
    rows : slice
        The band.
    gain : float
        Counts that one detected photon makes.

    Returns
    -------
    density, variance : ndarray of float64, shape (n, X)
        The variance is that of counting the projections, 1 / photons; noise of the flat is common to all of them.

    Raises
    ------
    OutOfRange
        If a projection holds nothing at all, or the gain is not positive.
    """
    require_positive(gain, "gain", "counts per photon")
    raw = np.asarray(frames[:, rows], float)
    below = np.broadcast_to(np.asarray(dark, float), frames.shape[1:])[rows]
    beam = np.broadcast_to(np.asarray(flat, float), frames.shape[1:])[rows] - below
    counts = raw - below
    known = (counts > 0) & (beam > 0)
    passed = np.where(known, counts, 1.0)
    number = known.sum(axis=1)
    usable = np.where(number > 0, number, np.nan)
    mean = np.where(known, np.log(np.where(known, beam, 1.0) / passed), 0).sum(axis=1) / usable
    variance = np.where(known, gain / passed, 0).sum(axis=1) / usable**2
    columns = np.arange(mean.shape[1])
    for line, spread in zip(mean, variance, strict=True):
        there = np.isfinite(line)
        require(int(there.sum()), bool(there.any()), "number of columns with light", "must be at least 1", "px")
        for one in (line, spread):
            one[~there] = np.interp(columns[~there], columns[there], one[there])
    return np.asarray(mean), np.asarray(variance)


def preview_slice(
    frames: Any,
    angles: ArrayLike,
    flat: ArrayLike,
    dark: ArrayLike | float = 0.0,
    *,
    row: int | None = None,
    band: int = 1,
    centre: float | None = None,
    pixel_um: float | None = None,
    binning: int = 1,
    gain: float = 1.0,
    window: Window = "hann",
) -> Preview:
    """Find the axis, and reconstruct one slice.

    Parameters
    ----------
    frames : array_like or stack, shape (n, Y, X)
        Raw counts of the projections; read are a band of rows, and the whole of a few pairs.
    angles : array_like, shape (n,)
        Measured [deg].
    flat, dark : array_like, shape (Y, X), or a number
        Counts without the sample, and without light.
    row : int, optional
        Of the camera; the middle one if it is not given.
    band : int
        Rows that are averaged.
    centre : float, optional
        Column of the axis, if it is known.
    pixel_um : float, optional
        Size of a pixel at the sample [µm].
    binning : int
        Of the projections in registration.
    gain : float
        Counts that one detected photon makes.
    window : {"ramp", "hann"}
        Filter.

    Raises
    ------
    OutOfRange
        If the row is not in the frames, or no axis can be found.
    """
    height = frames.shape[1]
    middle = height // 2 if row is None else row
    require(middle, 0 <= middle < height, "row of the slice", f"must lie between 0 and {height - 1}", "px")
    require(band, band >= 1, "rows of a band", "must be at least 1")
    first = max(0, middle - (band - 1) // 2)
    rows = slice(first, min(height, first + band))
    sinogram, variance = sinogram_of(frames, flat, dark, rows=rows, gain=gain)
    densities = _Densities(frames, flat, dark)
    found, by = _axis(densities, angles, sinogram, binning) if centre is None else (Centre(centre, 0.0, 0), "given")
    value = reconstruct_slice(sinogram, angles, centre=found.column, pixel_um=pixel_um, window=window)
    error = slice_error(variance, angles, centre=found.column, pixel_um=pixel_um, window=window)
    return Preview(value, error, middle, found, by, sinogram)


def _axis(densities: "_Densities", angles: ArrayLike, sinogram: Numbers, binning: int) -> tuple[Centre, str]:
    """Return the axis by pairs, or, where these cannot be believed, by the centre of mass."""
    try:
        return centre_from_pairs(densities, angles, binning=binning), "pairs"
    except OutOfRange as pairs:
        try:
            return centre_from_sinogram(sinogram, angles), "sinogram"
        except OutOfRange as mass:
            raise OutOfRange(
                "number of ways to find the rotation axis", 0, "must be at least 1", "",
                f"by pairs: {pairs}; by the centre of mass: {mass}",
            ) from mass  # fmt: skip


class _Densities:
    """Optical densities of single projections, each worked out when it is asked for."""

    def __init__(self, frames: Any, flat: ArrayLike, dark: ArrayLike | float) -> None:
        self._frames, self._dark = frames, np.asarray(dark, float)
        self._beam = np.asarray(flat, float) - self._dark

    def __getitem__(self, index: int) -> Numbers:
        passed = (np.asarray(self._frames[index], float) - self._dark) / np.where(self._beam > 0, self._beam, np.nan)
        return np.asarray(-np.log(np.where(passed > 0, passed, np.nan)))

"""Flats for every energy, and the beam as a blank region of the field sees it.

A flat says how bright each pixel is without the sample; between the flat and the frame the beam may have changed. A
region of the field without sample sees that change: one factor for the whole frame, which in optical density is one
number added.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.checks import OutOfRange, require_finite
from whiteline.analysis.stacks.counting import Counting

Array = NDArray[Any]
COUNTED = Counting()

FEWEST_BLANK = 16
"""Pixels that a blank region must hold to say anything."""


def average_flats(frames: ArrayLike) -> tuple[NDArray[np.float32], int]:
    """Return the mean of flats of one energy, and how many were averaged.

    Parameters
    ----------
    frames : array_like, shape (n, Y, X)
        Flats; the mean is taken pixel by pixel, and a pixel that is NaN in one is NaN in the mean.
    """
    given = np.asarray(frames)
    if given.ndim < 2 or not len(given):
        raise ValueError(f"flats to average have the shape (n, Y, X) with at least one of them, not {given.shape}")
    return given.mean(axis=0, dtype=np.float64).astype(np.float32), len(given)


@dataclass(frozen=True, eq=False)
class Flats:
    """Flats for the frames of a stack.

    Parameters
    ----------
    flat : ndarray of float32, shape (E, Y, X)
        The flat of each frame.
    worth : ndarray of float64, shape (E,)
        How many averaged flats have the same noise: for `Counting.flats`.
    """

    flat: NDArray[np.float32]
    worth: NDArray[np.float64]


def interpolate_flats(flats: ArrayLike, taken: ArrayLike, wanted: ArrayLike, *, averaged: ArrayLike = 1) -> Flats:
    """Return flats for frames between those that were taken, linearly.

    Parameters
    ----------
    flats : array_like, shape (K, Y, X)
        Flats that were taken: one, some before and after, or one at every n-th energy.
    taken : array_like, shape (K,)
        When: time [s], or index of the energy; ascending.
    wanted : array_like, shape (E,)
        When the frames were taken, of the same kind, in any order. Before the first flat and after the last one that
        flat is used as it is: the change of the beam is not guessed.
    averaged : float or array_like, shape (K,)
        Frames whose mean each flat is.

    Returns
    -------
    Flats
        With w the weight of the later flat, F and F' their frames, the noise is that of 1 / ((1 − w)²/F + w²/F')
        frames. Frames that share a flat share its noise.

    Raises
    ------
    ValueError
        If flats and times differ in number, or the times do not ascend.
    OutOfRange
        If a time is not finite.
    """
    given = np.asarray(flats)
    at, when = np.atleast_1d(np.asarray(taken, float)), np.atleast_1d(np.asarray(wanted, float))
    require_finite(at, "time of a flat")
    require_finite(when, "time of a frame")
    if given.ndim < 2 or at.shape != given.shape[:1]:
        raise ValueError(f"flats of shape {given.shape} need one time each, not {at.size}")
    if not (np.diff(at) > 0).all():
        raise ValueError("the times of the flats must ascend, each once; average those of one time, and sort them")
    number = np.broadcast_to(np.asarray(averaged, float), at.shape)
    if not (number >= 1).all():
        raise OutOfRange("averaged flats", float(number.min()), "must be at least 1")
    place = np.interp(when, at, np.arange(at.size))
    before = np.floor(place).astype(int)
    after = np.minimum(before + 1, at.size - 1)
    weight = place - before
    result = np.empty((when.size, *given.shape[1:]), np.float32)
    for index, (first, second, share) in enumerate(zip(before, after, weight, strict=True)):
        result[index] = given[first]
        if share:
            result[index] += np.float32(share) * (given[second].astype(np.float32) - result[index])
    return Flats(result, 1 / ((1 - weight) ** 2 / number[before] + weight**2 / number[after]))


@dataclass(frozen=True, eq=False)
class BlankRegion:
    """The beam at each frame over that at its flat, from a region without sample.

    Parameters
    ----------
    factor : ndarray of float64, shape (E,)
        Beam at the frame over beam at the flat; NaN where the region has no light.
    error : ndarray of float64, shape (E,)
        Its standard error, by the counts of the region. It is common to all pixels of the frame.
    reduced_chi2 : ndarray of float64, shape (E,)
        Scatter of the region over the noise of its counts: 1 where it is blank, more where something lies in it or the
        beam has moved.
    """

    factor: NDArray[np.float64]
    error: NDArray[np.float64]
    reduced_chi2: NDArray[np.float64]


def blank_region(
    raw: Any, flat: Any, region: NDArray[np.bool_], dark: ArrayLike = 0.0, *, counting: Counting = COUNTED
) -> BlankRegion:
    """Return the change of the beam between flats and frames, Σ(raw − dark) / Σ(flat − dark) over a blank region.

    Parameters
    ----------
    raw : array_like, shape (E, Y, X)
        Raw counts; a dataset of h5py is read frame by frame.
    flat : array_like, shape (E, Y, X) or (Y, X)
        Flats, dark included.
    region : ndarray of bool, shape (Y, X)
        True where there is no sample.
    dark : array_like, shape (Y, X) or a number
        Dark.
    counting : Counting
        Gain, read noise, averaged frames and flats, saturation.

    Raises
    ------
    ValueError
        If shapes do not fit, or the region holds too few pixels.
    """
    shape = tuple(raw.shape)
    if region.dtype != np.bool_ or region.shape != shape[1:]:
        raise ValueError(f"a blank region must be a mask of shape {shape[1:]}, not {region.shape} of {region.dtype}")
    if np.count_nonzero(region) < FEWEST_BLANK:
        held = np.count_nonzero(region)
        raise ValueError(f"the blank region holds {held} pixels and needs at least {FEWEST_BLANK}; choose a larger one")
    if tuple(flat.shape) not in (shape, shape[1:]):
        raise ValueError(f"a flat of shape {tuple(flat.shape)} fits neither a stack of {shape} nor a frame")
    floor = np.broadcast_to(np.asarray(dark, float), shape[1:])[region]
    averaged, each = counting.flats_of(shape[0]), len(flat.shape) == len(shape)
    rows = []
    for index in range(shape[0]):
        counts = np.asarray(raw[index])[region].astype(float)
        beam = np.asarray(flat[index] if each else flat)[region].astype(float)
        rows.append(_ratio(counts, beam, floor, counting, float(averaged[index])))
    return BlankRegion(*np.array(rows).T)


def correct_by_blank(density: Array, blank: BlankRegion) -> Array:
    """Return an optical density as if beam and flat had been the same, OD + log(factor).

    Parameters
    ----------
    density : ndarray of float32, shape (E, Y, X) or, with one factor, (Y, X)
        Optical density by the flats as they are.
    blank : BlankRegion
        Change of the beam.

    Returns
    -------
    ndarray
        Of the same shape; NaN in a frame whose factor is not known. Its variance is the same, but for
        (error / factor)², which is common to the frame.

    Raises
    ------
    ValueError
        If factors and frames differ in number.
    """
    added = np.log(blank.factor)
    if added.size == 1 and density.ndim == 2:
        return np.asarray(density + density.dtype.type(added[0]))
    if len(density) != added.size:
        raise ValueError(f"{added.size} factors of the beam do not fit {len(density)} frames")
    return np.asarray(density + added.astype(density.dtype).reshape(-1, *[1] * (density.ndim - 1)))


def _ratio(
    counts: NDArray[np.float64], beam: NDArray[np.float64], dark: NDArray[np.float64], counting: Counting, flats: float
) -> tuple[float, float, float]:
    full = np.inf if counting.saturation is None else counting.saturation
    n, n0 = (counts - dark) / counting.gain, (beam - dark) / counting.gain
    # Never judged by its own counts, but for faults: to leave out pixels that counted little would raise the rest.
    use = np.isfinite(n) & (n0 > 0) & (counts < full) & (beam < full)
    total, total0, pixels = float(n[use].sum()), float(n0[use].sum()), int(np.count_nonzero(use))
    if pixels < FEWEST_BLANK or total <= 0:
        return np.nan, np.nan, np.nan
    factor, read = total / total0, counting.read_noise**2
    of_frame = (total + pixels * read) / counting.frames
    of_flat = (total0 + pixels * read) / flats
    error = factor * np.sqrt(of_frame / total**2 + of_flat / total0**2)
    # What each pixel is expected to scatter by, of frame and flat, about factor × flat.
    expected = (factor * n0[use] + read) / counting.frames + factor**2 * (n0[use] + read) / flats
    chi2 = float(((n[use] - factor * n0[use]) ** 2 / expected).sum() / (pixels - 1))
    return factor, error, chi2

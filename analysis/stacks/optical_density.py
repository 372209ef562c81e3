"""From raw frames, flats and darks to optical density with its variance.

OD = −log((raw − dark) / (flat − dark)), by Beer and Lambert. With N photons detected behind the sample, N0 beside it,
F flats, and read noise r, in detected photons,

    var(OD) = (1/N + r²/N²) / frames + (1/N0 + r²/N0²) / F + (1/N − 1/N0)² r² / darks.

The measured counts stand for the expected ones. That, and the expansion of the logarithm to first order, hold from
about 20 detected photons on: below, OD is too large by 1/(2N).

An optical density at one energy needs no other energy, so a stack is worked frame by frame, as a file holds it.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.blocks import over_pixels
from whiteline.analysis.checks import require
from whiteline.analysis.stacks.counting import Counting

Array = NDArray[Any]
COUNTED = Counting()
"""One count a photon, no read noise, single frames, no saturation."""

f32, i32 = np.float32, np.int32
HALF, ONE, NAN = f32(0.5), f32(1), f32(np.nan)
LEAST = f32(1e-15)  # what is less is no light, and one over its square no float32
BITS_OF_ROOT_HALF, BITS_OF_MANTISSA = i32(0x3F3504F3), i32(23)
# ln 2 in two parts, the first exact in few bits.
LN2_LARGE, LN2_SMALL = f32(0.693359375), f32(-2.12194440e-4)
P0, P1, P2, P3, P4, P5, P6, P7, P8 = (
    f32(number)
    for number in (
        7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
        2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
    )
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class OpticalDensity:
    """Optical density of one frame or of a stack.

    Parameters
    ----------
    density : ndarray of float32, shape (E, Y, X) or (Y, X)
        NaN where it is not determined.
    variance : ndarray of float32 or None, shape of `density`
        Of the density; NaN where that is. None if it was not asked for.
    valid : ndarray of bool, shape (Y, X)
        Where the density is determined at every energy.
    """

    density: Any
    variance: Any
    valid: Any


def optical_density(
    raw: Any,
    flat: Any,
    dark: ArrayLike = 0.0,
    *,
    counting: Counting = COUNTED,
    good: NDArray[np.bool_] | None = None,
    energies: ArrayLike | None = None,
    variance: bool = True,
    workers: int | None = None,
) -> OpticalDensity:
    """Return the optical density of a stack.

    Parameters
    ----------
    raw : array_like, shape (E, Y, X)
        Raw counts: a NumPy array of any type, a dataset of h5py, or a Dask array, which makes the result lazy.
    flat : array_like, shape (E, Y, X) or (Y, X)
        Counts without sample, dark included: one flat for each energy, or one for all.
    dark : array_like, shape (Y, X) or a number
        Counts without light.
    counting : Counting
        Gain, read noise, averaged frames, saturation.
    good : ndarray of bool, shape (Y, X), optional
        False for pixels to leave out, such as hot ones.
    energies : array_like, shape (E,), optional
        Photon energies, to name the one at fault [eV].
    variance : bool
        Whether the variance is wanted too.
    workers : int, optional
        Threads; all cores if it is not given.

    Returns
    -------
    OpticalDensity
        A pixel that is NaN or not above the dark, saturated, or whose flat is, has NaN at that energy.

    Raises
    ------
    ValueError
        If shapes do not fit, or a flat is nowhere above the dark; it names the energy. A lazy result is not looked at:
        there such a flat masks all pixels, and `require_light` finds it.
    """
    stack = raw if hasattr(raw, "dtype") else np.asarray(raw)
    if len(stack.shape) < 2:
        raise ValueError(f"a stack has energies and pixels; one of shape {stack.shape} is no stack")
    pixels = tuple(stack.shape[1:])
    flats = flat if hasattr(flat, "dtype") else np.asarray(flat)
    if tuple(flats.shape) == pixels:
        flats = flats[None]
    elif tuple(flats.shape) != tuple(stack.shape):
        raise ValueError(
            f"a flat of shape {tuple(flats.shape)} fits neither a stack of {tuple(stack.shape)} nor a frame"
        )
    floor = _dark(dark, good, pixels)
    averaged = counting.flats_of(stack.shape[0])
    if any(type(one).__module__.partition(".")[0] == "dask" for one in (stack, flats)):
        kernel = partial(_lazy_kernel, counting=counting, averaged=averaged, variance=variance)
        return OpticalDensity(*_with_or_without(variance, over_pixels(kernel, stack, flats, floor[None])))
    require_light(flats, floor, energies)
    return _frame_by_frame(stack, flats, floor, counting, averaged, variance, workers)


def frame_optical_density(
    raw: ArrayLike,
    flat: ArrayLike,
    dark: ArrayLike = 0.0,
    *,
    counting: Counting = COUNTED,
    good: NDArray[np.bool_] | None = None,
    energy: float | None = None,
    variance: bool = True,
) -> OpticalDensity:
    """Return the optical density of one frame, shape (Y, X); parameters and errors as in `optical_density`."""
    counts = np.asarray(raw)
    found = optical_density(
        counts[None],
        np.asarray(flat),
        dark,
        counting=counting,
        good=good,
        energies=None if energy is None else [energy],
        variance=variance,
        workers=1,
    )
    return OpticalDensity(found.density[0], None if found.variance is None else found.variance[0], found.valid)


def density_of_block(
    raw: Array,
    flat: Array,
    dark: Array,
    counting: Counting = COUNTED,
    averaged: NDArray[np.float64] | None = None,
    variance: bool = True,
) -> tuple[Array, Array | None, NDArray[np.bool_]]:
    """Return density, variance and validity of a block of pixels, for kernels that go on from there.

    Parameters
    ----------
    raw : ndarray, shape (E, pixels)
        Raw counts.
    flat : ndarray, shape (E, pixels) or (1, pixels)
        Flats.
    dark : ndarray, shape (1, pixels) or (pixels,)
        Dark; NaN for a pixel to leave out.
    counting, averaged, variance
        Counting, its number of flats at each energy (`Counting.flats_of`), and whether the variance is wanted.

    Returns
    -------
    density, variance : ndarray of float32, shape (E, pixels)
        The variance is None if it is not wanted.
    valid : ndarray of bool, shape (pixels,)
    """
    energies, pixels = raw.shape
    number = counting.flats_of(energies) if averaged is None else averaged
    floor = np.ascontiguousarray(dark.reshape(pixels), np.float32)
    density = np.empty((energies, pixels), np.float32)
    spread = np.empty((energies, pixels), np.float32) if variance else None
    valid = np.ones(pixels, bool)
    work = _row_worker(counting)
    for index in range(energies):
        one_flat = flat[index if flat.shape[0] > 1 else 0]
        one_spread = None if spread is None else spread[index]
        work(raw[index], one_flat, floor, float(number[index]), density[index], one_spread, valid)
    return density, spread, valid


def require_light(flats: Any, dark: ArrayLike, energies: ArrayLike | None = None) -> None:
    """Raise unless every flat is above the dark somewhere.

    Parameters
    ----------
    flats : array_like, shape (E, Y, X) or (1, Y, X)
        Flats.
    dark : array_like, shape (Y, X) or a number
        Dark.
    energies : array_like, shape (E,), optional
        Photon energies, for the message [eV].

    Raises
    ------
    ValueError
        Naming the energy, or the number of the flat.
    """
    floor = np.broadcast_to(np.asarray(dark), flats.shape[1:])
    middle = flats.shape[1] // 2
    for index in range(flats.shape[0]):
        # One line of the frame tells of nearly every flat; the whole of it is read only if that line is dark.
        if np.any(np.asarray(flats[index, middle]) > floor[middle]) or np.any(np.asarray(flats[index]) > floor):
            continue
        named = np.ravel(np.asarray(energies, float)) if energies is not None else np.empty(0)
        at = f"at {named[index]:.10g} eV" if index < named.size and flats.shape[0] > 1 else ""
        at = at or (f"at {named[0]:.10g} eV" if named.size == 1 else f"number {index}")
        raise ValueError(
            f"the flat {at} is nowhere above the dark: it was taken without light or is missing; "
            "take it again, or leave that energy out"
        )


def _with_or_without(variance: bool, parts: tuple[Any, ...]) -> tuple[Any, Any, Any]:
    return (parts[0], parts[1], parts[2]) if variance else (parts[0], None, parts[1])


def _lazy_kernel(
    raw: Array, flat: Array, dark: Array, *, counting: Counting, averaged: NDArray[np.float64], variance: bool
) -> list[Array]:
    density, spread, valid = density_of_block(raw, flat, dark, counting, averaged, variance)
    return [density, valid] if spread is None else [density, spread, valid]


def _dark(dark: ArrayLike, good: NDArray[np.bool_] | None, pixels: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the dark of every pixel, NaN for those to leave out."""
    given = np.asarray(dark, np.float32)
    if given.shape not in ((), pixels):
        raise ValueError(f"a dark of shape {given.shape} does not fit frames of shape {pixels}")
    require(given, np.isfinite(given) if given.ndim == 0 else True, "dark", "must be a finite number", "counts")
    floor = np.array(np.broadcast_to(given, pixels))
    if good is not None:
        if good.shape != pixels:
            raise ValueError(f"a mask of good pixels of shape {good.shape} does not fit frames of shape {pixels}")
        floor[~good] = np.nan
    return floor


def _frame_by_frame(
    stack: Any,
    flats: Any,
    dark: NDArray[np.float32],
    counting: Counting,
    averaged: NDArray[np.float64],
    variance: bool,
    workers: int | None,
) -> OpticalDensity:
    shape, pixels = tuple(stack.shape), tuple(stack.shape[1:])
    density = np.empty(shape, np.float32)
    spread = np.empty(shape, np.float32) if variance else None
    floor = dark.reshape(-1)
    threads = max(1, min(workers or os.cpu_count() or 1, shape[0]))
    valid = np.ones((threads, floor.size), bool)
    common = np.asarray(flats[0]).reshape(-1) if flats.shape[0] == 1 else None
    work = _row_worker(counting)

    def some(worker: int) -> None:
        for index in range(worker, shape[0], threads):
            counts = np.asarray(stack[index]).reshape(-1)
            one_flat = np.asarray(flats[index]).reshape(-1) if common is None else common
            one_spread = None if spread is None else spread[index].reshape(-1)
            number = float(averaged[index])
            work(counts, one_flat, floor, number, density[index].reshape(-1), one_spread, valid[worker])

    if threads == 1:
        some(0)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(some, range(threads)))
    return OpticalDensity(density, spread, valid.all(axis=0).reshape(pixels))


def _row_worker(counting: Counting) -> Callable[[Array, Array, Array, float, Array, Array | None, Array], None]:
    """Return what turns a line of pixels into density and variance, with all constants of the counting."""
    full = f32(np.inf if counting.saturation is None else counting.saturation)
    read = f32(counting.gain * counting.read_noise**2)
    own = f32(counting.gain / counting.frames)
    dark_noise = f32(0 if counting.darks is None else (counting.gain * counting.read_noise) ** 2 / counting.darks)

    def work(
        raw: Array, flat: Array, dark: Array, flats: float, density: Array, spread: Array | None, valid: Array
    ) -> None:
        # Two types of counts are compiled for; others are turned into float32 first.
        counts = raw if raw.dtype == np.uint16 else np.asarray(raw, f32)
        open_beam = np.asarray(flat, f32)
        if spread is None:
            _density(counts, open_beam, dark, full, density, valid)
        else:
            weight = f32(counting.gain / flats)
            density_and_variance(counts, open_beam, dark, full, read, own, weight, dark_noise, density, spread, valid)

    return work


@njit(inline="always")
def _log(x):  # type: ignore[no-untyped-def]
    """Natural logarithm of a positive float32, to 1.8e-7, without a branch, so that the loop around it is vectorised.

    The range is reduced to √½ … √2, where the polynomial of S. L. Moshier's Cephes library (logf) holds.
    """
    bits = f32(x).view(i32)
    exponent = i32(i32(bits - BITS_OF_ROOT_HALF) >> BITS_OF_MANTISSA)
    y = i32(bits - i32(exponent << BITS_OF_MANTISSA)).view(f32) - ONE
    z = y * y
    p = ((((((((P0 * y + P1) * y + P2) * y + P3) * y + P4) * y + P5) * y + P6) * y + P7) * y + P8) * y * z
    power = f32(exponent)
    return y + (p + power * LN2_SMALL - HALF * z) + power * LN2_LARGE


# `contract` allows fused multiplication and addition, and nothing that would lose a NaN.
@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _density(raw, flat, dark, full, density, valid):  # type: ignore[no-untyped-def]
    for p in range(raw.size):
        counts, beam = f32(raw[p]), flat[p]
        n, n0 = counts - dark[p], beam - dark[p]
        good = (n > LEAST) & (n0 > LEAST) & (counts < full) & (beam < full)
        density[p] = _log(n0 / n) if good else NAN
        valid[p] &= good


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def density_and_variance(  # type: ignore[no-untyped-def]
    raw, flat, dark, full, read, own, flats, dark_noise, density, variance, valid
):
    """Write optical density and variance of a block of pixels into arrays; the numbers are those of `Counting`."""
    for p in range(raw.size):
        counts, beam = f32(raw[p]), flat[p]
        n, n0 = counts - dark[p], beam - dark[p]
        good = (n > LEAST) & (n0 > LEAST) & (counts < full) & (beam < full)
        i, i0 = ONE / n, ONE / n0
        common = i - i0
        density[p] = _log(n0 * i) if good else NAN
        noise = own * i * (ONE + read * i) + flats * i0 * (ONE + read * i0) + dark_noise * common * common
        variance[p] = noise if good else NAN
        valid[p] &= good

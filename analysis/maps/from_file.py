"""Fractions and their errors straight from a file of raw frames, with no stack in memory.

A block of rows is read from every frame, turned into optical density and variance, and fitted, while it lies in the
cache; `direct_rows` says how it is read.
"""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.blocks import Array, over_pixels
from whiteline.analysis.maps.basis import Basis, Floats
from whiteline.analysis.maps.composition import LEAST_JUMP_OVER_NOISE, Composition, packed, pairs_of, shares_with_errors
from whiteline.analysis.maps.direct_rows import AsItIs, direct
from whiteline.analysis.maps.linear import prepared
from whiteline.analysis.maps.products import PIECE, add_four, as_line, in_fours, single
from whiteline.analysis.stacks.checks import require_stack
from whiteline.analysis.stacks.counting import Counting
from whiteline.analysis.stacks.optical_density import COUNTED, density_and_variance, density_of_block, require_light

BANDS = 4
"""Of rows, in which the variance is averaged for the weights."""

WEIGHT_PIXELS = 8192
"""So many pixels in them give the weights to a per cent, which costs nothing of the accuracy."""

BLOCK_PIXELS = 16_384
"""Large enough that threads seldom wait for each other, small enough for the cache."""


def composition_of_raw(
    basis: Basis,
    raw: Any,
    flat: Any,
    dark: ArrayLike = 0.0,
    *,
    counting: Counting = COUNTED,
    good: NDArray[np.bool_] | None = None,
    weights: ArrayLike | None = None,
    least_jump_over_noise: float = LEAST_JUMP_OVER_NOISE,
    least_jump: float = 0.0,
    workers: int | None = None,
) -> Composition:
    """Map fractions and edge jump, with their standard errors, from raw frames.

    Parameters
    ----------
    basis : Basis
        References and background.
    raw : array_like, shape (E, Y, X)
        Raw counts: a dataset of h5py, a NumPy array or a Dask array.
    flat : array_like, shape (E, Y, X) or (Y, X)
        Counts without sample, dark included.
    dark : array_like, shape (Y, X) or a number
        Counts without light.
    counting : Counting
        Gain, read noise, averaged frames, saturation.
    good : ndarray of bool, shape (Y, X), optional
        False for pixels to leave out, such as hot ones.
    weights : array_like, shape (E,), optional
        Weight of each energy; one over the mean variance if they are not given.
    least_jump_over_noise, least_jump : float
        As for `linear_combination`.
    workers : int, optional
        Threads; all cores if it is not given.

    Returns
    -------
    Composition
        The same as `optical_density` followed by `linear_combination`.

    Raises
    ------
    ValueError
        If shapes do not fit, a flat is nowhere above the dark, or a frame has no good pixel; it names the energy.
    """
    require_stack(basis.energies, raw)
    pixels = tuple(raw.shape[1:])
    beams = tuple(flat.shape)
    for name, given, possible in (
        ("dark", np.shape(dark), ((), pixels)),
        ("mask of good pixels", pixels if good is None else np.shape(good), (pixels,)),
        ("flat", beams, (pixels, (1, *pixels), tuple(raw.shape))),
    ):
        if given not in possible:
            raise ValueError(f"a {name} of shape {given} does not fit raw frames of shape {tuple(raw.shape)}")
    floor = np.array(np.broadcast_to(np.asarray(dark, np.float32), pixels))
    if good is not None:
        floor[~np.asarray(good, bool)] = np.nan
    averaged = counting.flats_of(basis.energies.size)
    least = np.float32(least_jump), np.float32(least_jump_over_noise)
    # A lazy result reads its files when this has long returned.
    lazy = any(type(one).__module__.partition(".")[0] == "dask" for one in (raw, flat))
    reading = threading.Lock()
    ready = [AsItIs(one) if lazy else direct(one, reading) for one in (raw, flat)]
    with ready[0] as counts, ready[1] as beside:
        beam = beside if len(beams) == len(counts.shape) else np.asarray(beside)[None]
        require_light(beam, floor, basis.energies)

        chosen = _weights(counts, beam, floor, counting, basis.energies) if weights is None else weights
        rows = prepared(basis, chosen).rows
        own, pairs = in_fours(rows), in_fours(pairs_of(rows))
        noise_of = noise_constants(counting)
        flats = single(counting.gain / averaged)
        kind = np.uint16 if counts.dtype == np.uint16 else np.float32

        def kernel(frames: Array, beams: Array, below: Array) -> Sequence[Array]:
            pixels = frames.shape[1]
            amounts, moments = np.empty((len(own), pixels), np.float32), np.empty((len(pairs), pixels), np.float32)
            line, stride = as_line(frames, kind)
            beam_line, beam_stride = as_line(beams)
            if len(beams) == 1:  # one flat for all energies
                beam_stride = 0
            _sums_of_raw(
                line, stride, beam_line, beam_stride, np.ascontiguousarray(below[0]), noise_of, flats, own, pairs,
                amounts, moments,
            )  # fmt: skip
            return shares_with_errors(amounts, moments, np.ones(pixels, np.bool_), *least)

        return packed(basis, over_pixels(kernel, counts, beam, floor[None], block=BLOCK_PIXELS, workers=workers))


def noise_constants(counting: Counting) -> NDArray[np.float32]:
    """Return saturation, variance of the read noise, and weights of frame and dark, as the compiled loop takes them."""
    full = np.inf if counting.saturation is None else counting.saturation
    dark = 0.0 if counting.darks is None else (counting.gain * counting.read_noise) ** 2 / counting.darks
    return single(np.array([full, counting.gain * counting.read_noise**2, counting.gain / counting.frames, dark]))


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _sums_of_raw(
    raw: Array,
    stride: int,
    flat: Array,
    flat_stride: int,
    dark: Array,
    noise_of: Array,
    flats: Array,
    rows: Array,
    pairs: Array,
    amounts: Array,
    moments: Array,
) -> None:
    """Coefficients and covariances of a block: four energies at a time, which stay in the nearest cache."""
    energies, pixels = flats.size, amounts.shape[1]
    y, v, valid = np.empty((4, PIECE), np.float32), np.empty((4, PIECE), np.float32), np.empty(PIECE, np.bool_)
    full, read, own, dark_noise = noise_of
    for start in range(0, pixels, PIECE):
        size = min(PIECE, pixels - start)
        stop = start + size
        amounts[:, start:stop] = np.float32(0)
        moments[:, start:stop] = np.float32(0)
        for first in range(0, energies, 4):
            together = min(4, energies - first)
            for i in range(4):
                if i >= together:
                    y[i] = np.float32(0)
                    v[i] = np.float32(0)
                    continue
                at, beam = (first + i) * stride + start, (first + i) * flat_stride + start
                density_and_variance(
                    raw[at : at + size], flat[beam : beam + size], dark[start:stop],
                    full, read, own, flats[first + i], dark_noise, y[i, :size], v[i, :size], valid[:size],
                )  # fmt: skip
            add_four(amounts, rows, first, y[0, :size], y[1], y[2], y[3], start)
            add_four(moments, pairs, first, v[0, :size], v[1], v[2], v[3], start)


def _weights(raw: Any, flat: Any, dark: Array, counting: Counting, energies: Floats) -> Floats:
    """Return one over the mean variance at each energy, from bands of rows all over the frames."""
    height, rest = raw.shape[1], int(np.prod(raw.shape[2:]))
    tall = max(1, min(height, WEIGHT_PIXELS // (rest * BANDS)))
    sums, count = np.zeros(len(energies)), np.zeros(len(energies), int)
    for start in np.unique(np.linspace(0, height - tall, BANDS + 2).astype(int)[1:-1]):
        rows = slice(int(start), int(start) + tall)
        frames, beams = (np.asarray(one[:, rows]) for one in (raw, flat))
        below = dark[None, rows].reshape(1, -1)
        found = density_of_block(frames.reshape(len(frames), -1), beams.reshape(len(beams), -1), below, counting)
        noise = np.asarray(found[1])
        sound = np.isfinite(noise)
        count += sound.sum(axis=1)
        sums += np.where(sound, noise, 0).sum(axis=1, dtype=float)
    if not count.all():
        at = energies[int(np.argmin(count))]
        raise ValueError(f"the frame at {at:.10g} eV has no good pixel; leave that energy out, or take it again")
    weights: Floats = count / sums
    return weights

"""Fractions and their errors straight from a file of raw frames, with no stack in memory.

A block of rows is read from every frame, turned into optical density and variance, and fitted, while it lies in the
cache. Frames that a camera's file writer left uncompressed, one chunk a frame, are read past the HDF5 library: a row of
pixels has its place in the file, and the library would read a chunk whole, one thread at a time.
"""

import os
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.blocks import Array, over_pixels
from whiteline.analysis.maps.basis import Basis, Floats
from whiteline.analysis.maps.linear import (
    LEAST_JUMP_OVER_NOISE,
    Composition,
    packed,
    pairs_of,
    prepared,
    shares_with_errors,
    single,
)
from whiteline.analysis.maps.products import PIECE, as_line
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
    with AsItIs(raw) if lazy else direct(raw) as counts, AsItIs(flat) if lazy else direct(flat) as beside:
        beam = beside if len(beams) == len(counts.shape) else np.asarray(beside)[None]
        require_light(beam, floor, basis.energies)

        chosen = _weights(counts, beam, floor, counting, basis.energies) if weights is None else weights
        rows = prepared(basis, chosen).rows
        own, pairs = single(rows), single(pairs_of(rows))
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
    energies, pixels = rows.shape[1], amounts.shape[1]
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
            _add_four(amounts, rows, first, together, y, start, stop)
            _add_four(moments, pairs, first, together, v, start, stop)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _add_four(sums: Array, rows: Array, first: int, together: int, values: Array, start: int, stop: int) -> None:
    """Add to each sum its rows times four energies."""
    zero = np.float32(0)
    y0, y1, y2, y3 = values[0], values[1], values[2], values[3]
    for m in range(sums.shape[0]):
        a = rows[m, first]
        b = rows[m, first + 1] if together > 1 else zero
        c = rows[m, first + 2] if together > 2 else zero
        d = rows[m, first + 3] if together > 3 else zero
        row = sums[m, start:stop]
        for p in range(stop - start):
            row[p] += a * y0[p] + b * y1[p] + c * y2[p] + d * y3[p]


class DirectRows:
    """A dataset whose frames lie in one piece each, read by rows at their place in the file.

    What is read holds until the same thread reads again: copy it to keep it.

    Parameters
    ----------
    path : str
        The file.
    offsets : sequence of int
        Where each frame begins [bytes].
    shape : tuple of int
        (E, Y, X).
    dtype : dtype
        Of the numbers in the file.
    """

    def __init__(self, path: str, offsets: Sequence[int], shape: tuple[int, ...], dtype: Any) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        self._offsets = tuple(offsets)
        self._row = int(np.prod(shape[2:])) * self.dtype.itemsize
        self._file = os.open(path, os.O_RDONLY)
        self._of_thread = threading.local()

    def __enter__(self) -> "DirectRows":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def __getitem__(self, key: Any) -> Array:
        frames, rows = key if isinstance(key, tuple) else (key, slice(None))
        one_row = isinstance(rows, int)
        start, stop, _ = slice(rows, rows + 1).indices(self.shape[1]) if one_row else rows.indices(self.shape[1])
        one_frame = isinstance(frames, int)
        found = self._read(range(self.shape[0])[slice(frames, frames + 1) if one_frame else frames], start, stop)
        if one_row:
            found = found[:, 0]
        return found[0] if one_frame else found

    def _read(self, frames: Sequence[int], start: int, stop: int) -> Array:
        height = max(0, stop - start)
        size, begin = height * self._row, start * self._row
        into = self._buffer(len(frames) * size)
        for number, frame in enumerate(frames):
            part = into[number * size : (number + 1) * size]
            got = os.preadv(self._file, (part,), self._offsets[frame] + begin)
            while got < size:  # a read may be cut short by a signal
                more = os.preadv(self._file, (part[got:],), self._offsets[frame] + begin + got)
                if more <= 0:
                    raise ValueError(f"the file ends within frame {frame}: it was not written to its end")
                got += more
        return np.frombuffer(into, self.dtype).reshape(len(frames), height, *self.shape[2:])

    def _buffer(self, size: int) -> memoryview:
        """Memory of this thread: fresh memory for every block would cost more than to read into it."""
        held: memoryview | None = getattr(self._of_thread, "buffer", None)
        if held is None or len(held) < size:
            held = self._of_thread.buffer = memoryview(bytearray(size))
        return held[:size]


class AsItIs:
    """Anything that needs no care to be opened and closed."""

    def __init__(self, stack: Any) -> None:
        self._stack = stack

    def __enter__(self) -> Any:
        return self._stack

    def __exit__(self, *_: object) -> None:
        pass


def direct(stack: Any) -> Any:
    """Return a context that gives a stack to read rows from: past the HDF5 library if its frames allow that.

    They do if the file is an ordinary one, and each frame lies in it as one piece: uncompressed, unfiltered, in the
    byte order of this machine, one chunk a frame or all in one.
    """
    offsets = frame_offsets(stack)
    if offsets is None:
        return AsItIs(stack)
    return DirectRows(stack.file.filename, offsets, stack.shape, stack.dtype)


def frame_offsets(stack: Any) -> list[int] | None:
    """Return where the frames of a dataset begin in its file [bytes], or None if that is not so simple."""
    if type(stack).__module__.partition(".")[0] != "h5py" or len(stack.shape) != 3 or 0 in stack.shape:
        return None
    plain = stack.file.driver in ("sec2", "stdio") and stack.file.userblock_size == 0
    simple = stack.id.get_create_plist().get_nfilters() == 0 and not stack.is_virtual and not stack.external
    if not (plain and simple and stack.dtype.isnative and stack.dtype.kind in "uif"):
        return None
    frame = int(np.prod(stack.shape[1:])) * stack.dtype.itemsize
    if stack.chunks is None:
        first = stack.id.get_offset()
        return None if first is None else [first + index * frame for index in range(stack.shape[0])]
    if stack.chunks != (1, *stack.shape[1:]):
        return None
    # What is still in the library's cache must be in the file before it is read past the library.
    if stack.file.mode != "r":
        stack.file.flush()
    found: list[int] = []
    for index in range(stack.shape[0]):
        chunk = stack.id.get_chunk_info_by_coord((index, 0, 0))
        if chunk.byte_offset is None or chunk.size != frame:
            return None
        found.append(int(chunk.byte_offset))
    return found


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

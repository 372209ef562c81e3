"""Rows of all frames of a file at once, read at their place in it.

Frames that a camera's file writer left uncompressed, one chunk a frame, are read past the HDF5 library: a row of pixels
has its place in the file, and the library would read a chunk whole, one thread at a time.

The rows are copied out of the file, not mapped: a file that somebody cuts short meanwhile gives an error that says so,
where mapped memory would end the process. One thread reads at a time while the others calculate: a block is many short
reads, and two threads at it would spend more time on passing the interpreter to each other than on reading.
"""

import os
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import numpy as np

from whiteline.analysis.blocks import Array


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
    reading : Lock
        Held while a block is read, and common to all that is read together.
    """

    def __init__(
        self, path: str, offsets: Sequence[int], shape: tuple[int, ...], dtype: Any, reading: threading.Lock
    ) -> None:
        self.shape, self.dtype, self._reading = shape, np.dtype(dtype), reading
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
        with self._reading:
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


def direct(stack: Any, reading: threading.Lock) -> Any:
    """Return a context that gives a stack to read rows from: past the HDF5 library if its frames allow that.

    They do if the file is an ordinary one, and each frame lies in it as one piece: uncompressed, unfiltered, in the
    byte order of this machine, one chunk a frame or all in one. `reading` is the lock of `DirectRows`.
    """
    offsets = frame_offsets(stack)
    if offsets is None:
        return AsItIs(stack)
    return DirectRows(stack.file.filename, offsets, stack.shape, stack.dtype, reading)


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

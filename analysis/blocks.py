"""Work on stacks by blocks of pixels: on all cores, without a copy, and the same for a stack larger than memory.

A kernel is a function of blocks of pixels, (n, pixels) each, that returns arrays (m, pixels) or (pixels,). It sees
every energy of its pixels and nothing of any other pixel, so the blocks may be done in any order and anywhere: by
threads on a NumPy array, row by row from a dataset of h5py, or by the scheduler of a Dask array.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Kernel = Callable[..., Sequence[Array]]

_most_threads: ContextVar[int | None] = ContextVar("most_threads", default=None)

BLOCK_PIXELS = 8192
"""Pixels of a block: 60 energies of them in float32 are 2 MB, which a core keeps near."""


def over_pixels(kernel: Kernel, *stacks: Any, block: int = BLOCK_PIXELS, workers: int | None = None) -> tuple[Any, ...]:
    """Apply a kernel to all pixels of some stacks.

    Parameters
    ----------
    kernel : callable
        Takes one block (n_i, pixels) of each stack, and returns a sequence of arrays (m, pixels) or (pixels,). It must
        release the interpreter's lock to gain from more than one worker: NumPy, BLAS and kernels of numba with `nogil`.
    *stacks : array_like
        Arrays whose first axis is energy (or any other that a pixel owns) and whose other axes are the pixels, the same
        for all: NumPy arrays, datasets of h5py, or Dask arrays. If one is a Dask array, the result is lazy.
    block : int
        Pixels of a block.
    workers : int, optional
        Threads; all cores if it is not given.

    Returns
    -------
    tuple of array
        What the kernel returns, over all pixels: shape (m, *pixels) or (*pixels,).

    Raises
    ------
    ValueError
        If the stacks differ in pixels, or have none.
    """
    pixels = _common_pixels(stacks)
    if any(_is_dask(stack) for stack in stacks):
        return _lazily(kernel, stacks)
    count = int(np.prod(pixels))
    results: list[Array] = []
    lock = threading.Lock()

    def work(parts: Sequence[Array], start: int, stop: int) -> None:
        done = kernel(*parts)
        if not results:
            with lock:
                if not results:  # the first block to be done says what the results look like
                    results.extend([np.empty((*one.shape[:-1], count), one.dtype) for one in done])
        for result, part in zip(results, done, strict=True):
            result[..., start:stop] = part

    _by_blocks(work, stacks, pixels, block, workers)
    return tuple(result.reshape(*result.shape[:-1], *pixels) for result in results)


def sum_over_pixels(
    kernel: Kernel, *stacks: Any, block: int = BLOCK_PIXELS, workers: int | None = None
) -> tuple[Array, ...]:
    """Sum over all blocks what a kernel returns of each, as it is for a mean over the map.

    Parameters and errors as in `over_pixels`, but the kernel returns arrays of the same shape for every block, and
    Dask arrays are computed at once.

    Returns
    -------
    tuple of ndarray of float64
        The sums.
    """
    pixels = _common_pixels(stacks)
    if any(_is_dask(stack) for stack in stacks):
        return _sum_of_chunks(kernel, stacks)
    sums: dict[int, list[Array]] = {}
    lock = threading.Lock()

    def work(parts: Sequence[Array], start: int, _stop: int) -> None:
        done = [np.asarray(part, float) for part in kernel(*parts)]
        with lock:
            sums[start] = done

    _by_blocks(work, stacks, pixels, block, workers)
    # In the order of the pixels, so that the result does not depend on which thread was faster.
    ordered = [sums[start] for start in sorted(sums)]
    return tuple(np.sum(parts, axis=0) for parts in zip(*ordered, strict=True))


def _common_pixels(stacks: Sequence[Any]) -> tuple[int, ...]:
    if not stacks:
        raise ValueError("give at least one stack")
    pixels: tuple[int, ...] = tuple(stacks[0].shape[1:])
    for stack in stacks:
        if tuple(stack.shape[1:]) != pixels:
            shapes = ", ".join(str(one.shape) for one in stacks)
            raise ValueError(f"stacks must have the same pixels after their first axis; the shapes are {shapes}")
    if not pixels or 0 in pixels:
        raise ValueError(f"a stack of shape {tuple(stacks[0].shape)} has no pixels after its first axis")
    return pixels


def _by_blocks(
    work: Callable[[Sequence[Array], int, int], None],
    stacks: Sequence[Any],
    pixels: tuple[int, ...],
    block: int,
    workers: int | None,
) -> None:
    """Call `work(blocks, start, stop)` for all blocks of pixels, on some threads of which this is one."""
    count, rest = int(np.prod(pixels)), int(np.prod(pixels[1:]))
    if all(isinstance(stack, np.ndarray) for stack in stacks):
        flat = [stack.reshape(stack.shape[0], count) for stack in stacks]
        step = max(1, block)

        def read(start: int, stop: int) -> list[Array]:
            return [one[:, start:stop] for one in flat]
    else:  # whole rows, as a file holds them
        step = max(1, block // rest) * rest

        def read(start: int, stop: int) -> list[Array]:
            rows = slice(start // rest, stop // rest)
            return [np.asarray(one[:, rows]).reshape(one.shape[0], stop - start) for one in stacks]

    in_threads(lambda start, stop: work(read(start, stop), start, stop), count, step, workers)


def in_threads(work: Callable[[int, int], None], count: int, step: int, workers: int | None = None) -> None:
    """Call `work(start, stop)` for every stretch of some pixels, on all cores: this thread and some helpers.

    Parameters
    ----------
    work : callable
        What to do with the pixels start … stop; the first exception that it raises is raised here.
    count, step : int
        Number of pixels, and of those in a stretch.
    workers : int, optional
        Threads; all cores if it is not given.
    """
    # An iterator of the standard library gives each start to one thread only.
    starts = iter(range(0, count, step))
    failures: list[BaseException] = []

    def run() -> None:
        try:
            for start in starts:
                if failures:
                    return
                work(start, min(start + step, count))
        except BaseException as failure:
            failures.append(failure)

    helpers = min(workers or _most_threads.get() or os.cpu_count() or 1, -(-count // step)) - 1
    threads = [threading.Thread(target=run, daemon=True) for _ in range(helpers)]
    for thread in threads:
        thread.start()
    run()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


@contextmanager
def most_threads(number: int) -> Iterator[None]:
    """Let what is called in this block work with so many threads, where nothing else is said.

    For a process that is one of several on a machine: their threads would only take turns on its cores.
    """
    token = _most_threads.set(number)
    try:
        yield
    finally:
        _most_threads.reset(token)


def _is_dask(stack: Any) -> bool:
    return type(stack).__module__.partition(".")[0] == "dask"


def _ready(stacks: Sequence[Any]) -> tuple[ModuleType, list[Any], tuple[tuple[int, ...], ...]]:
    """All stacks as Dask arrays with the same chunks of pixels, each with all its energies."""
    array: ModuleType = __import__("dask.array").array
    chunks = next(stack for stack in stacks if _is_dask(stack)).chunks[1:]
    ready = [
        (stack if _is_dask(stack) else array.from_array(stack)).rechunk((stack.shape[0], *chunks)) for stack in stacks
    ]
    return array, ready, chunks


def _sum_of_chunks(kernel: Kernel, stacks: Sequence[Any]) -> tuple[Array, ...]:
    dask: ModuleType = __import__("dask")
    _, ready, _ = _ready(stacks)

    @dask.delayed
    def done(*blocks: Array) -> list[Array]:
        return [np.asarray(part, float) for part in kernel(*(block.reshape(block.shape[0], -1) for block in blocks))]

    parts = [done(*blocks) for blocks in zip(*(stack.to_delayed().ravel() for stack in ready), strict=True)]
    return tuple(np.sum(part, axis=0) for part in zip(*dask.compute(*parts), strict=True))


def _lazily(kernel: Kernel, stacks: Sequence[Any]) -> tuple[Any, ...]:
    """Build the graph of a kernel over Dask arrays, one task a chunk of pixels, each with all its energies."""
    array, ready, chunks = _ready(stacks)
    # The shapes of the results are those of one pixel.
    probe = kernel(*(np.ones((stack.shape[0], 1), stack.dtype) for stack in stacks))
    leads = [one.shape[:-1] for one in probe]
    sizes = [int(np.prod(lead)) for lead in leads]
    wide = np.result_type(*(one.dtype for one in probe))

    def joined(*blocks: Array) -> Array:
        inside = blocks[0].shape[1:]
        parts = kernel(*(block.reshape(block.shape[0], -1) for block in blocks))
        return np.concatenate([part.reshape(size, *inside) for part, size in zip(parts, sizes, strict=True)]).astype(
            wide, copy=False
        )

    everything = array.map_blocks(joined, *ready, chunks=(sum(sizes), *chunks), dtype=wide)
    results, start = [], 0
    for one, lead, size in zip(probe, leads, sizes, strict=True):
        part = everything[start : start + size].astype(one.dtype)
        results.append(part.reshape(*lead, *part.shape[1:]) if lead else part[0])
        start += size
    return tuple(results)

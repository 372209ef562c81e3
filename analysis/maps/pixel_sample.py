"""A random sample of the sound pixels of a stack, to learn from: from memory, from a file, or from a lazy array."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.blocks import in_threads
from whiteline.analysis.stacks.counting import CountingNoise, Noise

Array = NDArray[Any]

TOGETHER = 8
"""Energies that a thread copies the sample of at a time."""

RUN = 16
"""Neighbouring pixels that are drawn together, because memory is read in lines of 64 bytes."""


def drawn_pixels(
    optical_density: Any, variance: Noise, valid: Any, sample: int | None, seed: int
) -> tuple[Array, Array]:
    """Return optical density and variance, (E, n) each, of pixels drawn at random and sound at every energy."""
    parts = _places(optical_density, sample, np.random.default_rng(seed))
    density = _taken(optical_density, parts)
    if isinstance(variance, CountingNoise):
        with np.errstate(all="ignore"):
            noise = variance.of(density)
    else:
        if tuple(variance.shape) != tuple(optical_density.shape):
            raise ValueError(
                f"a variance of shape {tuple(variance.shape)} does not belong to an optical density of shape "
                f"{tuple(optical_density.shape)}; it must be the same, or CountingNoise"
            )
        noise = _taken(variance, parts)
    # A sum is finite only where all its terms are.
    with np.errstate(all="ignore"):
        good = np.isfinite(density.sum(axis=0) + noise.sum(axis=0)) & (noise.min(axis=0) > 0)
    if valid is not None:
        if tuple(np.shape(valid)) != tuple(optical_density.shape[1:]):
            raise ValueError(f"a mask of shape {np.shape(valid)} does not belong to pixels {optical_density.shape[1:]}")
        good &= _taken(np.asarray(valid)[None], parts)[0].astype(bool)
    if good.all():
        return density, noise
    return density[:, good], noise[:, good]


def _places(stack: Any, sample: int | None, source: np.random.Generator) -> Any:
    """Choose pixels: numbers of runs of the flat pixels of an array in memory, else rows along their first axis."""
    pixels = stack.shape[1:]
    count = int(np.prod(pixels))
    if sample is None or sample >= count:
        return None
    if isinstance(stack, np.ndarray):
        return np.sort(source.choice(-(-count // RUN), -(-sample // RUN), replace=False))
    run = RUN if len(pixels) == 1 else 1
    number = max(-(-sample // (run * (count // pixels[0]))), 32)
    possible = -(-pixels[0] // run)
    starts = np.sort(source.choice(possible, min(number, possible), replace=False)) * run
    return [slice(int(start), int(start) + run) for start in starts]


def _taken(stack: Any, places: Any) -> Array:
    if isinstance(places, list):
        # NumPy hands the joining of Dask arrays to Dask, which then reads every chunk once.
        return np.asarray(np.concatenate([stack[:, rows] for rows in places], axis=1)).reshape(stack.shape[0], -1)
    flat = np.asarray(stack).reshape(stack.shape[0], -1)
    if places is None:
        return flat
    energies, count = flat.shape
    if count % RUN == 0:  # whole runs are copied at once, which is several times faster than pixel by pixel
        runs, whole = flat.reshape(energies, -1, RUN), np.empty((energies, places.size, RUN), flat.dtype)

        def take(start: int, stop: int) -> None:
            # The places are known to be inside; to check them would cost a copy.
            np.take(runs[start:stop], places, axis=1, out=whole[start:stop], mode="clip")

        in_threads(take, energies, TOGETHER)
        return whole.reshape(energies, -1)
    indices = (places[:, None] * RUN + np.arange(RUN)).ravel()
    single: Array = np.take(flat, indices[indices < count], axis=1)
    return single

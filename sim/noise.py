"""Random numbers that depend on nothing but the seed, the detector, and the number of the frame.

Frame n of a detector draws from `SeedSequence([seed, detector, n])`, so it is the same in any order, from any process,
and however many threads share the work: a frame is cut into bands of rows, each with its own child of that sequence.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Stream(IntEnum):
    """Streams of random numbers that belong to no detector; detectors have small numbers."""

    LAYOUT = 1_000_001
    WALK = 1_000_002
    CREEP = 1_000_003
    PATTERN = 1_000_004
    JITTER = 1_000_005
    LANDING = 1_000_006
    VIBRATION = 1_000_007
    INTERFEROMETER = 1_000_008
    ENCODER = 1_000_009
    CAPTURE = 1_000_010


NORMAL_ABOVE = 1000.0
"""Counts above which a Poisson distribution is drawn as a normal one of the same mean and variance."""


def stream(*key: int) -> np.random.SeedSequence:
    """Return the sequence of a key of non-negative integers, such as (seed, detector, frame)."""
    return np.random.SeedSequence(key)


def generator(sequence: np.random.SeedSequence) -> np.random.Generator:
    """Return a generator that starts at a sequence; SFC64 is the quickest that NumPy has."""
    return np.random.Generator(np.random.SFC64(sequence))


def detected(expected: NDArray[np.float32], read_noise: float, source: np.random.Generator) -> NDArray[np.float32]:
    """Return counts drawn around expected ones: Poisson, plus Gaussian read noise.

    Parameters
    ----------
    expected : ndarray of float32
        Expected counts, not negative.
    read_noise : float
        Standard deviation of the read noise [counts].
    source : Generator
        Where the randomness comes from.

    Returns
    -------
    ndarray of float32
        Drawn counts, of the shape of `expected`; neither rounded nor clipped.
    """
    few = expected < NORMAL_ABOVE
    some_few = bool(few.any())
    if some_few and few.all():
        counts = source.poisson(expected).astype(np.float32)
        return counts + np.float32(read_noise) * source.standard_normal(expected.shape, np.float32)
    counts = source.standard_normal(expected.shape, np.float32)
    counts *= np.sqrt(expected + np.float32(read_noise**2))
    counts += expected
    if some_few:
        means = expected[few]
        drawn = source.poisson(means) + read_noise * source.standard_normal(means.shape)
        counts[few] = drawn.astype(np.float32)
    return counts

"""The variance of the optical density of every pixel: as a stack beside it, or from the counts alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.checks import require, require_positive

Array = NDArray[Any]


@dataclass(frozen=True)
class CountingNoise:
    """Variance of the optical density by the statistics of counting, exp(OD) / N0 + 1 / (n N0).

    Parameters
    ----------
    counts : float
        Counts N0 of a pixel without sample, in one exposure.
    flats : float
        Number n of the flats that were averaged; infinite if their noise does not matter.

    Raises
    ------
    OutOfRange
        If one is not positive.
    """

    counts: float
    flats: float = np.inf

    def __post_init__(self) -> None:
        require_positive(self.counts, "counts without sample")
        require(self.flats, self.flats > 0, "number of flats", "must be above 0")

    def of(self, optical_density: Array) -> Array:
        """Return the variance of an optical density, of its shape and type."""
        variance: Array = np.exp(optical_density)
        variance /= variance.dtype.type(self.counts)
        variance += variance.dtype.type(1 / (self.counts * self.flats))
        return variance


Noise = Any
"""Variance of the optical density: a stack like it, or `CountingNoise`."""

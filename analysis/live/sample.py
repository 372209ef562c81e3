"""Some thousand pixels of every frame, kept in memory: what speaks for the whole map without reading it again.

They give the weight of each frame, the mean spectrum, the components for the maps of the edge, and tell whether the
references fit. Pixels lie on a grid over the field, so a particle larger than its step is seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.live.recipes import grouped
from whiteline.analysis.registration import mean_noise_gain

Image = NDArray[np.float32]
Numbers = NDArray[np.float64]

PIXELS = 16_384
FAR_APART = 4
"""Pixels at this distance no longer share the noise that a spline has spread [px]."""


def grid_step(shape: tuple[int, int]) -> int:
    """Return the distance of the sampled pixels [px]."""
    return max(1, int(np.sqrt(shape[0] * shape[1] / PIXELS)))


@dataclass(frozen=True, eq=False)
class SampledFrame:
    """The sampled pixels of one frame.

    Parameters
    ----------
    energy : float
        Of the frame [eV].
    density, variance : ndarray of float32, shape (n,)
        Brought back onto the reference; NaN where they are not determined.
    area : float
        How many pixels share the noise of one, as the interpolation spreads it.
    """

    energy: float
    density: Image
    variance: Image
    area: float

    @classmethod
    def of(cls, energy: float, density: Image, variance: Image, *, resampled: bool) -> "SampledFrame":
        """Take the sample of a frame of shape (Y, X)."""
        step = grid_step((density.shape[0], density.shape[1]))
        near = resampled and step < FAR_APART
        one, other = (np.array(image[step // 2 :: step, step // 2 :: step]).ravel() for image in (density, variance))
        return cls(energy, one, other, 1 / mean_noise_gain() if near else 1.0)

    @property
    def weight(self) -> float:
        """One over the mean variance.

        Raises
        ------
        ValueError
            If no pixel has one.
        """
        good = np.isfinite(self.variance) & (self.variance > 0)
        if not good.any():
            raise ValueError(f"the frame at {self.energy:.10g} eV has no good pixel; leave that energy out, or redo it")
        return float(1 / self.variance[good].mean(dtype=float))


@dataclass(frozen=True, eq=False)
class Sample:
    """The sampled pixels of all frames so far, energies ascending and each once.

    Parameters
    ----------
    energies : ndarray of float64, shape (G,)
        [eV]
    density, variance : ndarray of float32, shape (G, n)
        Frames of one energy are averaged.
    area : ndarray of float64, shape (G,)
        How many pixels share the noise of one.
    """

    energies: Numbers
    density: Image
    variance: Image
    area: Numbers

    @classmethod
    def of(cls, frames: Sequence[SampledFrame]) -> "Sample":
        """Join the samples of some frames, one or more."""
        groups = grouped([one.energy for one in frames])
        members = [[frames[index] for index in group] for group in groups]
        return cls(
            np.array([np.mean([one.energy for one in group]) for group in members]),
            np.stack([np.mean([one.density for one in group], axis=0, dtype=np.float32) for group in members]),
            np.stack([np.sum([one.variance for one in group], axis=0) / len(group) ** 2 for group in members]),
            np.array([max(one.area for one in group) for group in members]),
        )

    @property
    def good(self) -> NDArray[np.bool_]:
        """Pixels that are determined at every energy, shape (n,)."""
        known = np.isfinite(self.density) & np.isfinite(self.variance) & (self.variance > 0)
        return np.asarray(known.all(axis=0))

    def mean(self, chosen: NDArray[np.bool_]) -> tuple[Numbers, Numbers]:
        """Return the mean optical density of some pixels and its standard error, shape (G,) each."""
        number = int(np.count_nonzero(chosen))
        mean = self.density[:, chosen].mean(axis=1, dtype=float)
        spread = self.variance[:, chosen].sum(axis=1, dtype=float) * self.area / number**2
        return mean, np.sqrt(spread)

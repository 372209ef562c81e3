"""How frames were counted: what the noise of an optical density follows from.

`Counting` says all of it, for raw frames. `CountingNoise` is what is left to say where only the optical density is at
hand: the variance of every pixel from that alone, where otherwise a stack of variances lies beside it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.checks import OutOfRange, require, require_positive


@dataclass(frozen=True, kw_only=True, eq=False)
class Counting:
    """Gain and read noise of a camera, and how many frames were averaged.

    Parameters
    ----------
    gain : float
        Counts that one detected photon makes.
    read_noise : float
        Noise of one frame without light, root mean square [detected photons]; that of a data sheet in electrons holds
        for a camera that makes one electron of a photon.
    frames : int
        Frames whose mean each raw frame is.
    flats : float or array_like, shape (E,)
        Frames whose mean each flat is; for a flat between two others, the number that is worth as much.
    darks : int or None
        Frames whose mean the dark is; None if its own noise is to be left out.
    saturation : float or None
        Counts from which a pixel is saturated, dark included; None if the camera never is.

    Raises
    ------
    OutOfRange
        If a number is not possible.
    """

    gain: float = 1.0
    read_noise: float = 0.0
    frames: int = 1
    flats: ArrayLike = 1
    darks: int | None = None
    saturation: float | None = None

    def __post_init__(self) -> None:
        require_positive(self.gain, "gain", "counts per photon")
        require(
            self.read_noise,
            np.isfinite(self.read_noise) and self.read_noise >= 0,
            "read noise",
            "must be finite and not negative",
            "photons",
        )
        for number, name in ((self.frames, "averaged frames"), (self.flats, "averaged flats")):
            require(number, np.asarray(number, float) >= 1, name, "must be at least 1")
        if self.darks is not None:
            require(self.darks, self.darks >= 1, "averaged darks", "must be at least 1")
        if self.saturation is not None:
            require_positive(self.saturation, "saturation", "counts")

    def flats_of(self, energies: int) -> NDArray[np.float64]:
        """Return the number of flats of each energy, shape (energies,).

        Raises
        ------
        OutOfRange
            If they were given for another number of energies.
        """
        given = np.asarray(self.flats, float)
        if given.ndim and given.shape != (energies,):
            raise OutOfRange(
                "numbers of averaged flats:", given.size, f"are given for {energies} energies", "", "give one for each"
            )
        return np.broadcast_to(given, (energies,))


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

    def of(self, optical_density: NDArray[Any]) -> NDArray[Any]:
        """Return the variance of an optical density, of its shape and type."""
        variance: NDArray[Any] = np.exp(optical_density)
        variance /= variance.dtype.type(self.counts)
        variance += variance.dtype.type(1 / (self.counts * self.flats))
        return variance


Noise = Any
"""Variance of the optical density: a stack like it, or `CountingNoise`."""

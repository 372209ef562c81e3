"""How frames were counted: what the noise of an optical density follows from."""

from dataclasses import dataclass

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

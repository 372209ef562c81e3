"""The maps of a line at all energies of a raster, one above the other: each pixel of them is a spectrum."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Planes:
    """The maps that are complete.

    Parameters
    ----------
    key : str
        Data key of the line.
    energies : ndarray of float64, shape (E,)
        In the order in which they were taken [eV].
    value, variance : ndarray of float32, shape (E, rows, columns)
        Counts per incident beam, and their variance; NaN where a pixel is missing.
    back_px : ndarray of float64, shape (E, 2)
        By how much each was brought back onto the first one (y, x) [px], beside what its region has followed.
    """

    key: str
    energies: NDArray[np.float64]
    value: Image
    variance: Image
    back_px: NDArray[np.float64]

"""What a fluorescence detector counted at one point, and what would have been counted without its dead time.

Each element loses counts while it is busy with another. Its true rate is found from all of its counts and the ticks of
its clock, for a paralyzable dead time; the sum over a line is divided by the share that was counted. A rate that no
such detector can count belongs to no true rate: it is missing, NaN, and the element is marked.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.deadtime import live_fraction


@dataclass(frozen=True)
class Counted:
    """What one point gave.

    Parameters
    ----------
    sums : ndarray of float64, shape (lines, elements)
        Counts in the region of each line.
    events : ndarray of float64, shape (elements,)
        All counts.
    dwell : ndarray of float64, shape (elements,)
        Time of counting, by the clock of each element [s].
    dead_time_s : float
        Of an element [s].
    """

    sums: NDArray[np.float64]
    events: NDArray[np.float64]
    dwell: NDArray[np.float64]
    dead_time_s: float

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Where an element counted faster than a detector of this dead time can, or its clock did not run."""
        ran = self.dwell > 0
        rate = np.divide(self.events, self.dwell, out=np.full_like(self.events, np.inf), where=ran)
        return np.asarray(~np.isfinite(rate) | (rate * self.dead_time_s > 1 / np.e))

    @property
    def live(self) -> NDArray[np.float64]:
        """Share of the photons that each element counted; NaN where it is not known."""
        good = ~self.missing
        share = np.full(self.events.shape, np.nan)
        share[good] = live_fraction(self.events[good] / self.dwell[good], self.dead_time_s)
        return share

    @property
    def corrected(self) -> NDArray[np.float64]:
        """Photons in each line, summed over all elements, shape (lines,); NaN if one of the elements is not known."""
        return np.asarray((self.sums / self.live).sum(axis=1))

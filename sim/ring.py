"""The storage ring: a current that decays, is topped up, and may be dumped."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Ring:
    """A storage ring with top-up.

    Parameters
    ----------
    current_mA : float
        Current just after a top-up [mA].
    lifetime_h : float
        Lifetime of the stored beam [h].
    top_up_s : float
        Time from one top-up to the next [s].
    """

    current_mA: float
    lifetime_h: float
    top_up_s: float

    def current(self, time_s: float, dumps: Sequence[tuple[float, float]] = ()) -> float:
        """Return the current at a time [mA].

        Parameters
        ----------
        time_s : float
            Time since the start [s].
        dumps : sequence of tuple of float
            When beam was lost, and when it was back, full [s].
        """
        since = time_s
        for lost, back in dumps:
            if lost <= time_s < back:
                return 0.0
            if back <= time_s:
                since = min(since, time_s - back)
        return float(self.current_mA * np.exp(-(since % self.top_up_s) / (self.lifetime_h * 3600)))

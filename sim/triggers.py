"""Which trigger pulses a detector takes: it is busy while it exposes and reads out, and its buffer holds so much."""

import math

import numpy as np
from numpy.typing import NDArray

AT_ONCE_S = 1e-9
"""A pulse that comes this much before a detector is ready is taken [s]."""


class Triggers:
    """What a detector makes of the trigger pulses that it gets.

    Parameters
    ----------
    readout_s : float
        Time to read out, in which it is blind [s].
    buffer : int
        How many exposures it holds that were not yet handed on.
    most_per_s : float
        How many it can hand on for good [1/s].
    """

    def __init__(self, readout_s: float, buffer: int, most_per_s: float) -> None:
        self._readout_s, self._buffer, self._most_per_s = readout_s, buffer, most_per_s
        self.begin()

    def begin(self) -> None:
        """Start with an empty buffer, ready."""
        self._ready_s, self._held, self._last_s = -math.inf, 0.0, -math.inf

    def take(self, times_s: NDArray[np.float64], exposures_s: NDArray[np.float64], most: int) -> NDArray[np.bool_]:
        """Return which pulses start an exposure.

        Parameters
        ----------
        times_s : ndarray of float64, shape (pulses,)
            When they come, ascending, none before those of the last call [s].
        exposures_s : ndarray of float64, shape (pulses,)
            How long each exposure would be [s].
        most : int
            How many it may take at most.
        """
        taken = np.zeros(times_s.size, bool)
        for number, (time, exposure) in enumerate(zip(times_s.tolist(), exposures_s.tolist(), strict=True)):
            if most <= 0:
                break
            if time < self._ready_s - AT_ONCE_S:
                continue
            held = max(self._held - (time - self._last_s) * self._most_per_s, 0.0)
            if held + 1 > self._buffer:
                continue
            self._held, self._last_s, self._ready_s = held + 1, time, time + exposure + self._readout_s
            taken[number] = True
            most -= 1
        return taken

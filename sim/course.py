"""A position over time, sampled so finely that it is straight between two samples: crossings, and means over gates."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

STEP_S = 1e-4
"""Time between two samples: 120 Hz of 3 nm is bent by less than 10 pm between them [s]."""

MOST_SAMPLES = 4_000_000
"""Of one course; a longer one is sampled less finely."""


def sample_times(start_s: float, end_s: float) -> NDArray[np.float64]:
    """Return evenly spaced times from start to end, both among them [s]."""
    count = int(np.clip(np.ceil((end_s - start_s) / STEP_S), 1, MOST_SAMPLES)) + 1
    return np.linspace(start_s, end_s, count)


@dataclass(frozen=True, eq=False)
class Course:
    """Where something was, from one time to another.

    Parameters
    ----------
    times_s : ndarray of float64, shape (samples,)
        Evenly spaced, at least two [s].
    values : ndarray of float64, shape (samples,)
        Where it was [unit].
    """

    times_s: NDArray[np.float64]
    values: NDArray[np.float64]

    @property
    def step_s(self) -> float:
        """Time between two samples [s]."""
        return float(self.times_s[-1] - self.times_s[0]) / (self.times_s.size - 1)

    def at(self, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where it was at times [s] [unit]."""
        return np.interp(times_s, self.times_s, self.values)

    def mean(self, starts_s: NDArray[np.float64], ends_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where it was on average between starts and ends [s], each end after its start [unit]."""
        # about the middle, so that the difference of two sums keeps its digits
        offset = float(self.values.mean())
        return offset + (self._sum(ends_s, offset) - self._sum(starts_s, offset)) / (ends_s - starts_s)

    def _sum(self, times_s: NDArray[np.float64], offset: float) -> NDArray[np.float64]:
        """Return the integral of the values less an offset, from the begin to times [s]: exact for straight pieces."""
        step, values = self.step_s, self.values - offset
        whole = np.concatenate(([0.0], np.cumsum(0.5 * step * (values[1:] + values[:-1]))))
        place = np.clip((times_s - self.times_s[0]) / step, 0, values.size - 1)
        left = np.minimum(place.astype(int), values.size - 2)
        part = place - left
        return np.asarray(whole[left] + step * part * (values[left] + 0.5 * part * (values[left + 1] - values[left])))

    @cached_property
    def _furthest(self) -> NDArray[np.float64]:
        return np.maximum.accumulate(self.values)

    def first_reached(self, thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return when it first reached thresholds from below.

        Parameters
        ----------
        thresholds : ndarray of float64, shape (n,)
            Ascending [unit].

        Returns
        -------
        ndarray of float64, shape (m,)
            Of the first m thresholds, which are those that it reached; ascending [s].
        """
        reached = thresholds[: int(np.searchsorted(thresholds, self._furthest[-1], "right"))]
        after = np.searchsorted(self._furthest, reached, "left")
        before = np.maximum(after - 1, 0)
        low, high = self.values[before], self.values[after]
        part = np.where(high > low, (reached - low) / np.where(high > low, high - low, 1.0), 0.0)
        return np.asarray(self.times_s[before] + np.clip(part, 0, 1) * (self.times_s[after] - self.times_s[before]))

"""The pulses of one line: when they come, and when the gates end that they open."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whiteline.sim.course import Course

SHORTEST_GATE_S = 1e-7


@dataclass(frozen=True)
class LinePlan:
    """What a line should be.

    Parameters
    ----------
    timed : bool
        Whether pulses come by the clock; else by a position.
    start : float
        Position of the first pulse [unit].
    step : float
        From pulse to pulse: signed, of a position [unit]; or a time [s].
    pulses : int
        How many.
    gate_s : float
        How long each gate is; 0 for one that lasts until the next pulse, and after the last until where or when
        another one would come [s].
    timeout_s : float
        From arming to the end of the last gate [s].
    """

    timed: bool
    start: float
    step: float
    pulses: int
    gate_s: float
    timeout_s: float

    def why_not(self) -> str:
        """Return why it cannot be; empty if it can."""
        if self.pulses < 1:
            return f"Pulses = {self.pulses} must be at least 1"
        if not np.isfinite([self.start, self.step, self.gate_s, self.timeout_s]).all():
            return "Start, Step, Gate and Timeout must be numbers"
        if self.step == 0 or (self.timed and self.step < 0):
            return f"Step = {self.step:g} must be {'above 0 s' if self.timed else 'other than 0'}"
        if self.gate_s < 0 or self.timeout_s <= 0:
            return f"Gate = {self.gate_s:g} s must not be negative, and Timeout = {self.timeout_s:g} s be above 0"
        return ""


class Line:
    """A line that is armed.

    Parameters
    ----------
    plan : LinePlan
        What it should be.
    armed_s : float
        When it was armed [s].
    noise : ndarray of float64, shape (pulses + 1,)
        Error of the position at each comparison [unit].
    """

    def __init__(self, plan: LinePlan, armed_s: float, noise: NDArray[np.float64]) -> None:
        self.plan, self.armed_s = plan, armed_s
        # without a gate of its own, the last pulse waits for one more
        wanted = np.arange(plan.pulses + (plan.gate_s == 0), dtype=float)
        if plan.timed:
            self._due = armed_s + plan.step * wanted
        else:
            self._due = np.maximum.accumulate(wanted + noise[: wanted.size] / abs(plan.step))
        self._times = np.empty(self._due.size)
        self._come = self._over = 0
        self._looked_s = armed_s

    @property
    def looked_s(self) -> float:
        """Until when it has been followed [s]."""
        return self._looked_s

    @property
    def come(self) -> int:
        """How many pulses have come."""
        return min(self._come, self.plan.pulses)

    @property
    def over(self) -> int:
        """How many gates are over, as far as `ended` has told."""
        return self._over

    def beyond(self, position: float) -> bool:
        """Say whether a position [unit] is already at the first pulse, or past it."""
        return not self.plan.timed and (position - self.plan.start) / self.plan.step >= 0

    def follow(self, until_s: float, course: Course | None) -> None:
        """Note the pulses until a time [s]; the course is that of the position since `looked_s`."""
        left = self._due[self._come :]
        if self.plan.timed:
            new = left[left <= until_s]
        else:
            assert course is not None
            new = Course(course.times_s, (course.values - self.plan.start) / self.plan.step).first_reached(left)
        self._times[self._come : self._come + new.size] = new
        self._come += new.size
        self._looked_s = until_s

    def ended(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return when the pulses came whose gates are over since the last call, and how long they were [s]."""
        last = min(self._come, self.plan.pulses)
        starts, following = self._times[self._over : last], self._times[self._over + 1 : self._come]
        ends = np.full(starts.shape, np.inf)
        count = min(starts.size, following.size)
        ends[:count] = following[:count]
        if self.plan.gate_s:
            ends = np.minimum(ends, starts + self.plan.gate_s)
        over = int(np.searchsorted(ends, self._looked_s, "right"))
        self._over += over
        return starts[:over].copy(), np.maximum(ends[:over] - starts[:over], SHORTEST_GATE_S)

    @property
    def left_s(self) -> float:
        """About how long it lasts until the last gate is over [s]; infinite if nothing is known yet."""
        if self.plan.timed:
            return float(self._due[-1]) + self.plan.gate_s - self._looked_s
        if self._come < 2:
            return np.inf
        period = (self._times[self._come - 1] - self._times[0]) / (self._come - 1)
        return float((self._due.size - self._come) * period + self.plan.gate_s)

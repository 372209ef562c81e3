"""What moves an axis: it follows one motion after the other, may stall, and goes no further than its limit switches."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whiteline.sim.ioc.motor_record.motion import Profile, at_rest, move

MOTIONS_KEPT = 512
"""How many motions of an axis can be looked up when they are over."""

Past = Sequence[tuple[float, Profile]]
"""Motions of an axis in their order: when each began [s], and what it was."""


@dataclass(frozen=True)
class Leg:
    """A part of a move.

    Parameters
    ----------
    target : float
        Where it ends, as the axis truly stands [unit].
    velocity : float
        [unit/s]
    acceleration_s : float
        Time to that velocity [s].
    at_soft_limit : bool
        Whether it ends because a soft limit is near.
    homes : bool
        Whether it ends at the home switch.
    """

    target: float
    velocity: float
    acceleration_s: float
    at_soft_limit: bool = False
    homes: bool = False


class Drive:
    """An axis as it truly stands, in its own unit, whatever its record calls that place.

    Parameters
    ----------
    position : float
        Where it stands at the start [unit].
    switches : tuple of float
        Where its limit switches are, low and high [unit].
    time : callable
        Time by which it moves [s].
    """

    def __init__(self, position: float, switches: tuple[float, float], time: Callable[[], float]) -> None:
        self.low, self.high = switches
        self.direction = 1
        self._time = time
        self._profile = at_rest(position)
        self._leg: Leg | None = None
        self._since = 0.0
        self._taken = 0.0
        self._past = deque([(time(), self._profile)], MOTIONS_KEPT)

    @property
    def past(self) -> Past:
        """The motions so far, the present one last; of very many the oldest are forgotten."""
        return tuple(self._past)

    def positions(self, past: Past, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where the axis was at times [s], ascending and not yet to come, by its motions [unit]."""
        begins = np.array([begin for begin, _ in past])
        which = np.maximum(np.searchsorted(begins, times, "right") - 1, 0)
        places = np.empty(times.shape)
        for number in np.unique(which):
            begin, profile = past[number]
            here = which == number
            places[here] = profile.positions(times[here] - begin)
        return np.clip(places, self.low, self.high)

    @property
    def position(self) -> float:
        """Where it stands now [unit]."""
        return self.within(self._profile.position(self._elapsed) if self.moving else self._profile.target)

    @property
    def moving(self) -> bool:
        """Whether it follows a motion that has not been ended by `arrive` or `freeze`."""
        return bool(self._profile.segments)

    @property
    def left_s(self) -> float:
        """How long it still moves [s]."""
        return self._profile.duration - self._elapsed if self.moving else 0.0

    @property
    def at_high(self) -> bool:
        """Whether it stands on its high limit switch."""
        return self.position >= self.high

    @property
    def at_low(self) -> bool:
        """Whether it stands on its low limit switch."""
        return self.position <= self.low

    def within(self, position: float) -> float:
        """Return a position, or the switch that stops the axis before it gets there [unit]."""
        return min(max(position, self.low), self.high)

    def go(self, leg: Leg) -> None:
        """Make for the target of a leg; if it does so already, it goes on undisturbed."""
        if leg is self._leg:
            return
        target = self.within(leg.target)
        if self.moving:
            profile = self._profile.retargeted(self._elapsed, target, leg.velocity, leg.acceleration_s)
        else:
            profile = move(self.position, target, leg.velocity, leg.acceleration_s)
        if target != self.position:
            self.direction = 1 if target > self.position else -1
        self._follow(profile)
        self._leg = leg

    def halt(self) -> None:
        """Decelerate."""
        if self.moving:
            self._follow(self._profile.stopped(self._elapsed))

    def freeze(self) -> None:
        """Stop dead."""
        if self.moving:
            self._follow(at_rest(self.position))

    def arrive(self) -> None:
        """Come to rest at the end of the motion."""
        if self.moving:
            self._taken += self._profile.duration
            self._profile, self._leg = at_rest(self.within(self._profile.target)), None
            self._past.append((self._time(), self._profile))

    def take(self) -> float:
        """Return how long it has moved since the last call [s]."""
        taken, self._taken = self._taken, 0.0
        return taken

    @property
    def _elapsed(self) -> float:
        return self._time() - self._since

    def _follow(self, profile: Profile) -> None:
        if self.moving:
            self._taken += min(self._elapsed, self._profile.duration)
        self._profile, self._since, self._leg = profile, self._time(), None
        self._past.append((self._since, profile))

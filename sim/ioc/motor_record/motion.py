"""The motion of an axis in time: accelerate, go at constant velocity, decelerate; from rest or from any velocity.

Positions are in the unit of the axis, velocities in that unit per second, and times in seconds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Segment:
    """A piece of a motion with constant acceleration.

    Parameters
    ----------
    duration : float
        How long it lasts [s].
    start : float
        Position at its begin [unit].
    velocity : float
        Velocity at its begin [unit/s].
    acceleration : float
        [unit/s²]
    """

    duration: float
    start: float
    velocity: float
    acceleration: float

    def position(self, t: float) -> float:
        """Return the position at a time since its begin [unit]."""
        return self.start + (self.velocity + 0.5 * self.acceleration * t) * t


@dataclass(frozen=True)
class Profile:
    """A motion to a target at which the axis comes to rest.

    Parameters
    ----------
    start : float
        Where it begins [unit].
    target : float
        Where it ends, exactly [unit].
    acceleration : float
        With which it changes its velocity [unit/s²]; infinite if it does so at once.
    segments : tuple of Segment
        Its pieces, one after the other; none for an axis at rest.
    """

    start: float
    target: float
    acceleration: float
    segments: tuple[Segment, ...]

    @property
    def duration(self) -> float:
        """How long it lasts [s]."""
        return math.fsum(segment.duration for segment in self.segments)

    def position(self, t: float) -> float:
        """Return where the axis is at a time since the begin [unit]."""
        if t >= self.duration:
            return self.target
        segment, since = self._at(t)
        return segment.position(since)

    def positions(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where the axis is at many times since the begin [s] [unit]."""
        places = np.full(times.shape, self.target)
        places[times < self.duration] = self.start
        begin = 0.0
        for segment in self.segments:
            inside = (times >= begin) & (times < begin + segment.duration)
            places[inside] = segment.start + (
                segment.velocity + 0.5 * segment.acceleration * (times[inside] - begin)
            ) * (times[inside] - begin)
            begin += segment.duration
        return places

    def velocity(self, t: float) -> float:
        """Return how fast the axis is at a time since the begin [unit/s]."""
        if t >= self.duration or t < 0:
            return 0.0
        segment, since = self._at(t)
        return segment.velocity + segment.acceleration * since

    def stopped(self, t: float) -> "Profile":
        """Return the motion of an axis that decelerates from a time on [s], with the same acceleration."""
        start, velocity = self.position(t), self.velocity(t)
        if velocity == 0 or math.isinf(self.acceleration):
            return at_rest(start)
        duration = abs(velocity) / self.acceleration
        target = start + 0.5 * velocity * duration
        braking = Segment(duration, start, velocity, -math.copysign(self.acceleration, velocity))
        return Profile(start, target, self.acceleration, (braking,))

    def retargeted(self, t: float, target: float, velocity: float, acceleration_s: float) -> "Profile":
        """Return the motion of an axis that makes for another target from a time on [s]; see `move`."""
        return move(self.position(t), target, velocity, acceleration_s, self.velocity(t))

    def _at(self, t: float) -> tuple[Segment, float]:
        """Return the segment of a time before the end, and the time since its begin [s]."""
        begins = accumulate((segment.duration for segment in self.segments), initial=0.0)
        return [
            (segment, max(t - begin, 0.0))
            for segment, begin in zip(self.segments, begins, strict=False)
            if begin <= max(t, 0.0)
        ][-1]


def at_rest(position: float) -> Profile:
    """Return the motion of an axis that stays where it is [unit]."""
    return Profile(position, position, math.inf, ())


def move(start: float, target: float, velocity: float, acceleration_s: float, initial: float = 0.0) -> Profile:
    """Return the fastest motion to a target with limited velocity and acceleration.

    An axis that is too fast to come to rest at the target goes beyond it and returns; one that goes the wrong way turns
    around; one that is faster than allowed slows down first.

    Parameters
    ----------
    start, target : float
        Where it begins and ends [unit].
    velocity : float
        The largest that it may have [unit/s].
    acceleration_s : float
        Time from rest to that velocity [s]; 0 if it has it at once, and loses it at once.
    initial : float
        Velocity at the begin, with its sign [unit/s].

    Raises
    ------
    ValueError
        If the velocity is not positive or the time of acceleration is negative.
    """
    if not velocity > 0:
        raise ValueError(f"velocity = {velocity:g} must be greater than 0")
    if not acceleration_s >= 0:
        raise ValueError(f"acceleration_s = {acceleration_s:g} s must not be negative")
    acceleration = velocity / acceleration_s if acceleration_s else math.inf
    distance = target - start
    if math.isinf(acceleration):
        pieces = ((abs(distance) / velocity, math.copysign(velocity, distance), 0.0),)
        return Profile(start, target, acceleration, _segments(start, pieces))

    # seen along the direction in which the axis has to go after it might have come to rest, all but the velocity at the
    # begin is positive
    sign = math.copysign(1.0, distance - 0.5 * initial * abs(initial) / acceleration)
    distance, first = sign * distance, sign * initial
    peak = min(velocity, math.sqrt(max(acceleration * distance + 0.5 * first**2, 0.0)))
    changing = abs(peak - first) / acceleration
    braking = peak / acceleration
    cruising = 0.0
    if peak > 0:
        cruising = max((distance - 0.5 * (first + peak) * changing - 0.5 * peak * braking) / peak, 0.0)
    segments = _segments(
        start,
        (
            (changing, sign * first, sign * math.copysign(acceleration, peak - first)),
            (cruising, sign * peak, 0.0),
            (braking, sign * peak, -sign * acceleration),
        ),
    )
    return Profile(start, target, acceleration, segments)


def _segments(start: float, pieces: Sequence[tuple[float, float, float]]) -> tuple[Segment, ...]:
    """Return segments of durations, first velocities and accelerations, one after the other."""
    segments: list[Segment] = []
    for duration, velocity, acceleration in pieces:
        if duration > 0:
            segment = Segment(duration, start, velocity, acceleration)
            segments.append(segment)
            start = segment.position(duration)
    return tuple(segments)

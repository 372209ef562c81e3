"""Time on the simulated floor: wall time, faster if asked for, or time that only moves and exposures advance."""

import asyncio
import time
from typing import Protocol

from whiteline.sim.ioc.floor import Floor

NS = 1_000_000_000


class Clock(Protocol):
    """Time as slow processes see it: drift, decay, top-up.

    Channel Access and the heartbeat go by wall time, whatever the clock.
    """

    speed: float
    counts_later: bool
    """Whether a move counts only when a detector next exposes; else it has happened when it ends."""

    def now(self) -> float:
        """Return the time since the start [s]."""

    def moved(self, axis: str, duration_s: float) -> None:
        """Tell that an axis has completed a move that takes this long at speed 1 [s]."""

    def exposed(self, duration_s: float) -> None:
        """Tell that a detector has exposed and read out for this long at speed 1 [s]."""

    def book(self, advancing: bool) -> None:
        """Count the moves completed before a detector now exposes, and its exposures if it advances time."""


async def pass_time(clock: Clock, seconds: float) -> None:
    """Wait for a time on the floor [s]: shorter by the clock's speed."""
    await asyncio.sleep(max(seconds, 0.0) / clock.speed)


class WallClock:
    """Wall time × speed.

    Parameters
    ----------
    speed : float
        How much faster the floor is.
    floor : Floor
        Which knows when it was all started.
    """

    counts_later = False

    def __init__(self, speed: float, floor: Floor) -> None:
        self.speed = speed
        self.started = floor.started

    def now(self) -> float:
        """Return the time since the start [s]."""
        return (time.monotonic() - self.started) * self.speed

    def moved(self, axis: str, duration_s: float) -> None:
        """Do nothing: time passes by itself."""

    def exposed(self, duration_s: float) -> None:
        """Do nothing: time passes by itself."""

    def book(self, advancing: bool) -> None:
        """Do nothing: time passes by itself."""


class FramesClock:
    """Time that is advanced by completed moves and by the exposures of one detector, and by nothing else.

    The same sequence of completed puts gives the same times, however loaded the machine is. Moves that ran side by side
    may complete in any order, so they are counted only when a detector next exposes, ordered by axis. An exposure is
    counted when its detector next exposes, so that another one that is triggered together with it sees the same time,
    early or late. Times are whole nanoseconds.

    Parameters
    ----------
    speed : float
        How much faster moves and exposures run; the time that they take on this clock does not depend on it.
    floor : Floor
        Where the time is shown to the other process.
    since_s : float
        Where it begins: at what the floor shows, if an IOC is started again [s].
    """

    counts_later = True

    def __init__(self, speed: float, floor: Floor, since_s: float = 0.0) -> None:
        self.speed = speed
        self._floor = floor
        self._now_ns = round(since_s * NS)
        self._exposed_ns = 0
        self._moves: list[tuple[str, int]] = []

    def now(self) -> float:
        """Return the time since the start [s], without what is not counted yet."""
        return self._floor.frames_time_s

    def moved(self, axis: str, duration_s: float) -> None:
        """Note a completed move; `book` counts it."""
        self._moves.append((axis, round(duration_s * NS)))

    def exposed(self, duration_s: float) -> None:
        """Note an exposure and its readout [s]; `book` counts it."""
        self._exposed_ns += round(duration_s * NS)

    def book(self, advancing: bool) -> None:
        """Count what was completed since the last call: moves, and exposures if the detector advances time."""
        if advancing:
            self._now_ns, self._exposed_ns = self._now_ns + self._exposed_ns, 0
        for _, duration_ns in sorted(self._moves):
            self._now_ns += duration_ns
        self._moves.clear()
        self._floor.frames_time_s = self._now_ns / NS


class Passing:
    """A clock as those detectors see it that do not advance it.

    Parameters
    ----------
    clock : Clock
        The clock of the beamline.
    """

    def __init__(self, clock: Clock) -> None:
        self.speed = clock.speed
        self.counts_later = clock.counts_later
        self._clock = clock

    def now(self) -> float:
        """Return the time since the start [s]."""
        return self._clock.now()

    def moved(self, axis: str, duration_s: float) -> None:
        """Pass a move on."""
        self._clock.moved(axis, duration_s)

    def exposed(self, duration_s: float) -> None:
        """Keep an exposure to itself."""

    def book(self, advancing: bool) -> None:
        """Count moves, and no exposures."""
        self._clock.book(False)

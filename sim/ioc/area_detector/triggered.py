"""Exposures that trigger pulses start: which pulses a detector takes, and how they come to be exposed."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whiteline.sim.triggers import Triggers

GATHERED_S = 0.05
"""Wall time over which exposures are gathered, to be made together [s]."""


@dataclass(frozen=True)
class Started:
    """Exposures that pulses have started, whose arrays come.

    Parameters
    ----------
    pixels : asynchronous iterator of ndarray
        The arrays, some at a time.
    number : int
        Of the first, since the IOC started.
    times_s : ndarray of float64, shape (n,)
        When each was begun, in the time of EPICS [s].
    attributes : mapping of str to float
        What was so then.
    """

    pixels: AsyncIterator[NDArray[Any]]
    number: int
    times_s: NDArray[np.float64]
    attributes: Mapping[str, float]


class Triggered:
    """The exposures of a detector that is wired to a source of trigger pulses.

    Times are those by which axes move: wall time × speed.

    Parameters
    ----------
    triggers : Triggers
        Which pulses it takes.
    speed : float
        How much faster the floor is than wall time.
    """

    def __init__(self, triggers: Triggers, speed: float) -> None:
        self._triggers, self._speed = triggers, speed
        self._exposure_s: float | None = None
        self._left: float = 0
        self._since_s = math.inf
        self._taken: list[NDArray[np.float64]] = []
        self._come = asyncio.Event()

    def begin(self, most: int | None, exposure_s: float | None) -> None:
        """Wait for pulses: for so many at most; the exposure is as long as the gate if None [s]."""
        self._triggers.begin()
        self._left = math.inf if most is None else most
        self._exposure_s, self._since_s = exposure_s, self.now()
        self._taken.clear()
        self._come.clear()

    def end(self) -> None:
        """Take no more."""
        self._since_s = math.inf

    def now(self) -> float:
        """Return the time by which axes move [s]."""
        return time.monotonic() * self._speed

    def take(self, starts_s: NDArray[np.float64], gates_s: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which pulses start an exposure.

        Parameters
        ----------
        starts_s, gates_s : ndarray of float64, shape (pulses,)
            When each came, ascending, and how long the gate is that it opens [s].
        """
        lengths = gates_s if self._exposure_s is None else np.full(gates_s.shape, self._exposure_s)
        waiting = starts_s >= self._since_s
        taken = np.zeros(starts_s.shape, bool)
        most = int(min(self._left, starts_s.size))
        taken[waiting] = self._triggers.take(starts_s[waiting], lengths[waiting], most)
        if taken.any():
            self._left -= int(taken.sum())
            self._taken.append(np.stack([starts_s[taken], lengths[taken]]))
            self._come.set()
        return taken

    async def exposed(self, stopped: asyncio.Event) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Wait for exposures, and until the last of them is over; return when they began and how long they were [s].

        None if it was stopped, and none is left.
        """
        waiting = [asyncio.ensure_future(one.wait()) for one in (self._come, stopped)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for one in waiting:
            one.cancel()
        if not self._come.is_set():
            return None
        await asyncio.sleep(GATHERED_S)
        starts, lengths = np.concatenate(self._taken, axis=1)
        self._taken.clear()
        self._come.clear()
        await asyncio.sleep(max(float((starts + lengths).max()) - self.now(), 0.0) / self._speed)
        return starts, lengths

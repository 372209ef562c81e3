"""What makes arrays, what an array is on its way, and what takes it."""

from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from whiteline.sim.camera import Region

EPICS_EPOCH_S = 631152000.0
"""Start of the time of EPICS, 1990, in that of POSIX [s]."""


class Source(Protocol):
    """What makes the arrays."""

    dtype: str
    readout_s: float

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a whole array: rows and columns of a camera, elements and bins of spectra."""

    def expose(self, exposure_s: float, number: int, region: Region) -> Awaitable[NDArray[Any]]:
        """Start an exposure: what stands where is taken down now, the array may come later.

        Parameters
        ----------
        exposure_s : float
            How long it is [s].
        number : int
            Of the array, since the IOC started.
        region : Region
            What is read; a source that is no camera gives its whole array anyway.
        """


class TriggeredSource(Source, Protocol):
    """What makes the arrays of exposures that trigger pulses start."""

    def expose_many(
        self, starts_s: NDArray[np.float64], lengths_s: NDArray[np.float64], number: int, region: Region
    ) -> AsyncIterator[NDArray[Any]]:
        """Return the arrays of exposures that are over, some at a time; what stood where is taken down now.

        Parameters
        ----------
        starts_s, lengths_s : ndarray of float64, shape (n,)
            When each began, in the time by which axes move, and how long it was [s].
        number : int
            Of the first array, since the IOC started.
        region : Region
            What is read; a source that is no camera gives its whole array anyway.

        Returns
        -------
        asynchronous iterator of ndarray, shape (m, …)
            Of the next m exposures.
        """


@dataclass(frozen=True)
class Array:
    """An array on its way to the plugins.

    Parameters
    ----------
    pixels : ndarray
        What was measured.
    number : int
        Since the IOC started.
    time_s : float
        When it was begun, in the time of EPICS [s].
    attributes : mapping of str to float
        What was so when it was begun.
    """

    pixels: NDArray[Any]
    number: int
    time_s: float
    attributes: Mapping[str, float] = field(default_factory=dict)

    def alone(self) -> "Arrays":
        """Return it as many arrays of which there is one."""
        return Arrays(self.pixels[np.newaxis], self.number, np.array([self.time_s]), self.attributes)


@dataclass(frozen=True, eq=False)
class Arrays:
    """Many arrays on their way to the plugins, of exposures that trigger pulses started.

    Parameters
    ----------
    pixels : ndarray, shape (n, …)
        What was measured.
    number : int
        Of the first, since the IOC started.
    times_s : ndarray of float64, shape (n,)
        When each was begun, in the time of EPICS [s].
    attributes : mapping of str to float
        What was so when they were begun.
    """

    pixels: NDArray[Any]
    number: int
    times_s: NDArray[np.float64]
    attributes: Mapping[str, float] = field(default_factory=dict)

    def part(self, first: int, after: int) -> "Arrays":
        """Return those from one place on to before another."""
        which = slice(first, after)
        return Arrays(self.pixels[which], self.number + first, self.times_s[which], self.attributes)


class Plugin(Protocol):
    """What arrays are handed to."""

    async def take(self, array: Array) -> None:
        """Take an array; a plugin that blocks is done with it on return."""

    async def take_many(self, arrays: Arrays) -> None:
        """Take many arrays, and return when they are processed."""

    async def lose(self) -> None:
        """Count an array that was lost on the way."""

    async def drained(self) -> None:
        """Return when nothing is left to be done."""


def port_name(prefix: str) -> str:
    """Return the name of the port of a driver or a plugin: the last part of its prefix."""
    return prefix.rstrip(":").rpartition(":")[2].upper()

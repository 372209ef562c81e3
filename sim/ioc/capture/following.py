"""How one line goes: what the position does, which pulses come, and what the detector makes of them."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from whiteline.sim.ioc.capture.line import Line
from whiteline.sim.ioc.capture.settings import ChannelSettings
from whiteline.sim.ioc.capture.witness import Witness

Trigger = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.bool_]]
"""Gives pulses, when they came and how long their gates are [s], to a detector; says which it took."""


class Following:
    """A line that is followed.

    Parameters
    ----------
    line : Line
        The line.
    channel : ChannelSettings
        Whose position is compared.
    most_per_s : float
        Pulses that can be written for good [1/s].
    witness : Witness
        Knows where everything is.
    trigger : callable
        Gives pulses to the detector.

    Attributes
    ----------
    held : float
        Pulses that wait to be written, at the pace at which they can be for good.
    given : int
        How many `found` has returned.
    """

    def __init__(
        self, line: Line, channel: ChannelSettings, most_per_s: float, witness: Witness, trigger: Trigger
    ) -> None:
        self.line = line
        self.held = 0.0
        self.given = 0
        self._channel, self._most_per_s, self._witness, self._trigger = channel, most_per_s, witness, trigger
        self._stands: float | None = None
        self._starts, self._gates, self._taken = [np.zeros(0)], [np.zeros(0)], [np.zeros(0, bool)]

    def look(self) -> None:
        """Look at what has happened since the last time."""
        now, before = self._witness.now(), self.line.looked_s
        self._witness.look()
        if self.line.plan.timed:
            self.line.follow(now, None)
        else:
            source = self._channel.source
            course = self._witness.scene([source], now).course(source, before, now)
            self._stands = float(course.values[-1])
            self.line.follow(now, course)
        starts, gates = self.line.ended()
        self.held = max(self.held - (now - before) * self._most_per_s, 0.0) + starts.size
        self._starts.append(starts)
        self._gates.append(gates)
        self._taken.append(self._trigger(starts, gates))

    def found(self, multiple: int = 1) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """Return when pulses came that were not returned before, their gates [s], and whether the detector took them.

        Parameters
        ----------
        multiple : int
            The pulses that are returned are a multiple of so many.
        """
        starts, gates, taken = (np.concatenate(one) for one in (self._starts, self._gates, self._taken))
        whole = starts.size // multiple * multiple
        self._starts, self._gates, self._taken = [starts[whole:]], [gates[whole:]], [taken[whole:]]
        self.given += whole
        return starts[:whole], gates[:whole], taken[:whole]

    @property
    def so_far(self) -> str:
        """How many pulses have come, for a message."""
        return f"{self.line.over} of {self.line.plan.pulses} pulses"

    @property
    def where(self) -> str:
        """Where the axis stands, for a message."""
        if self._stands is None:
            return f"{self.line.plan.pulses} of {self.line.plan.step:g} s need longer"
        return f"{self._channel.name} stands at {self._stands:.6g} {self._channel.unit}"

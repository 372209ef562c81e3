"""The interferometer of the sample stage: where the sample was while a point was exposed, and how it shook.

It is an independent readback: the piezo axes are judged by it, and mean and noise of each dwell are recorded with each
point. An interferometer counts from wherever it was switched on, so what it tells is a change; who wants a position
keeps the reading that belongs to a known place.
"""

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Self

from ophyd import Component, Device, EpicsSignal, EpicsSignalRO
from ophyd.status import StatusBase

from whiteline.analysis.checks import require_positive
from whiteline.devices.errands import ANSWER_S, Errand, Watchful
from whiteline.devices.errors import DeviceError
from whiteline.devices.positioner import ALLOWANCE_S, MARGIN
from whiteline.devices.settings import settle

SHOWN_HZ = 50.0
"""How often positions are shown while piezo axes are judged by them [1/s], where the interferometer can."""

KEPT = 256
"""How many readings of a channel are kept."""

TOGETHER_S = 0.02
"""Triggers that come within this time are one: two axes of a point share a dwell [s]."""


@dataclass(frozen=True)
class Shown:
    """One position that the interferometer showed.

    Parameters
    ----------
    number : int
        Counts the readings of a channel.
    time_s : float
        When the interferometer's IOC took it [s].
    position : float
        [µm]
    """

    number: int
    time_s: float
    position: float


class Channel(Device):
    """One axis of the interferometer.

    Attributes
    ----------
    now : EpicsSignalRO
        Position just now [µm].
    mean, rms : EpicsSignalRO
        Of the last dwell, and the noise in it, vibration included [µm]; asked anew whenever they are read.
    """

    now = Component(EpicsSignalRO, "position", auto_monitor=True, kind="omitted")
    # a monitor may come after the completion of the dwell: a value that is asked for cannot be an old one
    mean = Component(EpicsSignalRO, "mean", auto_monitor=False, kind="normal")
    rms = Component(EpicsSignalRO, "rms", auto_monitor=False, kind="normal")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._lock = threading.Lock()
        self._shown: deque[Shown] = deque(maxlen=KEPT)
        self._count = 0
        super().__init__(*args, **kwargs)
        self.now.subscribe(self._show, run=False)

    def _show(self, value: float, timestamp: float, **_: Any) -> None:
        with self._lock:
            self._count += 1
            self._shown.append(Shown(self._count, timestamp, float(value)))

    @property
    def count(self) -> int:
        """Number of the last reading."""
        with self._lock:
            return self._count

    def since(self, number: int) -> list[Shown]:
        """Return the readings that came after the one with a number, the newest last."""
        with self._lock:
            return [one for one in self._shown if one.number > number]

    def at_rest(self, errand: Errand, band: float, seconds: float, since: int = 0) -> float:
        """Return what is shown while all that carries the sample rests [µm]; wait until it does.

        Parameters
        ----------
        errand : Errand
            To wait by; its device must be woken by the readings.
        band : float
            Half of what readings at rest may be apart [µm].
        seconds : float
            For how long they stay together at rest [s].
        since : int
            Only readings after the one with this number count.

        Raises
        ------
        Lost, Overdue
            If the IOC is lost, or it does not come to rest.
        """
        deadline = time.monotonic() + MARGIN * seconds + ALLOWANCE_S

        def told() -> str:
            return (
                f"{self.now.pvname} to stay within {2 * band:g} um for {seconds:g} s before it leaves; it reads "
                f"{self.recent(0.0):.5f} um; does the stage shake, or does an axis move?"
            )

        # monitors may lag behind those of an axis that has just arrived; what was asked for does not
        while True:
            number, asked = self.count, float(errand.ask(self.now))
            if steady(self.since(since), band, seconds) and abs(self.recent(seconds) - asked) <= band:
                return self.recent(seconds)
            errand.until(
                lambda number=number: self.count > number and steady(self.since(since), band, seconds),  # type: ignore[misc]
                max(0.0, deadline - time.monotonic()),
                told,
            )

    def recent(self, seconds: float) -> float:
        """Return the mean of the readings of the last seconds before the newest [µm]."""
        shown = self.since(0)
        if not shown:
            return float(self.now.get())
        newest = shown[-1].time_s
        chosen = [one.position for one in shown if newest - one.time_s <= seconds]
        return sum(chosen) / len(chosen)


def steady(shown: list[Shown], band: float, seconds: float) -> bool:
    """Tell whether the newest readings have stayed together for some time.

    Parameters
    ----------
    shown : list of Shown
        Readings, the newest last.
    band : float
        Half of what they may be apart [µm].
    seconds : float
        For how long, by the clock of the interferometer [s].
    """
    if len(shown) < 2 or shown[-1].time_s - shown[0].time_s < seconds:
        return False
    # readings that come seldom count from the last one before that time
    before = [one.position for one in shown if shown[-1].time_s - one.time_s >= seconds]
    last = [one.position for one in shown if shown[-1].time_s - one.time_s < seconds]
    positions = [*before[-1:], *last]
    return max(positions) - min(positions) <= 2 * band


def stays_inside(shown: list[Shown], target: float, band: float, seconds: float) -> bool:
    """Tell whether the newest readings lie within a band around a target for some time, without a break.

    Parameters
    ----------
    shown : list of Shown
        Readings, the newest last.
    target, band : float
        Middle of the band, and its half width [µm].
    seconds : float
        For how long, by the clock of the interferometer [s].
    """
    inside = list(takewhile(lambda one: abs(one.position - target) <= band, reversed(shown)))
    return len(inside) > 1 and inside[0].time_s - inside[-1].time_s >= seconds


class Dwell(EpicsSignal):
    """The time over which positions are averaged [s]; set, it is done when the interferometer shows it."""

    def check_value(self, value: float) -> None:
        """Refuse what is no time.

        Raises
        ------
        OutOfRange
            If it is not above 0.
        """
        require_positive(value, self.name, "s")

    def set(self, value: float, **_: Any) -> StatusBase:
        """Change it; raises as `check_value` before anything is put."""
        self.check_value(value)
        device = self.parent
        return device.run_errand(lambda errand: settle(errand, self, float(value), device.wake), needs=(self,))


class Interferometer(Watchful):
    """Positions of the sample stage [µm].

    Triggered, it averages over its dwell; done, mean and noise of that very dwell can be read. Triggers within 20 ms
    of each other share a dwell, so that several axes of one point do not wait for each other.

    Parameters
    ----------
    prefix : str
        Of its process variables.
    channels : mapping of str to int
        Number of the channel of each axis, out of x, y and z; an axis that is not named is None.
    rate_Hz : float
        How many readings it can show in a second.
    """

    woken_by = ("acquire",)

    acquire = Component(EpicsSignal, "acquire", string=True, auto_monitor=True, kind="omitted")
    dwell = Component(Dwell, "dwell", auto_monitor=True, kind="config")
    rate = Component(EpicsSignal, "rate", auto_monitor=True, kind="omitted")
    x = Component(Channel, "1:")
    y = Component(Channel, "2:")
    z = Component(Channel, "3:")

    def __new__(cls, *args: Any, channels: Mapping[str, int], **kwargs: Any) -> Self:
        """Make one with the channels that it has."""
        if not channels or not set(channels) <= set("xyz"):
            raise ValueError(f"channels {dict(channels)} of the interferometer must be of x, y and z, at least of one")
        parts = {axis: Component(Channel, f"{channels[axis]}:") if axis in channels else None for axis in "xyz"}
        return super().__new__(type(cls.__name__, (cls,), parts))

    def __init__(
        self, prefix: str = "", *, name: str, channels: Mapping[str, int], rate_Hz: float = SHOWN_HZ, **kwargs: Any
    ) -> None:
        require_positive(rate_Hz, f"rate of {name}", "Hz")
        self._rate_Hz = min(rate_Hz, SHOWN_HZ)
        self._begun = -TOGETHER_S
        self._dwelling: StatusBase | None = None
        super().__init__(prefix, name=name, **kwargs)

    def trigger(self) -> StatusBase:
        """Average over the dwell.

        Returns
        -------
        Status
            Done when mean and noise of it can be read; fails at once if the IOC is lost, and if the dwell takes half
            as long again as it should, and two seconds more.
        """
        with self.woken:
            shared = self._dwelling
            if shared is not None and not shared.done and time.monotonic() - self._begun < TOGETHER_S:
                return shared
            self._begun = time.monotonic()
            self._dwelling = self.run_errand(self._average, needs=(self.acquire, self.dwell))
            return self._dwelling

    def _average(self, errand: Errand) -> None:
        dwell = float(errand.ask(self.dwell))
        pv = self.acquire.pvname
        errand.until(errand.put(self.acquire, "Acquire"), MARGIN * dwell + ALLOWANCE_S, f"{pv} to complete {dwell:g} s")
        # an IOC that dies completes its puts, too: only one that answers has averaged
        if (state := errand.ask(self.acquire, as_string=True)) != "Done":
            raise DeviceError(f"{self.name} has not averaged: {pv} is {state}; does somebody else acquire?")

    def stop(self, *, success: bool = False) -> None:
        """Wait no longer for a dwell; `success` lets its status finish nevertheless."""
        self.end_errand("was stopped before its dwell was over", success=success)

    def show_often(self, errand: Errand) -> None:
        """See that positions are shown often enough to judge by."""
        if float(self.rate.get()) < self._rate_Hz:
            errand.until(errand.put(self.rate, self._rate_Hz), ANSWER_S, f"{self.rate.pvname} to be {self._rate_Hz:g}")

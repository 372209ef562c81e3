"""A current amplifier whose gain is chosen from a list."""

import math
import re
from collections.abc import Sequence
from typing import Any

from ophyd import Component, EpicsSignal, EpicsSignalRO
from ophyd.status import StatusBase

from whiteline.analysis.checks import OutOfRange, require_positive
from whiteline.devices.asking import SETTLE_S, put_and_ask
from whiteline.devices.errands import Errand, Watchful
from whiteline.devices.errors import Refused

WORD = re.compile(r"\s*(\d[\d.]*(?:[eE][+-]?\d+)?)\s*V/A\s*")
"""How an IOC names a gain, such as "1e6 V/A"."""


def gain_named(word: str) -> float | None:
    """Return the gain [V/A] that a word such as "1e6 V/A" stands for, or None if it stands for none."""
    found = WORD.fullmatch(word)
    return float(found[1]) if found else None


def _same(first: float, second: float) -> bool:
    return math.isclose(first, second, rel_tol=1e-3)


class Amplifier(Watchful):
    """A current amplifier.

    Parameters
    ----------
    prefix : str
        Of its process variables, such as "TXM:amplifier:1:".
    gains_V_per_A : sequence of float
        That may be chosen, ascending [V/A].

    Attributes
    ----------
    gain : EpicsSignalRO
        In force [V/A].
    overload : EpicsSignalRO
        Whether its last output was in overload, "Yes" or "No".
    seen : float or None
        The gain that a monitor brought last [V/A].
    changes : int
        How often that has changed.
    """

    choice = Component(EpicsSignal, "gain", string=True, auto_monitor=True, kind="omitted")
    gain = Component(EpicsSignalRO, "gain:value", auto_monitor=True, kind="config")
    overload = Component(EpicsSignalRO, "overload", string=True, auto_monitor=True, kind="omitted")

    def __init__(self, prefix: str = "", *, name: str, gains_V_per_A: Sequence[float], **kwargs: Any) -> None:
        gains = tuple(float(gain) for gain in gains_V_per_A)
        require_positive(gains, f"gain of {name}", "V/A")
        if not gains or list(gains) != sorted(set(gains)):
            raise ValueError(f"gains_V_per_A {list(gains)} of {name} must be at least one, ascending, each once")
        self.gains = gains
        self.seen: float | None = None
        self.changes = 0
        super().__init__(prefix, name=name, **kwargs)
        self.gain.subscribe(self._gain_changed)

    def _gain_changed(self, *, value: Any = None, **_: Any) -> None:
        gain = None if value is None else float(value)
        if self.seen is not None and gain != self.seen:
            self.changes += 1
        self.seen = gain
        self.wake()

    @property
    def needed_signals(self) -> tuple[Any, ...]:
        """Signals without which its gain is neither changed nor known."""
        return self.choice, self.gain

    def check_value(self, value: float | str) -> None:
        """Refuse a gain that it does not have.

        Raises
        ------
        OutOfRange, ValueError
            Naming those that it has.
        """
        self.wanted(value)

    def wanted(self, value: float | str) -> float:
        """Return one of its gains [V/A], given as a number or by a word such as "1e6 V/A"; raises as `check_value`."""
        choices = ", ".join(f"{gain:g}" for gain in self.gains)
        number = gain_named(value) if isinstance(value, str) else value
        if number is None or isinstance(number, bool) or not isinstance(number, int | float):
            raise ValueError(f"gain {value!r} of {self.name} must be a number in V/A, one of {choices}")
        for gain in self.gains:
            if _same(gain, number):
                return gain
        raise OutOfRange(f"gain of {self.name}", number, f"must be one of {choices} V/A", "V/A", "choose one of these")

    def set(self, value: float | str) -> StatusBase:
        """Choose a gain.

        Parameters
        ----------
        value : float or str
            One of its gains [V/A], or the word for it.

        Returns
        -------
        Status
            Done when the IOC shows that gain in force; fails with `Lost`, `Overdue` or `Refused`.

        Raises
        ------
        OutOfRange, ValueError
            If it has no such gain; nothing is put then.
        """
        gain = self.wanted(value)
        return self.run_errand(lambda errand: self.switch(errand, gain), needs=self.needed_signals)

    def locate(self) -> dict[str, float]:
        """Return the gain that was chosen and the one in force [V/A]."""
        chosen, gain = gain_named(str(self.choice.get())), float(self.gain.get())
        return {"setpoint": gain if chosen is None else chosen, "readback": gain}

    def stop(self, *, success: bool = False) -> None:
        """Wait no longer for a gain, which cannot be stopped; `success` is of no effect."""
        self.end_errand("was stopped before its gain was in force")

    def switch(self, errand: Errand, gain: float) -> None:
        """Choose a gain [V/A], and return when it is in force; nothing is put where it is.

        Parameters
        ----------
        errand : Errand
            To wait by; monitors of the amplifier must wake it.
        gain : float
            One of its gains [V/A].

        Raises
        ------
        Refused
            If the IOC has no word for it, or does not take it.
        Lost, Overdue
            If the IOC is lost, or does not show it in time.
        """
        # the order of the IOC's list is its own affair: what a word says counts
        words = [word for word in self.choice.enum_strs or () if _same(gain_named(word) or 0.0, gain)]
        if not words:
            known = ", ".join(self.choice.enum_strs or ())
            raise Refused(f"{self.choice.pvname} has no word for {gain:g} V/A, it has {known}; correct gains_V_per_A")
        if errand.ask(self.choice) != words[0]:
            put_and_ask(errand, self.choice, words[0])
        # the monitor, too: one that came later would look like a change within the next count
        errand.until(
            lambda: self.seen is not None and _same(self.seen, gain),
            SETTLE_S,
            lambda: f"{self.gain.pvname} to be {gain:g} V/A, but it is {self.seen} V/A",
        )

"""Settings of a detector: checked together before anything is put, and done when its IOC shows them in force."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ophyd.signal import Signal

from whiteline.devices.asking import SETTLE_S, put_and_ask
from whiteline.devices.errands import Errand


class Setting(Signal):
    """A setting of a detector.

    Its value is what the IOC shows to be in force; `set` hands the wanted one to the detector's `change`.

    Parameters
    ----------
    shown : callable
        Given the detector, returns what is in force, without asking the IOC.
    unit : str
        Of the value.
    """

    def __init__(self, *, shown: Callable[[Any], Any], unit: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._shown, self._unit = shown, unit

    def get(self, **_: Any) -> Any:
        """Return what is in force."""
        return self._shown(self.parent)

    def check_value(self, value: Any, **_: Any) -> None:
        """Refuse what the detector would refuse.

        Raises
        ------
        ValueError
            With name, value, limit, unit and remedy.
        """
        self.parent.check({self.attr_name: value})

    def set(self, value: Any, **_: Any) -> Any:
        """Change it; the status is done when the IOC shows it.

        Raises
        ------
        ValueError
            If it makes no sense, or does not go with the other settings; nothing is put then.
        """
        return self.parent.change({self.attr_name: value})

    def put(self, value: Any, **_: Any) -> None:
        """Change it, and return when that is done; raises as `set`."""
        self.set(value).wait()

    def read(self) -> dict[str, dict[str, Any]]:
        """Return what is in force, now."""
        value = self.get()
        return {self.name: {"value": list(value) if isinstance(value, tuple) else value, "timestamp": time.time()}}

    def describe(self) -> dict[str, dict[str, Any]]:
        """Say what kind of value it is."""
        value = self.get()
        kind, shape = _kind(value)
        described = {"source": f"PY:{self.name}", "dtype": kind, "shape": shape}
        return {self.name: described | ({"units": self._unit} if self._unit else {})}


def _kind(value: Any) -> tuple[str, list[int]]:
    """Return the type of a value in the words of event-model, and its shape."""
    if isinstance(value, tuple):
        return "array", [len(value)]
    if isinstance(value, str):
        return "string", []
    return ("integer" if isinstance(value, int) else "number"), []


def settle(errand: Errand, signal: Any, wanted: Any, wake: Callable[[], None], rtol: float = 1e-6) -> None:
    """Put a setting and wait until its readback shows it; nothing is put where it shows it already.

    Parameters
    ----------
    errand : Errand
        To wait by.
    signal : EpicsSignal
        The setting.
    wanted : object
        What it shall be; a choice by its word or by its number.
    wake : callable
        Lets the errand look again.
    rtol : float
        By how much the readback of a number may differ, relative.

    Raises
    ------
    Lost, Overdue
        If the IOC is lost, or does not show it in time.
    Refused
        If one process variable is both, and has another value afterwards.
    """
    settle_together(errand, [(signal, wanted)], wake, rtol)


def settle_together(
    errand: Errand, wanted: Sequence[tuple[Any, Any]], wake: Callable[[], None], rtol: float = 1e-6
) -> None:
    """Put several settings that do not depend on each other, and wait until all readbacks show them.

    Parameters
    ----------
    errand, wake, rtol
        As of `settle`, and it raises as that.
    wanted : sequence of (EpicsSignal, object)
        The settings, and what they shall be.
    """
    pending: list[Callable[[], bool]] = []
    under_way: list[_Put] = []
    try:
        for signal, value in wanted:
            if _alike(signal, signal.get(), value, 1e-6):
                continue
            if signal.pvname == signal.setpoint_pvname:
                put_and_ask(errand, signal, value)
                continue
            under_way.append(_Put(signal, value, wake))
            pending.append(errand.put(signal, value))
        errand.until(
            lambda: all(completed() for completed in pending) and all(one.is_shown(rtol) for one in under_way),
            SETTLE_S,
            lambda: "; ".join(one.told() for one in under_way if not one.is_shown(rtol)) or "puts to complete",
        )
    finally:
        for one in under_way:
            one.forget()


class _Put:
    """A setting that was put, and what its readback has shown since."""

    def __init__(self, signal: Any, wanted: Any, wake: Callable[[], None]) -> None:
        self._signal, self._wanted, self._wake = signal, wanted, wake
        self._told: list[Any] = []
        self._token = signal.subscribe(self._look, run=False)

    def _look(self, *, value: Any = None, **_: Any) -> None:
        self._told[:] = [value]
        self._wake()

    @property
    def _shown(self) -> Any:
        # as long as nothing is told, what the signal has: another setting may have changed it just before
        return self._told[0] if self._told else self._signal.get()

    def is_shown(self, rtol: float) -> bool:
        return _alike(self._signal, self._shown, self._wanted, rtol)

    def told(self) -> str:
        return f"{self._signal.setpoint_pvname} to become {self._wanted!r}; its readback is {self._shown!r}"

    def forget(self) -> None:
        self._signal.unsubscribe(self._token)


def _alike(signal: Any, shown: Any, wanted: Any, rtol: float) -> bool:
    """Tell whether a readback shows what was put; either may be the word or the number of a choice."""
    if isinstance(shown, str) != isinstance(wanted, str):
        words = list(signal.enum_strs or ())
        if isinstance(shown, str):
            return bool(words) and 0 <= int(wanted) < len(words) and words[int(wanted)] == shown
        return wanted in words and words.index(wanted) == shown
    if isinstance(wanted, float):
        return math.isclose(float(shown), wanted, rel_tol=rtol, abs_tol=1e-12)
    return bool(np.all(shown == wanted))

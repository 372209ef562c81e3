"""The voltage source of the sample: it is at a voltage when its readback says so, and stays there.

Nothing here switches the output off or sets it to zero by itself, neither at the end of a plan nor when it is stopped:
a cell that is charged would not be grateful.
"""

import time
from contextlib import suppress
from typing import Any

from ophyd import Component, EpicsSignal, EpicsSignalRO
from ophyd.status import StatusBase

from whiteline.analysis.checks import require, require_between, require_finite, require_positive
from whiteline.devices.asking import SETTLE_S, put_and_ask
from whiteline.devices.errands import Errand, Watchful
from whiteline.devices.errors import Overdue, Refused

TOLERANCE_V = 0.01
"""How near to its target counts as there if the description says nothing [V]."""

STATES = "Off", "On"
"""Of the output."""


class Output(EpicsSignal):
    """The output, "On" or "Off"; set, it is done when the voltage at the sample is that of this state."""

    def check_value(self, value: str, **_: Any) -> None:
        """Refuse what is no state.

        Raises
        ------
        ValueError
            If it is neither "On" nor "Off".
        """
        if value not in STATES:
            raise ValueError(f"{self.name} = {value!r} must be On or Off")

    def set(self, value: str, **_: Any) -> StatusBase:
        """Switch it; raises as `check_value` before anything is put."""
        self.check_value(value)
        return self.parent.switch(value)


class Programmed(EpicsSignal):
    """The voltage that is applied while the output is on [V]; set, it is done when the IOC has it, and applies it."""

    def check_value(self, value: float, **_: Any) -> None:
        """Refuse a voltage that is not possible; raises as `Bias.check_value`."""
        self.parent.check_value(value)

    def set(self, value: float, **_: Any) -> StatusBase:
        """Change it; raises as `check_value` before anything is put."""
        self.check_value(value)
        return self.parent.program(value)


class Bias(Watchful):
    """The voltage source of the sample.

    Set, it brings the sample to a voltage; its output must be on. A voltage may be programmed before that:
    ``bps.mv(bias.programmed, 2.5)``, then ``bps.mv(bias.output, "On")``. Stopped and unstaged it stays as it is.

    Parameters
    ----------
    prefix : str
        Of its process variables, such as "NANO:bias:".
    low_V, high_V : float
        Limits [V].
    tolerance_V : float
        How near to its target counts as there, larger than the noise of the readback [V].
    settle_s : float
        How long it may take to come there [s].

    Attributes
    ----------
    voltage : EpicsSignalRO
        At the output, 0 while that is off [V]; asked anew whenever it is read.
    current : EpicsSignalRO
        Through the sample [A]; asked anew whenever it is read.
    output : Output
        "On" or "Off".
    programmed : Programmed
        What is applied while the output is on [V].

    Raises
    ------
    OutOfRange
        If the limits do not ascend, or tolerance or time is not above 0.
    """

    # a monitor may come after the completion of a put: a value that is asked for cannot be an old one
    voltage = Component(EpicsSignalRO, "voltage:readback", auto_monitor=False, kind="hinted")
    current = Component(EpicsSignalRO, "current", auto_monitor=False, kind="normal")
    output = Component(Output, "output", string=True, auto_monitor=True, kind="normal")
    programmed = Component(Programmed, "voltage", auto_monitor=True, kind="normal")
    changes = Component(EpicsSignalRO, "voltage:readback", auto_monitor=True, kind="omitted")

    egu = "V"

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        low_V: float,
        high_V: float,
        tolerance_V: float = TOLERANCE_V,
        settle_s: float = SETTLE_S,
        **kwargs: Any,
    ) -> None:
        require_finite((low_V, high_V), f"limit of {name}", "V")
        require(low_V, low_V < high_V, f"lower limit of {name}", f"must be below the upper one, {high_V:g} V", "V")
        require_positive(tolerance_V, f"tolerance of {name}", "V")
        require_positive(settle_s, f"time to settle of {name}", "s")
        self.limits = float(low_V), float(high_V)
        self.tolerance_V, self.settle_s = tolerance_V, settle_s
        self._changed = 0
        super().__init__(prefix, name=name, **kwargs)
        # the column of a table is called as the device is
        self.voltage.name = self.name
        self.changes.subscribe(self._readback_changed, run=False)

    def _readback_changed(self, **_: Any) -> None:
        with self.woken:
            self._changed += 1
            self.woken.notify_all()

    @property
    def needed_signals(self) -> tuple[Any, ...]:
        """Signals without which it cannot be set."""
        return self.voltage, self.output, self.programmed, self.changes

    @property
    def position(self) -> float:
        """The voltage at the output, just now [V]."""
        return float(self.voltage.get())

    def locate(self) -> dict[str, float]:
        """Return the voltage that is programmed and the one at the output, just now [V]."""
        return {"setpoint": float(self.programmed.get(use_monitor=False)), "readback": self.position}

    def check_value(self, value: float) -> None:
        """Refuse a voltage that is not possible.

        Raises
        ------
        OutOfRange
            If it is no number, or outside the limits.
        """
        require_between(value, *self.limits, self.name, "V", "the description of the beamline sets these limits")

    def set(self, value: float) -> StatusBase:
        """Bring the sample to a voltage.

        Parameters
        ----------
        value : float
            [V]

        Returns
        -------
        Status
            Done when the readback is there. Fails with `Refused` if the output is off, with `Lost`, or with `Overdue`,
            saying at what voltage it is.

        Raises
        ------
        OutOfRange
            If it is outside the limits; nothing is put then.
        """
        self.check_value(value)

        def bring(errand: Errand) -> None:
            if errand.ask(self.output) != "On":
                raise Refused(
                    f"{self.name} cannot be set to {value:g} V: its output is Off, so the sample would stay at 0 V; "
                    f"program the voltage and switch {self.output.pvname} On first"
                )
            self._program(errand, value, "On")

        return self.run_errand(bring, needs=self.needed_signals)

    def program(self, value: float) -> StatusBase:
        """Choose the voltage that is applied while the output is on; it may be off.

        Parameters
        ----------
        value : float
            [V]

        Returns
        -------
        Status
            Done when the IOC has it, and if the output is on, the readback is there; fails as that of `set`.

        Raises
        ------
        OutOfRange
            If it is outside the limits; nothing is put then.
        """
        self.check_value(value)
        return self.run_errand(lambda errand: self._program(errand, value, None), needs=self.needed_signals)

    def switch(self, state: str) -> StatusBase:
        """Switch the output.

        Parameters
        ----------
        state : {"On", "Off"}
            What it shall be.

        Returns
        -------
        Status
            Done when the readback is at the programmed voltage, or at 0 V if it is switched off. Fails as that of
            `set`, and with `Refused` if the programmed voltage is outside the limits.

        Raises
        ------
        ValueError
            If it is neither.
        """
        self.output.check_value(state)

        def turn(errand: Errand) -> None:
            volts = float(errand.ask(self.programmed))
            low, high = self.limits
            if state == "On" and not low <= volts <= high:
                raise Refused(
                    f"{self.name} is not switched on: {self.programmed.pvname} is {volts:g} V, and must lie between "
                    f"{low:g} and {high:g} V; program another voltage first"
                )
            put_and_ask(errand, self.output, state, self.settle_s)
            self._require_there(errand, state)

        return self.run_errand(turn, needs=self.needed_signals)

    def stop(self, *, success: bool = False) -> None:
        """Wait no longer for a voltage; it goes where it was sent, and stays there."""
        self.end_errand("was stopped before it was there", success=success)

    def _program(self, errand: Errand, value: float, state: str | None) -> None:
        put_and_ask(errand, self.programmed, float(value), self.settle_s)
        self._require_there(errand, state)

    def _require_there(self, errand: Errand, state: str | None) -> None:
        """Return when the output is in a state, or in any if None, and the voltage is the one that belongs to it."""
        deadline = time.monotonic() + self.settle_s
        while True:
            before = self._changed
            found = errand.ask(self.output)
            wanted = float(errand.ask(self.programmed)) if found == "On" else 0.0
            volts = float(errand.ask(self.voltage))
            if abs(volts - wanted) <= self.tolerance_V and state in (None, found):
                return
            left = deadline - time.monotonic()
            if left <= 0:
                raise Overdue(
                    f"{self.name} waited {self.settle_s:g} s for {self.voltage.pvname} to be {wanted:.6g} V with its "
                    f"output {state or found}, but it is {volts:.6g} V with its output {found}; look at its current "
                    "limit and its cables, and who else sets it"
                )
            # when the time is over it looks once more, as a monitor may be held back by a dead band
            with suppress(Overdue):
                errand.until(lambda before=before: self._changed > before, left, "the readback to change")  # type: ignore[misc]

"""The sign of life of this process: the machine closes the fast shutter that was opened from here when it ends.

Whatever ends this process, a crash, a kill or a computer that hangs, ends its beats too; the IOC of the shutter notices
that after three seconds. It counts beats for each client, so they must come from the process that opens the shutter.
"""

import atexit
import threading
import time
from typing import Any

from ophyd import Component, EpicsSignal, Signal
from ophyd.status import StatusBase

from whiteline.devices.errands import ANSWER_S, Errand, Watchful
from whiteline.devices.errors import Lost
from whiteline.devices.lost_puts import put

EVERY_S = 1.0
"""Time from one beat to the next [s]; the watch of the IOC ends after three of them."""


class _Heart:
    """Beats in a thread of its own, and says goodbye when it is told to end."""

    def __init__(self, counter: Any, first: int) -> None:
        self.over = threading.Event()
        self.said_goodbye = False
        self._counter, self._count = counter, first

    def live(self) -> None:
        """Beat until it is over; an IOC that is lost is served again when it is back."""
        due = time.monotonic() + EVERY_S
        while not self.over.wait(max(0.0, due - time.monotonic())):
            # a process that was suspended does not catch up on what it missed
            due = max(due + EVERY_S, time.monotonic())
            self._count += 1
            self._beat(self._count)
        completed = threading.Event()
        self._beat(0, use_complete=True, callback=lambda **_: completed.set())
        self.said_goodbye = self._counter.connected and completed.wait(ANSWER_S)

    def _beat(self, value: int, **how: Any) -> None:
        if not self._counter.connected:
            return
        try:
            put(self._counter, value, seconds=ANSWER_S, force=True, **how)
        except Exception as error:
            # one beat that is missed does no harm, but a heart that stops for it would close the shutter in mid-scan
            self._counter.log.warning("%s did not take a beat: %s", self._counter.pvname, error)


class Heartbeat(Watchful):
    """A counter that rises every second once it is armed; without it the machine closes what this process has opened.

    It beats on while the IOC is lost, and is armed again by itself when it is back. When Python ends in an orderly way
    it is disarmed, and the shutter stays as it is.

    Parameters
    ----------
    prefix : str
        Of the fast shutter.
    """

    counter = Component(EpicsSignal, "heartbeat", auto_monitor=False, kind="omitted")
    armed = Component(Signal, value=0, kind="normal", doc="1 while it beats")

    def __init__(self, prefix: str = "", *, name: str, **kwargs: Any) -> None:
        self._heart: _Heart | None = None
        self._beating: threading.Thread | None = None
        super().__init__(prefix, name=name, **kwargs)

    def set(self, value: str) -> StatusBase:
        """Switch it "On" or "Off", as `arm` and `disarm` do.

        Raises
        ------
        ValueError
            If the value is neither.
        """
        if value not in ("On", "Off"):
            raise ValueError(f"{self.name} = {value!r} must be On or Off")
        return self.arm() if value == "On" else self.disarm()

    def arm(self) -> StatusBase:
        """Begin to beat, before the shutter is opened.

        Returns
        -------
        Status
            Done when the IOC has taken the first beat; fails with `Lost` or `Overdue` if it does not.
        """
        return self.run_errand(self._arm, needs=(self.counter,))

    def disarm(self) -> StatusBase:
        """Stop beating, and say so: the shutter stays as it is.

        Returns
        -------
        Status
            Done when the IOC knows; fails with `Lost` if it does not answer.
        """
        return self.run_errand(self._disarm, needs=())

    def _arm(self, errand: Errand) -> None:
        if self._beating is not None and self._beating.is_alive():
            return
        errand.until(errand.put(self.counter, 1), ANSWER_S, f"{self.counter.setpoint_pvname} to take the first beat")
        self._heart = _Heart(self.counter, 1)
        self._beating = self._thread(self._heart.live)
        self._beating.start()
        self.armed.put(1)
        atexit.register(self._end)

    def _disarm(self, errand: Errand) -> None:
        heart = self._heart
        if heart is None:
            return
        self._end()
        if not heart.said_goodbye:
            raise Lost(
                f"{self.name} could not be disarmed: {self.counter.setpoint_pvname} does not answer; if it was armed, "
                "the shutter closes"
            )

    def _end(self) -> None:
        """Disarm, and wait until it is so, or hopeless; also when Python ends."""
        atexit.unregister(self._end)
        heart, beating = self._heart, self._beating
        self._heart = self._beating = None
        if heart is not None and beating is not None:
            heart.over.set()
            beating.join(3 * ANSWER_S)
            self.armed.put(0)

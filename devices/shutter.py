"""A shutter that is closed when it says so, and not because it was told to close."""

import threading
from typing import Any

from ophyd import Component, EpicsSignal, EpicsSignalRO
from ophyd.status import StatusBase

from whiteline.analysis.checks import OutOfRange
from whiteline.devices.commanded import TIMEOUT_S, Commanded
from whiteline.devices.errands import Errand
from whiteline.devices.errors import DeviceError, MoveFailed, NotClosed, Overdue, Refused, Stopped
from whiteline.devices.lost_puts import put

OPEN, CLOSED = "Open", "Closed"

PERMITTED = "Permitted"

TRIES = 3
"""How often a command is given before the shutter counts as stuck, if nothing else is said."""


class Shutter(Commanded):
    """A shutter with a command, a status and a permit; its reading is "Open", "Closed" or "Moving".

    A plan that must be sure closes it by `set("Closed")`, or demands a fresh reading by `trigger` and `read`: both fail
    where the IOC does not answer. `stop` never opens anything.

    Parameters
    ----------
    prefix : str
        Of its process variables.
    timeout_s : float
        How long opening or closing may take in all [s].
    tries : int
        How often the command is given at most, in equal parts of that time.

    Raises
    ------
    OutOfRange
        If the time is not above zero, or the tries are fewer than one.
    """

    command = Component(EpicsSignal, "command", string=True, auto_monitor=True, kind="omitted")
    status = Component(EpicsSignalRO, "status", string=True, auto_monitor=False, kind="hinted")
    changes = Component(EpicsSignalRO, "status", string=True, auto_monitor=True, kind="omitted")
    permit = Component(EpicsSignalRO, "permit", string=True, auto_monitor=False, kind="normal")
    cycles = Component(EpicsSignalRO, "cycles", auto_monitor=False, kind="normal")

    def __init__(
        self, prefix: str = "", *, name: str, timeout_s: float = TIMEOUT_S, tries: int = TRIES, **kwargs: Any
    ) -> None:
        if tries < 1:
            raise OutOfRange(f"tries of {name}", tries, "must be at least 1")
        self.tries = tries
        self._opening: Errand | None = None
        super().__init__(prefix, name=name, timeout_s=timeout_s, **kwargs)

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that it can be told."""
        return OPEN, CLOSED

    def set(self, value: str) -> StatusBase:
        """Open or close it.

        Parameters
        ----------
        value : {"Open", "Closed"}
            An opening under way ends when anything else is told.

        Returns
        -------
        Status
            Done when a fresh reading says that it is there. Closing fails with `NotClosed`, at once if the IOC is gone,
            else after `timeout_s` and a second. Opening fails with `Refused` without the permit, with `Lost` if the IOC
            is gone or does not answer, and with `MoveFailed` if the shutter is stuck; it is told to close then.

        Raises
        ------
        ValueError
            If the value is neither; nothing is written then.
        """
        self.check_value(value)
        self._end_opening(f"was told to be {value} before it was open")
        if value == CLOSED:
            return self.run_errand(self._close, needs=self.needed_signals)
        given = threading.Event()
        status = self.run_errand(
            lambda errand: self._open(errand, given),
            needs=(*self.needed_signals, self.permit),
            on_failure=lambda: self._take_back(given),
        )
        self._opening = self._errand
        return status

    def stop(self, *, success: bool = False) -> None:
        """End an opening under way, which is then told to close; a closing goes on.

        Parameters
        ----------
        success : bool
            Whether the status of the opening finishes nevertheless: so the RunEngine pauses, and opens it again when it
            resumes.
        """
        self._end_opening("was stopped before it was open", pardoned=success)

    def _end_opening(self, why: str, *, pardoned: bool = False) -> None:
        if self._opening is not None:
            self._opening.give_up(Stopped(f"{self.name} {why}"), pardoned=pardoned)
            self._opening = None

    def _open(self, errand: Errand, given: threading.Event) -> None:
        # asked first: a command to an IOC that hangs is kept, and would open the shutter when it wakes up
        self._require_permit(errand)
        given.set()
        try:
            self._persist(errand, OPEN)
        except Overdue as error:
            raise MoveFailed(f"{self.name} did not open and was told to close again: {error}") from error

    def _close(self, errand: Errand) -> None:
        try:
            self._persist(errand, CLOSED)
        except Exception as error:
            why = str(error) if isinstance(error, DeviceError) else f"{type(error).__name__}: {error}"
            raise NotClosed(
                f"{self.name} was NOT proven to be closed ({self.status.pvname} was last seen {self.last_seen}): {why}"
                "; stop the beam by other means before anyone relies on it"
            ) from error

    def _persist(self, errand: Errand, wanted: str) -> None:
        """Give the command, again and again if need be, until the shutter is there."""
        for left in reversed(range(self.tries)):
            try:
                self._bring(errand, wanted, self.timeout_s / self.tries)
            except Overdue as error:
                if wanted == OPEN:
                    self._require_permit(errand)
                if not left:
                    often = "once" if self.tries == 1 else f"{self.tries} times"
                    raise Overdue(f"it was told so {often} in {self.timeout_s:g} s, and at last {error}") from error
            else:
                return

    def _require_permit(self, errand: Errand) -> None:
        if (permit := self._ask(errand, self.permit)) != PERMITTED:
            raise Refused(
                f"{self.name} may not open: {self.permit.pvname} is {permit}, and must be {PERMITTED}; look for the "
                "beam and the interlock"
            )

    def _take_back(self, given: threading.Event) -> None:
        """Tell a shutter to close whose opening has failed, so that it does not open later."""
        if given.is_set() and self.command.connected:
            put(self.command, CLOSED, use_complete=False, force=True)


class FastShutter(Shutter):
    """The shutter before the sample, which plans open only while something counts: no pause leaves it open.

    The photon shutter of the front end is no such one: closed in a pause, it would let the optics cool down, and no
    plan would open it again.
    """

    def pause(self) -> None:
        """Close it; the run engine calls this when it pauses or is suspended, and is not held up by it.

        That it did not close is told at once by a message of the log, as nobody waits for it.
        """
        self.set(CLOSED).add_callback(self._tell_if_open)

    def resume(self) -> None:
        """Leave it closed: what counts opens it again."""

    def _tell_if_open(self, status: StatusBase) -> None:
        if (error := status.exception(timeout=0)) is not None:
            self.log.critical("in a pause: %s", error)

"""Something that is told by a word where to be, and says by a word where it is: shutters, filters, a wheel of foils.

The completion of the command is not taken for an arrival: the status is read afresh until it is the word that was
wanted. A monitor only says when to look again, so it does not matter that monitors come late.
"""

import time
from typing import Any

from ophyd.status import StatusBase

from whiteline.analysis.checks import require_positive
from whiteline.devices.errands import ANSWER_S, Errand, Watchful
from whiteline.devices.errors import DeviceError, Lost

TIMEOUT_S = 10.0
"""How long a command may take if the description says nothing [s]."""


class Commanded(Watchful):
    """A device with a command and a status, each one of a few words.

    A subclass declares three components: `command`, which is written; `status`, which is read afresh for every reading;
    and `changes`, which monitors the same process variable as the status.

    Parameters
    ----------
    prefix : str
        Of its process variables.
    timeout_s : float
        How long a command may take [s].

    Raises
    ------
    OutOfRange
        If the time is not above zero.
    """

    woken_by = ("changes",)

    command: Any
    status: Any
    changes: Any

    def __init__(self, prefix: str = "", *, name: str, timeout_s: float = TIMEOUT_S, **kwargs: Any) -> None:
        require_positive(timeout_s, f"timeout of {name}", "s")
        self.timeout_s = timeout_s
        self._seen: tuple[str, float] | None = None
        self._wakes = 0
        super().__init__(prefix, name=name, **kwargs)
        # the column of a table and the line of the baseline are called as the device is
        self.status.name = self.name
        self.changes.subscribe(self._see, run=True)

    def _see(self, *, value: Any = None, timestamp: float | None = None, **_: Any) -> None:
        # a monitor may come later than the answer to a question that was asked after it
        if isinstance(value, str) and (self._seen is None or (timestamp or 0.0) >= self._seen[1]):
            self._seen = value, timestamp or 0.0

    @property
    def last_seen(self) -> str:
        """Where it was when its IOC last said so; "unknown" if it never did."""
        if self._seen is None:
            return "unknown"
        word, words = self._seen[0], self.changes.enum_strs or ()
        # the first monitor may come before the words are known, and then brings a number
        return str(words[int(word)]) if word.isdigit() and int(word) < len(words) else word

    def wake(self, **_: Any) -> None:
        """Let an errand look again; a callback of signals and statuses."""
        with self.woken:
            self._wakes += 1
            self.woken.notify_all()

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that it can be told."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it can be told")

    def check_value(self, value: str) -> None:
        """Refuse a word that it does not know.

        Raises
        ------
        ValueError
            Naming those that it knows.
        """
        if value not in self.choices:
            raise ValueError(f"{self.name} = {value!r} must be one of {', '.join(map(repr, self.choices))}")

    def set(self, value: str) -> StatusBase:
        """Tell it where to be.

        Parameters
        ----------
        value : str
            One of `choices`.

        Returns
        -------
        Status
            Done when a fresh reading says that it is there; fails with `Lost` or `Overdue`, saying where it is.

        Raises
        ------
        ValueError
            If the word is none that it knows; nothing is written then.
        """
        self.check_value(value)
        return self.run_errand(lambda errand: self._bring(errand, value, self.timeout_s), needs=self.needed_signals)

    def trigger(self) -> StatusBase:
        """Ask where it is.

        Returns
        -------
        Status
            Done when the IOC has answered, fails with `Lost` if it is gone or hangs. The reading after it is fresh.
        """

        def look(errand: Errand) -> None:
            self._look(errand)

        return self.run_errand(look, needs=(self.status,))

    def locate(self) -> dict[str, Any]:
        """Return what it was told last, and where it is just now."""
        return {"setpoint": self.command.get(), "readback": self.status.get()}

    def stop(self, *, success: bool = False) -> None:
        """Wait no longer for what was told, which cannot be stopped; `success` is of no effect."""
        super().stop(success=success)
        self.end_errand("was stopped before it was there")

    @property
    def needed_signals(self) -> tuple[Any, ...]:
        """Signals without which it cannot be told anything."""
        return self.command, self.status

    def _ask(self, errand: Errand, signal: Any) -> str:
        """Return a fresh word.

        It is asked for in a thread of its own: where the IOC dies in that very moment, the client library waits for
        seconds, and the loss is to be told at once.
        """
        answers: list[Any] = []

        def ask() -> None:
            try:
                answers.append(errand.ask(signal))
            except Exception as error:
                answers.append(error)
            # not wake(): nothing has changed that would be a reason to ask again
            with self.woken:
                self.woken.notify_all()

        self._thread(ask).start()
        errand.until(lambda: bool(answers), 3 * ANSWER_S, f"{signal.pvname} to answer")
        answer = answers[0]
        if isinstance(answer, DeviceError):
            raise answer
        if isinstance(answer, Exception):
            raise Lost(f"{signal.pvname} of {self.name} did not answer: {answer}") from answer
        return str(answer)

    def _look(self, errand: Errand) -> str:
        """Return a fresh status."""
        where = self._ask(errand, self.status)
        self._see(value=where, timestamp=self.status.timestamp)
        return where

    def _bring(self, errand: Errand, wanted: str, seconds: float) -> None:
        """Give the command, and return when a fresh reading says that it is there.

        Raises
        ------
        Overdue
            If it is elsewhere after so many seconds, saying where.
        """
        deadline = time.monotonic() + seconds
        pv = self.command.setpoint_pvname
        errand.until(errand.put(self.command, wanted), seconds, f"{pv} to complete the command {wanted}")
        while True:
            wakes = self._wakes
            try:
                where = self._look(errand)
            except Lost:
                # a busy IOC may answer the next question; one that has gone is told by its connection
                errand.require_possible()
                if time.monotonic() >= deadline:
                    raise
                continue
            if where == wanted:
                return
            errand.until(
                lambda wakes=wakes: self._wakes > wakes,  # type: ignore[misc]
                max(0.0, deadline - time.monotonic()),
                f"{self.status.pvname} to be {wanted}, but it is {where}; look what holds it",
            )

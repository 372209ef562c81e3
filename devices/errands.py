"""Errands: what a device was told to do, carried out in a thread of its own, and sure to end.

An errand reads like the interface document: put this, wait until that. It ends when it is done, and fails at once when
an IOC that it needs is lost, when its device is stopped, or when its time is over; its status then carries one sentence
that says what was waited for. Nothing is polled: monitors and connections wake it.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from ophyd import Device, get_cl
from ophyd.signal import EpicsSignalBase
from ophyd.status import DeviceStatus, StatusBase

from whiteline.devices.errors import DeviceError, Lost, Overdue, Stopped
from whiteline.devices.last_value import forget_last_value
from whiteline.devices.late_answers import refuse_late_answers
from whiteline.devices.lost_puts import put
from whiteline.devices.searching import Search
from whiteline.devices.unanswered import forget_unanswered
from whiteline.devices.write_access import restore_write_access

ANSWER_S = 3.0
"""How long an IOC may take to answer a question [s]."""

ANNOUNCED_S = 0.5
"""How long after pyepics stumbled over a lost channel its loss may be announced [s]."""

QUESTIONS = 2
"""How often it is asked before it counts as silent: on a busy machine an answer may be late, or be lost."""


class Errand:
    """One thing that a device was told to do.

    Parameters
    ----------
    device : Watchful
        Whose monitors and connections wake it.
    needs : sequence of Signal
        Signals without which it cannot be done.
    """

    def __init__(self, device: "Watchful", needs: Sequence[Any]) -> None:
        self._device, self._needs = device, tuple(needs)
        self._ended: Exception | None = None
        self._putting = threading.RLock()
        self.pardoned = False

    def until(self, true: Callable[[], bool], seconds: float, what: str | Callable[[], str]) -> None:
        """Wait until something is true.

        Parameters
        ----------
        true : callable
            Asked whenever something has changed; it must not block.
        seconds : float
            For how long at most [s].
        what : str or callable
            What is waited for, as the end of "… waited 3.2 s for".

        Raises
        ------
        Lost
            If an IOC is lost meanwhile.
        Overdue
            If it did not become true in time.
        DeviceError
            What `give_up` was called with.
        """
        deadline = time.monotonic() + seconds
        with self._device.woken:
            while True:
                self.require_possible()
                if true():
                    return
                left = deadline - time.monotonic()
                if left <= 0:
                    text = what if isinstance(what, str) else what()
                    raise Overdue(f"{self._device.name} waited {seconds:.3g} s for {text}")
                self._device.woken.wait(left)

    def put(self, signal: Any, value: Any) -> Callable[[], bool]:
        """Put a value, and return a function that tells whether the record has completed what it starts.

        Raises
        ------
        Lost
            If the IOC is lost, or gives no right to write.
        """
        completed = threading.Event()

        def complete(**_: Any) -> None:
            completed.set()
            self._device.wake()

        with self._putting:
            self.require_possible()
            restore_write_access(signal)
            if not signal.write_access:
                raise Lost(f"{self._device.name} may not write to {signal.setpoint_pvname}: its IOC gives no right to")
            put(signal, value, seconds=ANSWER_S, use_complete=True, callback=complete, force=True)
        return completed.is_set

    def ask(self, signal: Any, seconds: float = ANSWER_S, questions: int = QUESTIONS, **how: Any) -> Any:
        """Return a fresh value, not one that a monitor brought earlier.

        Parameters
        ----------
        signal : Signal
            Whose value.
        seconds : float
            How long its IOC may take, each time that it is asked [s].
        questions : int
            How often it is asked.

        Raises
        ------
        Lost
            If the IOC does not answer in time.
        """
        failure: Exception | None = None
        for _ in range(questions):
            self.require_possible()
            try:
                return signal.get(use_monitor=False, timeout=seconds, connection_timeout=ANSWER_S, **how)
            except Exception as error:
                # pyepics has three words for it: a time-out, a warning of one, and a get on a circuit that just broke
                forget_unanswered(signal._read_pv)
                self.require_possible()
                failure = error
        raise Lost(
            f"{signal.pvname} of {self._device.name} does not answer within {questions * seconds:g} s: its IOC may "
            "hang; look whether it runs"
        ) from failure

    def give_up(self, error: Exception, *, pardoned: bool = False) -> None:
        """End it with an error, unless it has ended; pardoned, its status finishes as if it had been done.

        It puts nothing any more when this returns: what is put back now stays as it is.
        """
        with self._putting, self._device.woken:
            if self._ended is None:
                self._ended, self.pardoned = error, pardoned
            self._device.woken.notify_all()

    def told(self, error: Exception) -> DeviceError:
        """Return an error of a library as one of ours.

        A channel that is lost between two lines of pyepics makes it raise whatever it stumbles over, a moment before
        the loss is announced; so what is needed has that moment to be found missing.
        """
        with self._device.woken:
            self._device.woken.wait_for(lambda: not all(signal.connected for signal in self._needs), ANNOUNCED_S)
        try:
            self.require_possible()
        except DeviceError as known:
            known.__cause__ = error
            return known
        return _unforeseen(self._device, error)

    def require_possible(self) -> None:
        """Raise if it was given up, or an IOC that it needs is lost.

        Raises
        ------
        Lost
            Naming the process variable.
        DeviceError
            What `give_up` was called with.
        """
        if self._ended is not None:
            raise self._ended
        for signal in self._needs:
            if not signal.connected:
                raise Lost(
                    f"{self._device.name} has lost {signal.pvname}: its IOC has gone; start it again, then repeat what "
                    "failed"
                )


class Watchful(Device):
    """A device that runs errands, and that is as good as new when its IOC was lost and is back.

    Monitors of the components named in `woken_by` wake an errand, and so does every connection that is lost or found.
    """

    woken_by: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.woken = threading.Condition()
        self._errand: Errand | None = None
        self._idle = threading.Event()
        self._idle.set()
        self._search = Search(self._thread)
        super().__init__(*args, **kwargs)

    def _instantiate_component(self, attr: str) -> Any:
        made = super()._instantiate_component(attr)
        if isinstance(made, EpicsSignalBase):
            refuse_late_answers(made)
            made.subscribe(self._connection_changed, event_type=made.SUB_META, run=False)
        if attr in self.woken_by:
            made.subscribe(self.wake, run=False)
        return made

    def _connection_changed(self, *, obj: Any, connected: bool = True, **_: Any) -> None:
        restore_write_access(obj)
        if connected:
            self._search.found()
        else:
            forget_unanswered(obj._read_pv)
            forget_last_value(obj)
            self._search.lost(obj._read_pv)
            if getattr(obj, "_write_pv", None) is not None:
                self._search.lost(obj._write_pv)
        self.wake()

    def stop_searching(self) -> None:
        """Search for lost process variables no more, as of a device that is no longer used."""
        self._search.end()

    def wake(self, **_: Any) -> None:
        """Let an errand look again; a callback of signals and statuses."""
        with self.woken:
            self.woken.notify_all()

    def run_errand(
        self,
        work: Callable[[Errand], None],
        *,
        needs: Sequence[Any],
        status: StatusBase | None = None,
        on_failure: Callable[[], None] | None = None,
    ) -> StatusBase:
        """Carry something out in a thread of its own, after the errand before it has ended.

        Parameters
        ----------
        work : callable
            Does it, with the errand to wait by.
        needs : sequence of Signal
            Signals without which it cannot be done.
        status : Status or None
            That tells its end; a new one of this device if None.
        on_failure : callable or None
            What is done before the status fails, such as to stop a motor.

        Returns
        -------
        Status
            Fails with what `work` raises.
        """
        chosen = status or DeviceStatus(self, call_stop_on_failure=False)
        with self.woken:
            before, errand, idle = self._idle, Errand(self, needs), threading.Event()
            self._errand, self._idle = errand, idle

        def carry_out() -> None:
            before.wait()
            try:
                work(errand)
            except Exception as error:
                failure: Exception = error if isinstance(error, DeviceError | ValueError) else errand.told(error)
                pardoned = errand.pardoned
                try:
                    if on_failure is not None:
                        on_failure()
                except Exception as second:
                    pardoned = False
                    failure = _both(failure, second)
                finally:
                    idle.set()
                    if pardoned:
                        chosen.set_finished()
                    else:
                        chosen.set_exception(failure)
            else:
                idle.set()
                chosen.set_finished()

        self._thread(carry_out).start()
        return chosen

    def _thread(self, target: Callable[[], None]) -> threading.Thread:
        # a thread that talks to Channel Access must join the client's context
        return get_cl().thread_class(target=target, name=f"errand of {self.name}", daemon=True)

    def end_errand(self, why: str = "was stopped", *, success: bool = False) -> None:
        """End the errand under way, if there is one; its status fails, or finishes if that counts as a success."""
        errand = self._errand
        if errand is not None:
            errand.give_up(Stopped(f"{self.name} {why}"), pardoned=success)


def _both(first: Exception, second: Exception) -> Exception:
    """Return one error that tells of two: what failed, and that it could not be left in order."""
    both = (type(first) if isinstance(first, DeviceError) else DeviceError)(f"{first}; and after that: {second}")
    both.__cause__ = first
    return both


def _unforeseen(device: Device, error: Exception) -> DeviceError:
    """Return an error of a library as one of ours, with its cause."""
    failure = DeviceError(f"{device.name}: {type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure


def search_no_more(devices: Iterable[Any]) -> None:
    """Let devices, with all of their parts, search for lost process variables no more, as they are no longer used."""
    for device in devices:
        parts = [part for _, part in device.walk_subdevices(include_lazy=False)] if isinstance(device, Device) else []
        for one in (device, *parts):
            if isinstance(one, Watchful):
                one.stop_searching()

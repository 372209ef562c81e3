"""Hear Ctrl-C while a scan runs, whichever thread the system gives it to.

A signal goes to a process, and Linux may hand it to any of its threads: to the main one as a rule, and to another where
that one begins or ends a thread before the main one has woken up. Python runs its handler in the main thread alone, and
nothing wakes that while it waits for a lock without a limit. bluesky 1.15.1 waits so for the end of a scan, in
`DuringTask.block`: a Ctrl-C that another thread was given is heard when the scan has ended, which is too late to pause
it. Devices begin threads at every point, so it happened. With a limit the main thread wakes up by itself, and runs what
has come meanwhile. A test tells when bluesky or Python do so themselves.
"""

import threading

from bluesky.utils import DefaultDuringTask

WAKE_S = 0.1
"""How long Ctrl-C may go unheard [s]; nobody feels it, and ten times in a second cost nothing."""


class WokenForSignals(DefaultDuringTask):
    """Waits for the end of a plan, and wakes up for signals: `RunEngine(during_task=WokenForSignals())`.

    Windows of plots are kept alive as by bluesky's own, which this is otherwise.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def block(self, blocking_event: threading.Event) -> None:
        """Wait until a plan has ended or is paused.

        Parameters
        ----------
        blocking_event : threading.Event
            Set then, by the run engine.
        """
        super().block(_Woken(blocking_event))  # type: ignore[no-untyped-call]


class _Woken:
    """An event that is waited for in short times."""

    def __init__(self, event: threading.Event) -> None:
        self._event = event

    def wait(self, timeout: float | None = None) -> bool:
        if timeout is not None:
            return self._event.wait(timeout)
        while not self._event.wait(WAKE_S):
            pass
        return True

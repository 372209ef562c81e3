"""What `trigger` returns: a status that somebody else finishes, in a bounded time."""

import threading
from collections.abc import Callable
from typing import Any


class NotAnalysed(RuntimeError):
    """The newest frame could not be analysed, or not in time; the message says why."""


class Pending:
    """A status of bluesky's protocol that is finished once, by a result, a failure or its limit of time.

    Parameters
    ----------
    what : str
        What is waited for, for the message of a timeout: "shift of the newest frame".
    timeout_s : float
        How long at most [s].
    device : object
        Whose status it is: a plan knows by it which of its questions has failed.
    """

    def __init__(self, what: str, timeout_s: float, device: object = None) -> None:
        self.what, self.device = what, device
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[Any], None]] = []
        self._error: BaseException | None = None
        late = NotAnalysed(
            f"the {what} was not known after {timeout_s:g} s; the live analysis is behind or stuck: look at its "
            "progress, or go on without it"
        )
        self._timer = threading.Timer(timeout_s, self.finish, [late])
        self._timer.daemon = True
        self._timer.start()

    def finish(self, error: BaseException | None = None) -> bool:
        """End it, with an error if it failed; return False if it had ended before."""
        with self._lock:
            if self._ended.is_set():
                return False
            self._error = error
            self._ended.set()
            callbacks, self._callbacks = self._callbacks, []
        self._timer.cancel()
        for callback in callbacks:
            callback(self)
        return True

    def add_callback(self, callback: Callable[[Any], None]) -> None:
        """Call something with this status when it has ended; at once if it has."""
        with self._lock:
            if not self._ended.is_set():
                self._callbacks.append(callback)
                return
        callback(self)

    def exception(self, timeout: float | None = 0.0) -> BaseException | None:
        """Return why it failed, None if it did not.

        Raises
        ------
        TimeoutError
            If it has not ended within so many seconds.
        """
        if not self._ended.wait(timeout):
            raise TimeoutError("the status has not ended yet")
        return self._error

    def wait(self, timeout: float | None = None) -> None:
        """Wait until it has ended, and raise if it failed."""
        error = self.exception(timeout)
        if error is not None:
            raise error

    def __repr__(self) -> str:
        # What a session shows of a plan that ended by it.
        state = "pending" if not self.done else str(self._error or "done")
        return f"<{self.what}: {state}>"

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._ended.is_set()

    @property
    def success(self) -> bool:
        """Whether it has ended well."""
        return self.done and self._error is None

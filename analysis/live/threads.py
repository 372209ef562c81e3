"""The threads of the live analysis: one takes documents and works out frames, one of low priority makes the slow maps.

The RunEngine's thread only puts documents into the queue of the first. Neither thread ever lets an exception out, and
neither keeps the interpreter from ending.
"""

import os
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

QUEUED = 20_000
"""Documents that may wait: those of a raster of the largest size, twice."""

NICENESS = 10
"""By how much the slow thread stands back, on systems that give each thread its own priority."""

Item = tuple[str, Any]


class Inbox:
    """A bounded queue, and the thread that empties it.

    Parameters
    ----------
    take : callable
        Is given one item after the other, in the thread of this.
    idle : callable
        Is called when the queue has become empty, and from time to time where it does not.
    """

    def __init__(self, take: Callable[[Item], None], idle: Callable[[], None], name: str) -> None:
        # Its put never waits for a lock that the other thread holds, as that of `Queue` may.
        self._queue: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._take, self._idle = take, idle
        self.lost = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, item: Item) -> bool:
        """Hand over an item; if the queue is full it is lost, and counted."""
        if self._queue.qsize() >= QUEUED:
            self.lost += 1
            return False
        self._queue.put(item)
        return True

    @property
    def waiting(self) -> int:
        """Items in the queue."""
        return self._queue.qsize()

    def close(self, timeout_s: float) -> None:
        """End the thread when it has done what waits, and wait for that."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join(timeout_s)

    def _run(self) -> None:
        taken = 0
        while (item := self._queue.get()) is not None:
            self._take(item)
            taken += 1
            if self._queue.empty() or taken >= 500:
                self._idle()
                taken = 0


class Background:
    """A thread of low priority that does one job after the other; of those that wait only the newest is done."""

    def __init__(self, name: str) -> None:
        self._wake = threading.Condition()
        self._job: Callable[[], None] | None = None
        self._busy = self.closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[], None]) -> None:
        """Have a job done; one that still waits is dropped for it."""
        with self._wake:
            self._job = job
            self._wake.notify_all()

    def rest(self, timeout_s: float) -> bool:
        """Wait until there is nothing to do, and say whether that was so in time; a closed one has nothing to do."""
        with self._wake:
            return self._wake.wait_for(lambda: not self._busy and self._job is None, max(0.0, timeout_s))

    def close(self, timeout_s: float) -> None:
        """End the thread after its job; jobs that ask `closed` end early."""
        with self._wake:
            self.closed, self._job = True, None
            self._wake.notify_all()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        if hasattr(os, "setpriority"):
            # On Linux it holds for this thread only, and for those that it starts.
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        while True:
            with self._wake:
                while self._job is None and not self.closed:
                    self._wake.wait()
                if self.closed:
                    return
                job, self._job, self._busy = self._job, None, True
            try:
                if job is not None:
                    job()
            finally:
                with self._wake:
                    self._busy = False
                    self._wake.notify_all()

"""The threads of the live analysis: one takes documents and works out frames, one of low priority makes the slow maps.

The RunEngine's thread only puts documents into the queue of the first. Neither thread ever lets an exception out, and
neither keeps the interpreter from ending. They share the interpreter with the RunEngine: while one of them works on
what is not compiled, each call of the RunEngine that waits for the disk or the network comes back up to 5 ms late. So
what is worked out anew with every point is worked out a tenth of the time at most, see `Pace`.
"""

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

QUEUED = 20_000
"""Documents that may wait: those of a raster of the largest size, twice."""

NICENESS = 10
"""By how much the slow thread stands back, on systems that give each thread its own priority."""

SHARE = 0.1
"""Part of the time that work with every point may take."""

LONGEST_PAUSE_S = 10.0
"""How old a result may become for that [s]."""

Item = tuple[str, Any]


class Pace:
    """Tells when a piece of work that comes again and again is due, so that it takes a small share of the time."""

    def __init__(self) -> None:
        self._due = 0.0

    @property
    def pause_s(self) -> float:
        """How long it has to wait [s]; 0 if it is due."""
        return max(0.0, self._due - time.monotonic())

    @contextmanager
    def work(self) -> Iterator[None]:
        """Do it."""
        begin = time.monotonic()
        try:
            yield
        finally:
            end = time.monotonic()
            self._due = end + min((end - begin) * (1 / SHARE - 1), LONGEST_PAUSE_S)


class Inbox:
    """A bounded queue, and the thread that empties it.

    Parameters
    ----------
    take : callable
        Is given one item after the other, in the thread of this.
    idle : callable
        Is called when the queue has become empty, and from time to time where it does not. It returns after how many
        seconds it is to be called again if nothing comes before; None if not.
    """

    def __init__(self, take: Callable[[Item], None], idle: Callable[[], float | None], name: str) -> None:
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
        taken, again_s = 0, None
        while True:
            try:
                item = self._queue.get(timeout=again_s)
            except queue.Empty:
                again_s = self._idle()
                continue
            if item is None:
                return
            self._take(item)
            taken += 1
            if self._queue.empty() or taken >= 500:
                again_s, taken = self._idle(), 0


class Background:
    """A thread of low priority that does one job after the other; of those that wait only the newest is done."""

    def __init__(self, name: str) -> None:
        self._wake = threading.Condition()
        self._job: Callable[[], None] | None = None
        self._busy = self.closed = self._at_once = False
        self._waited_for = 0
        self._pace = Pace()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[], None], *, at_once: bool = False) -> None:
        """Have a job done; one that still waits is dropped for it.

        Parameters
        ----------
        job : callable
            What to do.
        at_once : bool
            Not to wait until jobs have had their share of the time.
        """
        with self._wake:
            self._job, self._at_once = job, at_once
            self._wake.notify_all()

    def rest(self, timeout_s: float) -> bool:
        """Wait until there is nothing to do, and say whether that was so in time; a closed one has nothing to do."""
        with self._wake:
            self._waited_for += 1
            self._wake.notify_all()
            try:
                return self._wake.wait_for(lambda: not self._busy and self._job is None, max(0.0, timeout_s))
            finally:
                self._waited_for -= 1

    def close(self, timeout_s: float) -> None:
        """End the thread after its job; jobs that ask `closed` end early."""
        with self._wake:
            self.closed, self._job = True, None
            self._wake.notify_all()
        self._thread.join(timeout_s)

    def _next(self) -> Callable[[], None] | None:
        """Wait for a job that is due; None if there will be none any more."""
        with self._wake:
            while not self.closed:
                pause = 0.0 if self._at_once or self._waited_for else self._pace.pause_s
                if self._job is not None and not pause:
                    job, self._job, self._busy = self._job, None, True
                    return job
                self._wake.wait(None if self._job is None else pause)
        return None

    def _run(self) -> None:
        if hasattr(os, "setpriority"):
            # On Linux it holds for this thread only, and for those that it starts.
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        while (job := self._next()) is not None:
            try:
                with self._pace.work():
                    job()
            finally:
                with self._wake:
                    self._busy = False
                    self._wake.notify_all()

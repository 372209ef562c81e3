"""A way round a slowness of libca: a channel whose IOC is back is searched for at once, not after a long pause.

libca (of EPICS base 7.0.7, as pyepics 3.5.10 brings it) does not search for a lost channel in its first 10 s, and then
in pauses that grow to minutes; beacons shorten them to 8.2 s, and no setting makes them shorter. A channel that is
created anew is searched for at once, several times within the next second. So a lost channel is replaced by a new one
of the same name, once a second, until it is found; all others of its device are replaced when the first was found.
"""

import atexit
import ctypes
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

CONNECTED = 2
"""What libca calls the state of a channel that is connected."""

EVERY_S = 1.0
"""How often a channel is searched for anew [s]."""

TOLD_S = 0.5
"""How long it may take until all who share a channel are told of its loss; it is not replaced under their hands [s]."""

END_S = 2.0
"""How long the end of a search waits for a channel that is being replaced just then [s]."""

KEPT_S = 60.0
"""How long a channel that was replaced is kept: whoever asked it when it was lost may still be waiting for it [s]."""


class WhenConnected:
    """A callback of connections that is not called for a connection of the channel that was replaced meanwhile.

    Parameters
    ----------
    entry : object
        What pyepics keeps of the channel.
    callback : method of epics.PV
        Of one that shares the channel.
    """

    def __init__(self, entry: Any, callback: Any) -> None:
        self.owner = callback.__self__
        self._entry, self._callback = entry, callback

    def __call__(self, *, pvname: str, chid: int, conn: bool) -> None:
        """Pass it on, unless it tells of a connection that is none."""
        from epics import ca

        with self._entry.lock:
            current = chid == self._entry.chid_int
            there = current and ca.libca.ca_state(self._entry.chid) == CONNECTED
        if not conn or there:
            self._callback(pvname=pvname, chid=chid, conn=conn)


def search_anew(pv: Any) -> Any:
    """Replace the channel of a process variable that is lost by a new one, for which libca searches at once.

    Parameters
    ----------
    pv : epics.PV
        One that was connected before; nothing happens if it is connected.

    Returns
    -------
    chid or None
        The channel that was replaced, to be cleared when nobody can be using it any more.
    """
    # imported here: with it comes the client library, which reads where to search but once
    from epics import ca, dbr

    entry = ca._cache[pv.context].get(pv.pvname)
    if entry is None:
        return None
    with entry.lock:
        if entry.conn:
            return None
        there = ca.libca.ca_state(entry.chid) == CONNECTED
        # several devices may share a channel: one of them is enough to search for it
        if not there and time.monotonic() < getattr(entry, "searched_at", -EVERY_S) + EVERY_S / 2:
            return None
        if not there:
            entry.searched_at = time.monotonic()
            lost, found = entry.chid, dbr.chid_t()
            ca.libca.ca_create_channel(pv.pvname.encode(), ca._CB_CONNECT, 0, 0, ctypes.byref(found))
            ca._chid_cache.pop(lost.value, None)
            entry.chid = found
            ca._chid_cache[found.value] = entry
            monitors = [_hand_over(entry, number, found) for number in range(len(entry.callbacks))]
    if there:
        # it came back before it was known here, so nobody was told
        entry.run_connection_callbacks(conn=True, timestamp=time.time())
        return None
    for monitor in monitors:
        if monitor is not None:
            # not under the lock: libca waits here for its callback, which may wait for the lock
            ca.libca.ca_clear_subscription(monitor[-1])
    ca.libca.ca_replace_access_rights_event(found, ca._CB_ACCESS)
    ca.libca.ca_flush_io()
    return lost


def _hand_over(entry: Any, number: int, found: Any) -> Any:
    """Give a PV object the new channel, and return the monitor that it had on the lost one."""
    callback = entry.callbacks[number]
    if not isinstance(callback, WhenConnected):
        entry.callbacks[number] = callback = WhenConnected(entry, callback)
    owner = callback.owner
    owner.chid = owner._args["chid"] = found
    monitor, owner._monref = owner._monref, None
    return monitor


class Search:
    """Searches for lost process variables of a device, in a thread that ends when all are back.

    Whoever looks at a channel that was cleared crashes the process, and pyepics clears all of them when Python ends. So
    a search that is under way then ends before that.

    Parameters
    ----------
    thread : callable
        Makes a thread that may talk to Channel Access, of a function.
    """

    def __init__(self, thread: Callable[[Callable[[], None]], threading.Thread]) -> None:
        self._thread = thread
        self._lock = threading.Lock()
        self._lost: dict[str, Any] = {}
        self._due: dict[str, float] = {}
        self._replaced: list[tuple[float, Any]] = []
        self._running = False
        self._ended = False
        self._changed = threading.Event()
        self._replacing = threading.RLock()

    def lost(self, pv: Any) -> None:
        """Search for a process variable that was lost."""
        with self._lock:
            self._lost[pv.pvname] = pv
            self._due[pv.pvname] = time.monotonic() + TOLD_S
            if self._running or self._ended:
                return
            self._running = True
            atexit.register(self.end)  # after pyepics has registered its own, so it comes before that
        self._thread(self._run).start()

    def found(self) -> None:
        """Look at once whether something else is to be searched for."""
        self._changed.set()

    def end(self) -> None:
        """Search no more, as for a device that is no longer used; no channel is being replaced when this returns."""
        self._ended = True
        self._changed.set()
        atexit.unregister(self.end)
        if self._replacing.acquire(timeout=END_S):
            self._replacing.release()

    def _run(self) -> None:
        while True:
            self._changed.wait(EVERY_S)
            self._changed.clear()
            self._clear_replaced()
            with self._lock:
                there = [name for name, pv in self._lost.items() if pv.connected]
                for name in there:
                    del self._lost[name]
                if self._ended or not (self._lost or self._replaced):
                    self._due.clear()
                    self._running = False
                    atexit.unregister(self.end)
                    return
                lost = list(self._lost.values())
            # while none is found, one stands for all: an IOC that is away for a night is not to be swamped
            self._search(lost if there else lost[:1])

    def _search(self, lost: Iterable[Any]) -> None:
        for pv in lost:
            with self._replacing:
                # one that was searched for a moment ago may be about to connect: leave it alone
                if self._ended or time.monotonic() < self._due.get(pv.pvname, 0.0):
                    continue
                self._due[pv.pvname] = time.monotonic() + EVERY_S
                if (replaced := search_anew(pv)) is not None:
                    self._replaced.append((time.monotonic(), replaced))

    def _clear_replaced(self) -> None:
        from epics import ca

        with self._replacing:
            while self._replaced and not self._ended and time.monotonic() > self._replaced[0][0] + KEPT_S:
                ca.libca.ca_clear_channel(self._replaced.pop(0)[1])

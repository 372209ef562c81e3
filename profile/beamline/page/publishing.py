"""The documents of a session for other processes, by 0MQ as JSON: `engine.subscribe(Publisher("tcp://127.0.0.1:5577"))`.

The RunEngine's thread only puts a document into a queue. A thread of the publisher sends it to whoever listens, and
drops it for those that do not keep up: nobody's reading ever stops a scan. It keeps the documents of the run that is
going on, and of the last one, so that who comes late is sent them, alone.

A message is a topic, a number that counts up by one, and JSON, `[name, document]`. Topic "run" is what happens, one
document a message; "replay.…", with a name that the listener chose, is all that has happened before, in one message.
Numbers tell a listener what it has missed: then it asks anew, by subscribing to another replay. Names are those of
documents, and "note" for readings that no document holds, and "alive" for a publisher with nothing to say.
"""

import json
import logging
import queue
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import zmq

from whiteline.beamline.page.addresses import DEFAULT_ZMQ, require_zmq

log = logging.getLogger("whiteline.page")

TOPIC, REPLAY = b"run", b"replay."

MOST_WAITING = 20_000
"""Messages that wait for one listener before it is left behind, and documents before the publisher is [1]."""

ALIVE_MS = 2000
"""How long a publisher is silent at most [ms]."""

LINGER_MS = 500
"""How long the last documents have to leave, when a session ends [ms]."""


class Publisher:
    """Sends documents to all who listen at an address, and never waits for any of them.

    Parameters
    ----------
    address : str
        On loopback, see `addresses.require_zmq`.

    Raises
    ------
    ValueError
        If others than this machine could reach the address.
    OSError
        If it is taken.
    """

    def __init__(self, address: str = DEFAULT_ZMQ) -> None:
        self.address = require_zmq(address)
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.setsockopt(zmq.SNDHWM, MOST_WAITING)
        self._socket.setsockopt(zmq.LINGER, LINGER_MS)
        try:
            self._socket.bind(self.address)
        except zmq.ZMQError as error:
            self._socket.close(0)
            self._context.term()
            reason = zmq.strerror(error.errno or 0).lower()
            raise OSError(
                f"documents cannot be published at {address}: {reason}; another session may do so: close it, or choose "
                "another address"
            ) from error
        # Woken through a socket of its own, as it waits for listeners and documents at once.
        self._wake, self._woken = self._context.socket(zmq.PAIR), self._context.socket(zmq.PAIR)
        self._woken.bind("inproc://wake")
        self._wake.connect("inproc://wake")
        self._waking = threading.Lock()
        self._queue: queue.Queue[tuple[str, Any]] = queue.Queue(MOST_WAITING)
        self._kept: list[bytes] = []
        self._notes: dict[str, Any] = {}
        self._number, self.lost, self._over = 0, 0, True
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="page publisher", daemon=True)
        self._thread.start()

    def __call__(self, name: str, document: Mapping[str, Any]) -> None:
        """Take a document; it is only put into a queue."""
        self._put((name, document))

    def note(self, name: str, value: float, unit: str, when: float) -> None:
        """Tell a reading that no document holds: its name, value, unit and time [s since 1970]; from any thread."""
        self._put(("note", {"name": name, "value": value, "unit": unit, "time": when}))

    def close(self) -> None:
        """Send what waits, and end."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._stir()
        self._thread.join(5.0)
        with self._waking:
            self._wake.close(0)
        self._context.term()

    def _put(self, item: tuple[str, Any]) -> None:
        if self._closed.is_set():
            return
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            self.lost += 1
            return
        self._stir()

    def _stir(self) -> None:
        # refused where it has been woken more often than it could look
        with self._waking, suppress(zmq.Again):
            self._wake.send(b"", zmq.NOBLOCK)

    # in the thread of the publisher

    def _work(self) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._woken, zmq.POLLIN)
        while True:
            ready = dict(poller.poll(ALIVE_MS))
            if not ready:
                self._send("alive", {})
            while self._woken in ready and self._woken.poll(0):
                self._woken.recv()
            self._send_all()
            while self._socket in ready and self._socket.poll(0):
                self._asked(self._socket.recv())
            if self._closed.is_set() and self._queue.empty():
                break
        self._woken.close(0)
        self._socket.close(LINGER_MS)

    def _send_all(self) -> None:
        while True:
            try:
                name, document = self._queue.get_nowait()
            except queue.Empty:
                return
            try:
                self._send(name, document)
            except (TypeError, ValueError) as error:
                log.warning("a document (%s) was not published: %s", name, error)

    def _send(self, name: str, document: Mapping[str, Any]) -> None:
        text = encode(name, document)
        if name == "start" and self._over:
            self._kept.clear()
            self._over = False
        elif name == "stop":
            self._over = True
        if name == "note":
            self._notes[str(document["name"])] = text
        elif name != "alive":
            self._kept.append(text)
        self._number += 1
        self._out(TOPIC, self._number, text)

    def _asked(self, message: bytes) -> None:
        """Send to one listener, by the topic that is its own, what has been before."""
        if message[:1] != b"\x01" or not message[1:].startswith(REPLAY):
            return
        self._out(message[1:], self._number, *self._kept, *self._notes.values())

    def _out(self, topic: bytes, number: int, *texts: bytes) -> None:
        # what a listener cannot take is dropped for it alone
        self._socket.send_multipart([topic, b"%d" % number, *texts], zmq.NOBLOCK)


def encode(name: str, document: Mapping[str, Any]) -> bytes:
    """Return a document as it is sent.

    Raises
    ------
    TypeError
        If it holds what JSON cannot express.
    """
    return json.dumps([name, document], default=_plain, separators=(",", ":")).encode()


def decode(text: bytes) -> tuple[str, dict[str, Any]]:
    """Return name and document of what was sent.

    Raises
    ------
    ValueError
        If it is no such thing.
    """
    pair = json.loads(text)
    if not (isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) and isinstance(pair[1], dict)):
        raise ValueError("it is no pair of a name and a document")
    return pair[0], pair[1]


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no place in JSON")

"""What a session publishes, received in the process of the page: all of the run, however late the page comes."""

import threading
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

import zmq

from whiteline.beamline.page.addresses import require_zmq
from whiteline.beamline.page.publishing import REPLAY, TOPIC, decode

SILENT_S = 8.0
"""After how long without a word the session is said to be gone [s]."""

AGAIN_S = 3.0
"""How long a replay may take to begin, before it is asked for again [s]."""

Document = tuple[str, dict[str, Any]]


class Sink(Protocol):
    """Who is told."""

    def join(self, documents: list[Document]) -> None:
        """Take the documents of the newest run so far, from its start; in place of all that came before."""

    def document(self, name: str, document: dict[str, Any]) -> None:
        """Take a document."""

    def note(self, note: Mapping[str, Any]) -> None:
        """Take a reading that no document holds."""


class Ordering:
    """Puts messages in order: asks for a replay at first and after a gap, and keeps what comes meanwhile.

    Parameters
    ----------
    sink : Sink
        Who is told.
    ask : callable
        Given the topic of a replay, subscribes to it, and no more to the one before.
    """

    def __init__(self, sink: Sink, ask: Callable[[bytes], None]) -> None:
        self._sink, self._ask = sink, ask
        self._next: int | None = None
        self._replay = b""
        self._meanwhile: dict[int, Document] = {}
        self.refused = 0

    def ask(self) -> None:
        """Ask for all that has been."""
        self._replay = REPLAY + uuid.uuid4().hex.encode()
        self._next = None
        self._ask(self._replay)

    @property
    def complete(self) -> bool:
        """Whether everything since the start of the run is there."""
        return self._next is not None

    def take(self, parts: list[bytes]) -> None:
        """Take a message; one that is none is counted, and left out."""
        try:
            topic, number, *documents = parts[0], int(parts[1]), *map(decode, parts[2:])
        except (ValueError, IndexError):
            self.refused += 1
            return
        if topic == TOPIC and len(documents) == 1:
            self._happened(number, *documents[0])
        elif topic == self._replay:
            self._replayed(number, documents)

    def _happened(self, number: int, name: str, document: dict[str, Any]) -> None:
        if self._next is None:
            self._meanwhile[number] = name, document
        elif number == self._next:
            self._next += 1
            self._tell(name, document)
        else:  # it was too slow for some, or the session is another one
            self._meanwhile = {number: (name, document)}
            self.ask()

    def _replayed(self, number: int, documents: list[Document]) -> None:
        self._sink.join([pair for pair in documents if pair[0] != "note"])
        for name, document in documents:
            if name == "note":
                self._sink.note(document)
        self._next = number + 1
        meanwhile, self._meanwhile = sorted(self._meanwhile.items()), {}
        for later, pair in meanwhile:
            if later > number:
                self._happened(later, *pair)

    def _tell(self, name: str, document: dict[str, Any]) -> None:
        if name == "note":
            self._sink.note(document)
        elif name != "alive":
            self._sink.document(name, document)


class Receiver:
    """Receives from a session, and waits for it as long as there is none.

    Parameters
    ----------
    address : str
        Where the session publishes.
    sink : Sink
        Who is told, in the thread of the receiver.

    Raises
    ------
    ValueError
        If the address is none on loopback.
    """

    def __init__(self, address: str, sink: Sink) -> None:
        self.address = require_zmq(address)
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.RCVHWM, 0)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
        self._socket.subscribe(TOPIC)
        self._socket.connect(self.address)
        self._topic = b""
        self._ordering = Ordering(sink, self._subscribe)
        self._heard = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="page receiver", daemon=True)
        self._thread.start()

    @property
    def connected(self) -> bool:
        """Whether the session was heard in the last seconds."""
        return self._heard.is_set()

    def close(self) -> None:
        """End."""
        self._closed.set()
        self._thread.join(5.0)
        self._context.term()

    def _subscribe(self, topic: bytes) -> None:
        if self._topic:
            self._socket.unsubscribe(self._topic)
        self._topic = topic
        self._socket.subscribe(topic)

    def _work(self) -> None:
        self._ordering.ask()
        silent = 0.0
        while not self._closed.is_set():
            if not self._socket.poll(250):
                silent += 0.25
                if silent >= SILENT_S:
                    self._heard.clear()
                if not self._ordering.complete and silent >= AGAIN_S and silent % AGAIN_S == 0:
                    self._ordering.ask()
                continue
            silent = 0.0
            self._heard.set()
            with suppress(zmq.Again):
                self._ordering.take(self._socket.recv_multipart(zmq.NOBLOCK))
        self._socket.close(0)

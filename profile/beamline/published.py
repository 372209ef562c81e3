"""A session's documents for the page, and the ring current beside them: `open_session(…, publish="tcp://127.0.0.1:5577")`.

What needs the extra `live` is imported when it is asked for.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whiteline.beamline.page.publishing import Publisher

EVERY_S = 2.0
"""After how long the ring current is told again [s]."""


def usual_address() -> str | None:
    """Return where a session publishes if nothing else is said; None if another does already, or pyzmq is missing."""
    if find_spec("zmq") is None:
        return None
    from whiteline.beamline.page.addresses import DEFAULT_ZMQ

    host, port = DEFAULT_ZMQ.removeprefix("tcp://").split(":")
    with socket.socket() as probe:
        try:
            probe.bind((host, int(port)))
        except OSError:
            return None
    return DEFAULT_ZMQ


@contextmanager
def publishing(address: str, ring: Any) -> Iterator["Publisher"]:
    """Publish documents and ring current at an address of 0MQ until the end of the block.

    Parameters
    ----------
    address : str
        On loopback.
    ring : Ring
        Whose current is told.

    Raises
    ------
    ValueError
        If others than this machine could reach the address.
    OSError
        If it is taken, or 0MQ is not installed.
    """
    if find_spec("zmq") is None:
        raise OSError("documents cannot be published, as pyzmq is not installed: pip install -e '.[live]'")
    from whiteline.beamline.page.publishing import Publisher

    publisher, last = Publisher(address), [-EVERY_S]

    def told(*, value: Any = None, timestamp: float = 0.0, **_: Any) -> None:
        # a ring tells it many times a second
        now = time.monotonic()
        if value is not None and now - last[0] >= EVERY_S:
            last[0] = now
            publisher.note(f"{ring.name}_current", float(value), "mA", float(timestamp) or time.time())

    number = ring.current.subscribe(told)
    try:
        yield publisher
    finally:
        ring.current.unsubscribe(number)
        publisher.close()

"""Know when an IOC answers: search for one of its process variables, as any client does."""

import socket
import struct
import time
from collections.abc import Callable

from whiteline.sim.ioc.loopback import LOOPBACK

VERSION, SEARCH = 0, 6
"""Commands of Channel Access."""

MINOR = 13
"""Minor version of the protocol."""

EVERY_S = 0.02


class NotServed(TimeoutError):
    """An IOC does not answer."""


def wait_until_served(pv: str, port: int, timeout_s: float = 10.0, alive: Callable[[], bool] = lambda: True) -> None:
    """Return when a process variable is served on a port of loopback.

    Parameters
    ----------
    pv : str
        Its name.
    port : int
        Of the IOC.
    timeout_s : float
        How long to wait [s].
    alive : callable
        Whether there is still hope.

    Raises
    ------
    NotServed
        If nothing answered in time, or there is no hope any more.
    """
    deadline = time.monotonic() + timeout_s
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(EVERY_S)
        while alive():
            asking.sendto(_search(pv), (LOOPBACK, port))
            try:
                answer, _ = asking.recvfrom(1024)
            except (TimeoutError, ConnectionRefusedError):
                answer = b""
                time.sleep(EVERY_S)  # a refusal comes at once
            if _found(answer):
                return
            if time.monotonic() > deadline:
                raise NotServed(f"{pv} is not served on port {port} of {LOOPBACK} after {timeout_s:g} s")
        raise NotServed(f"the IOC that should serve {pv} on port {port} of {LOOPBACK} has ended")


def _search(pv: str) -> bytes:
    """Return a datagram that asks who serves a process variable."""
    name = pv.encode() + b"\0"
    name += b"\0" * (-len(name) % 8)
    header = struct.Struct(">HHHHII")
    return header.pack(VERSION, 0, 0, MINOR, 0, 0) + header.pack(SEARCH, len(name), 5, MINOR, 1, 1) + name


def _found(answer: bytes) -> bool:
    """Say whether a datagram answers a search: a header of version, perhaps, then one of search."""
    header = struct.Struct(">HHHHII")
    place = 0
    while place + header.size <= len(answer):
        command, size, *_ = header.unpack_from(answer, place)
        if command == SEARCH:
            return True
        place += header.size + size
    return False

"""Lease ports of loopback, so that many simulated beamlines can run side by side on one machine."""

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from whiteline.sim.ioc.loopback import LOOPBACK

FIRST, LAST = 20_000, 30_000
"""Ports that are leased: below those which Linux gives to clients (32768 and up)."""


class NoPort(OSError):
    """A port, or all of them, cannot be had."""


@contextmanager
def leased(count: int, first: int | None = None) -> Iterator[list[int]]:
    """Lease ports on which nothing listens, until the block is left or the process ends, however it ends.

    Parameters
    ----------
    count : int
        How many.
    first : int or None
        The first of consecutive ones; any free ones if None.

    Raises
    ------
    NoPort
        If a port that was asked for is taken, or none is free.
    """
    with ExitStack() as locks:
        if first is None:
            ports = []
            # processes begin to look in different places, so that they seldom meet
            start = FIRST + (os.getpid() * 16) % (LAST - FIRST)
            for port in (*range(start, LAST), *range(FIRST, start)):
                if _lock(port, locks):
                    ports.append(port)
                if len(ports) == count:
                    break
            else:
                raise NoPort(f"no {count} free ports between {FIRST} and {LAST} of {LOOPBACK}")
        else:
            if not 1024 <= first <= 65_536 - count:
                raise NoPort(f"port {first} must lie between 1024 and {65_536 - count}")
            ports = list(range(first, first + count))
            for port in ports:
                if not _lock(port, locks):
                    raise NoPort(f"port {port} of {LOOPBACK} is taken; choose another, or leave it out")
        yield ports


def _lock(port: int, locks: ExitStack) -> bool:
    """Lock a port if it is free, and say whether it was; the lock is the kernel's, and dies with the process."""
    folder = Path(tempfile.gettempdir()) / f"whiteline-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    file = (folder / str(port)).open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return False
    if not _is_free(port):
        file.close()
        return False
    locks.enter_context(file)
    return True


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                return False
    return True

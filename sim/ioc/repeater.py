"""A repeater of beacons: clients register with it once, and it passes on what IOCs tell when they have started.

A client that hears new beacons searches every 8 s for what it has lost; else its pauses grow to minutes. Where it finds
no repeater it starts one, which would listen everywhere.
"""

import os
import selectors
import socket
import struct
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from whiteline.sim.ioc.loopback import LOOPBACK

BEACON, CONFIRM, REGISTER = 13, 17, 24
"""Commands of Channel Access."""

HEADER = struct.Struct(">HHHHI4s")
ANYWHERE = bytes(4)
MOST_BYTES = 2048


@contextmanager
def repeater(port: int) -> Iterator[None]:
    """Repeat beacons on a port of loopback, in a thread that ends with the block.

    Parameters
    ----------
    port : int
        Where clients register, and IOCs send their beacons.

    Raises
    ------
    OSError
        If another process has the port.
    """
    with ExitStack() as stack:
        here = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        try:
            here.bind((LOOPBACK, port))
        except OSError as error:
            raise OSError(f"port {port} of {LOOPBACK} is taken; choose another") from error
        here.setblocking(False)
        wake, woken = socket.socketpair()
        stack.enter_context(woken)
        clients = Clients(_remembered(port))
        stack.callback(clients.close)
        thread = threading.Thread(target=_repeat, args=(here, woken, clients), name="repeater", daemon=True)
        thread.start()
        stack.callback(thread.join)
        stack.enter_context(wake)  # closed first, which ends the thread
        yield


class Clients:
    """Who wants to hear beacons.

    A client registers once in its life, but the floor may be started again on the same ports; so their ports are kept
    in a file.

    Parameters
    ----------
    file : Path
        Where they are kept.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._to: dict[int, socket.socket] = {}
        with suppress(FileNotFoundError):
            for port in file.read_text().split():
                self._to[int(port)] = _connected(int(port))

    def register(self, port: int) -> None:
        """Take in a client by its port, and confirm."""
        if port in self._to:
            self._to.pop(port).close()
        self._to[port] = _connected(port)
        self._keep()
        self._to[port].send(HEADER.pack(CONFIRM, 0, 0, 0, 0, socket.inet_aton(LOOPBACK)))

    def tell(self, datagram: bytes) -> None:
        """Send to all, and forget who is gone: the kernel refuses what is sent after the first that nobody took."""
        gone = []
        for port, client in self._to.items():
            try:
                client.send(datagram)
            except ConnectionRefusedError:
                gone.append(port)
            except OSError:
                pass  # a beacon may be lost, as any datagram may
        for port in gone:
            self._to.pop(port).close()
        if gone:
            self._keep()

    def close(self) -> None:
        """Close the sockets; the file remains."""
        for client in self._to.values():
            client.close()

    def _keep(self) -> None:
        self._file.write_text("\n".join(map(str, self._to)))


def _remembered(port: int) -> Path:
    """Return the file that keeps the clients of a repeater's port."""
    folder = Path(tempfile.gettempdir()) / f"whiteline-clients-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / str(port)


def _connected(port: int) -> socket.socket:
    """Return a socket to a client: one that is connected is told by the kernel when nobody listens there."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((LOOPBACK, 0))
    made.connect((LOOPBACK, port))
    made.setblocking(False)
    return made


def _repeat(here: socket.socket, woken: socket.socket, clients: Clients) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(here, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while all(key.fileobj is here for key, _ in selector.select()):
            with suppress(OSError):  # of one client; the others are still served
                datagram, (host, port) = here.recvfrom(MOST_BYTES)
                if host == LOOPBACK:
                    _answer(datagram, port, clients)


def _answer(datagram: bytes, port: int, clients: Clients) -> None:
    """Do what a datagram asks for; an empty one registers an old client, and what is no beacon is not passed on."""
    if not datagram:
        clients.register(port)
    elif len(datagram) >= HEADER.size:
        command, *fields, address = HEADER.unpack_from(datagram)
        if command == REGISTER:
            clients.register(port)
        elif command == BEACON:
            sender = socket.inet_aton(LOOPBACK) if address == ANYWHERE else address
            clients.tell(HEADER.pack(command, *fields, sender))

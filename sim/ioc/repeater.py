"""Answer clients that look for a repeater of beacons, so that they need not start one, which would listen everywhere.

There are no beacons to repeat: the IOCs send none. A client that finds no repeater complains in the terminal.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import cast

from whiteline.sim.ioc.loopback import LOOPBACK

REGISTER, CONFIRM = 24, 17
"""Commands of Channel Access."""


class Repeater(asyncio.DatagramProtocol):
    """Confirms that a client is registered; a version comes in an empty datagram from old clients."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        """Confirm."""
        if not data or data[:2] == struct.pack(">H", REGISTER):
            here = socket.inet_aton(LOOPBACK)
            self._transport.sendto(struct.pack(">HHHHI4s", CONFIRM, 0, 0, 0, 0, here), address)


def repeater(port: int) -> Callable[[], Awaitable[None]]:
    """Return a task that answers on a port of loopback."""

    async def run() -> None:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Repeater, local_addr=(LOOPBACK, port))
        try:
            await asyncio.Event().wait()
        finally:
            transport.close()

    return run

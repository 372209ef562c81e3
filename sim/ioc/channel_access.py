"""Serve process variables over Channel Access, on loopback alone and without delays."""

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from caproto import ChannelData
from caproto.asyncio import server as caproto_server

from whiteline.sim.ioc.loopback import LOOPBACK, server_environment


class PortTaken(OSError):
    """Another process listens where this IOC should."""


class Server(caproto_server.Context):
    """A server of caproto that sends at once, and insists on its port.

    caproto 1.3.0 makes its listening socket without naming the protocol, so that asyncio does not know it for TCP and
    leaves Nagle's algorithm on (a put with completion then takes 22 ms, not 0.6); and where its port is taken it moves
    to another one.

    Parameters
    ----------
    pvdb : mapping of str to ChannelData
        Process variables by name.
    beacons : bool
        Whether a repeater listens for them.
    """

    async def _bind_tcp_sockets_with_consistent_port_number(
        self, make_socket: object
    ) -> tuple[int, dict[str, socket.socket]]:
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listening.setblocking(False)
        try:
            listening.bind((LOOPBACK, self.ca_server_port))
        except OSError as error:
            listening.close()
            raise PortTaken(f"port {self.ca_server_port} of {LOOPBACK} is taken; choose another") from error
        return self.ca_server_port, {LOOPBACK: listening}

    def __init__(self, pvdb: Mapping[str, ChannelData], beacons: bool) -> None:
        super().__init__(pvdb)
        self._beacons = beacons

    async def broadcast_beacon_loop(self) -> None:
        """Send beacons to the repeater, if there is one."""
        if self._beacons:
            await super().broadcast_beacon_loop()


Task = Callable[[], Awaitable[None]]


def serve(
    pvdb: Mapping[str, ChannelData], port: int, tasks: Sequence[Task] = (), *, repeater: int | None = None
) -> None:
    """Serve process variables until SIGTERM or SIGINT.

    Parameters
    ----------
    pvdb : mapping of str to ChannelData
        Process variables by name.
    port : int
        Of loopback, for searches (UDP) and circuits (TCP).
    tasks : sequence of callable
        Coroutines that run beside the server, until it stops.
    repeater : int or None
        Port of loopback to which beacons are sent; none are if None.

    Raises
    ------
    PortTaken
        If another process has the port.
    RuntimeError
        If the environment is not that of `server_environment(port, repeater)`.
    """
    for name, value in server_environment(port, repeater).items():
        if os.environ.get(name) != value:
            raise RuntimeError(f"{name} = {os.environ.get(name)!r} must be {value!r} before an IOC starts")
    asyncio.run(_serve(pvdb, tasks, beacons=repeater is not None))


async def _serve(pvdb: Mapping[str, ChannelData], tasks: Sequence[Task], beacons: bool) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)

    async def supervised(work: Awaitable[None]) -> None:
        try:
            await work
        except BaseException:
            stopped.set()
            raise

    server: Any = Server(pvdb, beacons)
    running = [loop.create_task(supervised(work)) for work in (server.run(), *(task() for task in tasks))]
    await stopped.wait()
    ended = [task for task in running if task.done()]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    for task in ended:
        if error := task.exception():
            raise error

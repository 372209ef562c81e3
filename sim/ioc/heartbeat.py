"""A heartbeat for each client: where it stops, what that client has left open is closed.

A client is known by its circuit. Its first beat arms the watch; a client that never sends one is not watched. Writing 0
disarms it, as a clean exit does.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from whiteline.sim.ioc.clients import Client

TIMEOUT_S = 3.0
"""Wall time after the last beat at which a client counts as lost [s]."""


@dataclass
class Heartbeats:
    """Who is alive.

    Parameters
    ----------
    timeout_s : float
        Wall time after the last beat [s].
    clock : callable
        Wall time that never goes back [s].
    """

    timeout_s: float = TIMEOUT_S
    clock: Callable[[], float] = time.monotonic
    _last: dict[Client, float] = field(default_factory=dict)

    def beat(self, client: Client, value: int) -> None:
        """Take a beat of a client; 0 disarms its watch."""
        if value:
            self._last[client] = self.clock()
        else:
            self._last.pop(client, None)

    def lost(self, client: Client | None) -> bool:
        """Say whether a client is watched and has been silent for too long."""
        last = self._last.get(client) if client else None
        return last is not None and self.clock() - last > self.timeout_s

    def sweep(self) -> set[Client]:
        """Return the clients that are lost, and end their watch: another may come from the same address."""
        lost = {client for client in self._last if self.lost(client)}
        for client in lost:
            del self._last[client]
        return lost

    @property
    def watched(self) -> int:
        """How many clients are."""
        return len(self._last)

"""A shutter with a command and a readback of its own, and a permit that must be there to open it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from caproto import AlarmSeverity, AlarmStatus, SkipWrite
from caproto.server import PVGroup, PvpropertyEnum, PvpropertyEnumRO, pvproperty

from whiteline.sim.ioc.clients import Client, FromAClient
from whiteline.sim.ioc.clock import Clock, pass_time

CLOSED, OPEN, MOVING = "Closed", "Open", "Moving"


@dataclass(frozen=True)
class ShutterSettings:
    """A shutter.

    Parameters
    ----------
    name : str
        "photon" or "fast".
    prefix : str
        Of its process variables.
    move_s : float
        Time to open or close [s].
    """

    name: str
    prefix: str
    move_s: float


class Command(FromAClient, PvpropertyEnum):
    """Open or close, as the client who gave it last wants."""


class Shutter(PVGroup):
    """Process variables of a shutter.

    Parameters
    ----------
    settings : ShutterSettings
        The shutter.
    clock : Clock
        For the time it takes.
    moved : callable
        Told whether the shutter is open, before any client is.
    """

    command = pvproperty(name="command", value=CLOSED, dtype=Command, enum_strings=(CLOSED, OPEN), record="bo")
    status = pvproperty(
        name="status",
        value=CLOSED,
        dtype=PvpropertyEnumRO,
        enum_strings=(CLOSED, OPEN, MOVING),
        alarm_group="status",
    )
    permit = pvproperty(
        name="permit",
        value="Permitted",
        dtype=PvpropertyEnumRO,
        enum_strings=("Denied", "Permitted"),
        alarm_group="permit",
    )
    cycles = pvproperty(name="cycles", value=0, read_only=True, doc="How often it opened")

    def __init__(self, settings: ShutterSettings, clock: Clock, moved: Callable[[bool], None]) -> None:
        super().__init__(prefix=settings.prefix)
        self.settings = settings
        self.stuck = False
        self.opened_by: Client | None = None
        self._clock = clock
        self._moved = moved
        self._moving = asyncio.Lock()
        moved(False)  # an IOC that is lost leaves it as it stood, and closes it when it is back

    @property
    def is_open(self) -> bool:
        """Whether it is."""
        return bool(self.status.value == OPEN)

    @command.putter
    async def command(self, instance: Command, value: str) -> None:
        """Open or close; the put completes when the shutter should be there."""
        if value == OPEN and self.permit.value != "Permitted":
            await instance.write(CLOSED, verify_value=False)
            raise SkipWrite
        if value == OPEN and not self.is_open:
            self.opened_by = instance.client
        await instance.write(value, verify_value=False)
        await self._go(value)
        raise SkipWrite

    async def close(self) -> None:
        """Close it, whoever wants it open."""
        await self.command.write(CLOSED, verify_value=False)
        await self._go(CLOSED)

    async def allow(self, permitted: bool) -> None:
        """Give or take the permit; without it the shutter closes."""
        severity = AlarmSeverity.NO_ALARM if permitted else AlarmSeverity.MAJOR_ALARM
        status = AlarmStatus.NO_ALARM if permitted else AlarmStatus.STATE
        await self.permit.write("Permitted" if permitted else "Denied", status=status, severity=severity)
        if not permitted:
            await self.close()

    async def _go(self, wanted: str) -> None:
        async with self._moving:
            if self.status.value == wanted:
                return
            if self.stuck:
                await pass_time(self._clock, self.settings.move_s)
                return
            await self.status.write(MOVING)
            if wanted == CLOSED:
                self._moved(False)
                self.opened_by = None
            await pass_time(self._clock, self.settings.move_s)
            if wanted == OPEN:
                self._moved(True)
                await self.cycles.write(self.cycles.value + 1)
            await self.status.write(wanted)

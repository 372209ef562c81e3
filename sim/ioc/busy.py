"""An undulator gap that moves on command and says that it is busy."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from caproto import SkipWrite
from caproto.server import PVGroup, PvpropertyDouble, PvpropertyEnumRO, PvpropertyInteger, pvproperty

from whiteline.sim.ioc.clock import Clock
from whiteline.sim.ioc.motor_record.motion import Profile, move

EVERY_S = 0.1
"""Wall time between two readbacks of a gap that moves [s]."""


@dataclass(frozen=True)
class GapSettings:
    """An undulator gap.

    Parameters
    ----------
    name : str
        Its path in the description.
    prefix : str
        Of its process variables.
    low, high : float
        Limits [mm].
    velocity : float
        With which it moves, if it is not told to be slower [mm/s].
    latency_s : float
        How long it is busy before it moves [s].
    precision : int
        Digits that are shown.
    start : float
        Where it stands at the start [mm].
    """

    name: str
    prefix: str
    low: float
    high: float
    velocity: float
    latency_s: float
    precision: int
    start: float


class Gap(PVGroup):
    """Process variables of an undulator gap: set it, start it, and wait until it is not busy.

    Parameters
    ----------
    settings : GapSettings
        The gap.
    clock : Clock
        For the time it takes.
    """

    setpoint = pvproperty(name=":set", value=0.0, units="mm")
    readback = pvproperty(name=":readback", value=0.0, units="mm", read_only=True)
    velocity = pvproperty(name=":velocity", value=0.0, units="mm/s", precision=6, doc="Of the next move")
    start = pvproperty(name=":start", value=0, doc="1 starts a move to the set point; a put completes with the move")
    stop = pvproperty(name=":stop", value=0, doc="1 stops it")
    busy = pvproperty(name=":busy", value="Done", dtype=PvpropertyEnumRO, enum_strings=("Done", "Busy"), record="bo")

    def __init__(self, settings: GapSettings, clock: Clock) -> None:
        super().__init__(prefix=settings.prefix)
        self.settings = settings
        self._clock = clock
        self._gap = settings.start
        self._motion: Profile | None = None
        self._since = 0.0
        self._stopped = asyncio.Event()
        self._standing = asyncio.Event()
        self._moving = asyncio.Lock()
        for channel in (self.setpoint, self.readback):
            channel._data.update(value=settings.start, precision=settings.precision)
        self.velocity._data["value"] = settings.velocity

    @property
    def gap(self) -> float:
        """Where it stands, or is just now on its way [mm]."""
        if self._motion is None:
            return self._gap
        return self._motion.position((asyncio.get_running_loop().time() - self._since) * self._clock.speed)

    @setpoint.putter
    async def setpoint(self, instance: PvpropertyDouble, value: float) -> float:
        """Refuse what lies outside the limits."""
        low, high = self.settings.low, self.settings.high
        if not low <= value <= high:
            raise ValueError(f"{instance.pvname} = {value:g} mm must lie within {low:g} to {high:g} mm")
        return value

    @velocity.putter
    async def velocity(self, instance: PvpropertyDouble, value: float) -> float:
        """Refuse what is no velocity, or more than it has."""
        if not 0 < value <= self.settings.velocity:
            raise ValueError(
                f"{instance.pvname} = {value:g} mm/s must lie above 0 and up to {self.settings.velocity:g} mm/s"
            )
        return value

    @start.putter
    async def start(self, instance: PvpropertyInteger, value: int) -> None:
        """Move; while it moves already, when it has ended that move. The put completes with the move."""
        if value:
            async with self._moving:
                await self._move(self.setpoint.value)
        raise SkipWrite

    @stop.putter
    async def stop(self, instance: PvpropertyInteger, value: int) -> None:
        """Stop where it is; the put completes when it stands."""
        if value and self._moving.locked():
            self._stopped.set()
            await self._standing.wait()
        raise SkipWrite

    async def _move(self, target: float) -> None:
        settings, loop = self.settings, asyncio.get_running_loop()
        self._stopped.clear()
        self._standing.clear()
        await self.busy.write("Busy")
        begin = self._gap
        stopped = await self._stopped_within(settings.latency_s / self._clock.speed)
        if not stopped:
            self._motion, self._since = move(begin, target, self.velocity.value, 0.0), loop.time()
        while not stopped and self._left_s > 0:
            await self.readback.write(self.gap)
            stopped = await self._stopped_within(min(EVERY_S, self._left_s))
        velocity = self.velocity.value
        self._gap, self._motion = self.gap, None
        self._clock.moved(settings.name, settings.latency_s + abs(self._gap - begin) / velocity)
        await self.readback.write(self._gap)
        await self.busy.write("Done")
        self._standing.set()

    @property
    def _left_s(self) -> float:
        """Wall time to the end of the motion [s]."""
        assert self._motion is not None
        return self._motion.duration / self._clock.speed - (asyncio.get_running_loop().time() - self._since)

    async def _stopped_within(self, seconds: float) -> bool:
        """Wait for a wall time [s], or until it is stopped; say whether it is."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopped.wait()
        return self._stopped.is_set()

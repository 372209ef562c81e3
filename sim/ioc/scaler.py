"""A scaler record: counters that run for a preset time."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from caproto import SkipWrite
from caproto.server import PVGroup, PvpropertyDouble, PvpropertyEnum, PvpropertyString, pvproperty

from whiteline.sim.ioc.clock import Clock

CHANNELS = 32
CLOCK_HZ = 1e7
"""Frequency that channel 1 counts [1/s]."""

SHORTEST_S = 1e-6
"""The shortest count [s]."""

Count = Callable[[float, int], Awaitable[Mapping[int, int]]]
"""Counts by channel, of a dwell [s], by the number of the count."""


@dataclass(frozen=True)
class ScalerSettings:
    """A scaler.

    Parameters
    ----------
    prefix : str
        The name of its record.
    names : mapping of int to str
        What its channels are called, by their numbers.
    """

    prefix: str
    names: Mapping[int, str]


def _fields() -> dict[str, Any]:
    """Return the fields that come once a channel."""
    found: dict[str, Any] = {}
    for number in range(1, CHANNELS + 1):
        found[f"s{number}"] = pvproperty(name=f".S{number}", value=0, read_only=True)
        found[f"nm{number}"] = pvproperty(name=f".NM{number}", value="", dtype=PvpropertyString)
        found[f"pr{number}"] = pvproperty(name=f".PR{number}", value=0)
        found[f"g{number}"] = pvproperty(name=f".G{number}", value="N", dtype=PvpropertyEnum, enum_strings=("N", "Y"))
    return found


class _Channels(PVGroup):
    """Fields of the channels: counts S, names NM, presets PR, gates G."""

    locals().update(_fields())


class Scaler(_Channels):
    """Fields of a scaler record.

    Parameters
    ----------
    settings : ScalerSettings
        The scaler.
    clock : Clock
        For the time it counts.
    count : callable
        What it counts.
    """

    value = pvproperty(name="", value=0.0, doc="Result")
    cnt = pvproperty(name=".CNT", value="Done", dtype=PvpropertyEnum, enum_strings=("Done", "Count"))
    cont = pvproperty(name=".CONT", value="OneShot", dtype=PvpropertyEnum, enum_strings=("OneShot", "AutoCount"))
    time = pvproperty(name=".T", value=0.0, units="s", precision=4)
    tp = pvproperty(name=".TP", value=1.0, units="s", precision=4)
    tp1 = pvproperty(name=".TP1", value=1.0, units="s", precision=4)
    freq = pvproperty(name=".FREQ", value=CLOCK_HZ, units="Hz")
    dly = pvproperty(name=".DLY", value=0.0, units="s")
    dly1 = pvproperty(name=".DLY1", value=0.0, units="s")
    rate = pvproperty(name=".RATE", value=10.0, units="Hz")
    rat1 = pvproperty(name=".RAT1", value=0.0, units="Hz")
    egu = pvproperty(name=".EGU", value="counts", dtype=PvpropertyString)
    nch = pvproperty(name=".NCH", value=CHANNELS, read_only=True)

    def __init__(self, settings: ScalerSettings, clock: Clock, count: Count) -> None:
        super().__init__(prefix=settings.prefix)
        self._clock, self._count = clock, count
        self._number = 0
        self._running: asyncio.Task[None] | None = None
        self._stopped = asyncio.Event()
        for number, name in {1: "clock", **settings.names}.items():
            getattr(self, f"nm{number}")._data["value"] = name

    @tp.putter
    async def tp(self, instance: PvpropertyDouble, value: float) -> None:
        """Refuse a time that is none."""
        _require(instance, value, 0 < value < float("inf"), "s must be above 0")

    @dly.putter
    async def dly(self, instance: PvpropertyDouble, value: float) -> None:
        """Refuse a delay that is none."""
        _require(instance, value, 0 <= value < float("inf"), "s must not be negative")

    @freq.putter
    async def freq(self, instance: PvpropertyDouble, value: float) -> None:
        """Refuse another frequency: that of the clock is built in."""
        _require(instance, value, value == CLOCK_HZ, f"Hz must stay {CLOCK_HZ:g} Hz")

    @cont.putter
    async def cont(self, instance: PvpropertyEnum, value: str) -> str:
        """Refuse to count without end."""
        if value != "OneShot":
            raise ValueError(f"{instance.pvname} = {value} must stay OneShot: this scaler counts on command only")
        return value

    @cnt.putter
    async def cnt(self, instance: PvpropertyEnum, value: str) -> None:
        """Count for the preset time, or end a count; a put completes with the count."""
        if value == "Done":
            self._stopped.set()
            raise SkipWrite
        if self._running and not self._running.done() and self._stopped.is_set():
            await asyncio.wait([self._running])
        if self._running is None or self._running.done():
            self._stopped.clear()
            self._running = asyncio.get_running_loop().create_task(self._run())
        await asyncio.wait([self._running])
        raise SkipWrite

    async def _run(self) -> None:
        await self.cnt.write("Count", verify_value=False)
        try:
            await self._stopped_within(self.dly.value / self._clock.speed)
            number, self._number = self._number, self._number + 1
            loop, dwell_s = asyncio.get_running_loop(), float(self.tp.value)
            started = loop.time()
            counts = await self._count(dwell_s, number)
            if await self._stopped_within(started + dwell_s / self._clock.speed - loop.time()):
                # ended early: what there is until now
                dwell_s = min(max((loop.time() - started) * self._clock.speed, SHORTEST_S), dwell_s)
                counts = await self._count(dwell_s, number)
            self._clock.exposed(dwell_s)
            for channel, value in {1: round(dwell_s * CLOCK_HZ), **counts}.items():
                await getattr(self, f"s{channel}").write(min(value, 2**31 - 1))
            await self.time.write(dwell_s)
        finally:
            await self.cnt.write("Done", verify_value=False)

    async def _stopped_within(self, seconds: float) -> bool:
        """Wait for a wall time [s], or until the count is ended; say whether it is."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0.0)):
                await self._stopped.wait()
        return self._stopped.is_set()


def _require(instance: PvpropertyDouble, value: float, holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"{instance.pvname} = {value:g} {what}")

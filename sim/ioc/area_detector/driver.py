"""A detector as a driver of areaDetector shows it, whatever makes its arrays."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from caproto import SkipWrite
from numpy.typing import NDArray

from whiteline.sim.camera import Region
from whiteline.sim.ioc.area_detector.arrays import EPICS_EPOCH_S, Array, Arrays, Plugin, Source, port_name
from whiteline.sim.ioc.area_detector.records import DATA_TYPES, DriverRecords, to_record
from whiteline.sim.ioc.area_detector.triggered import Started, Triggered
from whiteline.sim.ioc.clock import Clock

WAITING_ARRAYS = 2
"""Arrays that are exposed and not yet handed on, beside the one that is handed on: more hold the next exposure up."""

SHORTEST_S = 1e-6
"""The shortest exposure [s]."""

RATE_EVERY_S = 1.0
"""Wall time over which the rate of arrays is taken [s]."""

REGION = ("MinX", "MinY", "SizeX", "SizeY", "BinX", "BinY")
FIXED = ("NumExposures", "ReverseX", "ReverseY", "DataType", "ColorMode", "NDimensions", "Dimensions")
"""Settings that have one value only."""


@dataclass(frozen=True)
class _Exposed:
    """An exposure whose array comes."""

    pixels: asyncio.Future[NDArray[Any]]
    number: int
    time_s: float
    attributes: Mapping[str, float]


class Driver(DriverRecords):
    """Records of a detector, and how it acquires.

    A put to Acquire completes with the last array, and by default when the plugins are done with it. Exposure and
    readout of one array overlap the making of the one before.

    Parameters
    ----------
    prefix : str
        Of the records, such as "TXM:camera:cam1:".
    source : Source
        What makes the arrays.
    clock : Clock
        For the time they take; each array advances it.
    attributes : callable
        What is written with each array beside it: names and values, always the same names.
    """

    def __init__(
        self,
        prefix: str,
        source: Source,
        clock: Clock,
        attributes: Callable[[], Mapping[str, float]] = dict,
    ) -> None:
        super().__init__(prefix=prefix)
        self.drop_next = 0
        self.triggered: Triggered | None = None
        self.plugins: list[Plugin] = []
        self.source, self.attributes = source, attributes
        self._clock = clock
        self._number = 0
        self._acquiring: asyncio.Task[None] | None = None
        self._busy: asyncio.Task[None] | None = None
        self._stopped = asyncio.Event()
        self._pulses = asyncio.Semaphore(0)
        self._failure: Exception | None = None
        self._rate_since = (0.0, 0)
        self._begin()

    @property
    def port(self) -> str:
        """The name by which plugins find it."""
        return port_name(self.prefix)

    @property
    def region(self) -> Region:
        """What is read of each array, as far as it lies on the sensor."""
        rows, columns = self._sensor
        row, column = (min(self[f"{name}_RBV"], most - 1) for name, most in (("MinY", rows), ("MinX", columns)))
        height, width = min(self["SizeY_RBV"], rows - row), min(self["SizeX_RBV"], columns - column)
        return Region(row, column, height, width, min(self["BinX_RBV"], height, width))

    @property
    def array_shape(self) -> tuple[int, ...]:
        """Shape of the arrays that come with the settings as they are."""
        return self.region.shape if len(self.source.shape) == 2 else self.source.shape

    def pulse(self) -> None:
        """Give a trigger pulse: it starts one exposure of a detector that waits for it."""
        if self._acquiring and self["TriggerMode_RBV"] == "External":
            self._pulses.release()

    async def accept(self, name: str, value: Any) -> Any:
        """Take what a client has put."""
        if name == "Acquire":
            await self._asked(value == "Acquire")
            raise SkipWrite
        value = await super().accept(name, self._allowed(name, value))
        if name in ("BinX", "BinY"):
            # the source bins both ways alike
            await self.show_both("BinY" if name == "BinX" else "BinX", value)
        if name in REGION:
            await self._show_shape(self.array_shape)
        return value

    def _begin(self) -> None:
        """Set the records that depend on the source."""
        rows, columns = self._sensor = self.source.shape[-2:] if len(self.source.shape) > 1 else (1, *self.source.shape)
        kind = np.dtype(self.source.dtype)
        name = next(one for one in DATA_TYPES if one.lower() == kind.name)
        both = {"SizeX": columns, "SizeY": rows, "DataType": name, "NDimensions": len(self.source.shape)}
        first = {f"{setting}{end}": value for setting, value in both.items() for end in ("", "_RBV")}
        first |= {"MaxSizeX_RBV": columns, "MaxSizeY_RBV": rows, "PortName_RBV": self.port}
        for record, value in first.items():
            self.attr_pvdb[record]._data["value"] = value
        for record, value in self._sizes(self.array_shape).items():
            self.attr_pvdb[record]._data["value"] = value

    def _allowed(self, name: str, value: Any) -> Any:
        """Return the value that comes next to one that was put."""
        rows, columns = self._sensor
        match name:
            case "AcquireTime":
                return max(value, SHORTEST_S)
            case "AcquirePeriod":
                return max(value, 0.0)
            case "NumImages":
                return max(value, 1)
            case "MinX" | "MinY":
                return min(max(value, 0), (columns if name == "MinX" else rows) - 1)
            case "SizeX" | "SizeY":
                return min(max(value, 1), columns if name == "SizeX" else rows)
            case "BinX" | "BinY":
                return min(max(value, 1), rows, columns)
        return self[f"{name}_RBV"] if name in FIXED else value

    async def _asked(self, acquire: bool) -> None:
        """Start or abort, and return when that is done."""
        if acquire:
            if self._acquiring is not None and self._stopped.is_set():
                await asyncio.wait([self._acquiring])
            if self._acquiring is None:
                self._stopped.clear()
                self._acquiring = asyncio.create_task(self._run())
                self._busy = asyncio.create_task(self._be_busy(self._acquiring))
            assert self._busy is not None
            await asyncio.wait([self._busy])
        elif self._acquiring is not None:
            self._stopped.set()
            await asyncio.wait([self._acquiring])

    async def _be_busy(self, acquiring: asyncio.Task[None]) -> None:
        await self.show("AcquireBusy", "Acquiring")
        await asyncio.wait([acquiring])
        if self["WaitForPlugins_RBV"] == "Yes":
            for plugin in self.plugins:
                await plugin.drained()
        if self._acquiring is None:
            await self.show("AcquireBusy", "Done")

    async def _run(self) -> None:
        """Acquire, and tell how it goes."""
        self._failure, self._pulses = None, asyncio.Semaphore(0)
        self._rate_since = (time.monotonic(), self["ArrayCounter_RBV"])
        await self.show("NumImagesCounter_RBV", 0)
        await self._tell("Acquire", "Acquiring data")
        await self.show_both("Acquire", "Acquire")
        mode = self["ImageMode_RBV"]
        images = {"Single": 1, "Multiple": self["NumImages_RBV"]}.get(mode)
        exposed: asyncio.Queue[_Exposed | Started | None] = asyncio.Queue(WAITING_ARRAYS)
        handing = asyncio.create_task(self._hand_on(exposed))
        try:
            if self.triggered is not None and self["TriggerMode_RBV"] != "Internal":
                await self._expose_triggered(self.triggered, images, exposed)
            else:
                await self._expose(images, exposed)
        except Exception as error:
            self._failure = error
        await exposed.put(None)
        await handing
        await self._show_rate(time.monotonic())
        await self.show("TimeRemaining_RBV", 0.0)
        if self._failure is not None:
            await self._tell("Error", f"{type(self._failure).__name__}: {self._failure}")
        elif self._stopped.is_set() and images is not None:
            await self._tell("Aborted", "Acquisition aborted")
        else:
            await self._tell("Idle", "Waiting for acquisition")
        # whoever sees the edge may start at once
        self._acquiring = None
        await self.show_both("Acquire", "Done")

    async def _expose(self, images: int | None, exposed: "asyncio.Queue[_Exposed | Started | None]") -> None:
        """Expose one array after the other."""
        loop = asyncio.get_running_loop()
        begun = 0
        while (images is None or begun < images) and await self._triggered():
            exposure_s, region = float(self["AcquireTime_RBV"]), self.region
            busy_s = exposure_s + self.source.readout_s
            period_s = max(busy_s, self["AcquirePeriod_RBV"])
            started, number, self._number = loop.time(), self._number, self._number + 1
            attributes, time_s = self.attributes(), time.time() - EPICS_EPOCH_S
            pixels = asyncio.ensure_future(self.source.expose(exposure_s, number, region))
            self._clock.exposed(busy_s)
            if await self._stopped_within(started + busy_s / self._clock.speed - loop.time()):
                await _forget(pixels)
                return
            begun += 1
            await exposed.put(_Exposed(pixels, number, time_s, attributes))
            await self.show("TimeRemaining_RBV", 0.0 if images is None else (images - begun) * period_s)
            if begun != images:
                await self._stopped_within(started + period_s / self._clock.speed - loop.time())

    async def _expose_triggered(
        self, triggered: Triggered, images: int | None, exposed: "asyncio.Queue[_Exposed | Started | None]"
    ) -> None:
        """Expose at trigger pulses; what they have started comes also when it is stopped."""
        begun = 0
        triggered.begin(images, None if self["TriggerMode_RBV"] == "Gate" else float(self["AcquireTime_RBV"]))
        await self._tell("Waiting", "Waiting for a trigger")
        try:
            while (images is None or begun < images) and (found := await triggered.exposed(self._stopped)):
                starts, lengths = found
                number, self._number = self._number, self._number + starts.size
                times = time.time() - EPICS_EPOCH_S - (triggered.now() - starts) / self._clock.speed
                pixels = self.source.expose_many(starts, lengths, number, self.region)  # type: ignore[attr-defined]
                begun += starts.size
                await exposed.put(Started(pixels, number, times, self.attributes()))
        finally:
            triggered.end()

    async def _triggered(self) -> bool:
        """Wait until an exposure may start; False if it was stopped before."""
        if self["TriggerMode_RBV"] == "External" and not self._stopped.is_set():
            await self._tell("Waiting", "Waiting for a trigger")
            waiting = [asyncio.ensure_future(one) for one in (self._pulses.acquire(), self._stopped.wait())]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for one in waiting:
                await _forget(one)
            await self._tell("Acquire", "Acquiring data")
        return not self._stopped.is_set()

    async def _stopped_within(self, seconds: float) -> bool:
        """Wait for a wall time [s]; True if it was stopped meanwhile."""
        if seconds > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), seconds)
        return self._stopped.is_set()

    async def _hand_on(self, exposed: "asyncio.Queue[_Exposed | Started | None]") -> None:
        """Hand the arrays on in their order; after one that could not be made, no more."""
        while (one := await exposed.get()) is not None:
            if self._failure is not None:
                if isinstance(one, _Exposed):
                    await _forget(one.pixels)
                continue
            try:
                if isinstance(one, Started):
                    await self._hand_many_on(one)
                    continue
                pixels = np.ascontiguousarray(await one.pixels, self.source.dtype)
                await self._hand_to_plugins(Array(pixels, one.number, one.time_s, one.attributes))
            except Exception as error:
                self._failure = error
                self._stopped.set()

    async def _hand_many_on(self, started: Started) -> None:
        """Hand on the arrays of exposures that pulses have started, as they are made."""
        first = 0
        async for made in started.pixels:
            after = first + len(made)
            pixels, number = np.ascontiguousarray(made, self.source.dtype), started.number + first
            arrays = Arrays(pixels, number, started.times_s[first:after], started.attributes)
            first = after
            await self._show_array(pixels.shape[1:], number + len(made) - 1, float(arrays.times_s[-1]), len(made))
            if self["ArrayCallbacks_RBV"] == "Enable":
                dropped = min(self.drop_next, len(made))
                self.drop_next -= dropped
                for plugin in self.plugins:
                    for _ in range(dropped):
                        await plugin.lose()
                    if dropped < len(made):
                        await plugin.take_many(arrays.part(dropped, len(made)))

    async def _show_array(self, shape: Sequence[int], number: int, time_s: float, count: int) -> None:
        """Publish the last of so many arrays."""
        await self._show_shape(shape)
        await self.show("NumImagesCounter_RBV", self["NumImagesCounter_RBV"] + count)
        await self.show("ArrayCounter_RBV", self["ArrayCounter_RBV"] + count)
        await self.show("UniqueId_RBV", number)
        await self.show("TimeStamp_RBV", time_s)

    async def _hand_to_plugins(self, array: Array) -> None:
        await self._show_array(array.pixels.shape, array.number, array.time_s, 1)
        if (now := time.monotonic()) > self._rate_since[0] + RATE_EVERY_S:
            await self._show_rate(now)
        if self["ArrayCallbacks_RBV"] == "Enable":
            dropped = self.drop_next > 0
            self.drop_next -= dropped
            for plugin in self.plugins:
                await (plugin.lose() if dropped else plugin.take(array))

    async def _show_rate(self, now: float) -> None:
        since, counted = self._rate_since
        self._rate_since = (now, self["ArrayCounter_RBV"])
        await self.show("ArrayRate_RBV", max(self._rate_since[1] - counted, 0) / max(now - since, 1e-3))

    async def _show_shape(self, shape: Sequence[int]) -> None:
        for record, value in self._sizes(shape).items():
            await self.show(record, value)

    def _sizes(self, shape: Sequence[int]) -> dict[str, int]:
        """Return what the records tell of arrays of a shape: there, the fastest axis is the first."""
        sizes = dict(
            zip(("ArraySizeX_RBV", "ArraySizeY_RBV", "ArraySizeZ_RBV"), (*reversed(shape), 0, 0), strict=False)
        )
        return {**sizes, "ArraySize_RBV": int(np.prod(shape)) * np.dtype(self.source.dtype).itemsize}

    async def _tell(self, state: str, message: str) -> None:
        await self.show("DetectorState_RBV", state)
        await self.show("StatusMessage_RBV", to_record(message))


async def _forget(work: "asyncio.Future[Any]") -> None:
    """Give something up that runs."""
    work.cancel()
    await asyncio.wait([work])
    if not work.cancelled():
        work.exception()

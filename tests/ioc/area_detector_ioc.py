"""An IOC with cameras and a detector of spectra whose arrays are known: `area_detector_ioc.py PORT [PREFIX]`.

Pixel (row, column) of frame n of a camera is 100 n + row + 2 column, binned pixels are summed; spectrum e of array n
is n + 1000 e everywhere. Process variables under `inside:` switch faults, and hold arrays back.
"""

import asyncio
import sys

import numpy as np
from caproto.server import PVGroup, pvproperty

from whiteline.sim.ioc.area_detector.driver import Driver
from whiteline.sim.ioc.area_detector.hdf5_plugin import HDF5Plugin
from whiteline.sim.ioc.channel_access import serve

SENSOR = (48, 64)
EXPOSED_S = 0.002
"""Exposure and readout, if the exposure is as long as the readout [s]."""


class Clock:
    """A clock that notes when it is told of an exposure."""

    def __init__(self, notes: list[float]) -> None:
        self.speed = 1.0
        self._notes = notes

    def now(self) -> float:
        return 0.0

    def moved(self, axis: str, duration_s: float) -> None:
        pass

    def exposed(self, duration_s: float) -> None:
        self._notes.append(duration_s)

    def book(self, advancing: bool) -> None:
        pass


class Frames:
    """Frames that tell their number and the places of their pixels."""

    shape, dtype, readout_s = SENSOR, "uint16", 0.001

    def __init__(self, notes: list[float]) -> None:
        self.free = asyncio.Event()
        self.free.set()
        self.broken = False
        self._notes = notes

    def expose(self, exposure_s, number, region):
        self._notes.append(number)
        return self._made(number, region)

    async def _made(self, number, region):
        await self.free.wait()
        if self.broken:
            raise ValueError("no image forms")
        rows, columns = np.ogrid[: region.shape[0] * region.binning, : region.shape[1] * region.binning]
        whole = region.row + rows + 2 * (region.column + columns)
        binned = whole.reshape(region.shape[0], region.binning, region.shape[1], region.binning).sum(axis=(1, 3))
        return (binned + 100 * number).astype(np.uint16)


class Spectra:
    """Spectra that tell their number and their element."""

    shape, dtype, readout_s = (4, 256), "uint32", 0.0

    def expose(self, exposure_s, number, region):
        return self._made(number)

    async def _made(self, number):
        return np.repeat(number + 1000 * np.arange(4, dtype=np.uint32)[:, np.newaxis], 256, axis=1)


class Inside(PVGroup):
    """What Python sees of a camera, and its faults."""

    drop = pvproperty(name="drop", value=0)
    full = pvproperty(name="full", value=0)
    broken = pvproperty(name="broken", value=0)
    held = pvproperty(name="held", value=0)
    pulse = pvproperty(name="pulse", value=0)
    forget = pvproperty(name="forget", value=0, doc="1 forgets the exposures so far")
    exposed = pvproperty(name="exposed", value=0, read_only=True)
    ordered = pvproperty(name="ordered", value=0, read_only=True, doc="Whether the clock was told of each in its turn")

    def __init__(self, prefix, driver, plugin, notes):
        super().__init__(prefix=f"{prefix}inside:")
        self.driver, self.plugin, self.noted = driver, plugin, notes

    @drop.putter
    async def drop(self, instance, value):
        self.driver.drop_next = value

    @full.putter
    async def full(self, instance, value):
        self.plugin.fail_writes = bool(value)

    @broken.putter
    async def broken(self, instance, value):
        self.driver.source.broken = bool(value)

    @held.putter
    async def held(self, instance, value):
        (self.driver.source.free.clear if value else self.driver.source.free.set)()

    @pulse.putter
    async def pulse(self, instance, value):
        for _ in range(value):
            self.driver.pulse()

    @forget.putter
    async def forget(self, instance, value):
        self.noted.clear()

    @exposed.getter
    async def exposed(self, instance):
        return len(self.noted[::2])

    @ordered.getter
    async def ordered(self, instance):
        first = self.noted[0]
        return self.noted == [one for n in range(len(self.noted) // 2) for one in (first + n, EXPOSED_S)]


def camera(prefix: str) -> list[PVGroup]:
    """Return the groups of a camera."""
    notes: list[float] = []
    driver = Driver(f"{prefix}camera:cam1:", Frames(notes), Clock(notes), attributes=lambda: {"energy": 8333.5})
    plugin = HDF5Plugin(f"{prefix}camera:HDF1:", driver)
    return [driver, plugin, Inside(prefix, driver, plugin, notes)]


def main(port: int, prefix: str = "T:") -> None:
    spectra = Driver(f"{prefix}spectra:cam1:", Spectra(), Clock([]))
    groups = [spectra, HDF5Plugin(f"{prefix}spectra:HDF1:", spectra)]
    groups += [*camera(prefix), *camera(f"{prefix}stock:")]
    serve({name: channel for group in groups for name, channel in group.pvdb.items()}, port)


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])

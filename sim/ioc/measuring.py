"""What the detectors see: the microscope, built when the IOC already answers, and asked outside the event loop."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from whiteline.sim.camera import Region
from whiteline.sim.counters import Monitored
from whiteline.sim.full_field import FullFieldMicroscope
from whiteline.sim.full_field import Readings as FullFieldReadings
from whiteline.sim.ioc.clock import Clock
from whiteline.sim.ioc.exposures import Exposure, Exposures
from whiteline.sim.ioc.instrument import Instrument, Readings, without_beam
from whiteline.sim.nanoprobe import Nanoprobe, Point
from whiteline.sim.nanoprobe import Readings as ScanReadings

Microscope = FullFieldMicroscope | Nanoprobe
Result = TypeVar("Result")


class Measuring:
    """The microscope behind all detectors.

    It is built when it is first asked for, at once after the start: cross sections take seconds to load, and process
    variables answer before.

    Parameters
    ----------
    build : callable
        Builds the microscope.
    instrument : Instrument
        Where everything stands.
    gains : sequence of callable
        Gain of the amplifier of each ion chamber [V/A]: incident, reference, and transmitted if there is one.
    """

    def __init__(
        self, build: Callable[[], Microscope], instrument: Instrument, gains: Sequence[Callable[[], float]]
    ) -> None:
        self.instrument, self._build, self._gains = instrument, build, gains
        self.exposures = Exposures()
        self._built: asyncio.Task[Microscope] | None = None
        # one thread asks at a time, and shares the work on a frame with the others
        self._asking = ThreadPoolExecutor(1, "detector")
        self._sharing = ThreadPoolExecutor(os.cpu_count(), "frame")

    async def microscope(self) -> Microscope:
        """Return the microscope; who comes while it is built waits for it."""
        if self._built is None:
            self._built = asyncio.ensure_future(self.outside(self._build))
        return await asyncio.shield(self._built)

    async def outside(self, ask: Callable[[], Result]) -> Result:
        """Return what a function returns that takes its time, run outside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._asking, ask)

    def frame(self, exposure_s: float, number: int, region: Region) -> Awaitable[NDArray[np.uint16]]:
        """Start a frame of the camera: what stands where is taken down now, the frame itself comes later."""
        readings = self.instrument.expose(self.instrument.clock)
        self.exposures.add(Exposure(number, readings, exposure_s, region))
        return self._frame(readings, exposure_s, number, region)

    async def _frame(self, readings: Readings, exposure_s: float, number: int, region: Region) -> NDArray[np.uint16]:
        microscope = await self.microscope()
        assert isinstance(microscope, FullFieldMicroscope)
        assert isinstance(readings, FullFieldReadings)

        def render() -> NDArray[np.uint16]:
            try:
                return microscope.frame(readings, exposure_s, number, region, self._sharing)
            except ValueError:
                # crystals that reflect nothing, or a detector where no image forms: no light, but still a frame
                return microscope.dark_frame(exposure_s, number, region, self._sharing)

        return await self.outside(render)

    def point(self, clock: Clock, dwell_s: float, number: int, remembered: bool = False) -> Awaitable[Point]:
        """Start to count at a point of a raster: what stands where is taken down now, the counts come later."""
        readings = self.instrument.expose(clock)
        if remembered:
            self.exposures.add(Exposure(number, readings, dwell_s, None))
        return self._point(readings, dwell_s, number)

    async def _point(self, readings: Readings, dwell_s: float, number: int) -> Point:
        foil, gains = self.instrument.foil(), [gain() for gain in self._gains]
        microscope = await self.microscope()
        assert isinstance(microscope, Nanoprobe)
        assert isinstance(readings, ScanReadings)

        def count(readings: ScanReadings) -> Point:
            return microscope.count(readings, dwell_s, number, (gains[0], gains[1], gains[2]), foil)

        def counted() -> Point:
            try:
                return count(readings)
            except ValueError:
                dark = without_beam(readings)
                assert isinstance(dark, ScanReadings)
                return count(dark)

        return await self.outside(counted)

    async def monitors(self, clock: Clock, dwell_s: float, number: int) -> list[int]:
        """Count the ion chambers: incident, reference, and on a scanning microscope transmitted."""
        if self.instrument.scanning:
            point = await self.point(clock, dwell_s, number)
            return [point.incident, point.reference, point.transmitted]
        readings, foil = self.instrument.expose(clock), self.instrument.foil()
        gains = [gain() for gain in self._gains]
        microscope = await self.microscope()
        assert isinstance(microscope, FullFieldMicroscope)

        def count(readings: Readings) -> Monitored:
            assert isinstance(readings, FullFieldReadings)
            return microscope.monitor(readings, dwell_s, number, (gains[0], gains[1]), foil)

        def counted() -> Monitored:
            try:
                return count(readings)
            except ValueError:
                return count(without_beam(readings))

        found = await self.outside(counted)
        return [found.incident, found.reference]

    def close(self) -> None:
        """End the threads."""
        self._asking.shutdown(cancel_futures=True)
        self._sharing.shutdown(cancel_futures=True)

"""What the detectors see: the microscope, built when the IOC already answers, and asked outside the event loop."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from whiteline.sim.camera import Region
from whiteline.sim.counters import Monitored
from whiteline.sim.full_field import FullFieldMicroscope
from whiteline.sim.full_field import Readings as FullFieldReadings
from whiteline.sim.gated_counts import lit
from whiteline.sim.gated_spectra import gated_spectra, lines_of
from whiteline.sim.gates import Gates
from whiteline.sim.ioc.clock import Clock
from whiteline.sim.ioc.exposures import Exposure, Exposures
from whiteline.sim.ioc.instrument import Instrument, Readings, without_beam
from whiteline.sim.nanoprobe import Nanoprobe, Point
from whiteline.sim.nanoprobe import Readings as ScanReadings
from whiteline.sim.noise import Stream, generator, stream

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

    def gains(self) -> list[float]:
        """Return the gains of the amplifiers of the ion chambers just now [V/A]."""
        return [gain() for gain in self._gains]

    def frame(self, exposure_s: float, number: int, region: Region) -> Awaitable[NDArray[np.uint16]]:
        """Start a frame of the camera: what stands where is taken down now, the frame itself comes later."""
        return self.frame_at(self.instrument.expose(self.instrument.clock), exposure_s, number, region)

    def frame_at(
        self, readings: Readings, exposure_s: float, number: int, region: Region, turn_deg: float = 0.0
    ) -> Awaitable[NDArray[np.uint16]]:
        """Start a frame of the camera for what stood where a moment ago, while the sample turned on [deg]."""
        self.exposures.add(Exposure(number, readings, exposure_s, region))
        return self._frame(readings, exposure_s, number, region, turn_deg)

    async def _frame(
        self, readings: Readings, exposure_s: float, number: int, region: Region, turn_deg: float
    ) -> NDArray[np.uint16]:
        microscope = await self.microscope()
        assert isinstance(microscope, FullFieldMicroscope)
        assert isinstance(readings, FullFieldReadings)

        def render() -> NDArray[np.uint16]:
            try:
                return microscope.frame(readings, exposure_s, number, region, self._sharing, turn_deg)
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
        foil, gains = self.instrument.foil(), self.gains()
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

    async def spectra(self, gates: Gates, number: int) -> Iterator[NDArray[np.uint32]]:
        """Return what makes the fluorescence spectra of gates, some at a time; the number is that of the first."""
        self.exposures.add(Exposure(number, gates.readings(0), float(gates.length_s[0]), None))
        microscope = await self.microscope()
        assert isinstance(microscope, Nanoprobe)

        def make() -> Iterator[NDArray[np.uint32]]:
            detector = microscope.fluorescence
            source = generator(stream(detector.seed, Stream.CAPTURE, detector.number, number))
            light = lit(microscope, gates, gates.energies(microscope.beam, source))
            return gated_spectra(detector, lines_of(microscope, light), gates.length_s, source)

        return await self.outside(make)

    async def monitors(self, clock: Clock, dwell_s: float, number: int) -> list[int]:
        """Count the ion chambers: incident, reference, and on a scanning microscope transmitted."""
        if self.instrument.scanning:
            point = await self.point(clock, dwell_s, number)
            return [point.incident, point.reference, point.transmitted]
        readings, foil = self.instrument.expose(clock), self.instrument.foil()
        gains = self.gains()
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

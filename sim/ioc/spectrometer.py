"""The optical spectrometer for the light that the sample gives."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np
from caproto import SkipWrite
from caproto.server import PVGroup, PvpropertyDouble, PvpropertyEnum, pvproperty
from numpy.typing import NDArray

from whiteline.sim.ioc.clock import Clock

Spectrum = Callable[[float, int], Awaitable[NDArray[np.uint16]]]
"""Counts of each pixel, of an integration time [s], by the number of the spectrum."""


@dataclass(frozen=True)
class SpectrometerSettings:
    """A spectrometer.

    Parameters
    ----------
    prefix : str
        Of its process variables.
    pixels : int
        Of its line of detectors.
    range_nm : tuple of float
        Wavelengths of the first and the last [nm].
    """

    prefix: str
    pixels: int
    range_nm: tuple[float, float]


class Spectrometer(PVGroup):
    """Process variables of a spectrometer.

    Parameters
    ----------
    settings : SpectrometerSettings
        The spectrometer.
    clock : Clock
        For the time it integrates.
    spectrum : callable
        What it sees.
    """

    acquire = pvproperty(
        name="acquire", value="Done", dtype=PvpropertyEnum, enum_strings=("Done", "Acquire"), record="bo"
    )
    integration_time = pvproperty(name="integration_time", value=0.1, units="s", precision=4)
    counter = pvproperty(name="counter", value=0, read_only=True, doc="Spectra since the start")

    def __init__(self, settings: SpectrometerSettings, clock: Clock, spectrum: Spectrum) -> None:
        super().__init__(prefix=settings.prefix)
        self._clock, self._spectrum = clock, spectrum
        wavelengths = np.linspace(*settings.range_nm, settings.pixels)
        self.arrays = type(
            "SpectrometerArrays",
            (PVGroup,),
            {
                "wavelengths": pvproperty(name="wavelengths", value=wavelengths.tolist(), units="nm", read_only=True),
                "counts": pvproperty(name="spectrum", value=[0] * settings.pixels, read_only=True),
            },
        )(prefix=settings.prefix)

    @integration_time.putter
    async def integration_time(self, instance: PvpropertyDouble, value: float) -> None:
        """Refuse a time that is none."""
        if not 0 < value < float("inf"):
            raise ValueError(f"{instance.pvname} = {value:g} s must be above 0")

    @acquire.putter
    async def acquire(self, instance: PvpropertyEnum, value: str) -> None:
        """Take a spectrum; a put completes with it."""
        if value == "Acquire":
            await instance.write(value, verify_value=False)
            loop = asyncio.get_running_loop()
            ended = loop.time() + self.integration_time.value / self._clock.speed
            counts = await self._spectrum(float(self.integration_time.value), self.counter.value)
            await asyncio.sleep(max(0.0, ended - loop.time()))
            await self.arrays.counts.write(counts.astype(np.int32).tolist())
            await self.counter.write(self.counter.value + 1)
            await instance.write("Done", verify_value=False)
        raise SkipWrite

"""The interferometer of the sample stage: where the stage is, and how it shakes."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from caproto import SkipWrite
from caproto.server import PVGroup, PvpropertyDouble, PvpropertyEnum, pvproperty

from whiteline.sim.ioc.clock import Clock, pass_time
from whiteline.sim.stages import StageErrors

SLOWEST_HZ = 1.0
"""How often positions are shown at least [1/s]."""


@dataclass(frozen=True)
class InterferometerSettings:
    """An interferometer.

    Parameters
    ----------
    prefix : str
        Of its process variables.
    channels : mapping of str to int
        Number of the channel of each axis: x, y, z.
    """

    prefix: str
    channels: Mapping[str, int]


class Channel(PVGroup):
    """Process variables of one channel."""

    position = pvproperty(name="position", value=0.0, units="um", precision=5, read_only=True, doc="Just now")
    mean = pvproperty(name="mean", value=0.0, units="um", precision=5, read_only=True, doc="Of the last dwell")
    rms = pvproperty(name="rms", value=0.0, units="um", precision=5, read_only=True, doc="Of the last dwell")


class Interferometer(PVGroup):
    """Process variables of the whole: a dwell over which positions are averaged, and how often they are shown.

    Parameters
    ----------
    settings : InterferometerSettings
        The interferometer.
    errors : StageErrors
        How the stage shakes, and the noise of a reading.
    where_um : callable
        Where the stage stands without vibration (x, y, z) [µm].
    clock : Clock
        Its time.
    """

    acquire = pvproperty(
        name="acquire", value="Done", dtype=PvpropertyEnum, enum_strings=("Done", "Acquire"), record="bo"
    )
    dwell = pvproperty(name="dwell", value=0.1, units="s", precision=4)
    rate = pvproperty(name="rate", value=10.0, units="Hz", doc="How often positions are shown")

    def __init__(
        self,
        settings: InterferometerSettings,
        errors: StageErrors,
        where_um: Callable[[], tuple[float, float, float]],
        clock: Clock,
    ) -> None:
        super().__init__(prefix=settings.prefix)
        self._errors, self._where, self._clock = errors, where_um, clock
        self.channels = {
            "xyz".index(axis): Channel(prefix=f"{settings.prefix}{number}:")
            for axis, number in settings.channels.items()
        }

    @property
    def all_pvs(self) -> Mapping[str, Any]:
        """Process variables by name, those of the channels too."""
        groups: list[PVGroup] = [self, *self.channels.values()]
        return {name: one for group in groups for name, one in group.pvdb.items()}

    @dwell.putter
    async def dwell(self, instance: PvpropertyDouble, value: float) -> None:
        """Refuse a time that is none."""
        if not 0 < value <= 100:
            raise ValueError(f"{instance.pvname} = {value:g} s must lie above 0 and up to 100 s")

    @rate.putter
    async def rate(self, instance: PvpropertyDouble, value: float) -> None:
        """Refuse a rate that is none, or more than it has."""
        if not SLOWEST_HZ <= value <= self._errors.interferometer_Hz:
            raise ValueError(
                f"{instance.pvname} = {value:g} Hz must lie within {SLOWEST_HZ:g} to "
                f"{self._errors.interferometer_Hz:g} Hz"
            )

    @acquire.putter
    async def acquire(self, instance: PvpropertyEnum, value: str) -> None:
        """Average over a dwell; a put completes with it."""
        if value == "Acquire":
            await instance.write(value, verify_value=False)
            start_s, dwell_s = self._clock.now(), float(self.dwell.value)
            await pass_time(self._clock, dwell_s)
            for axis, channel in self.channels.items():
                mean, rms = self._errors.interferometer(axis, 1e3 * self._where()[axis], start_s, dwell_s)
                await channel.mean.write(1e-3 * mean)
                await channel.rms.write(1e-3 * rms)
            await instance.write("Done", verify_value=False)
        raise SkipWrite

    async def run(self) -> None:
        """Show positions, as often as is asked for."""
        due = time.monotonic()
        while True:
            one_reading_s = 1 / self._errors.interferometer_Hz
            for axis, channel in self.channels.items():
                position, _ = self._errors.interferometer(
                    axis, 1e3 * self._where()[axis], self._clock.now(), one_reading_s
                )
                await channel.position.write(1e-3 * position)
            # counted from when it was due, so that the rate holds; what was missed is not made up for
            due = max(due + 1 / self.rate.value, time.monotonic())
            await asyncio.sleep(due - time.monotonic())

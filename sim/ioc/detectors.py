"""The detectors of the beamline: the one that writes files, the counters, and what else looks at the sample."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whiteline.sim.ioc.amplifier import Amplifier
from whiteline.sim.ioc.area_detector.driver import Driver
from whiteline.sim.ioc.area_detector.hdf5_plugin import HDF5Plugin
from whiteline.sim.ioc.area_detector.triggered import Triggered
from whiteline.sim.ioc.beamline_settings import BeamlineSettings
from whiteline.sim.ioc.capture.witness import Witness
from whiteline.sim.ioc.clock import Clock, Passing
from whiteline.sim.ioc.frames import CameraSettings, CameraSource
from whiteline.sim.ioc.measuring import Measuring
from whiteline.sim.ioc.scaler import Scaler
from whiteline.sim.ioc.spectra import FluorescenceSettings, FluorescenceSource
from whiteline.sim.ioc.spectrometer import Spectrometer
from whiteline.sim.triggers import Triggers

CAMERA_DRIVER, FLUORESCENCE_DRIVER, PLUGIN = "cam1:", "det1:", "HDF1:"
"""What follows a detector's prefix: its driver, and its file plugin."""


class Detectors:
    """Driver and file plugin of the camera or the fluorescence detector, scaler, and optical spectrometer.

    Parameters
    ----------
    settings : BeamlineSettings
        What there is.
    measuring : Measuring
        What they see.
    amplifiers : list of Amplifier
        Of the ion chambers.
    clock : Clock
        Of the beamline. The camera advances it, or where there is none the scaler.
    witness : Witness or None
        Knows where everything was, if a capture box triggers the detector.
    """

    def __init__(
        self,
        settings: BeamlineSettings,
        measuring: Measuring,
        amplifiers: list[Amplifier],
        clock: Clock,
        witness: Witness | None = None,
    ) -> None:
        self._settings, self._measuring, self._amplifiers = settings, measuring, amplifiers
        passing = Passing(clock)
        self._elements: Mapping[str, Any] = {}
        triggered: CameraSettings | FluorescenceSettings
        if settings.camera is not None:
            triggered = settings.camera
            prefix = settings.camera.prefix
            self.driver = Driver(f"{prefix}{CAMERA_DRIVER}", CameraSource(settings.camera, measuring, witness), clock)
            counting: Clock = passing
        elif settings.fluorescence is not None:
            triggered = settings.fluorescence
            prefix = settings.fluorescence.prefix
            source = FluorescenceSource(settings.fluorescence, measuring, passing, witness)
            self.driver = Driver(f"{prefix}{FLUORESCENCE_DRIVER}", source, passing)
            self._elements = source.pvdb
            counting = clock
        else:
            raise ValueError("a beamline needs a camera or a fluorescence detector")
        if witness is not None:
            triggers = Triggers(triggered.readout_s, triggered.buffer, triggered.most_per_s)
            self.driver.triggered = Triggered(triggers, clock.speed)
        self.plugin = HDF5Plugin(f"{prefix}{PLUGIN}", self.driver)
        self.scaler = Scaler(settings.scaler, counting, partial(self._count, counting))
        self.spectrometer = settings.spectrometer and Spectrometer(
            settings.spectrometer, passing, partial(self._spectrum, passing)
        )

    @property
    def pvdb(self) -> Mapping[str, Any]:
        """Process variables by name."""
        found = {**self.driver.pvdb, **self.plugin.pvdb, **self._elements, **self.scaler.pvdb}
        if self.spectrometer:
            found |= {**self.spectrometer.pvdb, **self.spectrometer.arrays.pvdb}
        return found

    def trigger(self, starts_s: NDArray[np.float64], gates_s: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Give trigger pulses with their gates [s] to the detector that writes files, and say which it took."""
        assert self.driver.triggered is not None
        return self.driver.triggered.take(starts_s, gates_s)

    def windows(self) -> tuple[tuple[int, int], ...]:
        """Return the regions of the fluorescence detector that are set, as the first element has them, and so all."""
        source = self.driver.source
        return source.elements[0].windows if isinstance(source, FluorescenceSource) else ()

    async def _count(self, clock: Clock, dwell_s: float, number: int) -> Mapping[int, int]:
        counts = await self._measuring.monitors(clock, dwell_s, number)
        for amplifier, value in zip(self._amplifiers, counts, strict=True):
            await amplifier.show(value >= 0.999 * self._settings.largest_count_rate * dwell_s)
        return dict(zip(self._settings.chambers, counts, strict=True))

    async def _spectrum(self, clock: Clock, dwell_s: float, number: int) -> NDArray[np.uint16]:
        return (await self._measuring.point(clock, dwell_s, number)).light

"""The IOC of the beamline: every axis and detector between the shutters and the files, on one physical state."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from caproto import ChannelData
from caproto.server import PVGroup

from whiteline.sim.ioc.amplifier import Amplifier
from whiteline.sim.ioc.beamline_settings import BeamlineSettings
from whiteline.sim.ioc.bias import Bias
from whiteline.sim.ioc.busy import Gap
from whiteline.sim.ioc.capture.box import Box
from whiteline.sim.ioc.capture.witness import Witness
from whiteline.sim.ioc.channel_access import Task
from whiteline.sim.ioc.clock import Clock
from whiteline.sim.ioc.detectors import Detectors
from whiteline.sim.ioc.faults import Faults, Faulty
from whiteline.sim.ioc.filters import Filters, FoilWheel
from whiteline.sim.ioc.floor import Floor
from whiteline.sim.ioc.instrument import Instrument
from whiteline.sim.ioc.interferometer import Interferometer
from whiteline.sim.ioc.measuring import Measuring, Microscope
from whiteline.sim.ioc.motor_record.motor import Motor
from whiteline.sim.ioc.second_crystal import Feedback, Temperature
from whiteline.sim.ioc.truth_records import TruthRecords

EVERY_S = 0.5
"""Wall time between two looks at what changes slowly [s]."""

BRAGG, PITCH, FINE_PITCH = "monochromator.bragg", "monochromator.pitch", "monochromator.fine_pitch"


class Beamline:
    """The IOC of the beamline.

    Parameters
    ----------
    settings : BeamlineSettings
        What it is made of.
    build : callable
        Builds the microscope, when it is first needed.
    clock : Clock
        Its time.
    floor : Floor
        What the machine tells.
    """

    def __init__(self, settings: BeamlineSettings, build: Callable[[], Microscope], clock: Clock, floor: Floor) -> None:
        self._settings = settings
        noisy = {BRAGG: self._encoder_deg}
        self.motors = {one.name: Motor(one, clock, encoder=noisy.get(one.name)) for one in settings.axes}
        self.gap = Gap(settings.gap, clock)
        self.filters = Filters(settings.filters, settings.filter_names, clock)
        self.foil_wheel = FoilWheel(settings.foil_wheel, settings.foil_names, clock)
        self.feedback = Feedback(settings.feedback, self._detuned_urad, clock.now)
        self.instrument = Instrument(
            scanning=settings.scanning,
            axes=self.motors,
            gap=lambda: self.gap.gap,
            errors=settings.errors,
            clock=clock,
            floor=floor,
            filters=self.filters.inserted,
            foil=self.foil_wheel.foil,
            correction_urad=self.feedback.correction_urad,
        )
        for motor in self.motors.values():
            motor.on_completed.append(self._moved)
        self.temperature = Temperature(settings.temperature, lambda: self.instrument.thermal_jump_urad)
        self.amplifiers = [Amplifier(prefix, gains) for prefix, gains in settings.amplifiers]
        self.measuring = Measuring(build, self.instrument, [partial(getattr, one, "gain") for one in self.amplifiers])
        box = settings.capture
        witness = Witness(self.motors, self.instrument, settings.errors, box.servo, clock) if box else None
        self.detectors = Detectors(settings, self.measuring, self.amplifiers, clock, witness)
        trigger, truth = self.detectors.trigger, (settings.truth, settings.prefix)
        windows = self.detectors.windows
        self.capture = Box(box, witness, self.measuring, trigger, *truth, windows) if box and witness else None
        self.interferometer = settings.interferometer and Interferometer(
            settings.interferometer, settings.errors, self.instrument.stage_um, clock
        )
        self.bias = settings.bias and Bias(settings.bias)
        self.truth = TruthRecords(f"{settings.prefix}truth:", self.measuring, settings.believed, settings.truth)
        motors = {one.settings.pv: one for one in self.motors.values()}
        faulty = Faulty(
            motors, self.motors[BRAGG], self.instrument, self.detectors.driver, self.detectors.plugin, self.capture
        )
        self.faults = Faults(f"{settings.prefix}fault:", faulty)

    @property
    def pvdb(self) -> Mapping[str, ChannelData]:
        """Process variables by name."""
        groups: list[PVGroup] = [self.gap, self.foil_wheel, self.feedback, self.temperature, *self.amplifiers]
        groups += [self.truth, self.truth.x, self.truth.y, self.faults, *self.motors.values()]
        groups += [one for one in (self.bias, self.capture) if one]
        groups += [self.capture.truth] if self.capture else []
        parts: list[Mapping[str, Any]] = [group.pvdb for group in groups]
        parts += [self.filters.pvdb, self.detectors.pvdb]
        parts += [self.interferometer.all_pvs] if self.interferometer else []
        return {name: channel for part in parts for name, channel in part.items()}

    @property
    def tasks(self) -> Sequence[Task]:
        """What runs beside the server."""
        showing = (self.interferometer.run,) if self.interferometer else ()
        capturing = (self.capture.write, self.capture.show_always) if self.capture else ()
        return (self._watch, *showing, *capturing)

    async def _watch(self) -> None:
        """Show what changes slowly, and the truth."""
        try:
            while True:
                await self.feedback.show()
                await self.temperature.show()
                await self.truth.show()
                await asyncio.sleep(EVERY_S)
        finally:
            self.measuring.close()

    def _moved(self, motor: Motor, start: float, end: float, duration_s: float) -> None:
        self.instrument.moved(motor.settings.name, start, end)

    def _detuned_urad(self) -> float:
        """Return how far the second crystal is from parallel to the first, without the feedback [µrad]."""
        pitch = self.motors[PITCH].dial + self.motors[FINE_PITCH].dial
        return pitch - self._settings.best_pitch_urad - self.instrument.thermal_jump_urad

    def _encoder_deg(self, reading: int) -> float:
        """Return the error of a reading of the Bragg encoder [deg]."""
        return float(np.degrees(1e-6 * self._settings.errors.encoder_urad_of(reading)))

"""Faults of the beamline, switched on by process variables, as the floor has them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from caproto.server import PVGroup, PvpropertyDouble, PvpropertyInteger, PvpropertyString, pvproperty

from whiteline.sim.ioc.area_detector.driver import Driver
from whiteline.sim.ioc.area_detector.hdf5_plugin import HDF5Plugin
from whiteline.sim.ioc.capture.box import Box
from whiteline.sim.ioc.crash import crash
from whiteline.sim.ioc.instrument import Instrument
from whiteline.sim.ioc.motor_record.motor import Motor


@dataclass(frozen=True)
class Faulty:
    """What faults are switched on in.

    Parameters
    ----------
    motors : mapping of str to Motor
        By the names of their records.
    bragg : Motor
        The Bragg axis.
    instrument : Instrument
        Where thermal jumps are felt.
    driver, plugin
        The detector that writes files.
    capture : Box or None
        The capture box, if there is one.
    """

    motors: Mapping[str, Motor]
    bragg: Motor
    instrument: Instrument
    driver: Driver
    plugin: HDF5Plugin
    capture: Box | None = None


class Faults(PVGroup):
    """Process variables that switch faults on, and off again.

    Parameters
    ----------
    prefix : str
        Of them.
    faulty : Faulty
        What they are switched on in.
    """

    lost_done = pvproperty(
        name="lost_done", value="", dtype=PvpropertyString, doc="The motor record whose DMOV never comes"
    )
    stalled = pvproperty(name="stalled_axis", value="", dtype=PvpropertyString, doc="The motor record that stalls")
    slipped = pvproperty(
        name="slipped_bragg", value=0.0, units="deg", precision=6, doc="By how much the Bragg axis ends off target"
    )
    dropped = pvproperty(name="dropped_frames", value=0, doc="How many of the next frames are lost before the file")
    write_error = pvproperty(name="file_write_error", value=0, doc="1: files can't be written, as on a full disk")
    jump = pvproperty(
        name="thermal_jump", value=0.0, units="urad", precision=3, doc="By how much a crystal's angle has jumped"
    )
    unplugged = pvproperty(name="capture_unplugged", value=0, doc="1: the capture box has lost its cable")
    overrun = pvproperty(name="capture_overrun", value=0, doc="1: the buffer of the capture box runs over in a line")
    exit = crash()

    def __init__(self, prefix: str, faulty: Faulty) -> None:
        super().__init__(prefix=prefix)
        self._faulty = faulty

    @lost_done.putter
    async def lost_done(self, instance: PvpropertyString, value: str) -> None:
        """Choose the motor whose DMOV is lost."""
        for motor in self._chosen(instance, value):
            motor.lost_done = motor.settings.pv == value

    @stalled.putter
    async def stalled(self, instance: PvpropertyString, value: str) -> None:
        """Choose the motor that stalls."""
        for motor in self._chosen(instance, value):
            motor.stalled = motor.settings.pv == value

    @slipped.putter
    async def slipped(self, instance: PvpropertyDouble, value: float) -> None:
        """Let the Bragg axis slip in its next moves."""
        _require_finite(instance, value)
        self._faulty.bragg.slipped = float(value)

    @dropped.putter
    async def dropped(self, instance: PvpropertyInteger, value: int) -> None:
        """Lose the next frames."""
        if value < 0:
            raise ValueError(f"{instance.pvname} = {value} must not be negative")
        self._faulty.driver.drop_next = int(value)

    @write_error.putter
    async def write_error(self, instance: PvpropertyInteger, value: int) -> None:
        """Let writing fail."""
        self._faulty.plugin.fail_writes = bool(value)

    @jump.putter
    async def jump(self, instance: PvpropertyDouble, value: float) -> None:
        """Let the Bragg angle jump; 0 takes it back."""
        _require_finite(instance, value)
        self._faulty.instrument.thermal_jump_urad = float(value)

    @unplugged.putter
    async def unplugged(self, instance: PvpropertyInteger, value: int) -> None:
        """Unplug the capture box, or plug it in again."""
        await self._capture(instance).plug(not value)

    @overrun.putter
    async def overrun(self, instance: PvpropertyInteger, value: int) -> None:
        """Let the buffer of the capture box run over, in the line that runs or in the next one."""
        self._capture(instance).overrun_next = bool(value)

    def _capture(self, instance: PvpropertyInteger) -> Box:
        if self._faulty.capture is None:
            raise ValueError(f"{instance.pvname}: this beamline has no capture box")
        return self._faulty.capture

    def _chosen(self, instance: PvpropertyString, pv: str) -> list[Motor]:
        if pv and pv not in self._faulty.motors:
            raise ValueError(f"{instance.pvname} = {pv!r} is no motor; motors are {', '.join(self._faulty.motors)}")
        return list(self._faulty.motors.values())


def _require_finite(instance: PvpropertyDouble, value: float) -> None:
    if not math.isfinite(value):
        raise ValueError(f"{instance.pvname} = {value:g} {instance.units} must be a number")

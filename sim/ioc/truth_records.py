"""Process variables of the truth: live scalars, and the file that holds the rest."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
from caproto import AlarmSeverity, AlarmStatus, SkipWrite
from caproto.server import PVGroup, PvpropertyCharRO, PvpropertyEnum, PvpropertyInteger, pvproperty

from whiteline.sim.ioc.exposures import Exposure
from whiteline.sim.ioc.measuring import Measuring
from whiteline.sim.ioc.state import State, state_of
from whiteline.sim.ioc.truth_file import write_truth
from whiteline.sim.monochromator import Monochromator

LONGEST_PATH = 256

MOST_POINTS = 256
"""Of the grid along each side."""


class Grid(PVGroup):
    """Process variables of the grid on which the truth of a raster is written: positions of the fine stage."""

    start = pvproperty(name="start", value=-5.0, units="um")
    stop = pvproperty(name="stop", value=5.0, units="um")
    points = pvproperty(name="points", value=51)

    @points.putter
    async def points(self, instance: PvpropertyInteger, value: int) -> None:
        """Refuse a grid that is none, or that would take minutes."""
        if not 1 <= value <= MOST_POINTS:
            raise ValueError(f"{instance.pvname} = {value} must lie within 1 to {MOST_POINTS}")

    def places(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Return the positions [µm]."""
        return np.linspace(self.start.value, self.stop.value, self.points.value)


class TruthRecords(PVGroup):
    """Process variables of the truth.

    Parameters
    ----------
    prefix : str
        Of them.
    measuring : Measuring
        Knows the microscope, and what was exposed.
    believed : Monochromator
        What is believed of the monochromator.
    file : Path
        Where the truth is written.
    """

    write_now = pvproperty(
        name="write",
        value="Done",
        dtype=PvpropertyEnum,
        enum_strings=("Done", "Write"),
        record="bo",
        doc="Write the file; a put completes when it is there",
    )
    reference = pvproperty(
        name="frame", value=-1, doc="The frame that the maps are in; -1 for the first with beam and sample"
    )
    message = pvproperty(
        name="message",
        value="",
        dtype=PvpropertyCharRO,
        max_length=LONGEST_PATH,
        alarm_group="message",
    )
    time = pvproperty(name="time", value=0.0, units="s", precision=3, read_only=True)
    energy = pvproperty(name="energy", value=0.0, units="eV", precision=4, read_only=True)
    energy_offset = pvproperty(name="energy_offset", value=0.0, units="eV", precision=4, read_only=True)
    best_focus = pvproperty(name="best_focus", value=0.0, units="mm", precision=6, read_only=True)
    defocus = pvproperty(name="defocus", value=0.0, units="mm", precision=6, read_only=True)
    depth_of_focus = pvproperty(name="depth_of_focus", value=0.0, units="mm", precision=6, read_only=True)
    magnification = pvproperty(name="magnification", value=0.0, precision=4, read_only=True)
    drift_x = pvproperty(name="drift_x", value=0.0, units="nm", precision=2, read_only=True)
    drift_y = pvproperty(name="drift_y", value=0.0, units="nm", precision=2, read_only=True)
    sample_x = pvproperty(name="sample_x", value=0.0, units="nm", precision=2, read_only=True)
    sample_y = pvproperty(name="sample_y", value=0.0, units="nm", precision=2, read_only=True)
    field_x = pvproperty(name="field_x", value=0.0, units="nm", precision=2, read_only=True)
    field_y = pvproperty(name="field_y", value=0.0, units="nm", precision=2, read_only=True)
    file = pvproperty(name="file", value="", dtype=PvpropertyCharRO, max_length=LONGEST_PATH)

    def __init__(self, prefix: str, measuring: Measuring, believed: Monochromator, file: Path) -> None:
        super().__init__(prefix=prefix)
        self._measuring, self._believed, self._file = measuring, believed, file
        self.x, self.y = Grid(prefix=f"{prefix}x:"), Grid(prefix=f"{prefix}y:")
        self.file._data["value"] = str(file)

    async def show(self) -> None:
        """Publish what the hardware truly does just now."""
        microscope = await self._measuring.microscope()
        readings = self._measuring.instrument.readings()
        taken = self._measuring.exposures.taken
        state: State = state_of(microscope, readings, taken[-1].number if taken else 0, self._believed)
        await self.time.write(readings.time_s)
        for name, value in asdict(state).items():
            await getattr(self, name).write(value)

    @write_now.putter
    async def write_now(self, instance: PvpropertyEnum, value: str) -> None:
        """Write the file, in the frame of the reference."""
        if value == "Write":
            await instance.write(value, verify_value=False)
            try:
                await self._write_asked()
            finally:
                await instance.write("Done", verify_value=False)
        raise SkipWrite

    async def _write_asked(self) -> None:
        exposures, wanted = self._measuring.exposures, int(self.reference.value)
        if reference := exposures.reference(wanted):
            await self._write(reference)
        else:
            which = "no frame with beam and sample was taken yet" if wanted < 0 else f"no frame {wanted} was taken"
            await self._tell(which, failed=True)

    async def _write(self, reference: Exposure) -> None:
        microscope = await self._measuring.microscope()
        taken, raster = list(self._measuring.exposures.taken), (self.x.places(), self.y.places())
        try:
            await self._measuring.outside(
                lambda: write_truth(self._file, microscope, self._believed, taken, reference, raster)
            )
        except (OSError, ValueError) as error:
            await self._tell(str(error), failed=True)
        else:
            await self._tell(f"in the frame {reference.number}", failed=False)

    async def _tell(self, message: str, failed: bool) -> None:
        await self.message.write(
            message[:LONGEST_PATH],
            status=AlarmStatus.WRITE if failed else AlarmStatus.NO_ALARM,
            severity=AlarmSeverity.MAJOR_ALARM if failed else AlarmSeverity.NO_ALARM,
        )

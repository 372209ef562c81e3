"""Records of the capture box."""

from collections.abc import Callable, Sequence
from typing import Any

from caproto import ChannelType
from caproto.server import pvproperty

from whiteline.sim.ioc.area_detector.records import Long, Records, no_yes, one_of, records
from whiteline.sim.ioc.capture.settings import CaptureSettings

IDLE, ARMED, RUNNING, DONE, FAILED = STATES = ("Idle", "Armed", "Running", "Done", "Failed")

DIGITS = 9
"""Of positions and times that are shown."""

SETTINGS = {
    "Mode": one_of("Position", "Time"),
    "Axis": one_of("channel"),
    "Start": 0.0,
    "Step": 1.0,
    "Pulses": 1,
    "Rows": 1,
    "Gate": 0.0,
    "Timeout": 10.0,
    "FilePath": Long(),
    "FileName": Long("capture"),
    "FileNumber": 0,
    "FileTemplate": Long("%s%s_%6.6d.h5"),
    "AutoIncrement": no_yes("Yes"),
    "CreateDirectory": 0,
    "Windows": Long(),
}
BUTTONS = {
    "Arm": one_of("Done", "Arm"),
    "Disarm": one_of("Done", "Disarm"),
    "Open": one_of("Done", "Open"),
    "Close": one_of("Done", "Close"),
}
READINGS = {
    "State_RBV": one_of(*STATES),
    "Message_RBV": Long(),
    "Connected_RBV": one_of("Disconnected", "Connected", first="Connected"),
    "Captured_RBV": 0,
    "Line_RBV": -1,
    "Lines_RBV": 0,
    "Capture_RBV": one_of("Closed", "Open"),
    "FullFileName_RBV": Long(),
}


MOST_COLUMNS = 64


def _texts(name: str) -> Any:
    return pvproperty(name=name, value=[""], dtype=ChannelType.STRING, max_length=MOST_COLUMNS, read_only=True)


class CaptureRecords(Records):
    """Records of the box.

    Parameters
    ----------
    settings : CaptureSettings
        The box.
    columns : sequence of str
        What it writes.
    where : callable
        Gives the positions of its channels just now, each in its unit.
    """

    locals().update(records(SETTINGS, BUTTONS, READINGS))
    channels = _texts("Channels")
    units = _texts("Units")
    columns = _texts("Columns")
    positions = pvproperty(
        name="Positions_RBV", value=[0.0], max_length=MOST_COLUMNS, read_only=True, precision=6, doc="Just now"
    )

    def __init__(self, settings: CaptureSettings, columns: Sequence[str], where: Callable[[], list[float]]) -> None:
        super().__init__(prefix=settings.prefix)
        self._where = where
        names = [one.name for one in settings.channels]
        self.channels._data["value"] = names
        self.units._data["value"] = [one.unit for one in settings.channels]
        self.columns._data["value"] = list(columns)
        self.positions._data["value"] = [0.0] * len(names)
        for end in ("", "_RBV"):
            self.attr_pvdb[f"Axis{end}"]._data.update(enum_strings=tuple(names), value=names[0])
            for name in ("Start", "Step"):
                self.attr_pvdb[f"{name}{end}"]._data.update(precision=DIGITS, units=settings.channels[0].unit)
            for name in ("Gate", "Timeout"):
                self.attr_pvdb[f"{name}{end}"]._data.update(precision=DIGITS, units="s")

    @positions.getter
    async def positions(self, instance: Any) -> list[float]:
        """Return the positions at this very moment, whenever they were last published."""
        return self._where()

    async def show_units(self, step: str, start: str) -> None:
        """Publish the units of Start and Step."""
        for name, unit in (("Start", start), ("Step", step)):
            for end in ("", "_RBV"):
                await self.attr_pvdb[f"{name}{end}"].write_metadata(units=unit)

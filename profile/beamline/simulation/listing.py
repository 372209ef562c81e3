"""Every process variable of a simulated beamline, with its type and unit."""

import time
from dataclasses import dataclass
from pathlib import Path

from caproto import ChannelData

from whiteline.beamline.description import Beamline
from whiteline.beamline.simulation.settings import beamline_settings, machine_settings, microscope
from whiteline.sim.ioc.beamline import Beamline as BeamlineIOC
from whiteline.sim.ioc.clock import WallClock
from whiteline.sim.ioc.floor import Floor
from whiteline.sim.ioc.machine import Machine


@dataclass(frozen=True)
class ProcessVariable:
    """One process variable.

    Parameters
    ----------
    name : str
        By which clients find it.
    kind : str
        Its type in Channel Access, such as "DOUBLE".
    record : str
        Its type of record, where it has fields; else empty.
    unit : str
        Empty where it has none.
    ioc : str
        Which IOC serves it: "machine" or "beamline".
    """

    name: str
    kind: str
    record: str
    unit: str
    ioc: str


def process_variables(beamline: Beamline, folder: Path) -> list[ProcessVariable]:
    """Return every process variable, without serving any; the fields of motor records are as in EPICS, and left out.

    Parameters
    ----------
    beamline : Beamline
        Its description.
    folder : Path
        For a small file that both IOCs share.
    """
    floor = Floor.create(folder / "floor", time.monotonic())
    clock = WallClock(1.0, floor)
    iocs = {
        "machine": Machine(machine_settings(beamline), clock, floor).pvdb,
        "beamline": BeamlineIOC(
            beamline_settings(beamline, folder / "truth.h5"), lambda: microscope(beamline), clock, floor
        ).pvdb,
    }
    motors = {axis.pv for axis in beamline.axes().values()}
    return [
        ProcessVariable(
            name=name,
            kind=channel.data_type.name,
            record=_record(channel),
            unit=str(getattr(channel, "units", "") or ""),
            ioc=ioc,
        )
        for ioc, pvdb in iocs.items()
        for name, channel in pvdb.items()
        if name.partition(".")[0] not in motors or "." not in name
    ]


def _record(channel: ChannelData) -> str:
    """Return the type of a channel's record; caproto knows it by name, or by a class that has it."""
    record = getattr(channel, "record_type", None) or ""
    return str(getattr(record, "_record_type", record))

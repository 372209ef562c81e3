"""What is put into the beam: filters that weaken it, and the wheel of foils before the reference chamber."""

from collections.abc import Mapping, Sequence
from typing import Any

from caproto import SkipWrite
from caproto.server import PVGroup, PvpropertyEnum, PvpropertyEnumRO, PvpropertyStringRO, pvproperty

from whiteline.sim.ioc.clock import Clock, pass_time

FILTER_S = 0.1
"""Time of a pneumatic filter [s]."""

WHEEL_S = 0.5
"""Time of the wheel from one foil to another [s]."""

NO_FOIL = "None"


class Filter(PVGroup):
    """Process variables of one filter.

    Parameters
    ----------
    prefix : str
        Of them.
    name : str
        What the filter is called.
    clock : Clock
        For the time it takes.
    """

    label = pvproperty(name="name", value="", dtype=PvpropertyStringRO)
    insert = pvproperty(name="insert", value="Out", dtype=PvpropertyEnum, enum_strings=("Out", "In"), record="bo")
    status = pvproperty(name="status", value="Out", dtype=PvpropertyEnumRO, enum_strings=("Out", "In", "Moving"))

    def __init__(self, prefix: str, name: str, clock: Clock) -> None:
        super().__init__(prefix=prefix)
        self.filter = name
        self._clock = clock
        self.label._data["value"] = name

    @insert.putter
    async def insert(self, instance: PvpropertyEnum, value: str) -> None:
        """Put it in, or take it out; the put completes when it is there."""
        await instance.write(value, verify_value=False)
        if self.status.value != value:
            await self.status.write("Moving")
            await pass_time(self._clock, FILTER_S)
            await self.status.write(value)
        raise SkipWrite


class Filters:
    """All filters of a beamline.

    Parameters
    ----------
    prefix : str
        Of their process variables, which are numbered from 1.
    names : sequence of str
        What the filters are called.
    clock : Clock
        For the time they take.
    """

    def __init__(self, prefix: str, names: Sequence[str], clock: Clock) -> None:
        self.filters = [Filter(f"{prefix}{number}:", name, clock) for number, name in enumerate(names, 1)]

    @property
    def pvdb(self) -> Mapping[str, Any]:
        """Process variables by name."""
        return {name: channel for one in self.filters for name, channel in one.pvdb.items()}

    def inserted(self) -> tuple[str, ...]:
        """Return the names of those that are in the beam; one that moves still is."""
        return tuple(one.filter for one in self.filters if one.status.value != "Out")


class FoilWheel(PVGroup):
    """Process variables of a wheel of foils: which one is wanted, and which one is there.

    Parameters
    ----------
    pv : str
        Of the wheel.
    names : sequence of str
        What the foils are called.
    clock : Clock
        For the time it takes.
    """

    wanted = pvproperty(name="", value=NO_FOIL, dtype=PvpropertyEnum, enum_strings=(NO_FOIL,), record="mbbo")
    there = pvproperty(name=":readback", value=NO_FOIL, dtype=PvpropertyEnumRO, enum_strings=(NO_FOIL,))

    def __init__(self, pv: str, names: Sequence[str], clock: Clock) -> None:
        super().__init__(prefix=pv)
        self._clock = clock
        for channel in (self.wanted, self.there):
            channel._data["enum_strings"] = (NO_FOIL, *names)

    @wanted.putter
    async def wanted(self, instance: PvpropertyEnum, value: str) -> None:
        """Turn the wheel; the put completes when the foil is there."""
        await instance.write(value, verify_value=False)
        if self.there.value != value:
            await pass_time(self._clock, WHEEL_S)
            await self.there.write(value)
        raise SkipWrite

    def foil(self) -> str:
        """Return the name of the foil in the beam; empty for none."""
        return "" if self.there.value == NO_FOIL else str(self.there.value)

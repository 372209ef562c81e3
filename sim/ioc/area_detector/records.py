"""Records of areaDetector: how they are put together from a table, and those of a driver.

A setting has two records, as there: what it was put to, and with `_RBV` what is in force. Tables name a record and its
first value; the kind of the record follows from the value.
"""

import asyncio
import os
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from caproto import ChannelType, native_type
from caproto.server import (
    PVGroup,
    PvpropertyChar,
    PvpropertyCharRO,
    PvpropertyEnumRO,
    PvpropertyString,
    PvpropertyStringRO,
    pvproperty,
)

from whiteline.sim.ioc.motor_record.fields import Choice, Number, Refusing, Whole, show

LONGEST_TEXT = 256
"""Characters of a path, a name or a message."""

DATA_TYPES = ("Int8", "UInt8", "Int16", "UInt16", "Int32", "UInt32", "Int64", "UInt64", "Float32", "Float64")
COLOURS = ("Mono", "Bayer", "RGB1", "RGB2", "RGB3", "YUV444", "YUV422", "YUV421")

UNITS = {"AcquireTime": "s", "AcquirePeriod": "s", "TimeRemaining": "s", "TimeStamp": "s", "ArrayRate": "Hz"}
"""Units of those records that have one, without `_RBV`."""


Result = TypeVar("Result")


class ShortText(Refusing, PvpropertyString):
    """A text that fits into a string of EPICS."""


class LongText(Refusing, PvpropertyChar):
    """A text as an array of characters: a path, or a message."""

    async def write_from_dbr(self, data: Any, data_type: ChannelType, metadata: Any, *, flags: int = 0) -> None:
        """Take a text from the wire; caproto 1.3.0 takes an empty one for a number."""
        if native_type(data_type) == ChannelType.CHAR and not np.any(data):
            await self.write("", flags=flags)
        else:
            await super().write_from_dbr(data, data_type, metadata, flags=flags)


class Long(str):
    """The first value of a long text."""


@dataclass(frozen=True)
class Words:
    """The words that a record chooses from, and the first choice."""

    words: Sequence[str]
    first: str


def one_of(*words: str, first: str | None = None) -> Words:
    """Return what a record chooses from; the first word is the first choice if no other is named."""
    return Words(words, words[0] if first is None else first)


def no_yes(first: str = "No") -> Words:
    """Return the choice of yes or no."""
    return one_of("No", "Yes", first=first)


def from_record(text: str) -> str:
    """Return a text that a client has put; records hold bytes, one a character."""
    return os.fsdecode(text.encode("latin-1")).rstrip("\0")


def to_record(text: str) -> str:
    """Return a text as a record holds it: cut to its size."""
    return os.fsencode(text)[: LONGEST_TEXT - 1].decode("latin-1")


async def unhindered(work: Coroutine[Any, Any, Result]) -> Result:
    """Wait for some work that goes on if the client that waits for it vanishes."""
    task = asyncio.create_task(work)
    await asyncio.wait([task])
    return task.result()


class Records(PVGroup):
    """Records by the names that areaDetector gives them."""

    def __getitem__(self, name: str) -> Any:
        """Return the value of a record."""
        return self.attr_pvdb[name].value

    async def show(self, name: str, value: Any) -> None:
        """Publish a value, if it is another one."""
        await show(self.attr_pvdb[name], value)

    async def show_both(self, name: str, value: Any) -> None:
        """Publish a value of a setting, and that it is in force."""
        await self.show(f"{name}_RBV", value)
        await self.show(name, value)

    async def accept(self, name: str, value: Any) -> Any:
        """Take what a client has put, show that it is in force, and return it."""
        if f"{name}_RBV" in self.attr_pvdb:
            await self.show(f"{name}_RBV", value)
        return value


async def _put(group: Records, instance: Any, value: Any) -> Any:
    """Hand what a client has put to the group."""
    return await group.accept(instance.pvspec.attr, value)


def _settable(name: str, first: Any) -> Any:
    common = {"name": name, "put": _put, "alarm_group": name}
    match first:
        case Words():
            return pvproperty(value=first.first, dtype=Choice, enum_strings=first.words, **common)
        case Long():
            return pvproperty(value=str(first), dtype=LongText, max_length=LONGEST_TEXT, **common)
        case str():
            return pvproperty(value=first, dtype=ShortText, **common)
        case float():
            return pvproperty(value=first, dtype=Number, precision=4, units=UNITS.get(name, ""), **common)
    return pvproperty(value=first, dtype=Whole, **common)


def _reading(name: str, first: Any) -> Any:
    common = {"name": name, "alarm_group": name}
    match first:
        case Words():
            return pvproperty(value=first.first, dtype=PvpropertyEnumRO, enum_strings=first.words, **common)
        case Long():
            return pvproperty(value=str(first), dtype=PvpropertyCharRO, max_length=LONGEST_TEXT, **common)
        case str():
            return pvproperty(value=first, dtype=PvpropertyStringRO, **common)
        case float():
            units = UNITS.get(name.removesuffix("_RBV"), "")
            return pvproperty(value=first, read_only=True, precision=4, units=units, **common)
    return pvproperty(value=first, read_only=True, dtype=ChannelType.LONG, **common)


def records(settings: Mapping[str, Any], buttons: Mapping[str, Any], readings: Mapping[str, Any]) -> dict[str, Any]:
    """Return properties for the body of a group.

    Parameters
    ----------
    settings : mapping of str to object
        First values of the records that have a readback.
    buttons : mapping of str to object
        Of those that clients write and that have none.
    readings : mapping of str to object
        Of those that clients only read, under their full names.
    """
    found = {name: _settable(name, first) for name, first in {**settings, **buttons}.items()}
    for name, first in {**{f"{name}_RBV": first for name, first in settings.items()}, **readings}.items():
        # to caproto, a dot in the name of a property would be a group
        found[name.replace(".", "_")] = _reading(name, first)
    return found


ARRAY_SETTINGS = {
    "ArrayCounter": 0,
    "ArrayCallbacks": one_of("Disable", "Enable", first="Enable"),
    "DataType": one_of(*DATA_TYPES),
    "ColorMode": one_of(*COLOURS),
    "NDimensions": 2,
    "Dimensions": [0] * 10,
}
ARRAY_BUTTONS = {
    "AsynIO": one_of("Disconnected", "Connected", first="Connected"),
    "NDAttributesFile": Long(),
    "NDAttributesMacros": Long(),
    "NDAttributesStatus": one_of(
        "Attributes file OK", "File not found", "XML syntax error", "Macro substitution error"
    ),
    "EmptyFreeList": one_of("Done", "Empty"),
}
ARRAY_READINGS = {
    "PortName_RBV": "",
    "ADCoreVersion_RBV": "",
    "DriverVersion_RBV": "",
    "ArrayRate_RBV": 0.0,
    "ArraySizeX_RBV": 0,
    "ArraySizeY_RBV": 0,
    "ArraySizeZ_RBV": 0,
    "ArraySize_RBV": 0,
    "BayerPattern_RBV": one_of("RGGB", "GBRG", "GRBG", "BGGR"),
    "Codec_RBV": "",
    "CompressedSize_RBV": 0,
    "UniqueId_RBV": -1,
    "TimeStamp_RBV": 0.0,
    "EpicsTSSec_RBV": 0,
    "EpicsTSNsec_RBV": 0,
    "PoolAllocBuffers": 0,
    "PoolFreeBuffers": 0,
    "PoolMaxBuffers": 0,
    "PoolUsedBuffers": 0,
    "PoolMaxMem": 0.0,
    "PoolUsedMem": 0.0,
    "NumQueuedArrays": 0,
}
"""Of everything that has arrays: drivers and plugins."""

DETECTOR_STATES = (
    "Idle",
    "Acquire",
    "Readout",
    "Correct",
    "Saving",
    "Aborting",
    "Error",
    "Waiting",
    "Initializing",
    "Disconnected",
    "Aborted",
)
CLOSE_OPEN = one_of("Close", "Open")

DRIVER_SETTINGS = {
    "Acquire": one_of("Done", "Acquire"),
    "AcquireTime": 1.0,
    "AcquirePeriod": 0.0,
    "NumImages": 1,
    "NumExposures": 1,
    "ImageMode": one_of("Single", "Multiple", "Continuous", first="Multiple"),
    "TriggerMode": one_of("Internal", "External", "Gate"),
    "FrameType": one_of("Normal", "Background", "FlatField", "DblCorrelation"),
    "MinX": 0,
    "MinY": 0,
    "SizeX": 1,
    "SizeY": 1,
    "BinX": 1,
    "BinY": 1,
    "ReverseX": no_yes(),
    "ReverseY": no_yes(),
    "Gain": 1.0,
    "Temperature": 20.0,
    "ShutterMode": one_of("None", "EPICS PV", "Detector output"),
    "ShutterControl": CLOSE_OPEN,
    "ShutterOpenDelay": 0.0,
    "ShutterCloseDelay": 0.0,
    "WaitForPlugins": no_yes("Yes"),
}
DRIVER_BUTTONS = {
    "ReadStatus": one_of("Done", "Read"),
    "ShutterFanout": 0,
    "ShutterOpenEPICS": 0,
    "ShutterCloseEPICS": 0,
    "ShutterControlEPICS": CLOSE_OPEN,
    "TemperatureActual": 20.0,
}
DRIVER_READINGS = {
    "AcquireBusy": one_of("Done", "Acquiring"),
    "DataType_RBV.DISA": 0,
    "DetectorState_RBV": one_of(*DETECTOR_STATES),
    "StatusMessage_RBV": Long(),
    "StringToServer_RBV": Long(),
    "StringFromServer_RBV": Long(),
    "NumImagesCounter_RBV": 0,
    "NumExposuresCounter_RBV": 0,
    "TimeRemaining_RBV": 0.0,
    "MaxSizeX_RBV": 0,
    "MaxSizeY_RBV": 0,
    "Manufacturer_RBV": "whiteline",
    "Model_RBV": "simulated",
    "SerialNumber_RBV": "1",
    "FirmwareVersion_RBV": "",
    "SDKVersion_RBV": "",
    "ShutterStatus_RBV": CLOSE_OPEN,
    "ShutterStatusEPICS_RBV": CLOSE_OPEN,
}


class DriverRecords(Records):
    """Records of a driver."""

    locals().update(
        records(
            {**ARRAY_SETTINGS, **DRIVER_SETTINGS},
            {**ARRAY_BUTTONS, **DRIVER_BUTTONS},
            {**ARRAY_READINGS, **DRIVER_READINGS},
        )
    )

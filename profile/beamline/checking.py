"""Every process variable that the devices of a beamline use: whether it is there, and whether it is right.

Which process variables count: those that a class declares outright, and those that a run would touch, because they are
read, recorded with the configuration, or set when the device is staged. The classes of ophyd for areaDetector declare
hundreds more, which are made only when somebody asks for them; an IOC that lacks a plugin which nobody uses is not to
be blamed.

Importing this loads ophyd and with it the client library of Channel Access, which reads where to search but once.
"""

import threading
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from epics import ca, dbr
from ophyd import Device, EpicsMotor, EpicsSignal
from ophyd.ophydobj import Kind
from ophyd.signal import EpicsSignalBase

from whiteline.beamline.description import Beamline

ANSWER_S = 1.0
"""How long an IOC that is connected may take to answer, even if the time for all is over [s]."""

GETS = 3
"""How often a value is asked for, to tell its latency."""

MOST_VALUES = 256
"""Of an array no more elements are asked for."""

NUMBER_OF_AXIS = ("readback_signal", "readback", "setpoint")
"""Attributes of an axis that is no motor record, which have its unit."""

NEVER_WRITTEN = ("direction_of_travel",)
"""Attributes of the stock motor that it declares as if they could be written; the record allows nobody to."""

SPELLINGS = {
    "mm": ("mm", "millimeter", "millimeters", "millimetre", "millimetres"),
    "um": ("um", "µm", "μm", "micron", "microns", "micrometer", "micrometers", "micrometre", "micrometres"),
    "deg": ("deg", "degree", "degrees", "°"),
    "urad": ("urad", "µrad", "μrad", "microrad", "microradian", "microradians"),
}
"""How floors write the units of the description, in small letters."""


@dataclass(frozen=True)
class Needed:
    """A process variable that a device uses.

    Parameters
    ----------
    device : str
        Name of the device.
    attribute : str
        Where it is in the device, such as "z.user_readback".
    pv : str
        Its name.
    written : bool
        Whether the device can write to it.
    unit : str or None
        That it must have by the description; None if the description does not say.
    path : str
        The table of the description that names it, or its beginning; empty for one of a class of the site's own.
    """

    device: str
    attribute: str
    pv: str
    written: bool
    unit: str | None
    path: str


@dataclass(frozen=True)
class Found:
    """What came of asking for a process variable.

    Parameters
    ----------
    needed : Needed
        What was asked for.
    connected : bool
        Whether an IOC answers to its name.
    kind : str
        Its type in Channel Access, such as "double", or "char[256]".
    unit : str
        Its unit; empty where it has none.
    value : str
        Its value; a choice by its word.
    latency_ms : float or None
        How long a fresh value takes, the median of a few [ms]; None if none came.
    problem : str
        What is wrong and what to do, or empty.
    """

    needed: Needed
    connected: bool
    kind: str = ""
    unit: str = ""
    value: str = ""
    latency_ms: float | None = None
    problem: str = ""

    @property
    def silent(self) -> bool:
        """Whether its IOC is there and gives no value."""
        return self.connected and self.latency_ms is None


@dataclass(frozen=True)
class _Channel:
    """A process variable with the parts of ophyd and of the client library that stand for it."""

    needed: Needed
    signal: Any
    pv: Any


def check(devices: Mapping[str, Any], beamline: Beamline, timeout: float = 10.0) -> list[Found]:
    """Ask for every process variable that devices use.

    Parameters
    ----------
    devices : mapping of str to ophyd.Device
        As `build` gives them; they need not be connected.
    beamline : Beamline
        Their description.
    timeout : float
        How long to wait until all are connected; then, how long IOCs may take to answer [s].

    Returns
    -------
    list of Found
        One for each process variable, in the order of the devices.
    """
    channels = list(_channels(devices, beamline))
    _wait_until_connected([one.signal for one in channels], timeout)
    deadline, silent = time.monotonic() + timeout, set[str]()
    with warnings.catch_warnings():
        # the client library warns of an IOC that does not answer; here it is found, and told
        warnings.simplefilter("ignore")
        return [_ask(one, deadline, silent) for one in channels]


def needed(devices: Mapping[str, Any], beamline: Beamline) -> list[Needed]:
    """Return every process variable that devices use, without waiting for any; parameters as of `check`."""
    return [one.needed for one in _channels(devices, beamline)]


def unit_fits(told: str, wanted: str) -> bool:
    """Tell whether a unit, as an IOC writes it, is the one that a description names.

    Parameters
    ----------
    told : str
        By the IOC, such as "microns".
    wanted : str
        By the description, such as "um".
    """
    return told.strip().lower() in SPELLINGS.get(wanted, (wanted.lower(),))


def named_by(pv: str, names: Mapping[str, str]) -> str:
    """Return the path of the table that names a process variable or its beginning, or "" if none does.

    Parameters
    ----------
    pv : str
        Of a device.
    names : mapping of str to str
        What the description names, by path, as `Beamline.pvs` gives it.
    """
    fitting = [
        (len(name), path)
        for path, name in names.items()
        # MONO:gap does not begin MONO:gap2, but NANO:scaler begins NANO:scaler.CNT, and FE:shutter: FE:shutter:status
        if pv.startswith(name) and (name[-1:] in ":." or not pv[len(name) : len(name) + 1].isalnum())
    ]
    return max(fitting, default=(0, ""))[1]


def _channels(devices: Mapping[str, Any], beamline: Beamline) -> Iterator[_Channel]:
    """Yield every process variable once: that of the first signal that writes to it, else of one that reads it."""
    names, units = beamline.pvs(), _units(devices, beamline)
    uses = [
        (device, attribute, signal, *use)
        for device, part in devices.items()
        for attribute, signal in _signals(part)
        for use in _uses(signal)
    ]
    chosen: dict[str, Any] = {}
    for use in uses:
        *_, name, _, writes = use
        if name not in chosen or (writes and not chosen[name][-1]):
            chosen[name] = use
    for device, attribute, signal, name, pv, writes in chosen.values():
        wanted = Needed(device, attribute, name, writes, units.get(name), named_by(name, names))
        yield _Channel(wanted, signal, pv)


def _signals(device: Any) -> Iterator[tuple[str, Any]]:
    """Yield the signals of a device that have process variables, by their dotted names."""
    if isinstance(device, EpicsSignalBase):
        yield "", device
    elif isinstance(device, Device):
        _touch(device)
        for walk in device.walk_signals():
            if isinstance(walk.item, EpicsSignalBase):
                yield walk.dotted_name, walk.item


def _touch(device: Device) -> None:
    """Make the lazy signals that a run would make: those that are read, recorded with the configuration, or staged."""
    waits, device.lazy_wait_for_connection = device.lazy_wait_for_connection, False
    try:
        for kind in (Kind.normal, Kind.config):
            for _, part in device._get_components_of_kind(kind):
                if isinstance(part, Device):
                    _touch(part)
        for key in device.stage_sigs:
            if isinstance(key, str):
                *path, last = key.split(".")
                owner = device
                for name in path:
                    owner = getattr(owner, name)
                if isinstance(owner, Device):
                    owner.lazy_wait_for_connection = False
                getattr(owner, last)
        # parts that are not read themselves may still be staged
        for _, part in device.walk_subdevices():
            if part.parent is device and part.stage_sigs:
                _touch(part)
    finally:
        device.lazy_wait_for_connection = waits


def _uses(signal: Any) -> list[tuple[str, Any, bool]]:
    """Return name, channel and whether it is written, of what a signal reads and what it writes."""
    reads = (signal.pvname, signal._read_pv, False)
    if not isinstance(signal, EpicsSignal):
        return [reads]
    writes = not (isinstance(signal.parent, EpicsMotor) and signal.attr_name in NEVER_WRITTEN)
    return [reads, (signal.setpoint_pvname, signal._write_pv, writes)]


def _units(devices: Mapping[str, Any], beamline: Beamline) -> dict[str, str]:
    """Return the unit that a process variable must have by the description."""
    axes = {axis.pv: axis.unit for axis in beamline.axes().values()}
    found: dict[str, str] = {}
    for device in devices.values():
        if not isinstance(device, Device):
            continue
        for part in (device, *(part for _, part in device.walk_subdevices())):
            unit = axes.get(part.prefix)
            if unit is None:
                continue
            if isinstance(part, EpicsMotor):  # its fields have the unit that EGU says
                found[part.motor_egu.pvname] = unit
            else:
                signals = (getattr(part, name, None) for name in NUMBER_OF_AXIS)
                found |= {
                    name: unit for one in signals if isinstance(one, EpicsSignalBase) for name, _, _ in _uses(one)
                }
    return found


def _wait_until_connected(signals: Iterable[Any], timeout: float) -> None:
    """Wait until all signals are connected and have told what they are, or the time is over."""
    changed, waiting = threading.Condition(), list(signals)

    def look(**_: Any) -> None:
        with changed:
            changed.notify_all()

    tokens = [(signal, signal.subscribe(look, event_type=signal.SUB_META, run=False)) for signal in waiting]
    ca.poll()  # sends what waits to be sent
    with changed:
        changed.wait_for(lambda: all(signal.connected for signal in waiting), timeout)
    for signal, token in tokens:
        signal.unsubscribe(token)


def _ask(channel: _Channel, deadline: float, silent: set[str]) -> Found:
    """Ask for a value, a few times; an IOC that was silent once is not asked again."""
    wanted, pv = channel.needed, channel.pv
    if not pv.connected:
        return Found(wanted, connected=False, problem=_missing(wanted))
    host, kind = str(pv.host), _kind(pv)
    latencies: list[float] = []
    try:
        while len(latencies) < GETS and host not in silent:
            start = time.monotonic()
            most = MOST_VALUES if pv.nelm > MOST_VALUES else None
            answer = pv.get_with_metadata(use_monitor=False, timeout=max(deadline - start, ANSWER_S), count=most)
            if answer is None:
                silent.add(host)
                break
            latencies.append(1e3 * (time.monotonic() - start))
            if start > deadline:
                break
        if host in silent:
            problem = f"its IOC at {host} is there and does not answer; look whether it hangs"
            return Found(wanted, connected=True, kind=kind, problem=problem)
        unit, value = str(pv.units or ""), _text(answer["value"], pv)
    except ca.ChannelAccessGetFailure as error:
        problem = f"its IOC at {host} answers with an error ({error}); look into its log, or correct the record"
        return Found(wanted, connected=True, kind=kind, problem=problem)
    return Found(wanted, True, kind, unit, value, median(latencies), _wrong(wanted, pv, unit, value))


def _missing(wanted: Needed) -> str:
    where = f", and that [{wanted.path}] of the description names it right" if wanted.path else ""
    return f"no IOC answers to this name; see that its IOC runs and can be reached{where}"


def _wrong(wanted: Needed, pv: Any, unit: str, value: str) -> str:
    """Say what is wrong with a process variable that answers, or nothing."""
    if wanted.unit is not None:
        # a motor record must say its unit; of other records only a wrong one is an error
        told, must = (value, True) if wanted.pv.endswith(".EGU") else (unit, False)
        if (told or must) and not unit_fits(told, wanted.unit):
            return (
                f"its unit is {told!r}, and must be {wanted.unit!r}: correct the record, or unit and limits in "
                f"[{wanted.path}] of the description"
            )
    if not pv.read_access:
        return "its IOC gives no right to read it; ask for it, or look for the access rules of the IOC"
    if wanted.written and not pv.write_access:
        return "its IOC gives no right to write to it; ask for it, or look for the access rules of the IOC"
    return ""


def _kind(pv: Any) -> str:
    """Return the type of a process variable as Channel Access knows it, with its length if it is an array."""
    name = str(dbr.Name(ca.field_type(pv.chid))).lower()
    return f"{name}[{pv.nelm}]" if pv.nelm > 1 else name


def _text(value: Any, pv: Any) -> str:
    """Return a value as a scientist reads it."""
    if pv.nelm > 1 and "char" in str(pv.type):
        return bytes(bytearray(int(one) % 256 for one in _sequence(value))).partition(b"\0")[0].decode(errors="replace")
    if pv.nelm > 1:
        few = _sequence(value)
        return ", ".join(f"{one:.4g}" if isinstance(one, float) else str(one) for one in few[:3]) + (
            ", …" if len(few) > 3 else ""
        )
    words = pv.enum_strs if "enum" in str(pv.type) else None
    if words and 0 <= int(value) < len(words):
        word = words[int(value)]
        return word.decode(errors="replace") if isinstance(word, bytes) else str(word)
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def _sequence(value: Any) -> Sequence[Any]:
    """Return the elements of an array; of one that holds a single element, too."""
    return list(value) if hasattr(value, "__len__") and not isinstance(value, str) else [value]

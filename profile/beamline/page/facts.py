"""What the documents of a run tell beside its frames: how far it is, when it ends, dose, ring current."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from whiteline.beamline.dose_meter import DoseMeter
from whiteline.beamline.expected import Expected, expected_of, lines_of

FEW = 2
"""Points after which the pace of a run tells its end better than what was predicted before it."""


@dataclass(frozen=True)
class Reading:
    """A number with its unit, and when it was read.

    Parameters
    ----------
    value : float
        In its unit.
    unit : str
        Of it.
    time : float
        [s since 1970]
    """

    value: float
    unit: str
    time: float


@dataclass(frozen=True)
class Facts:
    """What is known of a run.

    Parameters
    ----------
    uid, plan, sample : str
        Of the run; "" if not said.
    scan_id : int or None
        Its number.
    begun : float
        [s since 1970]; NaN before a run.
    ended : float
        [s since 1970]; NaN as long as it goes on.
    exit_status : str
        "running", "success", "abort" or "fail".
    reason : str
        Why it ended so.
    done, total : int
        Points, or lines of a fly scan; the total is 0 if it is not known.
    unit : str
        What they are: "points", "lines", "spectra", "projections"; "energies" where they are counted by energy.
    energies_done, energies_total : int
        Energies of the list that are complete, 0 of 0 where it does not run over one.
    energy : float
        Of the newest point [eV].
    ends : float
        When it will end [s since 1970]; NaN if that cannot be told.
    ends_by : str
        What that is known from.
    dose_Gy : float
        Of the most exposed place; NaN if it is not known.
    dose_by : str
        What that is known from, or why it is not known.
    ring : Reading or None
        The newest ring current.
    """

    uid: str = ""
    plan: str = ""
    sample: str = ""
    scan_id: int | None = None
    begun: float = math.nan
    ended: float = math.nan
    exit_status: str = "running"
    reason: str = ""
    done: int = 0
    total: int = 0
    unit: str = "points"
    energies_done: int = 0
    energies_total: int = 0
    energy: float = math.nan
    ends: float = math.nan
    ends_by: str = ""
    dose_Gy: float = math.nan
    dose_by: str = ""
    ring: Reading | None = None


@dataclass
class FactsOfRun:
    """Gathers the facts of one run after the other from documents.

    Parameters
    ----------
    meter : callable
        Given a start document, returns what counts the dose of that run, or why nothing does.
    energy : str
        Data key of the energy.
    ring : str
        Data key of the ring current.
    """

    meter: Callable[[Mapping[str, Any]], DoseMeter | str] = lambda start: "no material was named"
    energy: str = "energy"
    ring: str = "ring_current"
    _start: Mapping[str, Any] = field(default_factory=dict)
    _stop: Mapping[str, Any] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)
    _units: dict[str, str] = field(default_factory=dict)
    _dose: DoseMeter | str = ""
    _expected: Expected = field(default_factory=lambda: expected_of({}))
    _done: int = 0
    _newest: float = math.nan
    _energy: float = math.nan
    _ring: Reading | None = None

    def document(self, name: str, document: Mapping[str, Any]) -> None:
        """Take a document."""
        if name == "start":
            self._start, self._stop, self._names, self._expected = document, {}, {}, expected_of(document)
            self._dose, self._done, self._newest, self._energy = self.meter(document), 0, math.nan, math.nan
        elif name == "descriptor":
            self._names[str(document["uid"])] = str(document.get("name"))
            about = dict(document.get("data_keys") or {}).get(self.ring)
            if about is not None:
                self._units[str(document["uid"])] = str(about.get("units") or "mA")
        elif name == "event":
            self._event(document)
        elif name == "event_page":
            self._count(self._names.get(str(document["descriptor"]), ""), document["seq_num"], document["time"])
        elif name == "stream_datum" and self._names.get(str(document["descriptor"])) == self._expected.stream:
            self._done, self._newest = max(self._done, lines_of(document)), time.time()
        elif name == "stop":
            self._stop = document
        if isinstance(self._dose, DoseMeter):
            self._dose(name, document)

    def note(self, note: Mapping[str, Any]) -> None:
        """Take a reading that no document holds."""
        if note.get("name") == self.ring:
            self._ring = Reading(float(note["value"]), str(note["unit"]), float(note["time"]))

    def _event(self, event: Mapping[str, Any]) -> None:
        descriptor, data, when = str(event["descriptor"]), event["data"], float(event["time"])
        stream = self._names.get(descriptor, "")
        current = data.get(self.ring)
        if isinstance(current, int | float) and (self._ring is None or when >= self._ring.time):
            self._ring = Reading(float(current), self._units.get(descriptor, "mA"), when)
        if stream == "primary" and isinstance(data.get(self.energy), int | float):
            self._energy = float(data[self.energy])
        self._count(stream, [event["seq_num"]], [when])

    def _count(self, stream: str, numbers: Any, times: Any) -> None:
        if stream == self._expected.stream and len(numbers):
            self._done, self._newest = max(self._done, *map(int, numbers)), float(max(times))

    @property
    def facts(self) -> Facts:
        """What is known by now."""
        start, stop = self._start, self._stop
        expected = self._expected
        ends, ends_by = self._end(expected.total)
        gray, dose_by = self._dose_so_far()
        number = start.get("scan_id")
        return Facts(
            uid=str(start.get("uid", "")),
            plan=str(start.get("plan_name", "")),
            sample=_named(start.get("sample")),
            scan_id=None if number is None else int(number),
            begun=float(start.get("time", math.nan)),
            ended=float(stop.get("time", math.nan)),
            exit_status=str(stop.get("exit_status", "running")),
            reason=str(stop.get("reason") or ""),
            done=self._done,
            total=expected.total,
            unit=expected.unit,
            energies_done=expected.energies_of(self._done),
            energies_total=expected.energies,
            energy=self._energy,
            ends=ends,
            ends_by=ends_by,
            dose_Gy=gray,
            dose_by=dose_by,
            ring=self._ring,
        )

    def _end(self, total: int) -> tuple[float, str]:
        if self._stop or not self._start:
            return math.nan, ""
        begun = float(self._start["time"])
        if total and self._done >= FEW:
            left = (self._newest - begun) / self._done * max(0, total - self._done)
            return self._newest + left, "by its pace so far"
        predicted = dict(self._start.get("preflight") or {})
        seconds = list(predicted.get("predicted_runs_s") or ())
        number = int(self._start.get("group_index") or 0)
        if number < len(seconds):
            return begun + float(seconds[number]), "by the preflight"
        return math.nan, ""

    def _dose_so_far(self) -> tuple[float, str]:
        if not isinstance(self._dose, DoseMeter):
            return math.nan, self._dose
        if self._dose.trouble:
            return math.nan, self._dose.trouble
        if self._done and not self._dose.counted:
            return math.nan, "what is flown tells no exposure with its events"
        return self._dose.gray, f"by {self._dose.source}"


def _named(sample: Any) -> str:
    if isinstance(sample, Mapping):
        return str(sample.get("name", ""))
    return "" if sample is None else str(sample)

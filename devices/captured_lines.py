"""The lines that a capture box has written: which of them count, and what is told of them.

The plan says of each line whether it counts. One that is taken again stays in the file, and no document refers to it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ophyd import Component, Device, Signal
from ophyd.status import StatusBase

from whiteline.devices.capture_records import CaptureRecords
from whiteline.devices.errands import Errand
from whiteline.devices.errors import Refused
from whiteline.devices.fluorescence import Fluorescence
from whiteline.devices.fly_documents import Document, StreamFile, Telling, stream_key
from whiteline.devices.shown import Computed, done
from whiteline.devices.triggered import TriggeredDetector

ACCEPT, AGAIN, SO_FAR = "accept", "again", "so far"
"""What a plan may say of a line."""


class Verdict(Signal):
    """What the plan says of the newest line: "accept", or "again" for one that is not to count.

    "so far" is said of a line of several rows that is under way: those count that were there the last time that this
    was said. What ends a scan, such as a loss of the beam, may be known a moment after the rows that have suffered.
    """

    def check_value(self, value: str, **_: Any) -> None:
        """Refuse any other word.

        Raises
        ------
        ValueError
            Naming the words.
        """
        if value not in (ACCEPT, AGAIN, SO_FAR):
            raise ValueError(f"{self.name} = {value!r} must be {ACCEPT!r}, {AGAIN!r} or {SO_FAR!r}")

    def put(self, value: str, **_: Any) -> None:
        """Say it; raises `Refused` if there is no line to accept."""
        self.check_value(value)
        self.parent.judge(value)
        super().put(value, force=True)

    def set(self, value: str, **_: Any) -> StatusBase:
        """Say it; done at once. Raises as `put`."""
        self.put(value)
        return done()


class LineResult(Device):
    """What came of the newest line; NaN where it is not known.

    Attributes
    ----------
    pulses_missed : Computed
        Pulses that did not come.
    triggers_missed : Computed
        Pulses that came, and started no exposure of the detector; 0 if none was triggered.
    rows : Computed
        Rows in the file, those that do not count included; a line is one, or several.
    rows_counted : Computed
        Rows of the newest line that count.
    """

    pulses_missed = Component(Computed, compute=lambda result: result.parent.pulses_missed, precision=0)
    triggers_missed = Component(Computed, compute=lambda result: result.parent.triggers_missed, precision=0)
    rows = Component(Computed, compute=lambda result: result.parent.rows, precision=0)
    rows_counted = Component(Computed, compute=lambda result: result.parent.rows_counted, precision=0)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for part in self.component_names:
            getattr(self, part).name = f"{self.parent.name}_{part}"


class CapturedLines(CaptureRecords):
    """A capture box with the lines that it has written.

    Attributes
    ----------
    line : Verdict
        What the plan says of the newest line.
    line_result : LineResult
        What came of it.
    """

    line = Component(Verdict, value=AGAIN, kind="omitted")
    line_result = Component(LineResult, "", kind="omitted")

    triggered: TriggeredDetector | None

    def forget_lines(self) -> None:
        """Forget the lines of a run."""
        self._file: StreamFile | None = None
        self._pulses: int | None = None
        self._row: int | None = None
        self._accepted: list[int] = []
        self._telling = Telling()
        self.pulses_missed, self.rows = float("nan"), 0
        self.rows_counted = self._seen = 0

    def judge(self, verdict: str) -> None:
        """Take what the plan says of the newest line.

        Raises
        ------
        Refused
            If a line is to be accepted that is not in the file.
        """
        if verdict == AGAIN:
            self._row = None
            return
        if verdict == SO_FAR:
            self._count_so_far()
            return
        if self._row is None or self.rows <= self._row:
            raise Refused(f"{self.name} has no line that could be accepted: none has been completed")
        self._count(self.rows)

    def _count_so_far(self) -> None:
        """Let those rows of the line under way count that were there before, and note which there are now."""
        if self._row is None:
            return
        # what was told of before is not told of again
        self._telling.begin()
        self._count(self._seen)
        self._seen = int(self.lines.get())

    def _count(self, stop: int) -> None:
        """Let the rows of the newest line count, up to but not including one."""
        assert self._row is not None
        self._accepted.extend(range(self._row + self.rows_counted, stop))
        self.rows_counted = max(self.rows_counted, stop - self._row)

    @property
    def triggers_missed(self) -> float:
        """Pulses of the newest line that started no exposure; NaN if it is not known."""
        if self.triggered is None or not self.triggered.is_staged:
            return 0.0
        return float(self.triggered.missed)

    @property
    def counted_lines(self) -> tuple[str, ...]:
        """Fluorescence lines that the box counts at each pulse, as the detector that it triggers has its regions."""
        detector = self._fluorescence
        return () if detector is None else tuple(one.label for one in detector.line_regions)

    def fluorescing(self, what: str) -> float | None:
        """Return "dead_time" [s] or number of "elements" of the detector of these lines; None if there are none."""
        detector = self._fluorescence
        if detector is None or not detector.line_regions:
            return None
        return float(detector.dead_time.get()) if what == "dead_time" else float(len(detector.elements))

    @property
    def _fluorescence(self) -> Fluorescence | None:
        detector = None if self.triggered is None else self.triggered.detector
        return detector if isinstance(detector, Fluorescence) else None

    def get_index(self) -> int:
        """Return how many lines count."""
        return len(self._accepted)

    def collect_asset_docs(self, index: int | None = None) -> Iterator[Document]:
        """Yield the documents of the lines that count, and that were not told of yet; or of those told last.

        At most those that lie side by side in the file: the RunEngine gives the documents of one call the same numbers.
        """
        if self._file is None:
            return
        waiting = self._accepted[self._telling.told : index]
        count = next((n for n, row in enumerate(waiting) if row != waiting[0] + n), len(waiting))
        first, stop = self._telling.next(self._telling.told + count)
        if stop > first:
            yield from self._file.told(self._accepted[first], self._accepted[stop - 1] + 1)

    def describe_collect(self) -> dict[str, dict[str, Any]]:
        """Describe the columns of a line.

        Raises
        ------
        Refused
            If no line was prepared: then nobody knows how many pulses a line has.
        """
        if self._pulses is None:
            raise Refused(f"{self.name} does not know how many pulses a line has; prepare the first line before")
        errand = Errand(self, self.needed_signals)
        pulses = self._pulses
        units = dict(zip(self.words(errand, self.channels), self.words(errand, self.units), strict=True))
        columns = self.words(errand, self.columns)
        return {
            f"{self.name}_{column}": stream_key(self.prefix, [pulses], "<f8", _unit(column, units))
            for column in columns
        }


def _unit(column: str, units: Mapping[str, str]) -> str:
    """Return the unit of a column, from those of the position channels."""
    channel, _, what = column.rpartition("_")
    if channel in units:
        return units[channel]
    return {"counts": "counts", "events": "counts", "frames": "frames"}.get(what, "s" if channel == "time" else "")

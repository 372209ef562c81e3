"""The flyer: a capture box with the axes that it reads, which takes one line of a fly scan after the other.

A line goes in this order. Prepared, the settings are in force, the axis stands at its run-up with the velocity of the
line, and the box is armed. Kicked off, the axis goes along the line at constant velocity. Complete, all pulses came,
the line is in the file, and the axis stands. Then the plan says whether the line counts; one that is taken again stays
in the file, and no document refers to it. However a line ends, the axis stands. A fine axis keeps the velocity of a
line until the next one, or the end of the run; any other has its own velocity back after each line.
"""

from contextlib import suppress
from functools import partial
from typing import Any

from ophyd import Component
from ophyd.status import StatusBase
from ophyd.utils import RedundantStaging

from whiteline.analysis.laws.fly_line import FlyLine
from whiteline.devices.capture_axes import CaptureAxes
from whiteline.devices.capture_records import GROUP
from whiteline.devices.errands import Errand
from whiteline.devices.errors import Lost, Refused
from whiteline.devices.fly_axis import FlyAxis
from whiteline.devices.fly_documents import StreamFile
from whiteline.devices.positioner import MARGIN
from whiteline.devices.shown import Computed, Parameter

WAITS_S = 30.0
"""How much longer than computed the box waits for the last pulse of a line [s]."""


class CaptureBox(CaptureAxes):
    """A position-capture box.

    Parameters are those of `CaptureAxes`.

    Attributes
    ----------
    line : Verdict
        What the plan says of the newest line.
    line_result : LineResult
        What came of it.
    dwell : Parameter
        Gate of the newest line [s].
    dead_time, elements : Computed
        Of the fluorescence detector whose windows it counts, dead time of an element [s], and how many it sums; NaN if
        it counts none.
    """

    dwell = Component(Parameter, value=float("nan"), unit="s", kind="config")
    dead_time = Component(Computed, compute=lambda box: box.fluorescing("dead_time"), unit="s", kind="config")
    elements = Component(Computed, compute=lambda box: box.fluorescing("elements"), kind="config")

    def __init__(self, prefix: str, **kwargs: Any) -> None:
        self._begun = False
        self.forget_lines()
        super().__init__(prefix, **kwargs)

    def _forget(self) -> None:
        """Forget the lines of a run."""
        self.forget_lines()
        for channel, one in self._axes.items():
            one.watch(partial(self.reading, channel=channel))

    # staging

    @property
    def is_staged(self) -> bool:
        """Whether a run is under way."""
        return self._begun

    def stage(self) -> list[object]:
        """Begin a run: its first line opens a file of its own.

        Raises
        ------
        RedundantStaging
            If it is staged.
        Lost
            If its IOC has gone, or it has lost its cable.
        """
        if self._begun:
            raise RedundantStaging(f"{self.name} is staged already; unstage it first")
        self.run_errand(self._make_ready, needs=self.needed_signals).wait()
        self._forget()
        self._begun = True
        return [self]

    def unstage(self) -> list[object]:
        """Disarm it and close its file, whatever it was doing; it can be staged again at once.

        What cannot be reached is not put back: it is when it is staged again.

        Raises
        ------
        Overdue
            If its IOC is there and does not obey.
        """
        if not self._begun:
            return [self]
        # a run that fails for another reason must not be told of this line, or its own reason would be lost
        self.end_errand("was unstaged", success=True)
        try:
            self.run_errand(self._put_back, needs=self.needed_signals, on_failure=self.leave_in_order).wait()
        except Lost as error:
            self.log.warning("%s was unstaged without its box: %s", self.name, error)
            with suppress(Lost):
                self.tell_close()
        finally:
            self._begun = self._kicked_off = False
            for one in self._axes.values():
                one.watch(None)
        return [self]

    def _make_ready(self, errand: Errand) -> None:
        self.become_idle(errand)
        self.end_file(errand)

    def _put_back(self, errand: Errand) -> None:
        self.leave_in_order(errand)
        for one in self._axes.values():
            one.velocity.restore(errand)
        self._make_ready(errand)

    # a line

    def prepare(self, line: FlyLine) -> StatusBase:
        """Make ready for a line: settings in force, a file open, the axis at its run-up.

        Parameters
        ----------
        line : FlyLine
            Positions are those of the axis that a step scan moves.

        Returns
        -------
        Status
            Fails with one sentence.

        Raises
        ------
        OutOfRange, ValueError, TypeError, Lost
            As `check_value`; nothing moves then.
        Refused
            If it is not staged, or its file holds lines of another length.
        """
        self.check_value(line)
        if not self._begun:
            raise Refused(f"{self.name} is not staged, so it has no file for its lines; stage it first")
        if self._pulses not in (None, line.row_pulses):
            raise Refused(
                f"{self.name} cannot take a line of {line.row_pulses} pulses into a file with lines of {self._pulses}; "
                "take lines of one length in a run"
            )
        axis = self.axis_of(line)
        self._pulses, self._line, self._axis = line.row_pulses, line, axis
        self._row, self._kicked_off = None, False
        self._seen = self.rows_counted = 0
        self._telling.begin()
        self.pulses_missed = float("nan")
        self.dwell.put(line.gate_s)
        needs = (*self.needed_signals, *(axis.motor.needed_signals if axis else ()))
        return self.run_errand(
            lambda errand: self._prepare(errand, line, axis), needs=needs, on_failure=self.leave_in_order
        )

    def _prepare(self, errand: Errand, line: FlyLine, axis: FlyAxis | None) -> None:
        self.become_idle(errand, written=self._written)
        if self._file is None:
            path = self.begin_file(errand, line.row_pulses, self.counted_lines)
            datasets = {
                f"{self.name}_{column}": (f"{GROUP}/{column}", (1, line.row_pulses))
                for column in self.words(errand, self.columns)
            }
            self._file = StreamFile(path, datasets)
        gate = line.gate_s if line.by_clock and line.gate_s < line.step else 0.0
        timeout_s = MARGIN * self.seconds(line, axis) + WAITS_S
        settings = [
            (self.pulses, line.row_pulses),
            (self.row_count, line.rows),
            (self.gate, gate),
            (self.timeout, timeout_s),
            (self.step, line.step),
        ]
        if axis is None:
            self.see_to_all(errand, [(self.mode, "Time"), *settings])
            return
        self.see_to_all(errand, [(self.mode, "Position"), (self.compared, line.channel), *settings])

        def read() -> float:
            return self.reading(errand, line.channel)

        axis.bring(errand, line, self.axis_ended, read)
        self.see_to(errand, self.start, axis.channel_position(errand, line.first, read))
        axis.velocity.take(errand, line.velocity)
        self.arm_for(errand)

    def kickoff(self) -> StatusBase:
        """Let the axis go along the line; one by the clock begins as the box is armed.

        Returns
        -------
        Status
            Done when the first pulse has come, or the line has ended; fails with one sentence.

        Raises
        ------
        Refused
            If no line is prepared.
        """
        line, axis = self._line, self._axis
        if line is None or self._kicked_off:
            raise Refused(f"{self.name} has no line to begin; prepare one first")
        self._kicked_off = True
        return self.run_line(lambda errand: self.begin_line(errand, line, axis))

    def complete(self) -> StatusBase:
        """Wait until the line is over.

        Returns
        -------
        Status
            Done when all pulses came, the line is in the file, and the axis stands. Fails with one sentence within
            a time computed from the line; the axis stands then, too, and what was captured is in the file.

        Raises
        ------
        Refused
            If no line was begun.
        """
        line, axis = self._line, self._axis
        if line is None or not self._kicked_off:
            raise Refused(f"{self.name} has begun no line; kick it off first")
        return self.run_line(lambda errand: self.see_to_end(errand, line, axis))

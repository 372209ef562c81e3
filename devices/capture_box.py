"""The flyer: a capture box with the axes that it reads, which takes one line of a fly scan after the other.

A line goes in this order. Prepared, the settings are in force, and the axis stands at its run-up. Kicked off, the box
is armed, and the axis goes along the line at constant velocity. Complete, all pulses came, the line is in the file, and
the axis stands. Then the plan says whether the line counts; one that is taken again stays in the file, and no document
refers to it. However a line ends, the axis stands and has the velocity back that it had.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from ophyd import Component
from ophyd.status import DeviceStatus, StatusBase
from ophyd.utils import RedundantStaging

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.laws.fly_line import FlyLine
from whiteline.devices.capture_records import ARMED, DONE, GROUP, UNDER_WAY
from whiteline.devices.captured_lines import CapturedLines
from whiteline.devices.errands import Errand
from whiteline.devices.errors import DeviceError, Lost, MoveFailed, Overdue, Refused, Stopped
from whiteline.devices.fly_axis import FlyAxis
from whiteline.devices.fly_documents import StreamFile
from whiteline.devices.forecast import Forecast
from whiteline.devices.positioner import ALLOWANCE_S, MARGIN
from whiteline.devices.shown import Parameter
from whiteline.devices.together import halt, wait_for_rest
from whiteline.devices.triggered import TriggeredDetector

LATE_S = 1.0
"""How long after the axis has arrived the last pulse may be told [s]."""

PATIENCE = 10.0
"""Where no pulse comes for so many gates, and some seconds, none is coming."""

WAITS_S = 30.0
"""How much longer than computed the box waits for the last pulse of a line [s]."""

BYTES = 8
"""Of one number in the file."""


class CaptureBox(CapturedLines):
    """A position-capture box.

    Parameters
    ----------
    prefix : str
        Of its process variables.
    write, read : str
        Folder of its files, as the IOC sees it and as clients do.
    axes : mapping of str to SampleAxis or Motor
        The axis of each position channel along which lines go.
    most_per_s : float
        Pulses that it writes for good [1/s].
    buffer : int
        Pulses that it holds that are not written yet.
    triggered : TriggeredDetector or None
        That it triggers.

    Attributes
    ----------
    line : Verdict
        What the plan says of the newest line.
    line_result : LineResult
        What came of it.
    dwell : Parameter
        Gate of the newest line [s].
    """

    dwell = Component(Parameter, value=float("nan"), unit="s", kind="config")

    def __init__(
        self,
        prefix: str,
        *,
        name: str,
        write: str,
        read: str,
        axes: Mapping[str, Any],
        most_per_s: float,
        buffer: int,
        triggered: TriggeredDetector | None = None,
        **kwargs: Any,
    ) -> None:
        self.most_per_s, self.buffer, self.triggered = most_per_s, buffer, triggered
        self._axes = {channel: FlyAxis(axis) for channel, axis in axes.items()}
        self._begun = self._armed = False
        self._forget()
        super().__init__(prefix, name=name, write=write, read=read, **kwargs)
        for one in self._axes.values():
            if (shown := one.shown_by) is not None:
                shown.subscribe(self.wake, run=False)

    def _forget(self) -> None:
        """Forget the lines of a run."""
        self.forget_lines()
        self._line: FlyLine | None = None
        self._axis: FlyAxis | None = None
        self._moving: StatusBase | None = None
        self._kicked_off = False

    # what plans and preflight ask

    @property
    def axes(self) -> Mapping[str, Any]:
        """The axis of each position channel along which lines go."""
        return {channel: one.axis for channel, one in self._axes.items()}

    def channel_of(self, axis: Any) -> str:
        """Return the position channel of an axis.

        Raises
        ------
        ValueError
            If it reads none of it, naming those that it reads.
        """
        for channel, one in self._axes.items():
            if axis is one.axis or axis is one.motor:
                return channel
        known = ", ".join(f"{one.axis.name} ({channel})" for channel, one in self._axes.items())
        raise ValueError(f"{self.name} has no channel along {getattr(axis, 'name', axis)}; it has {known}")

    def _axis_of(self, line: FlyLine) -> FlyAxis | None:
        if line.by_clock:
            return None
        if line.channel not in self._axes:
            known = ", ".join(map(repr, self._axes))
            raise ValueError(f"{self.name} cannot fly along {line.channel!r}; it can along {known}")
        return self._axes[line.channel]

    def check_value(self, line: FlyLine) -> None:
        """Refuse a line that could not be taken.

        Raises
        ------
        TypeError
            If it is no line.
        ValueError
            If its channel is unknown.
        OutOfRange
            If pulses come faster than they can be written, or the axis cannot make the line: velocity, limits.
        Lost
            If the IOC of the axis is lost.
        """
        if not isinstance(line, FlyLine):
            raise TypeError(f"{self.name} takes a FlyLine, not {line!r}")
        axis = self._axis_of(line)
        over = line.pulses * (1 - self.most_per_s / line.rate)
        if over > self.buffer:
            raise OutOfRange(
                f"pulses of a line of {self.name}",
                line.pulses,
                f"at {line.rate:.6g} per second run over its buffer of {self.buffer}: it writes {self.most_per_s:g} "
                "per second for good",
                "",
                f"dwell {1 / self.most_per_s:.3g} s or longer, or take fewer pulses",
            )
        if axis is not None:
            axis.check(line)

    def forecast_line(self, line: FlyLine) -> Forecast:
        """Return how long a line takes from rest to rest, and what it adds to the file; raises as `check_value`."""
        self.check_value(line)
        columns = self.columns.get()
        count = 1 if isinstance(columns, str) else len(columns)
        return Forecast(self._seconds(line, self._axis_of(line)), 0, count * line.pulses * BYTES)

    @staticmethod
    def _seconds(line: FlyLine, axis: FlyAxis | None) -> float:
        return float(line.length_s if axis is None else axis.seconds(line))

    def read_configuration(self) -> dict[str, dict[str, Any]]:
        """Return the dwell, and what the box reads where a direction of the sample is at 0: `<name>_<channel>_zero`."""
        found: dict[str, dict[str, Any]] = dict(super().read_configuration())
        for key, axis in self._with_zero().items():
            found[key] = {"value": axis.zero, "timestamp": time.time()}
        return found

    def describe_configuration(self) -> dict[str, dict[str, Any]]:
        """Describe what `read_configuration` returns."""
        found: dict[str, dict[str, Any]] = dict(super().describe_configuration())
        for key, axis in self._with_zero().items():
            about = {"source": f"PY:{key}", "dtype": "number", "shape": [], "units": axis.motor.egu}
            found[key] = about
        return found

    def _with_zero(self) -> dict[str, FlyAxis]:
        axes = {f"{self.name}_{channel}_zero": axis for channel, axis in self._axes.items()}
        return {key: axis for key, axis in axes.items() if axis.shown_by is not None}

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
            self.run_errand(self._put_back, needs=self.needed_signals, on_failure=self._leave_in_order).wait()
        except Lost as error:
            self.log.warning("%s was unstaged without its box: %s", self.name, error)
            with suppress(Lost):
                self.tell_close()
        finally:
            self._begun = False
            self._kicked_off = False
        return [self]

    def _make_ready(self, errand: Errand) -> None:
        self.become_idle(errand)
        self.end_file(errand)

    def _put_back(self, errand: Errand) -> None:
        self._leave_in_order()
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
        if self._pulses not in (None, line.pulses):
            raise Refused(
                f"{self.name} cannot take a line of {line.pulses} pulses into a file with lines of {self._pulses}; "
                "take lines of one length in a run"
            )
        axis = self._axis_of(line)
        self._pulses, self._line, self._axis = line.pulses, line, axis
        self._row, self._kicked_off = None, False
        self._telling.begin()
        self.pulses_missed = float("nan")
        self.dwell.put(line.gate_s)
        needs = (*self.needed_signals, *(axis.motor.needed_signals if axis else ()))
        return self.run_errand(
            lambda errand: self._prepare(errand, line, axis), needs=needs, on_failure=self._leave_in_order
        )

    def _prepare(self, errand: Errand, line: FlyLine, axis: FlyAxis | None) -> None:
        self.become_idle(errand)
        if self._file is None:
            path = self.begin_file(errand, line.pulses)
            datasets = {
                f"{self.name}_{column}": (f"{GROUP}/{column}", (1, line.pulses))
                for column in self.words(errand, self.columns)
            }
            self._file = StreamFile(path, datasets)
        self.see_to(errand, self.mode, "Time" if axis is None else "Position")
        self.see_to(errand, self.pulses, line.pulses)
        self.see_to(errand, self.gate, line.gate_s if line.by_clock and line.gate_s < line.step else 0.0)
        self.see_to(errand, self.timeout, MARGIN * self._seconds(line, axis) + WAITS_S)
        self.see_to(errand, self.step, line.step)
        if axis is not None:
            self.see_to(errand, self.compared, line.channel)
            axis.bring(errand, line, self._ended)
            first = axis.channel_position(errand, line.first, lambda: self.reading(errand, line.channel))
            self.see_to(errand, self.start, first)

    def kickoff(self) -> StatusBase:
        """Arm the box, and let the axis go along the line.

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
        return self._run_line(lambda errand: self._begin(errand, line, axis))

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
        return self._run_line(lambda errand: self._see_to_end(errand, line, axis))

    def _run_line(self, work: Callable[[Errand], None]) -> StatusBase:
        def told(errand: Errand) -> None:
            try:
                work(errand)
            except Stopped:
                raise
            except DeviceError as error:
                raise self._failed(errand, error) from error

        status = DeviceStatus(self, call_stop_on_failure=False)
        needs = (*self.needed_signals, *(self._axis.motor.needed_signals if self._axis else ()))
        return self.run_errand(told, needs=needs, status=status, on_failure=self._leave_in_order)

    def _begin(self, errand: Errand, line: FlyLine, axis: FlyAxis | None) -> None:
        self._row, self._armed = int(errand.ask(self.lines_now)), True
        self.press(errand, self.arm)
        if (state := errand.ask(self.state_now)) not in (*UNDER_WAY, DONE):
            raise DeviceError(f"{self.name} is not armed but {state}: {self.why(errand)}")
        self._moving = None
        seconds = line.length_s
        if axis is not None:
            self._moving = axis.start(errand, line)
            self._moving.add_callback(self._ended)
            seconds = axis.run_up_s(line)
        self._await_state(errand, (ARMED,), MARGIN * seconds + ALLOWANCE_S, "its first pulse")

    def _see_to_end(self, errand: Errand, line: FlyLine, axis: FlyAxis | None) -> None:
        seconds = MARGIN * self._seconds(line, axis) + ALLOWANCE_S
        patience = ALLOWANCE_S + PATIENCE * max(line.gate_s, 1 / line.rate)
        state = self._await_state(errand, UNDER_WAY, patience, f"the next of {line.pulses} pulses")
        if state in UNDER_WAY:
            # the axis is at its end, and the last pulse is told a moment later
            with suppress(Overdue):
                self.await_true(errand, lambda: self.state.get() not in UNDER_WAY, LATE_S, "the last pulse")
            state = errand.ask(self.state_now)
        if state in UNDER_WAY:
            raise DeviceError(f"{self.name} lacks pulses at the end of the way; does it read the axis that moves?")
        if state != DONE:
            raise DeviceError(f"{self.name} is {state}: {self.why(errand)}")
        assert self._row is not None
        self.await_written(errand, self._row + 1)
        self.rows, self.pulses_missed = self._row + 1, 0.0
        if self._moving is not None:
            moving = self._moving
            errand.until(lambda: bool(moving.done), seconds, f"{axis.motor.name if axis else ''} to stand")
            if (error := moving.exception()) is not None:
                raise MoveFailed(f"the axis did not end its way: {error}") from error
        if axis is not None:
            axis.restore(errand)
        self._armed = self._kicked_off = False

    def _await_state(self, errand: Errand, left: tuple[str, ...], seconds: float, what: str) -> str:
        """Wait until the box has left some states, or the axis has arrived, and return its state.

        Parameters
        ----------
        errand : Errand
            To wait by.
        left : tuple of str
            The states.
        seconds : float
            For how long after the last pulse [s].
        what : str
            What is waited for.

        Raises
        ------
        MoveFailed
            If the axis has failed.
        Lost, Overdue
            If the box is lost, or no pulse comes any more.
        """
        moving, seen = self._moving, -1

        def arrived() -> bool:
            return moving is not None and bool(moving.done)

        while True:
            seen = int(self.captured.get())
            self.await_true(
                errand,
                lambda seen=seen: self.state.get() not in left or arrived() or self.captured.get() != seen,  # type: ignore[misc]
                seconds,
                lambda seen=seen: f"{what}; {seen} came so far",
            )
            if self.state.get() in left and not arrived():
                continue
            # a monitor may still be of the line before: what is asked is of this one
            state = str(errand.ask(self.state_now))
            if arrived() and moving is not None and (error := moving.exception()) is not None and state != DONE:
                raise MoveFailed(f"the axis did not make its way: {error}") from error
            if state not in left or arrived():
                return state

    def _ended(self, _: StatusBase) -> None:
        self.wake()

    # how a line fails

    def _failed(self, errand: Errand, error: DeviceError) -> DeviceError:
        """Return an error that says where the axis was stopped, and how much of the line there is."""
        self._stop_axis()
        came = ""
        if self._line is not None:
            with suppress(DeviceError):
                self.become_idle(errand)
                count = int(errand.ask(self.captured_now))
                self.pulses_missed = float(self._line.pulses - count)
                self.rows = int(errand.ask(self.lines_now))
                came = f"; {count} of {self._line.pulses} pulses are in the file"
        axis = f"; {self._axis.motor.name} stands at {self._axis.motor.last_seen}" if self._axis else ""
        kind = next((one for one in (Lost, Overdue, MoveFailed) if isinstance(error, one)), DeviceError)
        return kind(f"line of {self.name} failed: {error}{came}{axis}")

    def _stop_axis(self) -> None:
        """Stop the axis if it still goes along a line, and wait until it stands."""
        moving, axis = self._moving, self._axis
        if axis is None or moving is None or moving.done:
            return
        with suppress(DeviceError):  # it is tried again, and told, when all is left in order
            halt([axis.motor])
            wait_for_rest([axis.motor])

    def _leave_in_order(self) -> None:
        """Leave the box disarmed, and the axis at rest with its own velocity.

        Raises
        ------
        DeviceError
            Naming what could not be.
        """
        problems = []
        moving, axis = self._moving, self._axis
        if axis is not None:
            try:
                if moving is not None and not moving.done:
                    halt([axis.motor])
                axis.restore()
            except DeviceError as error:
                problems.append(str(error))
        try:
            if self._armed:
                self.tell_disarm()
                self._armed = False
        except DeviceError as error:
            problems.append(str(error))
        if axis is not None and moving is not None and not problems:
            wait_for_rest([axis.motor])
        if problems:
            raise DeviceError("; ".join(problems))

    def stop(self, *, success: bool = False) -> None:
        """Stop the axis, disarm the box, and let what is under way fail, or finish if that counts as a success."""
        where = f" with {self._axis.motor.name} at {self._axis.motor.last_seen}" if self._axis else ""
        self.end_errand(f"was stopped{where}", success=success)
        # an errand that ends just now by itself leaves the line to go on
        self._leave_in_order()
        self._kicked_off = False

    def pause(self) -> None:
        """End the line under way, as the RunEngine does when it pauses: it is taken anew when it resumes."""
        try:
            self.stop(success=True)
        except DeviceError as error:  # it is told again when the line is taken anew
            self.log.warning("%s was not stopped for a pause: %s", self.name, error)

"""A line of a capture box under way: armed, flown, seen to its end; and how it is left, however it ends."""

from collections.abc import Callable
from contextlib import suppress

from ophyd import Component, Device
from ophyd.status import DeviceStatus, StatusBase

from whiteline.analysis.laws.fly_line import FlyLine
from whiteline.devices.capture_records import ARMED, DONE, UNDER_WAY
from whiteline.devices.captured_lines import CapturedLines
from whiteline.devices.errands import Errand
from whiteline.devices.errors import DeviceError, Lost, MoveFailed, Overdue, Stopped
from whiteline.devices.fly_axis import FlyAxis
from whiteline.devices.positioner import ALLOWANCE_S, MARGIN
from whiteline.devices.shown import done
from whiteline.devices.together import halt, wait_for_rest

LATE_S = 1.0
"""How long after the axis has arrived the last pulse may be told [s]."""

PATIENCE = 10.0
"""Where no pulse comes for so many gates, and some seconds, none is coming."""


class LastGate(Device):
    """The end of the last gate of a line, from which on nothing is counted: the shutter may close."""

    def trigger(self) -> StatusBase:
        """Wait for it.

        Returns
        -------
        Status
            Done when the last gate of the line under way is over, also of one that fails: that is told by `complete` of
            the box. Done at once if none is under way.
        """
        status: StatusBase = self.parent.until_last_gate()
        return status


class FlownLine(CapturedLines):
    """A capture box with the line that it takes.

    Attributes
    ----------
    last_gate : LastGate
        Of the line under way.
    """

    last_gate = Component(LastGate, "", kind="omitted")

    def forget_lines(self) -> None:
        """Forget the lines of a run."""
        super().forget_lines()
        self._line: FlyLine | None = None
        self._axis: FlyAxis | None = None
        self._moving: StatusBase | None = None
        self._kicked_off = self._armed = self._written = False
        self._until_last_gate: list[DeviceStatus] = []

    @staticmethod
    def seconds(line: FlyLine, axis: FlyAxis | None) -> float:
        """Return how long a line takes from rest to rest [s]."""
        return float(line.length_s if axis is None else axis.seconds(line))

    def until_last_gate(self) -> StatusBase:
        """Return the status of `LastGate`."""
        if not self._kicked_off:
            return done()
        status = DeviceStatus(self, call_stop_on_failure=False)
        self._until_last_gate.append(status)
        return status

    def gates_are_over(self) -> None:
        """Tell those who wait for the last gate."""
        waiting, self._until_last_gate = self._until_last_gate, []
        for status in waiting:
            status.set_finished()

    def run_line(self, work: Callable[[Errand], None]) -> StatusBase:
        """Run a part of a line; where it fails, the sentence says where the axis stands, and what is in the file."""

        def told(errand: Errand) -> None:
            try:
                work(errand)
            except Stopped:
                raise
            except DeviceError as error:
                raise self._failed(errand, error) from error

        status = DeviceStatus(self, call_stop_on_failure=False)
        needs = (*self.needed_signals, *(self._axis.motor.needed_signals if self._axis else ()))
        return self.run_errand(told, needs=needs, status=status, on_failure=self.leave_in_order)

    # a line that goes well

    def arm_for(self, errand: Errand) -> None:
        """Arm the box.

        Raises
        ------
        DeviceError
            If it cannot be, with what it says.
        """
        self._row, self._armed, self._written = int(errand.ask(self.lines_now)), True, False
        self.press(errand, self.arm)
        if (state := errand.ask(self.state_now)) not in (*UNDER_WAY, DONE):
            raise DeviceError(f"{self.name} is not armed but {state}: {self.why(errand)}")

    def begin_line(self, errand: Errand, line: FlyLine, axis: FlyAxis | None) -> None:
        """Let the axis go, and return when the first pulse has come; a line by the clock begins as the box is armed."""
        self._moving = None
        if axis is None:
            self.arm_for(errand)
            seconds = line.length_s
        else:
            self._moving = axis.start(line)
            self._moving.add_callback(self.axis_ended)
            seconds = axis.run_up_s(line)
        self._await_state(errand, (ARMED,), MARGIN * seconds + ALLOWANCE_S, "its first pulse")

    def see_to_end(self, errand: Errand, line: FlyLine, axis: FlyAxis | None) -> None:
        """Return when all pulses came, the line is in the file, and the axis stands."""
        seconds = MARGIN * self.seconds(line, axis) + ALLOWANCE_S
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
        self.gates_are_over()
        assert self._row is not None
        self.await_written(errand, self._row + line.rows)
        self.rows, self.pulses_missed = self._row + line.rows, 0.0
        if self._moving is not None:
            moving = self._moving
            errand.until(lambda: bool(moving.done), seconds, f"{axis.motor.name if axis else ''} to stand")
            if (error := moving.exception()) is not None:
                raise MoveFailed(f"the axis did not end its way: {error}") from error
        if axis is not None and not axis.keeps_velocity:
            axis.velocity.restore(errand)
        self._armed = self._kicked_off = False
        self._written = True

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

    def axis_ended(self, _: StatusBase) -> None:
        """Look again, as a move of the axis has ended; a callback of statuses."""
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

    def leave_in_order(self, errand: Errand | None = None) -> None:
        """Leave the box disarmed, and the axis at rest with its own velocity.

        Parameters
        ----------
        errand : Errand or None
            To wait by until the axis has its velocity; None to only tell it.

        Raises
        ------
        DeviceError
            Naming what could not be.
        """
        self.gates_are_over()
        problems = []
        moving, axis = self._moving, self._axis
        if axis is not None:
            try:
                if moving is not None and not moving.done:
                    halt([axis.motor])
                axis.velocity.restore(errand)
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
        self.leave_in_order()
        self._kicked_off = False

    def pause(self) -> None:
        """End the line under way, as the RunEngine does when it pauses: it is taken anew when it resumes."""
        try:
            self.stop(success=True)
        except DeviceError as error:  # it is told again when the line is taken anew
            self.log.warning("%s was not stopped for a pause: %s", self.name, error)

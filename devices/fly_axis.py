"""An axis as a fly scan moves it: from the run-up of a line to its end at constant velocity.

Positions of a line are those of the axis that a step scan moves. A direction of the sample is moved by its fine axis
alone, and the capture box reads it by the interferometer: here one is turned into the other.
"""

import math
from collections.abc import Callable
from typing import Any

from ophyd.status import StatusBase

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.laws.fly_line import FlyLine
from whiteline.devices.errands import Errand
from whiteline.devices.errors import DeviceError, Lost, MoveFailed, Stopped
from whiteline.devices.fly_velocity import LineVelocity
from whiteline.devices.last_value import last_value
from whiteline.devices.motor import Motor
from whiteline.devices.piezo import BAND_UM, QUIET_S, Piezo
from whiteline.devices.positioner import ALLOWANCE_S, MARGIN
from whiteline.devices.sample_axis import SampleAxis
from whiteline.devices.sample_place import UM_PER_MM

SHAKES = 4.0
"""How many tolerances lie between the end of a run-up and where the velocity is constant."""


class FlyAxis:
    """An axis of a capture box.

    Parameters
    ----------
    axis : SampleAxis or Motor
        A direction of the sample, or any other motor record.

    Attributes
    ----------
    motor : Motor
        What is moved: the fine axis of a direction of the sample.
    velocity : LineVelocity
        Which it has in a line, and gets back.
    """

    def __init__(self, axis: SampleAxis | Motor) -> None:
        self.axis = axis
        self.motor: Any = axis.fine_axis if isinstance(axis, SampleAxis) else axis
        self.velocity = LineVelocity(self.motor)
        self._ahead: float | None = None

    @property
    def shown_by(self) -> Any:
        """What shows where it is besides its record; None for a plain motor."""
        channel = self.axis.channel if isinstance(self.axis, SampleAxis) else None
        return None if channel is None else channel.now

    # what a line asks of it

    @property
    def acceleration_s(self) -> float:
        """The time to reach its velocity [s]."""
        return float(last_value(self.motor.acceleration))

    @property
    def least(self) -> float:
        """By how much its position may be read wrongly at rest, for the run-up [unit of the axis]."""
        if isinstance(self.axis, SampleAxis):
            return SHAKES * self.band[0]
        return SHAKES * float(self.motor.tolerance)

    def begin(self, line: FlyLine) -> float:
        """Return where a line starts [unit of the axis]."""
        return line.begin(self.acceleration_s, self.least)

    def end(self, line: FlyLine) -> float:
        """Return where the axis comes to rest after a line [unit of the axis]."""
        return line.end(self.acceleration_s, self.least)

    def seconds(self, line: FlyLine) -> float:
        """Return how long a line takes from rest to rest [s]."""
        return line.seconds(self.acceleration_s, self.least)

    def run_up_s(self, line: FlyLine) -> float:
        """Return how long it moves before the first pulse of a line [s]."""
        return line.run_up(self.acceleration_s, self.least) / line.velocity + 0.5 * self.acceleration_s

    def check(self, line: FlyLine) -> None:
        """Refuse a line that the axis cannot make.

        Raises
        ------
        OutOfRange
            If the velocity is higher than the record allows.
        OutOfLimits
            If begin or end lie outside the limits, or farther apart than a piezo reaches.
        Lost
            If its IOC is lost.
        """
        for signal in self.motor.needed_signals:
            if not signal.connected:
                raise Lost(f"{self.motor.name} has lost {signal.pvname}: its IOC has gone; start it again")
        most, unit = self.velocity.highest, f"{self.motor.egu}/s"
        if line.velocity > most:
            remedy = f"dwell at least {abs(line.step) / most:.4g} s, or set VMAX of its record if it may go faster"
            name = f"velocity of {self.motor.name}"
            raise OutOfRange(name, line.velocity, f"must not exceed {most:.6g} {unit}", unit, remedy)
        begin, end = self.begin(line), self.end(line)
        if not isinstance(self.axis, SampleAxis):
            for position in (begin, end):
                self.motor.check_value(position)
            return
        low, high = self.axis.fine_range
        if abs(end - begin) > high - low:
            limit = f"must not exceed {high - low:.6g} um, the range of {self.motor.name}"
            remedy = "divide it into tiles, or dwell longer for a shorter run-up"
            raise OutOfRange(
                f"way of a line along {self.axis.name}, with run-up", abs(end - begin), limit, "um", remedy
            )
        off = float(self.motor.position) - float(self.axis.position)
        if (coarse := self._coarse_for(begin + off, end + off)) is not None:
            self.axis.coarse_axis.check_value(coarse)

    def _coarse_for(self, begin: float, end: float) -> float | None:
        """Return where the coarse axis must go so that the fine one reaches two places [mm]; None if it may stay."""
        low, high = self.axis.fine_range
        if low <= min(begin, end) and max(begin, end) <= high:
            return None
        return float(self.axis.coarse_axis.position) + ((begin + end) / 2 - float(self.axis.middle)) / UM_PER_MM

    # moving

    def bring(
        self, errand: Errand, line: FlyLine, ended: Callable[[StatusBase], None], read: Callable[[], float]
    ) -> None:
        """Bring it to the run-up of a line, at its usual velocity; where it stands there, nothing moves.

        Parameters
        ----------
        errand : Errand
            To wait by.
        line : FlyLine
            The line.
        ended : callable
            Called at the end of each move; wakes the errand.
        read : callable
            What the capture box reads of it just now.

        Raises
        ------
        MoveFailed, Lost, Stopped
            As the axis says.
        """
        self.velocity.see_to_usual(errand)
        ahead = 0.0
        if isinstance(self.axis, SampleAxis):
            if self.axis.channel is not None and math.isnan(float(self.axis.zero.get())):
                self._await(errand, self.axis.take_zero(), 4 * ALLOWANCE_S, ended)
            ahead = self._ahead_now(errand, read)
            coarse = self._coarse_for(self.begin(line) + ahead, self.end(line) + ahead)
            if coarse is not None:
                # a move of the whole axis ends with the piezo near its middle, and on the interferometer
                self.velocity.restore(errand)
                middle = (self.begin(line) + self.end(line)) / 2
                seconds = MARGIN * self.axis.duration(self.axis.position, middle) + 10 * ALLOWANCE_S
                axis = self.axis.coarse_axis
                self._await(errand, axis.set(coarse), seconds, ended)
                self._await(errand, self.axis.set(middle), seconds, ended)
                ahead = self._measured_ahead(errand)
        self._ahead = ahead
        target = self.begin(line) + ahead
        if not self.motor.is_there(target):
            self.velocity.restore(errand)
            seconds = MARGIN * self.motor.duration(self.motor.position, target) + 2 * ALLOWANCE_S
            self._await(errand, self._go(target, None), seconds, ended)

    def start(self, line: FlyLine) -> Any:
        """Move along a line; return the status of the move."""
        return self._go(self.end(line) + (self._ahead or 0.0), MARGIN * self.seconds(line) + ALLOWANCE_S)

    def watch(self, read: Callable[[Errand], float] | None) -> None:
        """Begin a run, in which steps from line to line are seen to by what the box reads; None to end it."""
        self._ahead = None
        if isinstance(self.axis, SampleAxis) and self.axis.channel is not None:
            self.axis.witness = read

    @property
    def keeps_velocity(self) -> bool:
        """Whether it may keep the velocity of a line until the next one: nothing else moves a fine axis meanwhile."""
        return isinstance(self.axis, SampleAxis)

    @property
    def band(self) -> tuple[float, float]:
        """Within which half width readings stay at rest [µm], and for how long they are looked at [s]."""
        if isinstance(self.motor, Piezo):
            return float(self.motor.band.get()), float(self.motor.quiet.get())
        return BAND_UM, QUIET_S

    def _ahead_now(self, errand: Errand, read: Callable[[], float]) -> float:
        """Return by how much the fine axis reads more than the sample's position [µm].

        A glance is enough where it is as it was before the last line; else it is measured at rest.
        """
        if self.axis.channel is not None and self._ahead is not None:
            ahead = float(errand.ask(self.motor.readback_signal)) - (read() - float(self.axis.zero.get()))
            if abs(ahead - self._ahead) <= self.band[0]:
                return self._ahead
        return self._measured_ahead(errand)

    def _measured_ahead(self, errand: Errand) -> float:
        """Return by how much the fine axis reads more than the sample's position [µm], when both rest."""
        channel = self.axis.channel
        if channel is None:
            return float(errand.ask(self.motor.readback_signal)) - float(self.axis.encoders_um)
        band, seconds = self.band
        channel.parent.show_often(errand)
        # only by what it shows from now on: the last move may have been judged by the box, and be news to it
        position = channel.at_rest(errand, band, seconds, since=channel.count) - float(self.axis.zero.get())
        return float(errand.ask(self.motor.readback_signal)) - position

    def _go(self, target: float, seconds: float | None) -> Any:
        if isinstance(self.motor, Piezo):
            return self.motor.step_to(target, seconds)
        return self.motor.move(target, wait=False, timeout=seconds)

    def _await(self, errand: Errand, status: Any, seconds: float, ended: Callable[[StatusBase], None]) -> None:
        status.add_callback(ended)
        errand.until(lambda: bool(status.done), seconds, f"{self.axis.name} to arrive at the run-up of a line")
        if (error := status.exception()) is not None:
            kind = next((kind for kind in (Lost, Stopped) if isinstance(error, kind)), MoveFailed)
            raise kind(f"{self.axis.name} did not reach the run-up of the line: {error}") from error

    # what the box reads

    @property
    def zero(self) -> float:
        """What the box reads where the axis is at 0 [unit of the axis]; NaN before the interferometer has a zero."""
        if isinstance(self.axis, SampleAxis) and self.axis.channel is not None:
            return float(self.axis.zero.get())
        return 0.0

    def channel_position(self, errand: Errand, position: float, read: Callable[[], float]) -> float:
        """Return what the box reads of a position.

        Parameters
        ----------
        errand : Errand
            To ask by.
        position : float
            [unit of the axis]
        read : callable
            What the box reads just now.

        Raises
        ------
        DeviceError
            If encoder and record disagree, where the box is to read the position of the record itself.
        """
        if isinstance(self.axis, SampleAxis):
            return position + self.zero
        here, seen = float(errand.ask(self.motor.readback_signal)), read()
        if abs(seen - here) > SHAKES * self.motor.tolerance:
            raise DeviceError(
                f"{self.motor.name} stands at {here:.8g} {self.motor.egu}, and the capture box reads {seen:.8g}: let "
                "the box take the position of the record as its zero"
            )
        return position

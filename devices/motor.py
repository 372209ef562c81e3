"""An EPICS motor record as ophyd has it, that never stalls and is never taken to be where it is not.

The stock class runs the callbacks of a finished move and only then detaches them; a move that is set in between loses
its own and waits for ever. It takes the end of an aborted move for that of the next one, and somebody else's stop for
an arrival. Here every move is an errand of its own (`positioner`), so none of this can happen.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ophyd import Component, EpicsMotor, EpicsSignal, EpicsSignalRO
from ophyd.status import MoveStatus

from whiteline.analysis.laws.motion import move_duration
from whiteline.devices.asking import NO_ANSWER
from whiteline.devices.errands import Errand
from whiteline.devices.errors import DeviceError, MoveFailed
from whiteline.devices.last_value import last_value
from whiteline.devices.lost_puts import put
from whiteline.devices.positioner import ALLOWANCE_S, MARGIN, Arrival, Positioner

AT_HOME, PROBLEM, HOMED = 0x80, 0x40 | 0x200, 0x4000
"""Bits of MSTA: on the home switch; stalled, or a problem of the controller; was homed."""

EXPLAINS_S = 1.0
"""How long a record may take to say why a move failed [s]."""


@dataclass(frozen=True)
class AxisSettings:
    """What the description of a beamline says of an axis.

    Parameters
    ----------
    pv : str
        Name of the motor record.
    low, high : float
        Limits; the record's own soft limits hold, too [unit of the axis].
    tolerance : float or None
        How near counts as there, larger than the noise of the readback; None for twice the dead band of the record.
    axis_class : type or None
        A class of the site's own, instead of `Motor`.
    velocity : float or None
        Its usual one; None for the one that its record has [unit/s].
    """

    pv: str
    low: float = float("-inf")
    high: float = float("inf")
    tolerance: float | None = None
    axis_class: type | None = None
    velocity: float | None = None


class Motor(Positioner, EpicsMotor):
    """A motor record.

    Parameters
    ----------
    prefix : str
        Name of the record.
    settings : AxisSettings or None
        Limits and tolerance; those of the record alone if None.
    """

    woken_by = ("motor_done_move", "user_readback")

    resolution = Component(EpicsSignalRO, ".MRES", kind="omitted", auto_monitor=True)
    retry_dead_band = Component(EpicsSignalRO, ".RDBD", kind="omitted", auto_monitor=True)
    backlash_distance = Component(EpicsSignalRO, ".BDST", kind="omitted", auto_monitor=True)
    backlash_velocity = Component(EpicsSignalRO, ".BVEL", kind="omitted", auto_monitor=True)
    backlash_acceleration = Component(EpicsSignalRO, ".BACC", kind="omitted", auto_monitor=True)
    home_velocity = Component(EpicsSignalRO, ".HVEL", kind="omitted", auto_monitor=True)
    settle_delay = Component(EpicsSignalRO, ".DLY", kind="omitted", auto_monitor=True)
    stop_pause_go = Component(EpicsSignal, ".SPMG", kind="omitted", auto_monitor=True, string=True)
    direction_of_travel = Component(EpicsSignalRO, ".TDIR", kind="omitted", auto_monitor=True)
    limit_violation = Component(EpicsSignalRO, ".LVIO", kind="omitted", auto_monitor=True)
    missed_target = Component(EpicsSignalRO, ".MISS", kind="omitted", auto_monitor=True)
    status_bits = Component(EpicsSignalRO, ".MSTA", kind="omitted", auto_monitor=True)
    # asked for by fly scans only
    highest_velocity = Component(EpicsSignalRO, ".VMAX", kind="omitted", lazy=True)

    def __init__(self, prefix: str = "", *, name: str, settings: AxisSettings | None = None, **kwargs: Any) -> None:
        self.settings = settings or AxisSettings(prefix)
        self._unit = ""
        super().__init__(prefix, name=name, **kwargs)

    # what a positioner asks for

    @property
    def readback_signal(self) -> Any:
        """Where it is."""
        return self.user_readback

    @property
    def needed_signals(self) -> Sequence[Any]:
        """Without these it cannot be moved."""
        return self.user_readback, self.user_setpoint, self.motor_done_move

    @property
    def tolerance(self) -> float:
        """How near to its target counts as there, in the unit of the axis."""
        if self.settings.tolerance is not None:
            return self.settings.tolerance
        return 2 * max(abs(float(last_value(self.retry_dead_band))), abs(float(last_value(self.resolution))))

    @property
    def travel(self) -> tuple[float, float]:
        """The lowest and the highest position that both the description and the record allow."""
        low, high = float(last_value(self.low_limit_travel)), float(last_value(self.high_limit_travel))
        if low == high:  # the record's way to say that it has none
            return self.settings.low, self.settings.high
        return max(low, self.settings.low), min(high, self.settings.high)

    def duration(self, start: float, end: float) -> float:
        """Return how long a move takes [s], the leg that takes up the backlash included."""
        velocity, acceleration = float(last_value(self.velocity)), float(last_value(self.acceleration))
        settle = float(last_value(self.settle_delay))
        turns = self._way_points(end)
        if len(turns) == 1:
            return move_duration(end - start, velocity, acceleration, settle)
        slow = float(self.backlash_velocity.get()), float(self.backlash_acceleration.get())
        return move_duration(turns[0] - start, velocity, acceleration) + move_duration(end - turns[0], *slow, settle)

    @property
    def slow_down_s(self) -> float:
        """How long a stop takes [s]; nothing where its IOC is gone, and with it what could be waited for."""
        if not (self.acceleration.connected and self.settle_delay.connected):
            return 0.0
        try:
            return float(self.acceleration.get()) + float(self.settle_delay.get())
        except NO_ANSWER:  # it was lost just now
            return 0.0

    def _way_points(self, target: float) -> tuple[float, ...]:
        # the record goes beyond the target, and back, unless it comes from the side that BDST names
        backlash = float(last_value(self.backlash_distance))
        if not backlash or abs(backlash) <= abs(float(last_value(self.resolution))):
            return (target,)
        backlash *= -1 if last_value(self.user_offset_dir) else 1
        return target - backlash, target

    def _rests(self, errand: Errand) -> bool:
        if self.set_use_switch.get():
            raise DeviceError(
                f"{self.name} is not moved: {self.prefix}.SET is Set, and a move would only rename its position; set "
                "it to Use"
            )
        if (switch := self.stop_pause_go.get()) != "Go":
            raise DeviceError(f"{self.name} is held by {self.prefix}.SPMG = {switch}; set it to Go")
        return bool(errand.ask(self.motor_done_move) == 1)

    def _command(self, errand: Errand, target: float) -> Callable[[], bool]:
        return errand.put(self.user_setpoint, target)

    def _halt(self) -> None:
        if self.motor_stop.connected:
            put(self.motor_stop, 1)

    def _explain(self, errand: Errand) -> str:
        marks = (
            (self.limit_violation, "the record refused a position outside its soft limits (LVIO)"),
            (self.low_limit_switch, "the low limit switch is active"),
            (self.high_limit_switch, "the high limit switch is active"),
            (self.missed_target, "the record gave up after its retries (MISS)"),
        )

        def told(signal: Any) -> Any:
            # the move has failed already: an IOC that hangs is not to hold up its end
            return errand.ask(signal, EXPLAINS_S, questions=1)

        found = [text for signal, text in marks if told(signal)]
        if (switch := told(self.stop_pause_go)) != "Go":
            found.append(f"it is held by {self.stop_pause_go.pvname} = {switch}")
        if int(told(self.status_bits)) & PROBLEM:
            found.append("its controller reports a problem, as a stall (MSTA)")
        return ", ".join(found)

    # what the stock class does, told by monitors

    @property
    def egu(self) -> str:
        """The unit, as the last monitor had it: sentences about a lost IOC need it, too."""
        if self.motor_egu.connected:
            with suppress(*NO_ANSWER):  # it may be lost just now
                self._unit = self.motor_egu.get()
        return self._unit

    def _move_changed(self, value: Any = None, timestamp: Any = None, **_: Any) -> None:
        if value is not None:
            self._done_changed(value == 1, timestamp)

    def _pos_changed(self, value: Any = None, timestamp: Any = None, **_: Any) -> None:
        if value is not None:
            self._set_position(value, timestamp=timestamp)

    def home(self, direction: str, wait: bool = True, *, timeout: float | None = None) -> MoveStatus:
        """Search the home position.

        Parameters
        ----------
        direction : {"forward", "reverse"}
            Where to search.
        wait : bool
            Whether to return only when it was found.
        timeout : float or None
            How long it may take [s]; computed from the limits and HVEL if None.

        Returns
        -------
        MoveStatus
            Fails if the record does not say afterwards that the axis is at home, or was homed by this search.

        Raises
        ------
        ValueError
            If the direction is neither, or there are neither limits nor a timeout.
        Lost
            If its IOC is lost.
        """
        buttons = {"forward": self.home_forward, "reverse": self.home_reverse}
        if direction not in buttons:
            raise ValueError(f"direction {direction!r} of {self.name} must be forward or reverse")
        start, (low, high), button = self.position, self.travel, buttons[direction]
        if timeout is None and not math.isfinite(high - low):
            raise ValueError(f"{self.name} has no limits to compute the time of its search from; give a timeout")
        # it may turn at the far end and come all the way back
        speed, ramp = float(self.home_velocity.get()), float(self.acceleration.get())
        seconds = MARGIN * 2 * move_duration(high - low, speed, ramp) + ALLOWANCE_S if timeout is None else timeout

        def search(errand: Errand) -> None:
            self._commanded = False
            self._wait_for_rest(errand)
            before = int(errand.ask(self.status_bits))
            self._commanded = True
            errand.until(errand.put(button, 1), seconds, f"{button.pvname} to find the home position")
            self._wait_for_rest(errand)
            after = int(errand.ask(self.status_bits))
            if not (after & AT_HOME or after & ~before & HOMED):
                why = self._explain(errand) or "was it stopped by somebody else?"
                raise MoveFailed(f"{self.name} ({button.pvname}) did not find its home position: {why}")

        if not self._idle.is_set():
            self.end_errand("was sent home before it arrived")
        status = Arrival(self, start, call_stop_on_failure=False)
        self.run_errand(search, needs=(*self.needed_signals, button), status=status, on_failure=self._halt_own)
        if wait:
            try:
                status.wait()
            except KeyboardInterrupt:
                self.stop()
                raise
        return status

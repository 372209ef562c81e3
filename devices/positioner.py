"""A positioner that arrives or says why not: what motor records and undulator gaps have in common.

"There" means that the axis says it is done *and* its readback is within a tolerance of the target. The tolerance is
larger than the noise of the readback, so that an axis that was stopped by somebody else is not taken for one that has
arrived. Each move ends within a time computed from distance, velocity and acceleration.
"""

import math
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from ophyd.positioner import PositionerBase
from ophyd.status import MoveStatus
from ophyd.utils import LimitError

from whiteline.analysis.checks import OutOfRange, require_finite
from whiteline.devices.errands import Errand, Watchful
from whiteline.devices.errors import DeviceError, Lost, MoveFailed, Overdue
from whiteline.devices.last_value import last_value

PULSE_S = 0.5
"""How long after the completion of a put the done signal may take to change [s]; some IOCs skip it for null moves."""

MARGIN = 1.5
"""A move may take this much longer than computed, and two seconds more."""

ALLOWANCE_S = 2.0
"""What every move may take longer than computed [s]: for the network, and a busy IOC."""


class Arrival(MoveStatus):
    """A status of a move that can end while the axis is lost."""

    def _settled(self) -> None:
        # where it ended stays unknown then
        with suppress(Lost):
            super()._settled()


class OutOfLimits(OutOfRange, LimitError):
    """A position outside the limits of an axis; ophyd's own error, with name, value, limit, unit and remedy."""


def number(value: Any, name: str, unit: str) -> float:
    """Return a value as a float.

    Raises
    ------
    ValueError
        If it is no number, such as a text or a list.
    """
    if isinstance(value, str | bytes | bool | list | tuple) or np.ndim(value) > 0:
        raise ValueError(f"{name} = {value!r} must be one number, in {unit}")
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} = {value!r} must be one number, in {unit}") from error


class Positioner(Watchful, PositionerBase):
    """An axis with a readback, and a signal that says whether it is done.

    A subclass names the signals, and says how a move is commanded, stopped and explained. Its monitors of the readback
    call `_set_position`, those of the done signal `_done_changed`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._pulses = 0
        self._moving = False
        self._at_rest = False
        self._commanded = False
        self._started_s = self._ended_s = math.nan
        super().__init__(*args, **kwargs)

    # what a subclass provides

    @property
    @abstractmethod
    def readback_signal(self) -> Any:
        """Where the axis is."""

    @property
    @abstractmethod
    def needed_signals(self) -> Sequence[Any]:
        """Signals without which it cannot be moved."""

    @property
    @abstractmethod
    def tolerance(self) -> float:
        """How near to its target counts as there, in the unit of the axis."""

    @property
    @abstractmethod
    def travel(self) -> tuple[float, float]:
        """The lowest and the highest position that are allowed."""

    @abstractmethod
    def duration(self, start: float, end: float) -> float:
        """Return how long a move takes [s]."""

    @abstractmethod
    def _rests(self, errand: Errand) -> bool:
        """Ask the IOC whether the axis stands still."""

    @abstractmethod
    def _command(self, errand: Errand, target: float) -> Callable[[], bool]:
        """Start a move; what is returned tells whether the record has completed it."""

    @abstractmethod
    def _halt(self) -> None:
        """Tell the axis to stop, and do not wait."""

    def _explain(self, errand: Errand) -> str:
        """Return what the IOC says about a move that ended elsewhere, or nothing."""
        return ""

    # monitors

    def _done_changed(self, at_rest: bool, timestamp: float | None) -> None:
        changed = self._moving == at_rest
        if changed and timestamp is not None:
            self._started_s, self._ended_s = (self._started_s, timestamp) if at_rest else (timestamp, math.nan)
        self._moving = not at_rest
        self._at_rest = at_rest
        if at_rest:
            self._pulses += 1
        self.wake()
        if changed:  # those who listen are told of any move; our own end by their errands
            self._run_subs(sub_type=self.SUB_DONE if at_rest else self.SUB_START, timestamp=time.time())

    # what plans and scientists use

    @property
    def position(self) -> float:
        """Where the axis is, as the last monitor had it.

        Raises
        ------
        Lost
            If its IOC is lost.
        """
        if not self.readback_signal.connected:
            raise Lost(f"{self.name} has lost {self.readback_signal.pvname}: its IOC has gone; start it again")
        return float(last_value(self.readback_signal))

    @property
    def moving(self) -> bool:
        """Whether it moves, as the last monitor had it."""
        return bool(self._moving)

    @property
    def last_move_s(self) -> tuple[float, float]:
        """When its last move began and ended, by the clock of its IOC [s]; NaN where it has not."""
        return self._started_s, self._ended_s

    @property
    def limits(self) -> tuple[float, float]:
        """The lowest and the highest position that are allowed."""
        return self.travel

    def check_value(self, value: float) -> None:
        """Refuse a position that is no number, or outside the limits.

        Raises
        ------
        OutOfRange
            If it is no finite number.
        OutOfLimits
            If it is outside; a move of the backlash before it counts, too.
        Lost
            If its IOC is lost: then nobody knows the limits.
        """
        for signal in self.needed_signals:
            if not signal.connected:
                raise Lost(f"{self.name} has lost {signal.pvname}: its IOC has gone; start it again")
        # the unit is asked for only where a sentence needs it
        value = value if isinstance(value, float) else number(value, self.name, self.egu)
        if not math.isfinite(value):
            require_finite(value, self.name, self.egu)
        low, high = self.travel
        for position in self._way_points(value):
            if not low <= position <= high:
                limit = f"must lie between {low:.10g} and {high:.10g} {self.egu}"
                where = "" if position == value else f" (its backlash is approached from {position:.10g} {self.egu})"
                raise OutOfLimits(self.name, value, limit + where, self.egu, "move within them, or widen the limits")

    def _way_points(self, target: float) -> tuple[float, ...]:
        """Return the positions at which a move turns or ends."""
        return (target,)

    def way(self, target: float, start: float | None = None) -> tuple[float, ...]:
        """Return where a move starts, turns and ends; it starts where the axis is, if nothing else is given."""
        return (self.position if start is None else start, *self._way_points(target))

    def is_there(self, target: float) -> bool:
        """Tell whether the readback is at a position, within the tolerance."""
        return bool(abs(self.position - target) <= self.tolerance)

    def move(
        self,
        position: float,
        wait: bool = True,
        moved_cb: Callable[..., None] | None = None,
        timeout: float | None = None,
    ) -> MoveStatus:
        """Go to a position.

        Parameters
        ----------
        position : float
            In the unit of the axis.
        wait : bool
            Whether to return only when it is there.
        moved_cb : callable or None
            Called with the status and `obj` when the move has ended.
        timeout : float or None
            How long the move may take [s]; computed from distance, velocity and acceleration if None.

        Returns
        -------
        MoveStatus
            Fails with `MoveFailed`, `Lost`, `Overdue` or `Stopped`, naming the process variable, target and readback.

        Raises
        ------
        OutOfRange
            If the position is no number or outside the limits; nothing moves then.
        """
        self.check_value(position)
        if self._errand is not None and not self._idle.is_set():
            self.end_errand(f"was sent to {position:.10g} {self.egu} before it arrived")
        status = Arrival(self, float(position), call_stop_on_failure=False)
        if moved_cb is not None:
            status.add_callback(lambda ended: moved_cb(ended, obj=self))
        self.run_errand(
            lambda errand: self._go(errand, float(position), timeout),
            needs=self.needed_signals,
            status=status,
            on_failure=self._halt_own,
        )
        if wait:
            try:
                status.wait()
            except KeyboardInterrupt:
                self.stop()
                raise
        return status

    def stop(self, *, success: bool = False) -> None:
        """Stop, and let the move under way fail.

        Parameters
        ----------
        success : bool
            Whether its status finishes nevertheless: so the RunEngine pauses, and sets the axis again when it resumes.
        """
        self.end_errand(f"was stopped on its way at {self.last_seen}", success=success)
        self._halt()

    def _halt_own(self) -> None:
        """Stop what was commanded here: a move of somebody else goes on."""
        if self._commanded:
            self._halt()

    def _go(self, errand: Errand, target: float, timeout: float | None) -> None:
        start = self.last_seen
        self._commanded = False
        try:
            self._wait_for_rest(errand)
            self._travel(errand, target, timeout)
        except Exception as raised:
            error = raised if isinstance(raised, DeviceError | ValueError) else errand.told(raised)
            if not isinstance(error, Lost | Overdue):
                raise error from error.__cause__
            why = self._why_late(errand) if isinstance(error, Overdue) else ""
            way = f"on its way from {start} to {target:.10g} {self.egu} it was last seen at {self.last_seen}"
            raise type(error)(f"{error}; {way}" + (f"; {why}" if why else "")) from error

    def _why_late(self, errand: Errand) -> str:
        """Return what the IOC says about a move that does not end, or that it says nothing."""
        try:
            return self._explain(errand)
        except DeviceError as error:
            return str(error)

    def _wait_for_rest(self, errand: Errand) -> None:
        """Wait until an earlier move, that was stopped, has slowed down: its end is not that of the next one."""
        deadline = time.monotonic() + ALLOWANCE_S + self.slow_down_s
        while True:
            before = self._pulses
            if self._rests(errand):
                return
            left = max(0.0, deadline - time.monotonic())
            errand.until(
                lambda before=before: self._pulses > before,  # type: ignore[misc]
                left,
                f"an earlier move of {self.readback_signal.pvname} to end; is it moved by somebody else?",
            )

    def _travel(self, errand: Errand, target: float, timeout: float | None) -> None:
        start, pv = self.position, self.readback_signal.pvname
        seconds = MARGIN * self.duration(start, target) + ALLOWANCE_S if timeout is None else timeout
        before = self._pulses
        self._commanded = True
        completed = self._command(errand, target)
        errand.until(completed, seconds, f"the move of {pv} to complete")
        # some IOCs say nothing about a move of no length: what follows asks
        with suppress(Overdue):
            errand.until(lambda: self._pulses > before and self._at_rest, PULSE_S, f"the done signal of {pv}")
        # a monitor of the readback may be held back by a dead band, or be on its way: ask before it is called a failure
        if not self.is_there(target):
            self._require_there(errand, start, target)

    def _require_there(self, errand: Errand, start: float, target: float) -> None:
        """Ask for the readback, and raise if the axis is elsewhere."""
        self._wait_for_rest(errand)
        position = float(errand.ask(self.readback_signal))
        if abs(position - target) > self.tolerance:
            why = self._explain(errand)
            raise MoveFailed(
                f"{self.name} ({self.readback_signal.pvname}) was to go from {start:.10g} to {target:.10g} {self.egu}, "
                f"but stands at {position:.10g} {self.egu}, further off than {self.tolerance:.3g} {self.egu}"
                + (f": {why}" if why else "; was it stopped by somebody else?")
            )

    @property
    def slow_down_s(self) -> float:
        """How long a stop takes [s]."""
        return 0.0

    @property
    def last_seen(self) -> str:
        """Where the axis was seen last, by a monitor."""
        return "an unknown place" if self._position is None else f"{self._position:.10g} {self.egu}"

"""The part of a motor record that moves: from DMOV = 0 to DMOV = 1, with its readbacks, its alarms and its faults."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from caproto import AlarmSeverity, AlarmStatus, ChannelDouble
from caproto.server import PVGroup, pvproperty

from whiteline.sim.ioc.clock import Clock
from whiteline.sim.ioc.motor_record.coordinates import Coordinates
from whiteline.sim.ioc.motor_record.drive import Drive, Leg
from whiteline.sim.ioc.motor_record.fields import Fields, Number, show
from whiteline.sim.ioc.motor_record.settings import AxisSettings, Status, first_values

AT_ONCE_S = 1e-3
"""A wall time that is not worth waiting for [s]."""

SHORTEST_TICK_S = 0.01
"""Wall time between two readbacks, at least [s]."""

READBACKS = 5
"""How many readbacks a move has at least, if it is long enough for them."""

SWITCHES_BEYOND = 0.01
"""How far beyond the soft limits the limit switches are, as a part of the travel."""

READINGS_PER_MOVE = 2**20
"""Readings are numbered anew from a multiple of this after each move: at rest the number does not depend on load."""

LARGEST_RAW = 2**31 - 1


class MovingRecord(PVGroup):
    """A motor record that can be told where to go.

    Parameters
    ----------
    settings : AxisSettings
        The axis.
    clock : Clock
        Its moves are as much faster as this says, and it is told of each completed one.
    encoder : callable or None
        Error of the reading with a number [unit]; None for an encoder without errors.
    tick_s : float
        Wall time between two readbacks in motion, at most [s].
    """

    record = pvproperty(name="", value=0.0, dtype=Number, record=Fields)

    def __init__(
        self,
        settings: AxisSettings,
        clock: Clock,
        *,
        encoder: Callable[[int], float] | None = None,
        tick_s: float = 0.1,
    ) -> None:
        super().__init__(prefix=settings.pv, name=settings.name)
        self.settings = settings
        self.completed = 0
        self.on_completed: list[Callable[[Any, float, float, float], None]] = []
        self.slipped = 0.0
        self._clock, self._encoder, self._tick_s = clock, encoder, tick_s
        beyond = SWITCHES_BEYOND * (settings.high - settings.low)
        switches = settings.low - beyond, settings.high + beyond
        self._drive = Drive(settings.start, switches, lambda: time.monotonic() * clock.speed)
        self._begin = settings.start
        self._zero = 0.0
        self._legs: deque[Leg] = deque()
        self._readings = 0
        self._synchronise = self._homed = self._stall_seen = self._stalled = self._lost_done = False
        self._changed, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None
        self.fields: dict[str, Any] = self.record.fields
        self._fill()
        self.pvdb.update({f"{settings.pv}.{name}": field for name, field in self.fields.items()})
        self.pvdb[f"{settings.pv}.VAL"] = self.record

    @property
    def dial(self) -> float:
        """Where the axis truly stands now [unit], in dial positions as they were at the start."""
        return self._drive.position

    @property
    def drive(self) -> Drive:
        """What moves it, which also knows where it was."""
        return self._drive

    @property
    def position(self) -> float:
        """What the user calls the place where the axis truly stands now [unit]."""
        at = self.coordinates
        return at.user(at.shown(self.dial))

    @property
    def moving(self) -> bool:
        """Whether the axis is in motion."""
        return self._drive.moving

    @property
    def lost_done(self) -> bool:
        """Whether moves end without DMOV = 1 and without the completion of their puts, until this is cleared."""
        return self._lost_done

    @lost_done.setter
    def lost_done(self, lost: bool) -> None:
        if lost != self._lost_done:
            self._lost_done = lost
            self._changed.set()

    @property
    def stalled(self) -> bool:
        """Whether the axis stays where it is, although it should move; cleared, it goes on."""
        return self._stalled

    @stalled.setter
    def stalled(self, stalled: bool) -> None:
        if stalled != self._stalled:
            self._stalled = stalled
            self._changed.set()

    @property
    def coordinates(self) -> Coordinates:
        """How true, dial and user positions belong together just now."""
        sign = 1 if self.get("DIR") == "Pos" else -1
        return Coordinates(self._zero, sign, self.get("OFF"), self.get("DLLM"), self.get("DHLM"))

    @property
    def home(self) -> float:
        """Where the axis truly is when it is at home [unit]: its zero, or the limit next to it."""
        at = self.coordinates
        low, high = (at.true(at.low), at.true(at.high)) if at.limited else (self._drive.low, self._drive.high)
        return min(max(0.0, low), high)

    def get(self, field: str) -> Any:
        """Return the value of a field."""
        return self.fields[field].value

    async def show(self, field: str, value: Any, *, always: bool = False) -> None:
        """Publish a field if its value is another one, or anyway."""
        await show(self.fields[field], value, always=always)

    def start(self, legs: Iterable[Leg]) -> None:
        """Begin a move, or change one in flight."""
        self._legs = deque(legs)
        self._synchronise = False
        if self._idle.is_set():
            self._idle = asyncio.Event()
            self._task = asyncio.get_running_loop().create_task(self._run(self._idle))
        else:
            self._changed.set()

    def stop(self) -> None:
        """Decelerate, and let the targets follow the readbacks."""
        if not self._idle.is_set():
            self._legs.clear()
            self._synchronise = True
            self._changed.set()

    def reconsider(self) -> None:
        """Look again whether motion is allowed."""
        self._changed.set()

    async def release(self) -> None:
        """Release all buttons."""
        for button in ("JOGF", "JOGR", "HOMF", "HOMR"):
            await self.show(button, 0)

    async def done(self) -> None:
        """Wait until DMOV is 1."""
        await self._idle.wait()

    @property
    def idle(self) -> bool:
        """Whether DMOV is 1."""
        return self._idle.is_set()

    async def show_targets(self, dial: float, user: float | None = None, *, always: bool = False) -> None:
        """Publish VAL, DVAL and RVAL of a dial position [unit]."""
        await show(self.record, self.coordinates.user(dial) if user is None else user, always=always)
        await self.show("DVAL", dial)
        await self.show("RVAL", self._raw(dial))

    async def show_state(self, *, always: bool = False) -> None:
        """Publish the readback, last of all, and before it what must be known when it is read."""
        drive, at = self._drive, self.coordinates
        waits = self._stalled and bool(self._legs)
        self._stall_seen = self._stalled and (waits or self._stall_seen)
        high, low = (drive.at_high, drive.at_low)[:: at.sign]
        at_home = self._homed and drive.position == self.home
        moving = drive.moving or waits
        bits = {
            Status.ENCODER: True,
            Status.UP: drive.direction > 0,
            Status.MOVING: moving,
            Status.DONE: not moving,
            Status.AT_HIGH: drive.at_high,
            Status.AT_LOW: drive.at_low,
            Status.AT_HOME: at_home,
            Status.HOMED: self._homed,
            Status.STALLED: self._stall_seen,
        }
        user = at.user(at.shown(drive.position)) + self._error()
        dial = at.dial(user)
        for field, value in {
            "TDIR": int(drive.direction > 0),
            "HLS": int(high),
            "LLS": int(low),
            "RHLS": int(drive.at_high),
            "RLLS": int(drive.at_low),
            "ATHM": int(at_home),
            "MSTA": sum(bit for bit, is_set in bits.items() if is_set),
            "RRBV": self._raw(dial),
            "DRBV": dial,
        }.items():
            await self.show(field, value)
        await self._show_alarm()
        await self.show("RBV", user, always=always)
        await self.show("MOVN", int(moving))

    async def _run(self, idle: asyncio.Event) -> None:
        """Move from DMOV = 0 to DMOV = 1, however the target changes on the way."""
        await self.show("DMOV", 0)
        moved = False
        while True:
            self._changed.clear()
            await self._travel()
            if self._changed.is_set():
                continue
            moved = self._count() or moved
            await self.show_state(always=True)
            if not self._lost_done:
                break
            await self._changed.wait()
        if self._synchronise or self.get("HLS") or self.get("LLS"):
            await self.show_targets(self.get("DRBV"), self.get("RBV"))
        await self.release()
        if moved and self.get("SPMG") == "Move":
            await self.show("SPMG", "Pause")
        # from here on a put begins a new move: nothing else is awaited before it could
        idle.set()
        await self.show("DMOV", 1)

    async def _travel(self) -> None:
        """Follow the legs to the end of the last, and settle there, or return when something else is wanted."""
        while self._legs or self._drive.moving:
            self._changed.clear()
            held = self.get("SPMG") in ("Stop", "Pause")
            if self._stalled:
                self._drive.freeze()
            elif held or not self._legs:
                self._drive.halt()
            else:
                self._drive.go(self._legs[0])
            await self.show_state()
            tick_s = min(self._tick_s, max(self._left_s / READBACKS, SHORTEST_TICK_S))
            while self._left_s > AT_ONCE_S and not await self._wait(min(tick_s, self._left_s)):
                await self.show_state()
            if self._changed.is_set():
                continue
            self._drive.arrive()
            if self._legs and (held or self._stalled):
                await self.show_state(always=True)
                await self._changed.wait()
            elif self._legs:
                await self._reached(self._legs.popleft())
        if self._drive.position != self._begin and self.settings.settle_s / self._clock.speed > AT_ONCE_S:
            await self._wait(self.settings.settle_s / self._clock.speed)

    async def _reached(self, leg: Leg) -> None:
        """Note what the end of a leg means."""
        self._homed = self._homed or leg.homes
        self._synchronise = leg.homes or leg.at_soft_limit
        if leg.at_soft_limit:
            await self.show("LVIO", 1)

    async def _wait(self, seconds: float) -> bool:
        """Wait for a wall time [s], or until something else is wanted; say whether it is."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    @property
    def _left_s(self) -> float:
        """Wall time to the end of the motion [s]."""
        return self._drive.left_s / self._clock.speed

    def _count(self) -> bool:
        """Count a completed move, tell of it, and say whether there was one."""
        begin, end, taken = self._begin, self._drive.position, self._drive.take()
        if begin == end and taken == 0:
            return False
        self._begin = end
        self.completed += 1
        self._readings = 0
        duration = taken + self.settings.settle_s
        self._clock.moved(self.settings.name, duration)
        for tell in self.on_completed:
            tell(self, begin, end, duration)
        return True

    def _error(self) -> float:
        if self._encoder is None:
            return 0.0
        number = self.completed * READINGS_PER_MOVE + self._readings
        self._readings += 1
        return self._encoder(number)

    def _raw(self, dial: float) -> int:
        raw: int = round(min(max(dial / self.get("MRES"), -LARGEST_RAW), LARGEST_RAW))
        return raw

    async def _show_alarm(self) -> None:
        """Publish the alarm of the record, which all of its fields share, if it has changed."""
        hardware = AlarmSeverity(self.fields["HLSV"].raw_value)
        if self._stall_seen:
            status, severity = AlarmStatus.STATE, AlarmSeverity.MAJOR_ALARM
        elif self.get("HLS"):
            status, severity = AlarmStatus.HIGH, hardware
        elif self.get("LLS"):
            status, severity = AlarmStatus.LOW, hardware
        elif self.get("LVIO"):
            status, severity = AlarmStatus.SOFT, AlarmSeverity.MINOR_ALARM
        else:
            status, severity = AlarmStatus.NO_ALARM, AlarmSeverity.NO_ALARM
        alarm = self.record.alarm
        if (status, severity) != (alarm.status, alarm.severity):
            await alarm.write(status=status, severity=severity, publish=False)
            await self.record.field_inst.publish(0)
            await show(self.record, self.record.value, always=True)

    def _fill(self) -> None:
        """Give all fields their first values, and their limits, units and digits."""
        settings = self.settings
        reading = settings.start + self._error()
        first = first_values(settings) | {"RBV": reading, "DRBV": reading}
        for name, value in first.items():
            self.fields[name]._data["value"] = value
        for name, dial in (("RVAL", settings.start), ("RRBV", reading)):
            self.fields[name]._data["value"] = self._raw(dial)
        self.record._data["value"] = settings.start
        self.record.__doc__ = settings.name
        self.record.reported_record_type = "motor"
        for channel in (self.record, *self.fields.values()):
            channel.alarm = self.record.alarm
            if isinstance(channel, ChannelDouble):
                channel._data.update(precision=settings.precision, units=settings.unit)
        limits = dict.fromkeys(("lower_ctrl_limit", "lower_disp_limit"), settings.low)
        limits |= dict.fromkeys(("upper_ctrl_limit", "upper_disp_limit"), settings.high)
        for channel in (self.record, self.fields["RBV"]):
            channel._data.update(limits)

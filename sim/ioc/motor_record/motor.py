"""A motor record that behaves as that of EPICS does: what each put to one of its fields means."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

from caproto import ChannelDouble, SkipWrite

from whiteline.sim.ioc.clock import Clock
from whiteline.sim.ioc.motor_record.drive import Leg
from whiteline.sim.ioc.motor_record.fields import show
from whiteline.sim.ioc.motor_record.moving import MovingRecord
from whiteline.sim.ioc.motor_record.settings import AxisSettings

__all__ = ["AxisSettings", "Motor"]


SLOWEST, FASTEST = 1e-9, 1e12
"""Limits of velocities [unit/s] and of times to reach them [s]."""


class Motor(MovingRecord):
    """A motor record: a put to a field that moves the axis completes with the motion.

    See Also
    --------
    whiteline.sim.ioc.motor_record.moving.MovingRecord : its parameters, and what the rest of the twin asks it.
    """

    def __init__(
        self,
        settings: AxisSettings,
        clock: Clock,
        *,
        encoder: Callable[[int], float] | None = None,
        tick_s: float = 0.1,
    ) -> None:
        super().__init__(settings, clock, encoder=encoder, tick_s=tick_s)
        self.record.putter = self._put_user
        for field, putter in {
            "DVAL": self._put_dial,
            "RVAL": self._put_raw,
            "RLV": self._put_relative,
            "TWF": partial(self._tweak, 1),
            "TWR": partial(self._tweak, -1),
            "JOGF": partial(self._jog, 1),
            "JOGR": partial(self._jog, -1),
            "HOMF": self._home,
            "HOMR": self._home,
            "STOP": self._stop,
            "SYNC": self._sync,
            "SPMG": self._switch,
            "OFF": self._redefine,
            "DIR": self._redefine,
            "HLM": partial(self._put_user_limit, 1),
            "LLM": partial(self._put_user_limit, 0),
            "DHLM": self._put_dial_limit,
            "DLLM": self._put_dial_limit,
            "VELO": self._put_velocity,
            "BVEL": self._put_velocity,
            "JVEL": self._put_velocity,
            "HVEL": self._put_velocity,
            "EGU": partial(self._put_metadata, "units"),
            "PREC": partial(self._put_metadata, "precision"),
            "MRES": self._put_resolution,
            **dict.fromkeys(("ACCL", "BACC", "JAR", "VBAS", "VMAX", "RDBD"), _not_negative),
        }.items():
            self.fields[field].putter = putter

    # where to go

    async def _put_user(self, instance: Any, value: float) -> NoReturn:
        await self._to_user(value)
        raise SkipWrite

    async def _put_dial(self, instance: Any, value: float) -> NoReturn:
        await self._to_dial(value)
        raise SkipWrite

    async def _put_raw(self, instance: Any, value: int) -> NoReturn:
        await self._to_dial(value * self.get("MRES"))
        raise SkipWrite

    async def _put_relative(self, instance: Any, value: float) -> NoReturn:
        await show(instance, 0.0, always=True)
        await self._to_user(self.record.value + value)
        raise SkipWrite

    async def _tweak(self, sign: int, instance: Any, value: int) -> NoReturn:
        await show(instance, 0, always=True)
        if value:
            await self._to_user(self.record.value + sign * self.get("TWV"))
        raise SkipWrite

    async def _to_user(self, user: float) -> None:
        """Go to a user position, or call the present one so."""
        at = self.coordinates
        if self.get("SET") == "Use":
            await self._go(at.dial(user), user)
        elif self.get("FOFF") == "Variable":
            await self.show("OFF", user - at.sign * self.get("DVAL"))
            await self._show_redefined()
            await self._blink()
        else:
            await self._load(at.dial(user))

    async def _to_dial(self, dial: float) -> None:
        """Go to a dial position, or call the present one so."""
        if self.get("SET") == "Use":
            await self._go(dial)
        else:
            if self.get("FOFF") == "Variable":
                await self.show("OFF", self.record.value - self.coordinates.sign * dial)
            await self._load(dial)

    async def _load(self, dial: float) -> None:
        """Let the dial show another position for the present place."""
        self._zero += dial - self.get("DVAL")
        await self.show("DVAL", dial)
        await self._show_redefined()
        await self._blink()

    async def _go(self, dial: float, user: float | None = None) -> None:
        """Go to a dial position, if that is allowed, and wait until it is reached."""
        legs = self._legs_to(dial)
        if self._violates(dial, legs):
            await self.show("LVIO", 1)
            await self.show_targets(self.get("DVAL"), self.record.value, always=True)
            if self.idle:
                self.start(())
        else:
            await self.show("LVIO", 0)
            await self.release()
            await self.show_targets(dial, user, always=True)
            self.start(legs)
        await self.done()

    def _violates(self, dial: float, legs: Sequence[Leg]) -> bool:
        at, before = self.coordinates, self.get("DVAL")
        if (dial > at.high and dial < before) or (dial < at.low and dial > before):
            return False  # on its way back
        turns = dial - self.get("BDST") if len(legs) > 1 else dial
        return not (at.allows(dial) and at.allows(turns))

    def _legs_to(self, dial: float) -> list[Leg]:
        """Return the way to a dial position: one leg, or another that approaches it from the preferred side."""
        at, backlash, before = self.coordinates, self.get("BDST"), self.get("DVAL")
        target = at.true(dial) + at.sign * self.slipped
        if not self.moving and abs(self._drive.within(target) - self.dial) <= self.get("RDBD"):
            return []
        slow = self.get("BVEL"), self.get("BACC")
        fast = self.get("VELO"), self.get("ACCL")
        preferred = (dial > before) == (backlash > 0)
        if abs(backlash) < abs(self.get("MRES")) or (preferred and slow == fast):
            return [Leg(target, *fast)]
        if preferred and abs(dial - before) <= abs(backlash):
            return [Leg(target, *slow)]
        return [Leg(target - backlash, *fast), Leg(target, *slow)]

    # buttons

    async def _jog(self, sign: int, instance: Any, value: int) -> NoReturn:
        if not value:
            if instance.value:
                self.stop()
            raise SkipWrite
        at, velocity = self.coordinates, self.get("JVEL")
        direction = at.sign * sign
        end, limit = (self._drive.high, at.high) if direction > 0 else (self._drive.low, at.low)
        if at.limited:
            end = at.true(limit) - direction * velocity  # as far from the limit as it goes in a second
        per_s2 = self.get("JAR")
        leg = Leg(end, velocity, velocity / per_s2 if per_s2 > 0 else 0.0, at_soft_limit=at.limited)
        there = direction * (end - self.dial) <= 0
        await self.show("LVIO", int(at.limited and there))
        await self.release()
        await show(instance, int(not there), always=True)
        self.start(() if there else (leg,))
        await self.done()
        raise SkipWrite

    async def _home(self, instance: Any, value: int) -> NoReturn:
        if value:
            await self.show("LVIO", 0)
            await self.release()
            await show(instance, 1, always=True)
            self.start((Leg(self.home, self.get("HVEL"), self.get("ACCL"), homes=True),))
            await self.done()
        raise SkipWrite

    async def _stop(self, instance: Any, value: int) -> NoReturn:
        if value:
            self.stop()
        await show(instance, 0, always=True)
        raise SkipWrite

    async def _sync(self, instance: Any, value: int) -> NoReturn:
        if value and self.idle:
            await self.show_targets(self.get("DRBV"), self.get("RBV"))
        await show(instance, 0, always=True)
        raise SkipWrite

    async def _switch(self, instance: Any, value: str) -> NoReturn:
        """Hold the axis, for good or until it may go on, or let it go."""
        await show(instance, value, always=True)
        if value == "Stop":
            self.stop()
        self.reconsider()
        raise SkipWrite

    # names of places, and limits

    async def _redefine(self, instance: Any, value: float | str) -> NoReturn:
        await show(instance, value, always=True)
        await self._show_redefined()
        raise SkipWrite

    async def _show_redefined(self) -> None:
        """Publish all that follows from the offset, the direction and the dial."""
        await self._show_limits()
        await self.show_targets(self.get("DVAL"), always=True)
        await self.show_state(always=True)

    async def _blink(self) -> None:
        """Let DMOV be 0 for a moment, as after any put of a target, if nothing moves."""
        if self.idle:
            self.start(())
            await self.done()

    async def _put_user_limit(self, which: int, instance: Any, value: float) -> NoReturn:
        at = self.coordinates
        fields = ("DLLM", "DHLM")[:: at.sign]
        await self.show(fields[which], at.dial(value))
        await self._show_limits(instance)
        raise SkipWrite

    async def _put_dial_limit(self, instance: Any, value: float) -> NoReturn:
        await show(instance, value, always=True)
        await self._show_limits()
        raise SkipWrite

    async def _show_limits(self, put: Any = None) -> None:
        """Publish the limits: first as control limits, which clients read as soon as HLM or LLM changes."""
        low, high = self.coordinates.user_limits
        for channel in (self.record, self.fields["RBV"]):
            await channel.write_metadata(
                lower_ctrl_limit=low, upper_ctrl_limit=high, lower_disp_limit=low, upper_disp_limit=high
            )
        for field, limit in (("LLM", low), ("HLM", high)):
            await self.show(field, limit, always=put is self.fields[field])

    # settings

    async def _put_velocity(self, instance: Any, value: float) -> float:
        """Keep a velocity between VBAS and VMAX, if they are given."""
        if not SLOWEST <= value <= FASTEST:
            instance.refuse()
        value = max(value, self.get("VBAS"))
        return min(value, self.get("VMAX")) if self.get("VMAX") > 0 else value

    async def _put_resolution(self, instance: Any, value: float) -> float:
        if value == 0:
            instance.refuse()
        return value

    async def _put_metadata(self, name: str, instance: Any, value: Any) -> None:
        for channel in (self.record, *self.fields.values()):
            if isinstance(channel, ChannelDouble):
                await channel.write_metadata(**{name: value})


async def _not_negative(instance: Any, value: float) -> float:
    """Keep a time or a velocity that may be 0 to what can be divided by: nothing between 0 and the least one."""
    if value < 0 or value > FASTEST:
        instance.refuse()
    return value if value >= SLOWEST else 0.0

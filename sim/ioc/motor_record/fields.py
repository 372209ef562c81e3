"""The fields of a motor record on Channel Access, and how a put to one of them is refused."""

import copy
import math
from typing import Any, NoReturn

from caproto import CaprotoError, CAStatus, ChannelEnum, ChannelType, SkipWrite
from caproto.server import PvpropertyDouble, PvpropertyEnum, PvpropertyFloat, PvpropertyInteger, PvpropertyShort
from caproto.server.records import MotorFields

REFUSED: int = CAStatus.ECA_PUTFAIL.value.code_with_severity


class Refusing:
    """A channel that refuses a put by its status alone.

    An exception would set an alarm of the record, and the limits and alarms that caproto checks would clear one: so
    nothing is checked here but by the putter. A put that is refused leaves the record as it was.
    """

    _refused = False
    putter: Any

    async def auth_write(self, *args: Any, **kwargs: Any) -> int | None:
        """Write for a client, and say how that went."""
        try:
            await super().auth_write(*args, **kwargs)  # type: ignore[misc]
        except (CaprotoError, TypeError, ValueError):
            return REFUSED
        # puts overlap: one that waits for its motion must not see the refusal of another
        refused, self._refused = self._refused, False
        return REFUSED if refused else None

    async def verify_value(self, value: Any) -> Any:
        """Leave the value to the putter."""
        return await self.putter(self, value)

    def refuse(self) -> NoReturn:
        """Refuse the put whose putter calls this."""
        self._refused = True
        raise SkipWrite


class Number(Refusing, PvpropertyDouble):
    """A field with a number."""

    async def verify_value(self, value: Any) -> Any:
        """Refuse what is no finite number."""
        if not math.isfinite(value):
            self.refuse()
        return await super().verify_value(float(value))


class SmallNumber(Refusing, PvpropertyFloat):
    """A field with a number of single precision."""


class Whole(Refusing, PvpropertyInteger):
    """A field with a whole number."""


class Flag(Refusing, PvpropertyShort):
    """A field with a small whole number, mostly 0 or 1."""


class Choice(Refusing, PvpropertyEnum):
    """A field with one of several words."""

    async def verify_value(self, value: Any) -> Any:
        """Refuse what is none of the words, nor the number of one."""
        word = await ChannelEnum.verify_value(self, value)
        if word not in self.enum_strings:
            self.refuse()
        return await super().verify_value(word)


OURS = {
    PvpropertyDouble: Number,
    PvpropertyFloat: SmallNumber,
    PvpropertyInteger: Whole,
    PvpropertyShort: Flag,
    PvpropertyEnum: Choice,
    ChannelType.DOUBLE: Number,
    ChannelType.ENUM: Choice,
}


def _refusing(field: Any) -> Any:
    """Return a field that refuses as ours do."""
    ours = copy.copy(field)
    ours.pvspec = field.pvspec._replace(dtype=OURS.get(field.pvspec.dtype, field.pvspec.dtype))
    return ours


class Fields(MotorFields):
    """All fields of a motor record but VAL; those that clients write refuse without an alarm."""

    locals().update({name: _refusing(field) for name, field in MotorFields._pvs_.items()})


async def show(channel: Any, value: Any, *, always: bool = False) -> None:
    """Publish a value, past the putter, if it is another one, or anyway."""
    if always or channel.value != value:
        await channel.write(value, verify_value=False, update_fields=False)

"""A current amplifier before a counter: its gain is chosen from a list."""

from collections.abc import Sequence

from caproto.server import PVGroup, PvpropertyEnum, PvpropertyEnumRO, pvproperty


class Amplifier(PVGroup):
    """Process variables of an amplifier.

    Parameters
    ----------
    prefix : str
        Of them.
    gains : sequence of float
        That it has, ascending [V/A].
    """

    choice = pvproperty(name="gain", value="", dtype=PvpropertyEnum, enum_strings=("",), record="mbbo")
    value_V_per_A = pvproperty(name="gain:value", value=0.0, units="V/A", read_only=True)
    overload = pvproperty(name="overload", value="No", dtype=PvpropertyEnumRO, enum_strings=("No", "Yes"))

    def __init__(self, prefix: str, gains: Sequence[float]) -> None:
        super().__init__(prefix=prefix)
        self._gains = {f"{gain:.0e} V/A".replace("e+0", "e").replace("e+", "e"): gain for gain in gains}
        first = next(iter(self._gains))
        self.choice._data.update(enum_strings=tuple(self._gains), value=first)
        self.value_V_per_A._data["value"] = self._gains[first]

    @choice.putter
    async def choice(self, instance: PvpropertyEnum, value: str) -> str:
        """Switch to another gain."""
        await self.value_V_per_A.write(self._gains[value])
        return value

    @property
    def gain(self) -> float:
        """The gain in force [V/A]."""
        return float(self.value_V_per_A.value)

    async def show(self, overloaded: bool) -> None:
        """Publish whether the last count was in overload."""
        state = "Yes" if overloaded else "No"
        if self.overload.value != state:
            await self.overload.write(state)

"""The voltage source of the sample."""

from dataclasses import dataclass

from caproto.server import PVGroup, PvpropertyDouble, PvpropertyEnum, pvproperty

SAMPLE_OHM = 1e6
"""Resistance of the sample [Ω]."""


@dataclass(frozen=True)
class BiasSettings:
    """A voltage source.

    Parameters
    ----------
    prefix : str
        Of its process variables.
    low_V, high_V : float
        Limits [V].
    """

    prefix: str
    low_V: float
    high_V: float


class Bias(PVGroup):
    """Process variables of a voltage source.

    Parameters
    ----------
    settings : BiasSettings
        The source.
    """

    voltage = pvproperty(name="voltage", value=0.0, units="V", precision=4)
    readback = pvproperty(name="voltage:readback", value=0.0, units="V", precision=4, read_only=True)
    current = pvproperty(name="current", value=0.0, units="A", precision=9, read_only=True)
    output = pvproperty(name="output", value="Off", dtype=PvpropertyEnum, enum_strings=("Off", "On"), record="bo")

    def __init__(self, settings: BiasSettings) -> None:
        super().__init__(prefix=settings.prefix)
        self._settings = settings

    @voltage.putter
    async def voltage(self, instance: PvpropertyDouble, value: float) -> None:
        """Set it, within its limits."""
        low, high = self._settings.low_V, self._settings.high_V
        if not low <= value <= high:
            raise ValueError(f"{instance.pvname} = {value:g} V must lie within {low:g} to {high:g} V")
        await self._show(value if self.output.value == "On" else 0.0)

    @output.putter
    async def output(self, instance: PvpropertyEnum, value: str) -> str:
        """Switch it."""
        await self._show(self.voltage.value if value == "On" else 0.0)
        return value

    async def _show(self, volts: float) -> None:
        await self.readback.write(volts)
        await self.current.write(volts / SAMPLE_OHM)

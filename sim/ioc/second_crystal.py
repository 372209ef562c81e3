"""The second crystal: the loop that keeps it parallel to the first, and the temperature of the crystals."""

from collections.abc import Callable

import numpy as np
from caproto.server import PVGroup, PvpropertyEnum, PvpropertyEnumRO, pvproperty

SETTLING_S = 1.0
"""Time in which the loop takes back all but 1/e of an error [s]."""

LARGEST_URAD = 100.0
"""What the loop can correct at most [µrad]."""

COLD_K = 80.0
"""Temperature of crystals that are cooled by liquid nitrogen [K]."""

K_PER_URAD = 0.05
"""How much warmer the crystals are after a jump of a microradian [K/µrad]."""


class Feedback(PVGroup):
    """Process variables of the loop.

    Its correction follows from times alone, however often it is asked for, so that frames do not depend on who asks.

    Parameters
    ----------
    prefix : str
        Of its process variables.
    error_urad : callable
        How far the second crystal is from parallel without the loop [µrad].
    now : callable
        Time since the start [s].
    """

    enable = pvproperty(name="enable", value="On", dtype=PvpropertyEnum, enum_strings=("Off", "On"), record="bo")
    status = pvproperty(
        name="status", value="Locked", dtype=PvpropertyEnumRO, enum_strings=("Off", "Locked", "At limit")
    )
    correction = pvproperty(name="correction", value=0.0, units="urad", precision=3, read_only=True)

    def __init__(self, prefix: str, error_urad: Callable[[], float], now: Callable[[], float]) -> None:
        super().__init__(prefix=prefix)
        self._error, self._now = error_urad, now
        self._value, self._time = 0.0, 0.0

    def correction_urad(self, time_s: float) -> float:
        """Return what the loop adds to the pitch at a time, not before that of the last call [µrad]."""
        if self.enable.value == "On":
            wanted = float(np.clip(-self._error(), -LARGEST_URAD, LARGEST_URAD))
            self._value += (wanted - self._value) * -np.expm1(-(time_s - self._time) / SETTLING_S)
        self._time = max(self._time, time_s)
        return self._value

    @enable.putter
    async def enable(self, instance: PvpropertyEnum, value: str) -> str:
        """Switch it; switched off, the correction stays as it is."""
        self.correction_urad(self._now())
        await self._show_state(value)
        return value

    async def show(self) -> None:
        """Publish what it does."""
        await self.correction.write(self.correction_urad(self._now()))
        await self._show_state(self.enable.value)

    async def _show_state(self, enabled: str) -> None:
        state = "Off" if enabled == "Off" else "Locked"
        if state == "Locked" and abs(self._error()) > LARGEST_URAD:
            state = "At limit"
        if state != self.status.value:
            await self.status.write(state)


class Temperature(PVGroup):
    """Process variable of the crystals' temperature.

    Parameters
    ----------
    pv : str
        Its name.
    jump_urad : callable
        By what a thermal jump has moved the Bragg angle [µrad].
    """

    temperature = pvproperty(name="", value=COLD_K, units="K", precision=3, read_only=True, record="ai")

    def __init__(self, pv: str, jump_urad: Callable[[], float]) -> None:
        super().__init__(prefix=pv)
        self._jump = jump_urad

    async def show(self) -> None:
        """Publish it."""
        await self.temperature.write(COLD_K + K_PER_URAD * abs(self._jump()))

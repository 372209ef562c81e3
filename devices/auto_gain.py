"""Automatic gain: the largest gain of each ion chamber without overload, found by a few short counts."""

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from whiteline.analysis.checks import require
from whiteline.devices.asking import put_and_ask
from whiteline.devices.errands import Errand
from whiteline.devices.errors import Lost, Refused
from whiteline.devices.lost_puts import put

SEARCH_DWELL_S = 0.1
"""How long a count is that looks for a gain [s]."""

SEARCH_BAND = 1e-3, 0.8
"""Where the voltage of a chamber should lie, as a share of the largest."""


class GainSearch:
    """Looks for the largest gain at which an amplifier is not in overload, and its voltage in a band.

    Counts are taken at `gain`, and what they gave is handed to `take`, until it is `found`. A gain that was seen in
    overload is never tried again, so the search ends after no more than twice as many counts as there are gains.

    Parameters
    ----------
    name : str
        Of what is amplified, for messages.
    gains : sequence of float
        To choose from, ascending [V/A].
    start : float
        Where it starts; the nearest gain below if it is none of them [V/A].
    low_V, high_V : float
        The band: more than the lower, no more than the higher [V].
    """

    def __init__(self, name: str, gains: Sequence[float], start: float, low_V: float, high_V: float) -> None:
        require((low_V, high_V), 0 <= low_V < high_V < math.inf, f"band of {name}", "must ascend from 0 or above", "V")
        self.found = False
        self._name, self._gains, self._low_V, self._high_V = name, tuple(gains), low_V, high_V
        self._ceiling = len(self._gains) - 1
        self._at = max((at for at, gain in enumerate(self._gains) if gain <= start * 1.001), default=0)

    @property
    def gain(self) -> float:
        """The gain to count with next, or the one that was found [V/A]."""
        return self._gains[self._at]

    def take(self, volts: float, overloaded: bool) -> None:
        """Learn what was counted with `gain`.

        Parameters
        ----------
        volts : float
            At the output of the amplifier [V].
        overloaded : bool
            Whether it was in overload, so that the voltage tells nothing.

        Raises
        ------
        Refused
            If no gain will do.
        """
        if overloaded or volts > self._high_V:
            self._ceiling = self._at - 1
            if self._ceiling < 0:
                raise Refused(
                    f"{self._name} has no gain that will do: at its lowest, {self.gain:g} V/A, it is "
                    f"{'in overload' if overloaded else f'at {volts:.3g} V, above {self._high_V:.3g} V'}; put a filter "
                    "into the beam"
                )
            self._at = self._ceiling if overloaded else self._largest(volts, lowest=0)
            return
        largest = self._largest(volts, lowest=self._at)
        if largest > self._at:
            self._at = largest
        elif volts > self._low_V:
            self.found = True
        else:
            raise Refused(
                f"{self._name} has no gain that will do: at {self.gain:g} V/A, the largest without overload, it is at "
                f"{volts:.3g} V, and should be above {self._low_V:.3g} V; is there beam, and are the shutters open?"
            )

    def _largest(self, volts: float, lowest: int) -> int:
        """Return which gain is the largest that is expected to stay below the upper end of the band."""
        ratio = volts / self.gain
        fit = (at for at in range(lowest, self._ceiling + 1) if ratio * self._gains[at] <= self._high_V)
        return max(fit, default=lowest)


def choose_gains(scaler: Any, errand: Errand, dwell: float, band: tuple[float, float]) -> None:
    """Give each chamber of a scaler its gain, or put all back as they were.

    Parameters
    ----------
    scaler : Scaler
        With its chambers.
    errand : Errand
        To count by.
    dwell : float
        Of each count [s].
    band : (float, float)
        Where the voltage should lie, as a share of the largest.

    Raises
    ------
    Refused
        If for one chamber no gain will do.
    DeviceError
        If a count fails.
    """
    dwell_before = float(errand.ask(scaler.preset_time))
    words_before = {name: errand.ask(chamber.amplifier.choice) for name, chamber in scaler.chambers.items()}
    searches = {
        name: GainSearch(chamber.name, chamber.amplifier.gains, gain, *(share * chamber.saturation_V for share in band))
        for (name, chamber), gain in zip(scaler.chambers.items(), scaler.gains_in_force, strict=True)
    }
    try:
        put_and_ask(errand, scaler.preset_time, dwell)
        while not all(search.found for search in searches.values()):
            scaler.switch(errand, {name: search.gain for name, search in searches.items()})
            for name, counted in scaler.take(errand).items():
                chamber, search = scaler.chambers[name], searches[name]
                if math.isnan(counted.gain):
                    raise Refused(f"the gain of {chamber.name} was changed by somebody else while one was looked for")
                if not search.found:
                    search.take(chamber.volts(counted), counted.overloaded)
        put_and_ask(errand, scaler.preset_time, dwell_before)
    except Exception:
        # the errand may be over: what can still be reached is put back without waiting for it
        saved = [(scaler.preset_time, dwell_before)]
        saved += [(chamber.amplifier.choice, words_before[name]) for name, chamber in scaler.chambers.items()]
        for signal, value in saved:
            if signal.connected:
                with suppress(Lost):
                    put(signal, value, force=True)
        raise

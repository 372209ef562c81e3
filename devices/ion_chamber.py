"""An ion chamber: its current, from what a scaler counted behind amplifier and voltage-to-frequency converter.

Counts are what the scaler gave. Rate and current are less the dark rate that was measured at the same gain; where none
was measured, the amplifier was in overload, or its gain changed within the count, they are missing, NaN.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from ophyd import Component, Device, EpicsSignalRO
from ophyd.status import StatusBase

from whiteline.analysis.checks import require, require_between, require_positive
from whiteline.devices.amplifier import Amplifier
from whiteline.devices.settings import Setting
from whiteline.devices.shown import Computed

SATURATED = 0.999
"""Share of the largest count rate from which on amplifier or converter has saturated."""

DarkRates = Mapping[float | str, float] | Sequence[float]
"""Dark rates [1/s] by gain [V/A], or one for each gain, ascending; NaN where none was measured."""


@dataclass(frozen=True)
class ChamberSettings:
    """What the description of a beamline says of an ion chamber.

    Parameters
    ----------
    number : int
        Channel of the scaler.
    amplifier : str
        Prefix of its amplifier.
    gains_V_per_A : tuple of float
        Of its amplifier, ascending [V/A].
    absorbed : float
        Share of the photons that the gas absorbs.
    """

    number: int
    amplifier: str
    gains_V_per_A: tuple[float, ...]
    absorbed: float


@dataclass(frozen=True)
class Counted:
    """What one count gave.

    Parameters
    ----------
    counts : float
        As the scaler has them.
    seconds : float
        How long was counted [s].
    gain : float
        In force all the time [V/A]; NaN if it changed.
    overloaded : bool
        Whether the amplifier was in overload, or the converter has saturated.
    """

    counts: float
    seconds: float
    gain: float
    overloaded: bool

    def rate(self, dark_rate: float) -> float:
        """Return the rate [1/s] less a dark rate; NaN in overload, where it tells nothing."""
        if self.overloaded or np.isnan(self.gain):
            return float("nan")
        return self.counts / self.seconds - dark_rate


class IonChamber(Device):
    """An ion chamber with amplifier and converter on a channel of a scaler, whose part it is.

    Parameters
    ----------
    prefix : str
        Name of the scaler record.
    settings : ChamberSettings
        The chamber.
    hz_per_V : float
        Of the converter [1/s/V].
    largest_V : float
        Where amplifier and converter saturate [V].

    Attributes
    ----------
    counts : Computed
        Of the last count.
    rate : Computed
        Less the dark rate at this gain [1/s].
    current : Computed
        That the rate stands for [A].
    gain : Computed
        That the count was taken with [V/A].
    overload : Computed
        1 if the count is too low because of overload, else 0.
    dark_rates : Setting
        One for each gain of the amplifier, ascending [1/s]; NaN where none was measured.
    absorbed, hz_per_V, largest_V : Computed
        As in the description.
    """

    counts = Component(
        Computed, compute=lambda one: one.counted and one.counted.counts, unit="counts", precision=0, kind="hinted"
    )
    rate = Component(Computed, compute=lambda one: one.counted_rate, unit="1/s", precision=1, kind="normal")
    current = Component(Computed, compute=lambda one: one.counted_current, unit="A", precision=15, kind="normal")
    gain = Component(Computed, compute=lambda one: one.counted and one.counted.gain, unit="V/A", kind="normal")
    overload = Component(
        Computed, compute=lambda one: one.counted and one.counted.overloaded, precision=0, kind="normal"
    )
    dark_rates = Component(Setting, shown=lambda one: one.dark_table, unit="1/s", kind="config")
    absorbed = Component(Computed, compute=lambda one: one.settings.absorbed, kind="config")
    hz_per_V = Component(Computed, compute=lambda one: one.converter_hz_per_V, unit="1/s/V", kind="config")
    largest_V = Component(Computed, compute=lambda one: one.saturation_V, unit="V", kind="config")

    counter: Any
    amplifier: Any

    def __new__(cls, *args: Any, settings: ChamberSettings, **kwargs: Any) -> Self:
        """Make one with its channel of the scaler, and its amplifier, which may be another IOC's."""
        parts = {
            "counter": Component(EpicsSignalRO, f".S{settings.number}", kind="omitted"),
            "amplifier": Component(
                Amplifier, settings.amplifier, add_prefix=(), gains_V_per_A=settings.gains_V_per_A, kind="config"
            ),
        }
        return super().__new__(type(cls.__name__, (cls,), parts))

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        settings: ChamberSettings,
        hz_per_V: float,
        largest_V: float,
        **kwargs: Any,
    ) -> None:
        require_positive(hz_per_V, f"hz_per_V of {name}", "1/s/V")
        require_positive(largest_V, f"largest_V of {name}", "V")
        require_between(settings.absorbed, 0, 1, f"share absorbed in {name}", "")
        self.settings, self.converter_hz_per_V, self.saturation_V = settings, float(hz_per_V), float(largest_V)
        self.dark_table = (float("nan"),) * len(settings.gains_V_per_A)
        self.counted: Counted | None = None
        super().__init__(prefix, name=name, **kwargs)

    # readings

    @property
    def needed_signals(self) -> tuple[Any, ...]:
        """Signals without which nothing is known of a count."""
        return self.counter, self.amplifier.gain, self.amplifier.overload

    def conclude(self, changes: int, seconds: float, counts: float) -> Counted:
        """Return what a count gave.

        Parameters
        ----------
        changes : int
            How often the gain had changed when it began.
        seconds : float
            How long it was [s].
        counts : float
            In its channel, asked afresh.
        """
        amplifier = self.amplifier
        overloaded = amplifier.overload.get() == "Yes"
        gain = amplifier.seen if amplifier.changes == changes and amplifier.seen is not None else float("nan")
        saturated = counts / seconds >= SATURATED * self.converter_hz_per_V * self.saturation_V
        return Counted(counts, seconds, gain, overloaded or saturated)

    @property
    def counted_rate(self) -> float | None:
        """Rate of the last count less the dark rate at its gain [1/s]; None or NaN if there is none."""
        return None if self.counted is None else self.counted.rate(self.dark_rate(self.counted.gain))

    @property
    def counted_current(self) -> float | None:
        """Current of the last count [A]; None or NaN if it is not known."""
        rate = self.counted_rate
        return rate if self.counted is None or rate is None else rate / (self.converter_hz_per_V * self.counted.gain)

    def volts(self, counted: Counted) -> float:
        """Return the voltage that was counted [V], dark and saturation included."""
        return counted.counts / counted.seconds / self.converter_hz_per_V

    def dark_rate(self, gain: float) -> float:
        """Return the dark rate [1/s] that was measured with a gain [V/A]; NaN if none was."""
        for known, rate in zip(self.settings.gains_V_per_A, self.dark_table, strict=True):
            if np.isclose(known, gain, rtol=1e-3, atol=0):
                return rate
        return float("nan")

    def trigger(self) -> StatusBase:
        """Let its scaler count; all channels that are triggered together share that count."""
        return self.parent.share_count()

    # settings

    def table(self, rates: DarkRates) -> tuple[float, ...]:
        """Return a dark rate for each gain [1/s]; NaN where none was measured.

        Raises
        ------
        OutOfRange, ValueError
            If a rate is infinite, negative or above what can be counted, or a gain is none of the amplifier's.
        """
        gains = self.settings.gains_V_per_A
        if isinstance(rates, Mapping):
            given = {self.amplifier.wanted(gain): float(rate) for gain, rate in rates.items()}
            table = [given.get(gain, float("nan")) for gain in gains]
        else:
            table = [float(rate) for rate in rates]
        if len(table) != len(gains):
            raise ValueError(f"{len(table)} dark rates of {self.name} must be {len(gains)}, one for each of its gains")
        array, largest = np.array(table), self.converter_hz_per_V * self.saturation_V
        possible = np.isnan(array) | ((array >= 0) & (array < largest))
        require(array, possible, f"dark rate of {self.name}", f"must lie between 0 and {largest:g} 1/s", "1/s")
        return tuple(table)

    def check(self, values: Mapping[str, Any]) -> None:
        """Refuse settings that make no sense; `dark_rates` is the one that there is. Raises as `table`."""
        for name, value in values.items():
            if name != "dark_rates":
                raise ValueError(f"{self.name} has no setting {name!r}; it has dark_rates")
            self.table(value)

    def change(self, values: Mapping[str, Any]) -> StatusBase:
        """Take dark rates; the table of before is forgotten.

        Parameters
        ----------
        values : mapping
            With "dark_rates": by gain, such as {1e6: 12.0}, or one for each gain.

        Returns
        -------
        Status
            Done.

        Raises
        ------
        OutOfRange, ValueError
            If there is no such gain or setting, or it is no rate.
        """
        self.check(values)
        if "dark_rates" in values:
            self.dark_table = self.table(values["dark_rates"])
        status = StatusBase()
        status.set_finished()
        return status

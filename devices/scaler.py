"""A scaler record with the ion chambers on its channels: one count is one point, of all of them.

A count is done when the record has completed it; then time and counts are asked afresh, because their monitors may come
later than the completion. Nothing is read that was counted before.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

from ophyd import Component, EpicsSignal, EpicsSignalRO
from ophyd.signal import EpicsSignalBase
from ophyd.status import DeviceStatus, StatusBase

from whiteline.analysis.calibration import DarkCalibration
from whiteline.analysis.checks import require, require_positive
from whiteline.devices.asking import ask_together, put_and_ask
from whiteline.devices.auto_gain import SEARCH_BAND, SEARCH_DWELL_S, choose_gains
from whiteline.devices.dark_rates import DarkRates
from whiteline.devices.errands import Errand, Watchful
from whiteline.devices.errors import DeviceError, Lost, Overdue, Refused
from whiteline.devices.forecast import Forecast
from whiteline.devices.ion_chamber import ChamberSettings, Counted, IonChamber
from whiteline.devices.lost_puts import put
from whiteline.devices.positioner import ALLOWANCE_S, MARGIN, PULSE_S
from whiteline.devices.settings import Setting
from whiteline.devices.shown import Computed

AUTO = "auto"
"""The word that lets the scaler choose all gains itself."""

CHANNELS = 64
"""Channels of a scaler record."""


class Scaler(Watchful):
    """A scaler record and its ion chambers, which are attributes by their names.

    Parameters
    ----------
    prefix : str
        Name of the record, such as "TXM:scaler".
    channels : mapping of str to ChamberSettings
        Ion chambers by name.
    hz_per_V : float
        Of their voltage-to-frequency converters [1/s/V].
    largest_V : float
        Where amplifiers and converters saturate [V].

    Attributes
    ----------
    dwell : Setting
        How long a count is to be [s].
    gains : Setting
        In force, in the order of the channels [V/A]; takes gains by channel, or "auto".
    dark_calibration : DarkRates
        Dark rates as a plan has measured them; taken over into those of the chambers.
    time : Computed
        How long the last count was [s].
    """

    counting = Component(EpicsSignal, ".CNT", auto_monitor=False, kind="omitted")
    changes = Component(EpicsSignalRO, ".CNT", auto_monitor=True, kind="omitted")
    count_mode = Component(EpicsSignal, ".CONT", string=True, auto_monitor=True, kind="omitted")
    preset_time = Component(EpicsSignal, ".TP", auto_monitor=True, kind="omitted")
    delay = Component(EpicsSignalRO, ".DLY", auto_monitor=True, kind="omitted")
    elapsed = Component(EpicsSignalRO, ".T", auto_monitor=False, kind="omitted")

    dwell = Component(Setting, shown=lambda one: float(one.preset_time.get()), unit="s", kind="config")
    gains = Component(Setting, shown=lambda one: one.gains_in_force, unit="V/A", kind="omitted")
    dark_calibration = Component(DarkRates, of=DarkCalibration, kind="config")
    time = Component(Computed, compute=lambda one: one.counted_s, unit="s", precision=4, kind="normal")

    def __new__(
        cls, *args: Any, channels: Mapping[str, ChamberSettings], hz_per_V: float, largest_V: float, **kwargs: Any
    ) -> Self:
        """Make one with a component for each channel.

        Raises
        ------
        ValueError
            If a name cannot be an attribute, or a channel is used twice.
        """
        numbers = [one.number for one in channels.values()]
        if not channels or len(set(numbers)) < len(numbers) or not all(1 <= one <= CHANNELS for one in numbers):
            raise ValueError(f"channel numbers {numbers} must be of 1 to {CHANNELS}, at least one, each once")
        for name in channels:
            if not name.isidentifier() or hasattr(cls, name):
                raise ValueError(f"a channel of a scaler cannot be called {name!r}; choose another name, as 'incident'")
        parts = {
            name: Component(IonChamber, "", settings=one, hz_per_V=hz_per_V, largest_V=largest_V)
            for name, one in channels.items()
        }
        return super().__new__(type(cls.__name__, (cls,), parts))

    def __init__(
        self,
        prefix: str,
        *,
        name: str,
        channels: Mapping[str, ChamberSettings],
        hz_per_V: float,
        largest_V: float,
        **kwargs: Any,
    ) -> None:
        self._changed = 0
        self._commanded = self._running = False
        self._mode_before: str | None = None
        self._sharing: StatusBase | None = None
        self.counted_s: float | None = None
        super().__init__(prefix, name=name, **kwargs)
        self.chambers: dict[str, IonChamber] = {one: getattr(self, one) for one in channels}
        self.changes.subscribe(self._count_changed, run=False)
        for chamber in self.chambers.values():
            # an errand of the scaler waits for amplifiers, too
            for signal in (*chamber.needed_signals, *chamber.amplifier.needed_signals):
                signal.subscribe(self.wake, event_type=EpicsSignalBase.SUB_META, run=False)
                signal.subscribe(self.wake, run=False)

    @property
    def needed_signals(self) -> Sequence[Any]:
        """Signals without which it cannot count."""
        chambers = (signal for chamber in self.chambers.values() for signal in chamber.needed_signals)
        return self.counting, self.changes, self.elapsed, *chambers

    @property
    def gains_in_force(self) -> tuple[float, ...]:
        """Gains of the amplifiers, in the order of the channels, as the monitors have them [V/A]."""
        return tuple(float(chamber.amplifier.gain.get()) for chamber in self.chambers.values())

    def _count_changed(self, *, value: Any = None, **_: Any) -> None:
        with self.woken:
            self._changed += 1
            self._running = bool(value)
            self.woken.notify_all()

    # counting

    def stage(self) -> list[object]:
        """Make it count on command only: between two points it would else count on by itself.

        Raises
        ------
        Lost, Overdue
            If its IOC is lost, or does not do it in time.
        """
        staged = super().stage()
        try:
            self._mode_before = str(self.count_mode.get())
            if self._mode_before != "OneShot":
                mode = self.count_mode
                self.run_errand(lambda errand: put_and_ask(errand, mode, "OneShot"), needs=(mode,)).wait()
        except Exception:
            super().unstage()
            raise
        return staged

    def unstage(self) -> list[object]:
        """End a count under way, and let it count by itself again if it did before."""
        self.end_errand("was unstaged before its count was over")
        before, self._mode_before = self._mode_before, None
        if before not in (None, "OneShot") and self.count_mode.connected:
            put(self.count_mode, before, force=True)
        return super().unstage()

    def trigger(self) -> StatusBase:
        """Count for the dwell.

        Returns
        -------
        Status
            Done when the counts can be read. Fails at once if an IOC is lost, with `Overdue` if the count takes half as
            long again as it should, and two seconds more, and with `Stopped`.

        Raises
        ------
        Lost
            If an IOC is lost already.
        Refused
            If the record counts by itself.
        """
        for signal in self.needed_signals:
            if not signal.connected:
                raise Lost(f"{self.name} has lost {signal.pvname}: its IOC has gone; start it again, then count again")
        if (mode := self.count_mode.get()) != "OneShot":
            raise Refused(f"{self.name} counts by itself, {self.count_mode.pvname} is {mode}; set it to OneShot")
        self._forget()
        status = DeviceStatus(self, call_stop_on_failure=False)
        self.run_errand(self._count, needs=self.needed_signals, status=status, on_failure=self._halt)
        return status

    def forecast(self, settings: Mapping[str, Any]) -> Forecast:
        """Return how long a count would be with another dwell."""
        return Forecast(float(settings.get("dwell", self.preset_time.get())))

    def share_count(self) -> StatusBase:
        """Return the status of the count that channels asked for last, if it is under way, else of a new one."""
        with self.woken:
            if self._sharing is None or self._sharing.done:
                self._sharing = self.trigger()
            return self._sharing

    def stop(self, *, success: bool = False) -> None:
        """End a count, and let its status fail, or finish without counts if that counts as a success."""
        self.end_errand("was stopped before its count was over", success=success)

    def _halt(self) -> None:
        """End a count that was started here: one of somebody else goes on."""
        if self._commanded and self.counting.connected:
            put(self.counting, 0, force=True)

    def _forget(self) -> None:
        # a count that fails leaves none of before to be read
        self.counted_s = None
        for chamber in self.chambers.values():
            chamber.counted = None

    def _count(self, errand: Errand) -> None:
        counted = self.take(errand)
        self.counted_s = next(iter(counted.values())).seconds
        for name, one in counted.items():
            self.chambers[name].counted = one

    def take(self, errand: Errand) -> dict[str, Counted]:
        """Count, and return what each channel gave; raises as the status of `trigger`."""
        self._commanded = False
        dwell = float(self.preset_time.get())
        seconds = MARGIN * (dwell + float(self.delay.get())) + ALLOWANCE_S
        self._await_idle(errand, seconds)
        before, pv = self._changed, self.counting.setpoint_pvname
        gains = [chamber.amplifier.changes for chamber in self.chambers.values()]
        self._commanded = True
        completed = errand.put(self.counting, 1)
        errand.until(completed, seconds, f"{pv} to complete a count of {dwell:g} s")
        counters = [chamber.counter for chamber in self.chambers.values()]
        elapsed, *counts = (float(value) for value in ask_together(errand, self.name, (self.elapsed, *counters)))
        # a record that is disabled completes its puts, and so does an IOC that dies; and when this monitor is here, so
        # are those of gains and overloads, which came before
        with suppress(Overdue):
            errand.until(lambda: self._changed > before and not self._running, PULSE_S, f"{pv} to change")
        if self._changed == before or self._running or not elapsed > 0:
            raise DeviceError(
                f"{self.name} has not counted: {pv} is {'Count' if self._running else 'Done'} and its time "
                f"{elapsed:g} s after the command; is the record disabled, or does somebody else count?"
            )
        self._commanded = False
        return {
            name: chamber.conclude(changes, elapsed, one)
            for (name, chamber), changes, one in zip(self.chambers.items(), gains, counts, strict=True)
        }

    def _await_idle(self, errand: Errand, seconds: float) -> None:
        """Wait until a count that was stopped, or that somebody else has started, is over."""
        deadline = time.monotonic() + seconds
        while True:
            before = self._changed
            if errand.ask(self.counting) == 0:
                return
            errand.until(
                lambda before=before: self._changed > before,  # type: ignore[misc]
                max(0.0, deadline - time.monotonic()),
                f"an earlier count of {self.counting.pvname} to end; does somebody else count?",
            )

    # settings

    def check(self, values: Mapping[str, Any]) -> None:
        """Refuse settings that make no sense; nothing is put. Raises as `change`."""
        for name, value in values.items():
            if name == "dwell":
                require_positive(value, f"dwell of {self.name}", "s")
            elif name in ("gains", "dark_rates"):
                if value == AUTO and name == "gains":
                    continue
                for channel, one in self._by_channel(name, value).items():
                    chamber = self.chambers[channel]
                    chamber.amplifier.wanted(one) if name == "gains" else chamber.table(one)
            else:
                raise ValueError(f"{self.name} has no setting {name!r}; it has dwell, gains, dark_rates")

    def change(self, values: Mapping[str, Any]) -> StatusBase:
        """Put settings in force, after a count under way.

        Parameters
        ----------
        values : mapping
            With "dwell" [s]; "gains" by channel [V/A], or "auto"; "dark_rates" by channel and gain [1/s].

        Returns
        -------
        Status
            Done when the IOCs show them; fails with `Lost`, `Overdue`, or with `Refused` if no gain will do.

        Raises
        ------
        OutOfRange, ValueError
            If one is no time, rate or gain, or there is no such channel; nothing is put then.
        """
        self.check(values)

        def apply(errand: Errand) -> None:
            if "dwell" in values:
                put_and_ask(errand, self.preset_time, float(values["dwell"]))
            for channel, rates in self._by_channel("dark_rates", values.get("dark_rates", {})).items():
                self.chambers[channel].change({"dark_rates": rates})
            if values.get("gains") == AUTO:
                choose_gains(self, errand, SEARCH_DWELL_S, SEARCH_BAND)
            elif "gains" in values:
                self.switch(errand, self._by_channel("gains", values["gains"]))

        return self.run_errand(apply, needs=self.needed_signals, on_failure=self._halt)

    def configure(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Put settings in force, and return the configurations before and after; raises as `change`."""
        old = self.read_configuration()
        self.change(values).wait()
        return old, self.read_configuration()

    def _by_channel(self, setting: str, value: Any) -> dict[str, Any]:
        """Return a setting by channel: it may be given so, or in the order of the channels, as `gains` shows it."""
        if not isinstance(value, Mapping):
            if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != len(self.chambers):
                raise ValueError(f"{setting} of {self.name} = {value!r} must be given for {', '.join(self.chambers)}")
            value = dict(zip(self.chambers, value, strict=True))
        for channel in value:
            if channel not in self.chambers:
                raise ValueError(f"{self.name} has no channel {channel!r}; it has {', '.join(self.chambers)}")
        return dict(value)

    def switch(self, errand: Errand, gains: Mapping[str, float | str]) -> None:
        """Choose gains of channels [V/A], and return when they are in force."""
        for channel, gain in gains.items():
            amplifier = self.chambers[channel].amplifier
            amplifier.switch(errand, amplifier.wanted(gain))

    # automatic gain

    def auto_gain(self, *, dwell: float = SEARCH_DWELL_S, band: tuple[float, float] = SEARCH_BAND) -> StatusBase:
        """Give each chamber the largest gain at which it is not in overload, by short counts; shutters must be open.

        Parameters
        ----------
        dwell : float
            Of each count [s].
        band : (float, float)
            Where the voltage should lie, as a share of the largest.

        Returns
        -------
        Status
            Done when all gains are in force. Fails with `Refused` if for one no gain will do; all gains are then put
            back. The dwell of before is put back in either case.

        Raises
        ------
        OutOfRange
            If the dwell is no time, or the band does not ascend between 0 and 1.
        """
        require_positive(dwell, f"dwell of {self.name}", "s")
        require(band, 0 <= band[0] < band[1] <= 1, f"band of {self.name}", "must ascend between 0 and 1")
        return self.run_errand(
            lambda errand: choose_gains(self, errand, dwell, band), needs=self.needed_signals, on_failure=self._halt
        )

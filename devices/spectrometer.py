"""An optical spectrometer for the light that a sample gives: one spectrum is one point."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from ophyd import Component, EpicsSignal, EpicsSignalRO
from ophyd.signal import Signal
from ophyd.status import DeviceStatus, StatusBase

from whiteline.analysis.checks import require, require_positive
from whiteline.devices.asking import put_and_ask
from whiteline.devices.errands import Errand, Watchful
from whiteline.devices.errors import DeviceError, Lost
from whiteline.devices.forecast import Forecast
from whiteline.devices.lost_puts import put
from whiteline.devices.positioner import ALLOWANCE_S, MARGIN
from whiteline.devices.settings import Setting
from whiteline.devices.shown import Computed


class Pixels(Signal):
    """An array over the pixels of a spectrometer, of its last spectrum; NaN where it is missing.

    Parameters
    ----------
    attribute : str
        Of the device: where it is found.
    unit : str
        Of each number.
    """

    def __init__(self, *, attribute: str, unit: str = "counts", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._attribute, self._unit = attribute, unit
        self._metadata["write_access"] = False

    def get(self, **_: Any) -> NDArray[np.float64]:
        """Return it."""
        return np.asarray(getattr(self.parent, self._attribute), float)

    def read(self) -> dict[str, dict[str, Any]]:
        """Return it with the time at which it was taken."""
        return {self.name: {"value": self.get(), "timestamp": self.parent.taken_at or time.time()}}

    def describe(self) -> dict[str, dict[str, Any]]:
        """Say that it is an array."""
        described = {"source": f"PV:{self.parent.prefix}spectrum", "dtype": "array", "shape": [self.parent.pixels]}
        return {self.name: described | {"dtype_numpy": "<f8", "units": self._unit}}


class Spectrometer(Watchful):
    """An optical spectrometer.

    Parameters
    ----------
    prefix : str
        Of its process variables, such as "NANO:spectrometer:".
    pixels : int
        Of its line of detectors.

    Attributes
    ----------
    total : Computed
        Counts of all pixels together, dark level included.
    spectrum : Pixels
        As the IOC has it [counts], shape (pixels,).
    light : Pixels
        Less the dark level [counts]; NaN while that is not known.
    integration_time : Setting
        How long a spectrum takes [s].
    dark_level : Setting
        To be subtracted [counts]: one number, or one for each pixel, or NaN. It belongs to an integration time, and is
        forgotten when that changes.
    wavelengths : EpicsSignalRO
        Of the pixels [nm].
    """

    acquire = Component(EpicsSignal, "acquire", auto_monitor=False, kind="omitted")
    changes = Component(EpicsSignalRO, "acquire", auto_monitor=True, kind="omitted")
    preset_time = Component(EpicsSignal, "integration_time", auto_monitor=True, kind="omitted")
    counter = Component(EpicsSignalRO, "counter", auto_monitor=False, kind="omitted")
    counts = Component(EpicsSignalRO, "spectrum", auto_monitor=False, kind="omitted")
    wavelengths = Component(EpicsSignalRO, "wavelengths", auto_monitor=True, kind="config")

    total = Component(Computed, compute=lambda one: one.total_counts, unit="counts", precision=0, kind="hinted")
    spectrum = Component(Pixels, attribute="last_spectrum", kind="normal")
    light = Component(Pixels, attribute="last_light", kind="normal")
    integration_time = Component(Setting, shown=lambda one: float(one.preset_time.get()), unit="s", kind="config")
    dark_level = Component(Setting, shown=lambda one: one.dark, unit="counts", kind="config")

    def __init__(self, prefix: str = "", *, name: str, pixels: int, **kwargs: Any) -> None:
        require_positive(pixels, f"pixels of {name}")
        self.pixels = int(pixels)
        self.dark: float | tuple[float, ...] = float("nan")
        self.taken_at: float | None = None
        self._last: NDArray[np.float64] | None = None
        self._dark_time = float("nan")
        self._changed = 0
        self._commanded = False
        self._underway_s = 0.0
        super().__init__(prefix, name=name, **kwargs)
        self.changes.subscribe(self._acquire_changed, run=False)

    def _acquire_changed(self, **_: Any) -> None:
        with self.woken:
            self._changed += 1
            self.woken.notify_all()

    # readings

    @property
    def last_spectrum(self) -> NDArray[np.float64]:
        """The last spectrum [counts], shape (pixels,); NaN if there is none."""
        return np.full(self.pixels, np.nan) if self._last is None else self._last

    @property
    def last_light(self) -> NDArray[np.float64]:
        """The last spectrum less the dark level [counts], shape (pixels,); NaN where it is not known."""
        return self.last_spectrum - np.asarray(self.dark, float)

    @property
    def total_counts(self) -> float | None:
        """Counts of all pixels together; None if there is no spectrum."""
        return None if self._last is None else float(self._last.sum())

    @property
    def needed_signals(self) -> Sequence[Any]:
        """Signals without which it cannot acquire."""
        return self.acquire, self.changes, self.preset_time, self.counter, self.counts

    def trigger(self) -> StatusBase:
        """Take a spectrum.

        Returns
        -------
        Status
            Done when that very spectrum can be read. Fails at once if the IOC is lost, with `Overdue` if it takes half
            as long again as it should, and two seconds more, and with `Stopped`.

        Raises
        ------
        Lost
            If the IOC is lost already.
        """
        for signal in self.needed_signals:
            if not signal.connected:
                raise Lost(f"{self.name} has lost {signal.pvname}: its IOC has gone; start it again, then repeat it")
        # one that fails leaves none of before to be read
        self._last = self.taken_at = None
        status = DeviceStatus(self, call_stop_on_failure=False)
        self.run_errand(self._take, needs=self.needed_signals, status=status, on_failure=self._halt)
        return status

    def forecast(self, settings: Mapping[str, Any]) -> Forecast:
        """Return how long a spectrum would take with another integration time."""
        return Forecast(float(settings.get("integration_time", self.preset_time.get())))

    def stop(self, *, success: bool = False) -> None:
        """End a spectrum, and let its status fail, or finish without one if that counts as a success."""
        self.end_errand("was stopped before its spectrum was taken", success=success)

    def unstage(self) -> list[object]:
        """End a spectrum under way."""
        self.end_errand("was unstaged before its spectrum was taken")
        return super().unstage()

    def _halt(self) -> None:
        if self._commanded and self.acquire.connected:
            put(self.acquire, 0, force=True)

    def _take(self, errand: Errand) -> None:
        self._commanded = False
        integration, pv = float(errand.ask(self.preset_time)), self.acquire.setpoint_pvname
        # one that was stopped may go on to its end: not every spectrometer can end it early
        self._await_idle(errand, MARGIN * max(integration, self._underway_s) + ALLOWANCE_S)
        self._underway_s, seconds = integration, MARGIN * integration + ALLOWANCE_S
        number = int(errand.ask(self.counter))
        self._commanded = True
        completed = errand.put(self.acquire, 1)
        errand.until(completed, seconds, f"{pv} to complete {integration:g} s")
        spectrum = np.asarray(errand.ask(self.counts), float)
        # the number after the spectrum: if it is the next one, nobody else's can have come between
        after = int(errand.ask(self.counter))
        if after != number + 1:
            raise DeviceError(
                f"{self.name} has taken {after - number} spectra instead of 1 after {pv} was completed; does somebody "
                "else acquire?"
            )
        if spectrum.shape != (self.pixels,):
            raise DeviceError(
                f"{self.name} gave a spectrum of {spectrum.size} pixels, not {self.pixels}; correct pixels in the "
                "description"
            )
        self._commanded = False
        self._require_dark_of(integration)
        self._last, self.taken_at = spectrum, time.time()

    def _await_idle(self, errand: Errand, seconds: float) -> None:
        """Wait until a spectrum that was stopped, or that somebody else has started, is over."""
        deadline = time.monotonic() + seconds
        while True:
            before = self._changed
            if errand.ask(self.acquire) == 0:
                return
            errand.until(
                lambda before=before: self._changed > before,  # type: ignore[misc]
                max(0.0, deadline - time.monotonic()),
                f"an earlier spectrum of {self.acquire.pvname} to end; does somebody else acquire?",
            )

    def _require_dark_of(self, integration: float) -> None:
        """Forget a dark level that belongs to another integration time, whoever has changed that."""
        if not np.isclose(self._dark_time, integration, rtol=1e-6, atol=0):
            self.dark = float("nan")

    # settings

    def check(self, values: Mapping[str, Any]) -> None:
        """Refuse settings that make no sense; nothing is put. Raises as `change`."""
        for name, value in values.items():
            if name == "integration_time":
                require_positive(value, f"integration time of {self.name}", "s")
            elif name == "dark_level":
                self._dark(value)
            else:
                raise ValueError(f"{self.name} has no setting {name!r}; it has integration_time, dark_level")

    def change(self, values: Mapping[str, Any]) -> StatusBase:
        """Put settings in force, after a spectrum under way.

        Parameters
        ----------
        values : mapping
            With "integration_time" [s], "dark_level" [counts], or both.

        Returns
        -------
        Status
            Done when the IOC shows them; fails with `Lost` or `Overdue`.

        Raises
        ------
        OutOfRange, ValueError
            If one makes no sense; nothing is put then.
        """
        self.check(values)

        def apply(errand: Errand) -> None:
            if "integration_time" in values:
                put_and_ask(errand, self.preset_time, float(values["integration_time"]))
            integration = float(errand.ask(self.preset_time))
            self._require_dark_of(integration)
            if "dark_level" in values:
                self.dark, self._dark_time = self._dark(values["dark_level"]), integration

        return self.run_errand(apply, needs=(self.preset_time,))

    def configure(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Put settings in force, and return the configurations before and after; raises as `change`."""
        old = self.read_configuration()
        self.change(values).wait()
        return old, self.read_configuration()

    def _dark(self, value: ArrayLike) -> float | tuple[float, ...]:
        level = np.asarray(value, float)
        require(
            level,
            np.isnan(level) | ((level >= 0) & (level < np.inf)),
            f"dark level of {self.name}",
            "must be a number not below 0, or NaN for none",
            "counts",
        )
        if level.ndim == 0:
            return float(level)
        if level.shape != (self.pixels,):
            raise ValueError(
                f"dark level of {self.name} of shape {level.shape} must be one number, or {self.pixels}, one per pixel"
            )
        return tuple(float(one) for one in level)

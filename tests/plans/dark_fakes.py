"""Fakes for dark rates: a scaler whose ion chambers count something without beam, more so the higher their gain."""

from typing import Any

import numpy as np
from calibration_fakes import FakeCalibration
from fakes import Fake, FakeBeamline, FakeDetector, World, finished

from whiteline.analysis.calibration import DarkCalibration


class FakeGains(Fake):
    """The gains of chambers: given by channel, shown in their order [V/A]."""

    def __init__(self, owner: "FakeScaler") -> None:
        super().__init__(f"{owner.name}_gains", owner.world)
        self.parent, self.attr_name = owner, "gains"

    def check_value(self, value: Any) -> None:
        """Refuse what is no gain."""
        self.parent.check({"gains": value})

    def set(self, value: Any) -> Any:
        """Choose them."""
        self.note("set")
        self.check_value(value)
        self.parent.in_force |= self.parent.by_channel(value)
        return finished()

    def values(self) -> dict[str, Any]:
        """Return those in force."""
        return {self.name: list(self.parent.in_force.values())}


class FakeScaler(FakeDetector):
    """A scaler with two ion chambers, which count by their gain without beam, and are in overload with it.

    Parameters
    ----------
    source : Generator or None
        Of the noise; None if there is none.
    dark_A : float
        What flows without beam; a volt is 10⁵ counts a second [A].
    """

    ALL = (1e6, 1e7, 1e8)

    def __init__(self, world: World, source: np.random.Generator | None, dark_A: float = 2e-11) -> None:
        super().__init__("counters", world, [])
        self.source, self.dark_A = source, dark_A
        self.chambers = {name: Fake(f"counters_{name}", world) for name in ("incident", "transmitted")}
        self.in_force = dict.fromkeys(self.chambers, 1e6)
        self.gains = FakeGains(self)
        self.dark_calibration = FakeCalibration("counters_dark_calibration", world, None, DarkCalibration)
        self._counted: dict[str, Any] = {}

    def by_channel(self, value: Any) -> dict[str, float]:
        """Return gains by channel."""
        return dict(value) if isinstance(value, dict) else dict(zip(self.chambers, value, strict=True))

    def check(self, values: Any) -> None:
        """Refuse what is no gain of a channel."""
        for channel, gain in self.by_channel(values.get("gains", {})).items():
            if channel not in self.chambers or gain not in self.ALL:
                raise ValueError(f"{channel} has no gain {gain:g} V/A")

    def rate(self, gain: float) -> float:
        """Return what is counted without beam at a gain [1/s]."""
        return 1e5 * self.dark_A * gain

    def trigger(self) -> Any:
        """Count."""
        done = super().trigger()
        seconds, light = float(self.dwell.value), self.world.shutter == "Open"  # type: ignore[attr-defined]
        self._counted = {f"{self.name}_time": seconds}
        for name, gain in self.in_force.items():
            dark = seconds * self.rate(gain)
            counts = 1e6 if light else dark if self.source is None else float(self.source.poisson(dark))
            one = f"{self.name}_{name}"
            self._counted |= {f"{one}_counts": counts, f"{one}_gain": gain, f"{one}_overload": int(light)}
        return done

    def values(self) -> dict[str, Any]:
        """Return the counts."""
        blank = {f"counters_{name}_{what}": 0.0 for name in self.chambers for what in ("counts", "gain", "overload")}
        return self._counted or {"counters_time": 0.0, **blank}


class DarkLine(FakeBeamline):
    """The beamline with ion chambers whose gains can be chosen."""

    def __init__(self, source: np.random.Generator | None = None) -> None:
        super().__init__()
        self.counters = FakeScaler(self.world, source)

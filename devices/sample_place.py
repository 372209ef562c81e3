"""Where the sample is along one direction, and how its coarse and fine axes would share the way to another place."""

import math
from typing import Any, ClassVar

from ophyd import Component
from ophyd.positioner import PositionerBase

from whiteline.analysis.checks import require_finite, require_positive
from whiteline.devices.errands import Watchful
from whiteline.devices.errors import Lost
from whiteline.devices.interferometer import Channel, Interferometer
from whiteline.devices.piezo import BAND_UM, QUIET_S, Piezo
from whiteline.devices.positioner import OutOfLimits, Positioner
from whiteline.devices.shown import Computed, Parameter

UM_PER_MM = 1e3

EDGE = 0.05
"""Part of the fine range at either end that is not used: piezos are least linear there."""

STEP_UM = 2.0
"""Coarse steps of a hand-over [µm]: the sample stays within half a step and the landing error of the coarse stage."""

LARGEST_DIFFERENCE_UM = 5.0
"""By how much interferometer and encoders may differ [µm]; beyond, the interferometer has lost its count."""

Here = tuple[float, float, float]
"""Where the sample is, and its coarse and fine axis [µm, mm, µm]."""


class SamplePlace(Watchful, PositionerBase):
    """A direction of the sample [µm], without what moves it.

    Its position is what the interferometer shows, minus `zero`; 1000 × coarse [mm] + fine [µm] where there is no
    interferometer, or as long as `zero` is not known.

    Parameters
    ----------
    direction : {"x", "y", "z"}
        Names the coarse and fine axis, and the channel of the interferometer.

    Attributes
    ----------
    readback : Computed
        The position [µm].
    setpoint : Parameter
        Where it was sent last [µm].
    fine, coarse : Computed
        Readings of the two axes [µm, mm].
    mean, rms : Computed
        Of the interferometer over the last dwell: position, and noise with vibration [µm]; NaN without one.
    zero : Parameter
        What the interferometer shows where 1000 × coarse + fine is 0 [µm]: taken at the first move or trigger, or by
        `take_zero`; NaN before.
    step : Parameter
        Coarse steps of a hand-over [µm].
    largest_difference : Parameter
        By how much interferometer and encoders may differ [µm].
    """

    readback = Component(Computed, compute=lambda axis: axis.position, unit="um", precision=4, kind="hinted")
    setpoint = Component(Parameter, value=float("nan"), unit="um", kind="normal")
    fine = Component(Computed, compute=lambda axis: axis.fine_axis.position, unit="um", precision=4)
    coarse = Component(Computed, compute=lambda axis: axis.coarse_axis.position, unit="mm", precision=6)
    mean = Component(Computed, compute=lambda axis: axis.dwell_mean(), unit="um", precision=4)
    rms = Component(Computed, compute=lambda axis: axis.dwell_rms(), unit="um", precision=4)
    zero = Component(Parameter, value=float("nan"), unit="um", kind="config")
    step = Component(
        Parameter, value=STEP_UM, unit="um", kind="config", check=lambda value: require_positive(value, "step", "um")
    )
    largest_difference = Component(
        Parameter,
        value=LARGEST_DIFFERENCE_UM,
        unit="um",
        kind="config",
        check=lambda value: require_positive(value, "largest difference", "um"),
    )

    egu: ClassVar[str] = "um"

    def __init__(self, prefix: str = "", *, name: str, direction: str, parent: Any, **kwargs: Any) -> None:
        self.fine_axis: Positioner = getattr(parent.fine, direction)
        self.coarse_axis: Positioner = getattr(parent.coarse, direction)
        self.interferometer: Interferometer | None = parent.interferometer
        self.channel: Channel | None = getattr(parent.interferometer, direction, None)
        super().__init__(prefix, name=name, parent=parent, **kwargs)
        self.readback.name = name
        if self.channel is None:
            self.mean.kind = self.rms.kind = self.zero.kind = "omitted"
        else:
            self.channel.now.subscribe(self.wake, run=False)
            if isinstance(self.fine_axis, Piezo):
                self.fine_axis.judged_by(self.channel)
        for axis in self._both:
            axis.readback_signal.subscribe(self._tell, run=False)

    # where it is

    @property
    def _both(self) -> tuple[Positioner, Positioner]:
        return self.coarse_axis, self.fine_axis

    @property
    def encoders_um(self) -> float:
        """What the encoders of both axes say: 1000 × coarse + fine [µm]."""
        return UM_PER_MM * self.coarse_axis.position + self.fine_axis.position

    @property
    def position(self) -> float:
        """Where the sample is just now [µm].

        Raises
        ------
        Lost
            If an IOC that knows it is lost.
        """
        zero = float(self.zero.get())
        if self.channel is None or math.isnan(zero):
            return self.encoders_um
        if not self.channel.now.connected:
            raise Lost(f"{self.name} has lost {self.channel.now.pvname}: its IOC has gone; start it again")
        return self.channel.recent(self._quiet[0]) - zero

    def dwell_mean(self) -> float | None:
        """Return where the sample was on average in the last dwell [µm]; None without an interferometer."""
        return None if self.channel is None else float(self.channel.mean.get()) - float(self.zero.get())

    def dwell_rms(self) -> float | None:
        """Return the noise of the position in the last dwell [µm]; None without an interferometer."""
        return None if self.channel is None else float(self.channel.rms.get())

    @property
    def _quiet(self) -> tuple[float, float]:
        """For how long, and within which band, the interferometer is quiet when the sample rests [s, µm]."""
        fine = self.fine_axis
        return (float(fine.quiet.get()), float(fine.band.get())) if isinstance(fine, Piezo) else (QUIET_S, BAND_UM)

    # what plans and scientists ask

    @property
    def fine_range(self) -> tuple[float, float]:
        """The part of the fine range that is used [µm]."""
        low, high = self.fine_axis.limits
        return low + EDGE * (high - low), high - EDGE * (high - low)

    @property
    def middle(self) -> float:
        """The middle of the fine range [µm]."""
        return sum(self.fine_axis.limits) / 2

    @property
    def limits(self) -> tuple[float, float]:
        """Where the coarse stage can bring the sample with the fine axis in its middle [µm]."""
        low, high = self.coarse_axis.limits
        return UM_PER_MM * low + self.middle, UM_PER_MM * high + self.middle

    def check_value(self, value: float) -> None:
        """Refuse a position that is no number, or outside the limits.

        Raises
        ------
        OutOfRange
            If it is no finite number.
        OutOfLimits
            If it is outside.
        Lost
            If an IOC is lost: then nobody knows.
        """
        self._targets(value)

    def preview(self, value: float) -> dict[str, float]:
        """Return where the axes would go, by their names; nothing moves. Raises as `check_value`."""
        coarse, fine = self._targets(value)
        return {
            self.coarse_axis.name: self.coarse_axis.position if coarse is None else coarse,
            self.fine_axis.name: fine,
        }

    def _targets(self, value: float, here: Here | None = None) -> tuple[float | None, float]:
        """Return coarse [mm] and fine [µm] for a position; None for a coarse axis that may stay where it is."""
        require_finite(value, self.name, self.egu)
        position, coarse, fine = here or (self.position, self.coarse_axis.position, self.fine_axis.position)
        low, high = self.limits
        if not low <= value <= high:
            limit = f"must lie between {low:.10g} and {high:.10g} {self.egu}"
            raise OutOfLimits(self.name, value, limit, self.egu, "move within them, or widen those of the coarse axis")
        beyond = value - position
        if self.fine_range[0] <= fine + beyond <= self.fine_range[1]:
            return None, fine + beyond
        low, high = self.coarse_axis.limits
        target = min(max(coarse + (beyond + fine - self.middle) / UM_PER_MM, low), high)
        return target, fine + beyond - UM_PER_MM * (target - coarse)

    def duration(self, start: float, end: float) -> float:
        """Return how long a move from one position to another takes, from where the coarse stage stands [s]."""
        base = UM_PER_MM * self.coarse_axis.position
        low, high = self.fine_range
        if low <= start - base <= high and low <= end - base <= high:
            return self.fine_axis.duration(start - base, end - base)
        coarse = self.coarse_axis.duration(start / UM_PER_MM, end / UM_PER_MM)
        measuring = 0.0 if self.interferometer is None else 2 * float(self.interferometer.dwell.get())
        back = self.fine_axis.duration(low, self.middle)
        return max(coarse, back) + measuring + self.fine_axis.duration(self.middle, self.middle)

    # what those need that move it

    @property
    def _needed(self) -> tuple[Any, ...]:
        needed = (*self.coarse_axis.needed_signals, *self.fine_axis.needed_signals)
        return needed if self.channel is None else (*needed, self.channel.now)

    def _tell(self, timestamp: float | None = None, **_: Any) -> None:
        """Tell progress bars and other listeners where the sample is."""
        if all(signal.connected for signal in self._needed):
            self._run_subs(sub_type=self.SUB_READBACK, value=self.position, timestamp=timestamp)

"""Axes: motor records with a unit, soft limits and the figures of their motion."""

from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat, model_validator

from whiteline.beamline.description.base import PV, Device, NotNegative, Positive


class Axis(Device):
    """One motor record.

    Velocity and acceleration are those that the axis was commissioned with: the simulated record starts with them, and
    durations are estimated from them until the real record has been read. A move has arrived when the readback is
    within `tolerance` of its target, which must be larger than the noise of the readback; left out, it is twice the
    retry dead band of the record.
    """

    pv: PV
    unit: Literal["mm", "um", "deg", "urad"]
    low: FiniteFloat
    high: FiniteFloat
    velocity: Positive
    acceleration_s: NotNegative
    settle_s: NotNegative = 0.0
    backlash: FiniteFloat = 0.0
    tolerance: Positive | None = None
    precision: int = Field(default=4, ge=0, le=9)

    @model_validator(mode="after")
    def _limits(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} must be below high {self.high:g} {self.unit}; swap the two limits")
        return self

    def require_reach(self, positions: NDArray[np.float64], name: str, reason: str) -> None:
        """Raise unless positions lie within the soft limits.

        Raises
        ------
        ValueError
            Naming the axis, what it should reach, its limits, and why.
        """
        low, high = float(positions.min()), float(positions.max())
        if low < self.low or high > self.high:
            wanted = f"{low:.6g}" if low == high else f"{low:.6g} to {high:.6g}"
            raise ValueError(
                f"{name} must reach {wanted} {self.unit} {reason}, but its limits are {self.low:g} to "
                f"{self.high:g} {self.unit}"
            )


class MillimetreAxis(Axis):
    """An axis of millimetres."""

    unit: Literal["mm"]


class MicrometreAxis(Axis):
    """An axis of micrometres."""

    unit: Literal["um"]


class DegreeAxis(Axis):
    """An axis of degrees."""

    unit: Literal["deg"]


class MicroradianAxis(Axis):
    """An axis of microradians."""

    unit: Literal["urad"]

"""The sample stage: coarse motors, piezos, rotation and interferometer, and the sample's x, y and z made of them."""

import math
from collections.abc import Mapping
from typing import Any, Self

from ophyd import Component

from whiteline.devices.axis import AxisOf, PartOf, WithAxes
from whiteline.devices.interferometer import Interferometer
from whiteline.devices.motor import AxisSettings, Motor
from whiteline.devices.piezo import Piezo
from whiteline.devices.positioner import Positioner
from whiteline.devices.sample_axis import SampleAxis
from whiteline.devices.shown import Parameter

Steps = list[tuple[Positioner | SampleAxis, float]]
"""Where axes are to go, one after the other, each in its own unit."""


class CoarseStage(WithAxes):
    """Long travel, by motors [mm]."""

    x = AxisOf(Motor)
    y = AxisOf(Motor)
    z = AxisOf(Motor)


class FineStage(WithAxes):
    """Short travel, by piezos in closed loop [µm]."""

    x = AxisOf(Piezo)
    y = AxisOf(Piezo)
    z = AxisOf(Piezo)


class SampleStage(WithAxes):
    """What carries the sample.

    Parameters
    ----------
    coarse, fine : mapping of str to AxisSettings
        Of x, y and z each [mm, µm].
    rotation : AxisSettings or None
        Of the rotation [deg].
    interferometer : mapping or None
        What the `Interferometer` is built with: prefix, channels, rate_Hz.
    out_mm : float
        How far the sample is moved out of the beam, along coarse x [mm].
    out_rotation_deg : float or None
        To where it is turned before that [deg]; None if it need not be.

    Attributes
    ----------
    x, y, z : SampleAxis
        The sample [µm]: what a scan moves.
    coarse, fine : CoarseStage, FineStage
        The axes below [mm, µm].
    rotation : Motor or None
        [deg]
    interferometer : Interferometer or None
        [µm]
    out, out_rotation : Parameter
        As given [mm, deg]; NaN where the sample is not turned.

    Raises
    ------
    ValueError
        If there is a rotation to go out at, and no rotation.
    """

    coarse = PartOf(CoarseStage)
    fine = PartOf(FineStage)
    rotation = AxisOf(Motor, kind="hinted")
    interferometer = PartOf(Interferometer)
    x = Component(SampleAxis, direction="x", kind="hinted")
    y = Component(SampleAxis, direction="y", kind="hinted")
    z = Component(SampleAxis, direction="z", kind="hinted")
    out = Component(Parameter, value=float("nan"), unit="mm", kind="config")
    out_rotation = Component(Parameter, value=float("nan"), unit="deg", kind="config")

    def __new__(cls, *args: Any, rotation: Any = None, interferometer: Any = None, **kwargs: Any) -> Self:
        """Make one with the parts that it has; a part that it has not is None."""
        absent = {
            name: None for name, part in (("rotation", rotation), ("interferometer", interferometer)) if part is None
        }
        return super().__new__(type(cls.__name__, (cls,), absent) if absent else cls)

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        coarse: Mapping[str, AxisSettings],
        fine: Mapping[str, AxisSettings],
        rotation: AxisSettings | None = None,
        interferometer: Mapping[str, Any] | None = None,
        out_mm: float,
        out_rotation_deg: float | None = None,
        **kwargs: Any,
    ) -> None:
        if out_rotation_deg is not None and rotation is None:
            raise ValueError(
                f"{name} is to be turned to {out_rotation_deg:g} deg before it goes out, but has no rotation; "
                "name one, or leave out_rotation_deg away"
            )
        self.parts: dict[str, Mapping[str, Any]] = {"coarse": {"axes": coarse}, "fine": {"axes": fine}}
        if interferometer is not None:
            self.parts["interferometer"] = interferometer
        super().__init__(prefix, name=name, axes={} if rotation is None else {"rotation": rotation}, **kwargs)
        self.out.put(float(out_mm))
        if out_rotation_deg is not None:
            self.out_rotation.put(float(out_rotation_deg))

    def out_steps(self) -> Steps:
        """Return what takes the sample out of the beam from where it is: first it is turned, then moved.

        Nothing moves; a plan turns each pair of axis and position into a message and waits for it. Ask for `in_steps`
        before that.
        """
        aside = self.coarse.x, self.coarse.x.position + float(self.out.get())
        return [*self._turned(float(self.out_rotation.get())), aside]

    def in_steps(self) -> Steps:
        """Return what brings the sample back to where it is now, once it was taken out: moved, turned, corrected.

        The last step lets the fine axis take up what the coarse stage missed.
        """
        back: Steps = [(self.coarse.x, self.coarse.x.position)]
        if self.rotation is not None:
            back += self._turned(self.rotation.position)
        return [*back, (self.x, self.x.position)]

    def _turned(self, angle: float) -> Steps:
        """Return the step to an angle [deg]; none if the sample need not be turned."""
        return [] if math.isnan(self.out_rotation.get()) else [(self.rotation, angle)]

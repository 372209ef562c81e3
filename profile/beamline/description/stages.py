"""Sample stages and their interferometer, and the stage of the detector."""

from typing import Literal, Self

from pydantic import Field, FiniteFloat, model_validator

from whiteline.beamline.description.axes import DegreeAxis, MicrometreAxis, MillimetreAxis
from whiteline.beamline.description.base import PV, Count, Device, Positive, Table


class CoarseStage(Table):
    """Long travel, by motors."""

    x: MillimetreAxis
    y: MillimetreAxis
    z: MillimetreAxis


class FineStage(Table):
    """Short travel, by piezos in closed loop."""

    x: MicrometreAxis
    y: MicrometreAxis
    z: MicrometreAxis


class Interferometer(Table):
    """An independent reading of the sample's position, one channel an axis."""

    prefix: PV
    channels: dict[Literal["x", "y", "z"], Count] = Field(min_length=1)
    rate_Hz: Positive

    @model_validator(mode="after")
    def _once(self) -> Self:
        if len(set(self.channels.values())) < len(self.channels):
            raise ValueError(f"channels {self.channels} must have a number each")
        return self


class SampleStages(Table):
    """What carries the sample.

    To take it out of the beam it is first turned to `out_rotation_deg`, if that is given, and then moved by `out_mm` in
    coarse x.
    """

    coarse: CoarseStage
    fine: FineStage
    rotation: DegreeAxis | None = None
    interferometer: Interferometer | None = None
    out_mm: Positive
    out_rotation_deg: FiniteFloat | None = None


class DetectorStage(Device):
    """The stage of the camera along the beam; z reads the distance from the sample."""

    z: MillimetreAxis

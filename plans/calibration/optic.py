"""What a plan asks of a zone plate that it focuses: along the beam, and across it against its run-out."""

from typing import Any, Protocol, runtime_checkable

import bluesky.plan_stubs as bps
from bluesky.protocols import Readable
from bluesky.utils import MsgGenerator

from whiteline.analysis.laws.zone_plate import ZonePlate
from whiteline.plans.protocols import Axis, satisfying
from whiteline.plans.restoring import Step, putting_back


@runtime_checkable
class FocusingOptic(Readable[Any], Protocol):
    """A zone plate: its axis along the beam, the calibration that it holds, and itself as designed."""

    z: Any
    calibration: Any
    law: Any


@runtime_checkable
class TakesBackRunOut(FocusingOptic, Protocol):
    """One that also stands on axes across the beam, and says where they belong."""

    x: Any
    y: Any

    def across(self, z: float) -> tuple[float, float]:
        """Return x and y [µm] that take back the run-out, for a reading of z [mm]."""


class Optic:
    """A zone plate, moved along the beam.

    Parameters
    ----------
    zone_plate : Readable
        The device.

    Raises
    ------
    TypeError
        If it lacks something.
    """

    def __init__(self, zone_plate: object) -> None:
        self.device = satisfying(zone_plate, FocusingOptic, "zone_plate")
        self.z = satisfying(self.device.z, Axis, "zone_plate.z")
        self.calibration = self.device.calibration

    @property
    def law(self) -> ZonePlate:
        """The zone plate, as designed."""
        law: ZonePlate = self.device.law
        return law

    @property
    def straight(self) -> bool:
        """Whether its run-out is taken back as it moves."""
        return isinstance(self.device, TakesBackRunOut)

    def z_and_across(self, place: float) -> list[Any]:
        """Return axes and positions, in turn, for a place along the beam [mm]."""
        if not isinstance(self.device, TakesBackRunOut):
            return [self.z, place]
        x, y = self.device.across(place)
        return [self.z, place, self.device.x, x, self.device.y, y]

    def remember(self, steps: list[Step]) -> MsgGenerator[float]:
        """Append steps that put all of its axes back; return where z stands [mm]."""
        axes = [self.z, *((self.device.x, self.device.y) if isinstance(self.device, TakesBackRunOut) else ())]
        stands = 0.0
        for axis in axes:
            before = yield from bps.rd(axis, default_value=None)
            if before is not None:
                steps.append(putting_back(axis, before))
                stands = float(before) if axis is self.z else stands
        return stands

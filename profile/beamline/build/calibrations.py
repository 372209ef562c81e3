"""The calibrations that devices start with: those that were measured, else those of the design."""

from collections.abc import Mapping
from datetime import date
from typing import TypeVar

from whiteline.analysis.calibration import (
    Calibration,
    DarkCalibration,
    EnergyCalibration,
    FocusCalibration,
    MagnificationCalibration,
    RotationCalibration,
    Table,
)
from whiteline.beamline.description import Beamline
from whiteline.beamline.description.optics import ZonePlate

EXACT = ((0.0, 0.0), (0.0, 0.0))
"""The covariance of a design, which says nothing about its errors."""

KINDS: Mapping[str, type[Calibration]] = {
    "monochromator": EnergyCalibration,
    "undulator.gap": Table,
    "zone_plate": FocusCalibration,
    "detector.z": Table,
    "magnification": MagnificationCalibration,
    "sample.rotation": RotationCalibration,
    "counters": DarkCalibration,
}
"""What can be calibrated, and by what kind of calibration. That of the rotation is kept, but no device holds it."""

Kind = TypeVar("Kind", bound=Calibration)


def require_known(calibrations: Mapping[str, Calibration]) -> None:
    """Refuse a calibration of what is not known, or of another kind.

    Raises
    ------
    ValueError
        Naming what can be calibrated.
    """
    for name, calibration in calibrations.items():
        if name not in KINDS:
            raise ValueError(f"there is no calibration of {name!r}; there are those of {', '.join(KINDS)}")
        if not isinstance(calibration, KINDS[name]):
            raise ValueError(f"the calibration of {name} is of kind {KINDS[name].kind!r}, not {calibration.kind!r}")


def given(calibrations: Mapping[str, Calibration], name: str, kind: type[Kind]) -> Kind | None:
    """Return a calibration that was measured, if there is one."""
    found = calibrations.get(name)
    return found if isinstance(found, kind) else None


def energy_by_design(beamline: Beamline) -> EnergyCalibration:
    """Return d-spacing and offset as the description has them."""
    mono = beamline.monochromator
    return EnergyCalibration(
        spacing=mono.spacing, offset=mono.offset_deg, covariance=EXACT, version=0, date=_today(), source="design"
    )


def focus_by_design(plate: ZonePlate) -> FocusCalibration:
    """Return A0, A1 and the run-out as the description has them."""
    return FocusCalibration(
        a0=plate.a0_mm,
        a1=plate.law.chromaticity,
        covariance=EXACT,
        diameter_um=plate.diameter_um,
        outer_zone_width_nm=plate.outer_zone_width_nm,
        run_out=plate.run_out_um_per_mm,
        version=0,
        date=_today(),
        source="design",
    )


def _today() -> str:
    return date.today().isoformat()

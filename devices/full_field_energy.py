"""The energy axis of a full-field microscope: detector and zone plate follow, so that the image stays sharp.

One law for every mode: the zone plate is placed for the detector position and the energy that were reached. The modes
differ in where the detector goes: to a constant magnification, nowhere, or where a measured table says.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

import numpy as np
from ophyd import Component

from whiteline.analysis.calibration import MagnificationCalibration
from whiteline.analysis.checks import require, require_positive
from whiteline.analysis.laws import full_field as law
from whiteline.devices.calibrated import CalibrationSignal
from whiteline.devices.energy import Energy
from whiteline.devices.legs import HERE, Leg, Stands
from whiteline.devices.optics import Condenser, DetectorStage, ZonePlate
from whiteline.devices.positioner import Positioner
from whiteline.devices.shown import Computed, Parameter

DetectorMode = Literal["constant-magnification", "fixed", "table"]

EXACT_EV = 1e-6
"""An energy that was reached so nearly needs no other focus [eV]."""

MAGNIFICATION_DEAD_BAND = 1e-4
"""Relative error of the magnification before the detector is moved."""


def require_mode(mode: str) -> None:
    """Refuse what is no mode of the detector.

    Raises
    ------
    ValueError
        Naming the modes.
    """
    if mode not in get_args(DetectorMode):
        raise ValueError(f"mode {mode!r} of the detector must be one of {', '.join(get_args(DetectorMode))}")


def require_magnification(magnification: float) -> None:
    """Refuse a magnification that a zone plate does not give.

    Raises
    ------
    OutOfRange
        If it is not above 1.
    """
    require(magnification, 1 < magnification < np.inf, "magnification", "must be above 1")


class FullFieldEnergy(Energy):
    """The photon energy [eV] of a full-field microscope.

    Parameters
    ----------
    zone_plate : ZonePlate
        The objective.
    detector : DetectorStage
        Carries the camera.
    condenser : Condenser
        Follows if it is a zone plate.
    mode : {"constant-magnification", "fixed", "table"}
        Where the detector goes.
    magnification : float
        What is kept in the first mode.
    detector_mm : float or None
        Where the detector stands in the second [mm].
    camera_pixel_um, objective : float
        Pixel of the camera [µm], and magnification of the visible-light objective before it.
    magnification_calibration : MagnificationCalibration or None
        Measured over expected magnification; None for 1.
    **kwargs
        As `Energy`.
    """

    zone_plate_z = Component(Computed, compute=lambda energy: energy.zone_plate.z.position, unit="mm", precision=5)
    detector_z = Component(Computed, compute=lambda energy: energy.detector.z.position, unit="mm")
    magnification = Component(Computed, compute=lambda energy: energy.magnification_now(), precision=4)
    pixel = Component(Computed, compute=lambda energy: energy.pixel_nm(), unit="nm", precision=4)
    mode = Component(Parameter, value="", check=require_mode, kind="config")
    wanted_magnification = Component(Parameter, value=2.0, check=require_magnification, kind="config")
    detector_position = Component(Parameter, value=float("nan"), unit="mm", kind="config")
    magnification_calibration = Component(CalibrationSignal, of=MagnificationCalibration, kind="config")

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        zone_plate: ZonePlate,
        detector: DetectorStage,
        condenser: Condenser,
        mode: DetectorMode,
        magnification: float,
        detector_mm: float | None,
        camera_pixel_um: float,
        objective: float,
        magnification_calibration: MagnificationCalibration | None = None,
        **kwargs: Any,
    ) -> None:
        self.zone_plate, self.detector, self.condenser = zone_plate, detector, condenser
        self._camera_pixel_um, self._objective = camera_pixel_um, objective
        super().__init__(prefix, name=name, **kwargs)
        self.mode.put(mode)
        self.wanted_magnification.put(float(magnification))
        if detector_mm is not None:
            self.detector_position.put(float(detector_mm))
        if magnification_calibration is not None:
            self.magnification_calibration.put(magnification_calibration)

    @property
    def axes(self) -> Sequence[Positioner]:
        """All axes that follow the energy."""
        lens, condenser = self.zone_plate, self.condenser
        follows = () if condenser.law is None else (condenser.z,)
        return *self.source_axes, self.detector.z, lens.z, lens.x, lens.y, *follows

    def optics_legs(self, energy: float, stands: Stands = HERE) -> list[Leg]:
        """Return where detector, zone plate and condenser are to go, if all before them arrive exactly."""
        detector = self._detector_leg(energy, stands)
        return [detector, *self._lens_legs(energy, detector.end, stands), *self.condenser.legs_to(energy, stands)]

    def steps(self, energy: float, harmonic: int, stands: Stands = HERE) -> Iterator[list[Leg]]:
        """Yield all axes together, then the zone plate for what was reached."""
        legs = self.legs(energy, harmonic, stands)
        yield legs
        if stands.setting(self.optics_follow):
            reached, detector = self.reached(stands), stands.position(self.detector.z)
            if abs(reached - energy) > EXACT_EV or detector != legs[len(self.source_axes)].end:
                yield self._lens_legs(reached, detector, stands)

    def depth_of_focus(self, energy: float) -> float:
        """Return the full depth of focus at an energy [eV], of the zone plate [µm]."""
        return self.zone_plate.law.depth_of_focus(energy)

    @property
    def configured_by(self) -> Sequence[Any]:
        """Signals of other devices that the energy depends on."""
        lens = self.zone_plate
        return *super().configured_by, lens.calibration, lens.straight_at, self.detector.table

    def _detector_leg(self, energy: float, stands: Stands) -> Leg:
        stage, mode = self.detector.z, self.mode.get()
        if mode == "fixed":
            position = float(self.detector_position.get())
            require_positive(position, self.detector_position.name, "mm")
        elif mode == "table":
            position = self.detector.table.calibration.position(energy)
        else:
            focal_length = self.zone_plate.calibration.calibration.focal_length(energy)
            position = law.detector_distance(focal_length, self.wanted_magnification.get() / self._measured_over_law)
        # M grows with the distance of the detector, dM/M = dL/L but for a part in M
        return stands.leg(stage, position, MAGNIFICATION_DEAD_BAND * abs(position))

    def _lens_legs(self, energy: float, detector: float, stands: Stands) -> list[Leg]:
        """Return where the zone plate goes for an energy [eV], and for a detector where it stands [mm]."""
        lens = self.zone_plate
        z = lens.calibration.calibration.full_field_reading(energy, detector)
        return lens.legs_to(z, energy, stands)

    @property
    def _measured_over_law(self) -> float:
        calibration = self.magnification_calibration
        return calibration.calibration.factor if calibration.present else 1.0

    def magnification_now(self) -> float:
        """Return the magnification as zone plate and detector stand."""
        distance = self.zone_plate.z.position - self.zone_plate.calibration.calibration.a0
        return self._measured_over_law * law.magnification(distance, self.detector.z.position)

    def pixel_nm(self) -> float:
        """Return the size of a camera pixel at the sample [nm], as zone plate and detector stand."""
        return law.pixel_at_sample(self._camera_pixel_um, self._objective, self.magnification_now())

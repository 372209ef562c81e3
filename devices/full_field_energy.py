"""The energy axis of a full-field microscope: detector and zone plate follow, so that the image stays sharp.

One law for every mode: the zone plate is placed for the detector position and the energy that were reached. The modes
differ in where the detector goes: to a constant magnification, nowhere, or where a measured table says.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from ophyd import Component

from whiteline.analysis.calibration import MagnificationCalibration
from whiteline.analysis.laws import full_field as law
from whiteline.devices.calibrated import CalibrationSignal
from whiteline.devices.energy import Energy
from whiteline.devices.legs import Leg
from whiteline.devices.optics import Condenser, DetectorStage, ZonePlate
from whiteline.devices.positioner import Positioner
from whiteline.devices.shown import Computed, Parameter

DetectorMode = Literal["constant-magnification", "fixed", "table"]

MAGNIFICATION_DEAD_BAND = 1e-4
"""Relative error of the magnification before the detector is moved."""


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
    mode = Component(Parameter, value="", kind="config")
    wanted_magnification = Component(Parameter, value=0.0, kind="config")
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
        self._detector_mm, self._camera_pixel_um, self._objective = detector_mm, camera_pixel_um, objective
        super().__init__(prefix, name=name, **kwargs)
        self.mode.put(mode)
        self.wanted_magnification.put(float(magnification))
        if magnification_calibration is not None:
            self.magnification_calibration.put(magnification_calibration)

    @property
    def axes(self) -> Sequence[Positioner]:
        """All axes that follow the energy."""
        lens = self.zone_plate
        return *self.source_axes, self.detector.z, lens.z, lens.x, lens.y, self.condenser.z

    def legs(self, energy: float, harmonic: int) -> list[Leg]:
        """Return where every axis is to go, if all arrive exactly."""
        detector = self._detector_leg(energy)
        stands = detector.position if detector.needed else self.detector.z.position
        lens = self._lens_legs(energy, stands)
        return [*super().legs(energy, harmonic), detector, *lens, *self.condenser.legs_to(energy)]

    def steps(self, energy: float, harmonic: int) -> Iterator[list[Leg]]:
        """Yield all axes together, then the zone plate for what was reached."""
        yield self.legs(energy, harmonic)
        yield self._lens_legs(self.position, self.detector.z.position)

    def _detector_leg(self, energy: float) -> Leg:
        stage, mode = self.detector.z, self.mode.get()
        if mode == "fixed":
            assert self._detector_mm is not None
            position = self._detector_mm
        elif mode == "table":
            position = self.detector.table.calibration.position(energy)
        else:
            focal_length = self.zone_plate.calibration.calibration.focal_length(energy)
            position = law.detector_distance(focal_length, self.wanted_magnification.get() / self._measured_over_law)
        # M grows with the distance of the detector, dM/M = dL/L but for a part in M
        return Leg(stage, position, abs(stage.position / position - 1) > MAGNIFICATION_DEAD_BAND)

    def _lens_legs(self, energy: float, detector: float) -> list[Leg]:
        """Return where the zone plate goes for an energy [eV], and for a detector where it stands [mm]."""
        lens = self.zone_plate
        z = lens.calibration.calibration.full_field_reading(energy, detector)
        return lens.legs_to(z, energy)

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

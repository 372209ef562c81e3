"""Fakes for calibrating plans: a zone plate that is in focus somewhere, foils with an edge, an undulator with a peak.

The instrument is off by hidden errors, which the plans are to find: the world computes what is seen from the truth, the
devices from the calibration that they hold.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from fakes import Fake, FakeAxis, FakeBeamline, FakeDetector, World, finished
from ophyd.status import Status

from whiteline.analysis.calibration import (
    Calibration,
    EnergyCalibration,
    FocusCalibration,
    MagnificationCalibration,
    Table,
    calibration_from_json,
)
from whiteline.analysis.laws.full_field import detector_distance, zone_plate_distance
from whiteline.analysis.laws.zone_plate import ZonePlate
from whiteline.analysis.live.fake import FakeLive
from whiteline.analysis.tables import edge_energy

DESIGN = {"version": 0, "date": "2026-03-01", "source": "design"}
NONE = ((0.0, 0.0), (0.0, 0.0))
SPACING = 3.1356012


class FakeCalibration(Fake):
    """A signal that holds a calibration of one kind."""

    def __init__(self, name: str, world: World, calibration: Calibration | None, kind: type[Calibration]) -> None:
        super().__init__(name, world)
        self.calibration, self._kind = calibration, kind

    def check_value(self, value: str) -> None:
        """Refuse what is none."""
        if not isinstance(calibration_from_json(value), self._kind):
            raise ValueError(f"{self.name} must be of kind {self._kind.kind}")

    def set(self, value: str) -> Status:
        """Take another."""
        self.note("set")
        self.check_value(value)
        self.calibration = calibration_from_json(value)
        return finished()

    def values(self) -> dict[str, Any]:
        """Return its text."""
        return {self.name: "" if self.calibration is None else self.calibration.to_json()}


@dataclass
class Hidden:
    """What the instrument is, less what is believed of it."""

    zero_mm: float = 0.12
    ratio: float = 1.001
    angle_deg: float = 0.004
    gap_mm: float = 0.004
    axis_um: float = 2.4
    """Of the rotation: where the sample's x takes it to the middle of the image."""
    magnification: float = 1.003


class FakeMono(Fake):
    """A monochromator with a calibration."""

    def __init__(self, world: World) -> None:
        super().__init__("mono", world)
        start = EnergyCalibration(spacing=SPACING, offset=0.0, covariance=NONE, **DESIGN)
        self.calibration = FakeCalibration("mono_calibration", world, start, EnergyCalibration)


class FakeEnergy(FakeAxis):
    """An energy axis by the calibration of the monochromator, that places zone plate and gap."""

    magnification = 32.5

    def __init__(self, world: World, line: "CalibrationLine") -> None:
        self.line = line
        super().__init__("energy", world, "energy", (5000.0, 12000.0), "eV")
        self.magnification_calibration = FakeCalibration(
            "energy_magnification_calibration", world, None, MagnificationCalibration
        )

    def _put(self, value: float) -> None:
        self.world.energy = value
        line, plate = self.line, self.line.zone_plate
        calibration = plate.calibration.calibration
        if line.full_field:
            focal = calibration.a1 * value
            self.world.positions["detector"] = detector_distance(focal, self.magnification)
            z = calibration.a0 + zone_plate_distance(focal, self.world.positions["detector"])
        else:
            z = calibration.a0 - calibration.a1 * value
        self.world.positions["zone_plate_z"] = z
        self.world.positions["gap"] = line.gap_by_law(value)

    def values(self) -> dict[str, Any]:
        """Return the detector too, on a full-field microscope."""
        more = {"energy_detector_z": self.world.positions.get("detector", 1631.0)} if self.line.full_field else {}
        return super().values() | more


class FakePlate(Fake):
    """A zone plate."""

    def __init__(self, world: World, design: ZonePlate) -> None:
        super().__init__("zone_plate", world)
        self.law = design
        world.positions["zone_plate_z"] = 50.0
        self.z = FakeAxis("zone_plate_z", world, "zone_plate_z", (-200.0, 200.0), "mm")
        start = FocusCalibration(
            a0=0.0,
            a1=design.chromaticity,
            covariance=NONE,
            diameter_um=design.diameter_um,
            outer_zone_width_nm=design.outer_zone_width_nm,
            **DESIGN,
        )
        self.calibration = FakeCalibration("zone_plate_calibration", world, start, FocusCalibration)


class FakeUndulator(Fake):
    """An undulator."""

    def __init__(self, world: World) -> None:
        super().__init__("undulator", world)
        world.positions["gap"] = 5.0
        self.gap = FakeAxis("undulator_gap", world, "gap", (4.0, 30.0), "mm")
        self.gap_table = FakeCalibration("undulator_gap_table", world, None, Table)
        self.harmonic = _Number("undulator_harmonic", world, 5)


class _Number(Fake):
    def __init__(self, name: str, world: World, value: int) -> None:
        super().__init__(name, world)
        self.value = value

    def values(self) -> dict[str, Any]:
        return {self.name: self.value}


class FakeWheel(Fake):
    """A wheel of foils."""

    foils = ("None", "Co", "Ni", "Cu")

    def __init__(self, world: World) -> None:
        super().__init__("foil_wheel", world)
        self.word = "None"

    def check_value(self, value: str) -> None:
        """Refuse others."""
        if value not in self.foils:
            raise ValueError(f"{self.name} = {value!r} must be one of {', '.join(self.foils)}")

    def set(self, value: str) -> Status:
        """Turn."""
        self.note("set")
        self.check_value(value)
        self.word = value
        return finished()

    def values(self) -> dict[str, Any]:
        """Return the word."""
        return {self.name: self.word}


class FakeChambers(FakeDetector):
    """Ion chambers before and behind a foil, on a beam that is brightest at a gap."""

    jitter_rad = 2e-7

    def __init__(self, line: "CalibrationLine") -> None:
        super().__init__("counters", line.world, ["incident", "reference"])
        self.line = line

    def trigger(self) -> Status:
        """Count."""
        status = super().trigger()
        line, rng = self.line, self.line.rng
        angle = line.true_angle() + self.jitter_rad * rng.standard_normal()
        energy = 12398.419843320 / (2 * SPACING * math.sin(angle))
        bright = math.exp(-0.5 * ((line.world.positions["gap"] - line.best_gap(energy)) / 0.0025) ** 2)
        incident = 1e8 * bright if line.world.shutter == "Open" else 0.0
        foil = line.foil_in_beam and line.wheel.word
        depth = (
            0.3 + 1.4 * (0.5 + math.atan((energy - edge_energy(foil)) / 1.0) / math.pi)
            if foil and foil != "None"
            else 0.0
        )
        counts = incident, incident * math.exp(-depth)
        noisy = [one * (1 + 1e-4 * rng.standard_normal()) for one in counts]
        self._last = dict(zip(self.channels, noisy, strict=True))
        return status


class FakeEdgeCounter(FakeDetector):
    """A counter whose signal steps where the probe passes an edge, at x = 0 if it does not drift."""

    sharp_um = 0.03

    def __init__(self, line: "CalibrationLine") -> None:
        super().__init__("edge", line.world, ["signal"])
        self.line = line
        self.at_um = self.drift_um = 0.0  # where the edge is, and how far it drifts from point to point

    def trigger(self) -> Status:
        """Count."""
        status = super().trigger()
        world, line = self.world, self.line
        blur = 1e-3 * line.design.defocus_blur(line.defocus(), world.energy)
        sigma = math.hypot(self.sharp_um, blur)
        away = world.positions["x"] - self.at_um
        self.at_um += self.drift_um
        counts = 1000 + 1e5 * line.contrast * 0.5 * (1 + math.erf(away / sigma / math.sqrt(2)))
        self._last = {"signal": counts + 30 * line.rng.standard_normal()}
        return status


class CalibrationLine(FakeBeamline):
    """The beamline of fakes, with what calibrations are of."""

    def __init__(self, rng: np.random.Generator, *, full_field: bool = True, hidden: Hidden | None = None) -> None:
        super().__init__()
        self.rng, self.full_field, self.hidden = rng, full_field, hidden or Hidden()
        self.design = ZonePlate(244.0, 30.0) if full_field else ZonePlate(240.0, 60.0)
        self.zone_plate = FakePlate(self.world, self.design)
        self.mono, self.wheel = FakeMono(self.world), FakeWheel(self.world)
        self.undulator = FakeUndulator(self.world)
        self.energy = FakeEnergy(self.world, self)
        self.energy._put(8200.0)
        self.counters, self.edge = FakeChambers(self), FakeEdgeCounter(self)
        self.contrast, self.foil_in_beam, self.noise = 1.0, True, 3e-7
        self.carried, self.pixel_um = True, 0.04
        self.live = FakeLive(sharpness=self.sharpness, rotation=self.rotation, shift=self.shift)

    def true_angle(self) -> float:
        """Return the true Bragg angle [rad]: by the reading of the axis, and the hidden offset."""
        reading = float(self.mono.calibration.calibration.angle(self.world.energy))  # type: ignore[union-attr, attr-defined]
        return math.radians(reading + self.hidden.angle_deg)

    def gap_by_law(self, energy: float) -> float:
        """Return the gap that is believed in [mm]."""
        return 5.0 + 4.5e-4 * (energy - 8333.0)

    def best_gap(self, energy: float) -> float:
        """Return where the beam is brightest [mm]."""
        return self.gap_by_law(energy) + self.hidden.gap_mm

    def true_focus(self, energy: float, detector: float | None = None) -> float:
        """Return the reading of z in focus [mm]."""
        focal = self.design.focal_length(energy) * self.hidden.ratio
        if not self.full_field:
            return float(self.hidden.zero_mm - focal)
        return float(self.hidden.zero_mm + zone_plate_distance(focal, detector or self.world.positions["detector"]))

    def defocus(self) -> float:
        """Return how far z stands from focus [mm]."""
        return self.world.positions["zone_plate_z"] - self.true_focus(self.world.energy)

    def shift(self, _: int) -> dict[str, float | str]:
        """Return what the live analysis says of the newest frame, by the magnification that is believed."""
        held = self.energy.magnification_calibration.calibration
        believed = held.factor if isinstance(held, MagnificationCalibration) else 1.0
        seen_um = (self.world.positions["x"] - 3.0) * self.hidden.magnification / believed
        x = seen_um / self.pixel_um + 0.02 * self.rng.standard_normal()
        return {
            "x": x, "y": 0.02, "x_um": x * self.pixel_um, "y_um": 0.02 * self.pixel_um, "error_x": 0.02,
            "error_y": 0.02, "trusted": int(self.contrast > 0 and abs(x) < 128),
        }  # fmt: skip

    def rotation(self, _: int) -> dict[str, float | str]:
        """Return what the live analysis says of the axis of rotation."""
        off, error = (self.world.positions["x"] if self.carried else 0.6) - self.hidden.axis_um, 0.03 * self.pixel_um
        off += error * self.rng.standard_normal()
        return {
            "column": 255.5 + off / self.pixel_um, "error": 0.03, "off_um": off, "error_um": error, "tilt_mrad": 1.5,
            "trusted": int(self.contrast > 0), "reason": "" if self.contrast else "the two do not match",
        }  # fmt: skip

    def sharpness(self, _: int) -> dict[str, float]:
        """Return what the live analysis says of the newest frame."""
        sharp = 1e-4 * self.contrast / (1 + (self.defocus() / 0.02) ** 2) ** 0.9
        return {"value": sharp + self.noise * self.rng.standard_normal(), "error": self.noise}

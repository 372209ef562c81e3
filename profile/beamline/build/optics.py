"""Monochromator, undulator and optics, and the energy axis over all of them."""

from collections.abc import Mapping
from typing import Any

from whiteline.analysis.calibration import Calibration, EnergyCalibration, FocusCalibration, Table
from whiteline.analysis.calibration import MagnificationCalibration as Magnification
from whiteline.analysis.laws.zone_plate import ZonePlate as ZonePlateLaw
from whiteline.beamline.build.axes import axes_of, gap_settings
from whiteline.beamline.build.calibrations import energy_by_design, focus_by_design, given
from whiteline.beamline.build.site_classes import class_of
from whiteline.beamline.description import Beamline
from whiteline.beamline.description.optics import Mirror
from whiteline.devices import optics
from whiteline.devices.energy import Energy
from whiteline.devices.full_field_energy import FullFieldEnergy
from whiteline.devices.monochromator import Monochromator
from whiteline.devices.scanning_energy import MirrorEnergy, ZonePlateEnergy
from whiteline.devices.undulator import Undulator


def optics_of(beamline: Beamline, calibrations: Mapping[str, Calibration]) -> dict[str, Any]:
    """Return the devices that the energy moves, and the energy axis, by name.

    Parameters
    ----------
    beamline : Beamline
        Its description.
    calibrations : mapping of str to Calibration
        Those that were measured, by what they are of.
    """
    mono, undulator = beamline.monochromator, beamline.undulator
    found: dict[str, Any] = {
        "mono": class_of(mono, Monochromator, "monochromator")(
            name="mono",
            axes=axes_of(mono, "monochromator"),
            feedback=mono.feedback,
            temperature=mono.temperature,
            calibration=given(calibrations, "monochromator", EnergyCalibration) or energy_by_design(beamline),
            beam_offset_mm=mono.beam_offset_mm,
        ),
        "undulator": class_of(undulator, Undulator, "undulator")(
            name="undulator",
            axes={"gap": gap_settings(undulator)},
            law=undulator.law(beamline.ring),
            harmonic=None if undulator.harmonic == "auto" else undulator.harmonic,
            detune_eV=undulator.detune_eV,
            gap_table=given(calibrations, "undulator.gap", Table),
        ),
    }
    if (plate := beamline.zone_plate) is not None:
        found["zone_plate"] = class_of(plate, optics.ZonePlate, "zone_plate")(
            name="zone_plate",
            axes=axes_of(plate, "zone_plate"),
            calibration=given(calibrations, "zone_plate", FocusCalibration) or focus_by_design(plate),
            straight_at_mm=plate.run_out_from_mm,
        )
        if (aperture := beamline.order_sorting_aperture) is not None:
            found["aperture"] = class_of(aperture, optics.OrderSortingAperture, "order_sorting_aperture")(
                name="aperture",
                axes=axes_of(aperture, "order_sorting_aperture"),
                law=aperture.law(plate),
                distance_mm=aperture.distance_mm,
            )
    if (condenser := beamline.condenser) is not None:
        law = None
        if condenser.diameter_um is not None and condenser.outer_zone_width_nm is not None:
            law = ZonePlateLaw(condenser.diameter_um, condenser.outer_zone_width_nm)
        found["condenser"] = class_of(condenser, optics.Condenser, "condenser")(
            name="condenser", axes=axes_of(condenser, "condenser"), law=law, zero_mm=condenser.zero_mm
        )
    if (mirrors := beamline.mirrors) is not None:
        pair = {"vertical": mirrors.vertical, "horizontal": mirrors.horizontal}
        found["mirrors"] = class_of(mirrors, optics.KirkpatrickBaez, "mirrors")(
            name="mirrors",
            mirrors={name: _mirror(one, f"mirrors.{name}", mirrors.largest_walk_um) for name, one in pair.items()},
        )
    if (detector := beamline.detector) is not None:
        found["detector"] = class_of(detector, optics.DetectorStage, "detector")(
            name="detector", axes=axes_of(detector, "detector"), table=given(calibrations, "detector.z", Table)
        )
    found["energy"] = _energy(beamline, found, calibrations)
    return found


def _mirror(mirror: Mirror, path: str, largest_walk_um: float) -> dict[str, Any]:
    return {
        "axes": axes_of(mirror, path),
        "focal_length_mm": mirror.focal_length_mm,
        "length_mm": mirror.length_mm,
        "angle_mrad": mirror.angle_mrad,
        "largest_walk_um": largest_walk_um,
    }


def _energy(beamline: Beamline, devices: Mapping[str, Any], calibrations: Mapping[str, Calibration]) -> Energy:
    axis = beamline.energy
    common = {
        "name": "energy",
        "monochromator": devices["mono"],
        "undulator": devices["undulator"],
        "low": axis.low,
        "high": axis.high,
        "feedback_off": axis.feedback_off_while_moving,
    }
    if beamline.kind == "full-field":
        camera = beamline.camera
        assert camera is not None
        assert axis.magnification is not None
        return FullFieldEnergy(
            **common,
            zone_plate=devices["zone_plate"],
            detector=devices["detector"],
            condenser=devices["condenser"],
            mode=axis.detector,
            magnification=axis.magnification,
            detector_mm=axis.detector_mm,
            camera_pixel_um=camera.pixel_um,
            objective=camera.objective,
            magnification_calibration=given(calibrations, "magnification", Magnification),
        )
    if beamline.optic == "mirrors":
        return MirrorEnergy(**common, mirrors=devices["mirrors"])
    return ZonePlateEnergy(**common, zone_plate=devices["zone_plate"], aperture=devices["aperture"])

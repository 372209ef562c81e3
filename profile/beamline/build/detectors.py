"""Detectors, with the folders that their IOCs write into; and the ring and the voltage source, which detect nothing."""

from collections.abc import Mapping
from typing import Any

from whiteline.analysis.calibration import Calibration, DarkCalibration
from whiteline.beamline.build.calibrations import given
from whiteline.beamline.build.site_classes import class_of
from whiteline.beamline.description import Beamline
from whiteline.beamline.description.detectors import Files
from whiteline.devices.bias import Bias
from whiteline.devices.camera import Camera
from whiteline.devices.fluorescence import Fluorescence
from whiteline.devices.ion_chamber import ChamberSettings
from whiteline.devices.ring import Ring
from whiteline.devices.scaler import Scaler
from whiteline.devices.spectrometer import Spectrometer


def make_folder(files: Files) -> None:
    """Make the folder of a detector's files as clients see it, so that the group of its IOC can write into it.

    Raises
    ------
    OSError
        If it cannot be made; make it by hand then, on a disk that IOC and client share.
    """
    try:
        files.read.mkdir(mode=0o2775, parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"folder {files.read} for a detector's files cannot be made: {error.strerror}; make it, or name another as "
            "files.read in the description"
        ) from error


def detectors_of(
    beamline: Beamline, calibrations: Mapping[str, Calibration], *, make_folders: bool = True
) -> dict[str, Any]:
    """Return all that counts or takes pictures, by name."""
    counters = beamline.counters
    found: dict[str, Any] = {
        "counters": class_of(counters, Scaler, "counters")(
            counters.prefix,
            name="counters",
            channels={
                name: ChamberSettings(one.number, one.amplifier, one.gains_V_per_A, one.absorbed)
                for name, one in counters.channels.items()
            },
            hz_per_V=counters.hz_per_V,
            largest_V=counters.largest_V,
        )
    }
    if (dark := given(calibrations, "counters", DarkCalibration)) is not None:
        found["counters"].dark_calibration.put(dark)
    if (camera := beamline.camera) is not None:
        if make_folders:
            make_folder(camera.files)
        found["camera"] = class_of(camera, Camera, "camera")(
            camera.prefix,
            name="camera",
            readout_s=camera.readout_s,
            write=camera.files.write,
            read=camera.files.read,
        )
    if (fluorescence := beamline.fluorescence) is not None:
        if make_folders:
            make_folder(fluorescence.files)
        found["fluorescence"] = class_of(fluorescence, Fluorescence, "fluorescence")(
            fluorescence.prefix,
            name="fluorescence",
            elements=fluorescence.elements,
            bins=fluorescence.bins,
            bin_eV=fluorescence.bin_eV,
            dead_time_s=fluorescence.dead_time_s,
            write=fluorescence.files.write,
            read=fluorescence.files.read,
        )
    if (spectrometer := beamline.spectrometer) is not None:
        found["spectrometer"] = class_of(spectrometer, Spectrometer, "spectrometer")(
            spectrometer.prefix, name="spectrometer", pixels=spectrometer.pixels
        )
    return found


def surroundings_of(beamline: Beamline) -> dict[str, Any]:
    """Return the ring, and the voltage source of the sample if there is one, by name."""
    found: dict[str, Any] = {"ring": class_of(beamline.ring, Ring, "ring")(beamline.ring.prefix, name="ring")}
    if (bias := beamline.bias) is not None:
        found["bias"] = class_of(bias, Bias, "bias")(bias.prefix, name="bias", low_V=bias.low_V, high_V=bias.high_V)
    return found

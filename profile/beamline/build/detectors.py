"""Camera and fluorescence detector, with the folders that their IOCs write into."""

from typing import Any

from whiteline.beamline.build.site_classes import class_of
from whiteline.beamline.description import Beamline
from whiteline.beamline.description.detectors import Files
from whiteline.devices.camera import Camera
from whiteline.devices.fluorescence import Fluorescence


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


def detectors_of(beamline: Beamline) -> dict[str, Any]:
    """Return the detectors that write files, by name."""
    found: dict[str, Any] = {}
    if (camera := beamline.camera) is not None:
        make_folder(camera.files)
        found["camera"] = class_of(camera, Camera, "camera")(
            camera.prefix,
            name="camera",
            readout_s=camera.readout_s,
            write=camera.files.write,
            read=camera.files.read,
        )
    if (fluorescence := beamline.fluorescence) is not None:
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
    return found

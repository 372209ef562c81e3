"""Build the devices of a beamline."""

from collections.abc import Mapping

from whiteline.analysis.calibration import Calibration
from whiteline.beamline.build.beam import beam_of
from whiteline.beamline.build.calibrations import require_known
from whiteline.beamline.build.detectors import detectors_of, surroundings_of
from whiteline.beamline.build.devices import Devices
from whiteline.beamline.build.flying import flying_of
from whiteline.beamline.build.optics import optics_of
from whiteline.beamline.build.stages import sample_stage
from whiteline.beamline.description import Beamline


def build(
    beamline: Beamline, *, calibrations: Mapping[str, Calibration] | None = None, make_folders: bool = True
) -> Devices:
    """Build every device of a beamline; nothing is moved, and nothing need be connected yet.

    Parameters
    ----------
    beamline : Beamline
        Its description.
    calibrations : mapping of str to Calibration or None
        What was measured, by what it is of: "monochromator", "undulator.gap", "zone_plate", "detector.z",
        "magnification" and "counters". What is not given is taken from the design.

    make_folders : bool
        Whether the folders that clients read the detectors' files from are made where they are missing.

    Returns
    -------
    Devices
        By name.

    Raises
    ------
    DescriptionError
        If a class of the site's own cannot be imported.
    ValueError
        If a calibration is of something else, or of another kind.
    """
    measured = calibrations or {}
    require_known(measured)
    detectors = detectors_of(beamline, measured, make_folders=make_folders)
    others = surroundings_of(beamline) | beam_of(beamline) | optics_of(beamline, measured)
    known = others | {"sample": sample_stage(beamline.sample)} | detectors
    flying = flying_of(beamline, known, make_folders=make_folders)
    devices = known | flying
    counting = [*detectors, *flying, "heartbeat"]
    for name, device in devices.items():
        # by these labels bluesky's own magics, such as %wa, find what they list
        device._ophyd_labels_.add("detectors" if name in counting else "motors")
    return Devices(devices, detectors=counting)

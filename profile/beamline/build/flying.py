"""What flies: the capture box, the detector that it triggers, and the sweep of the energy."""

from collections.abc import Mapping
from typing import Any

from whiteline.beamline.build.detectors import make_folder
from whiteline.beamline.build.site_classes import class_of
from whiteline.beamline.description import Beamline
from whiteline.beamline.description.capture import Capture
from whiteline.devices.capture_box import CaptureBox
from whiteline.devices.energy_sweep import EnergySweep
from whiteline.devices.motor import Motor
from whiteline.devices.sample_axis import SampleAxis
from whiteline.devices.triggered import TriggeredDetector

INTERFEROMETER = "sample.interferometer."
"""How the sources of channels begin that read the sample along a direction."""

NAMES = {"monochromator": "mono", "order_sorting_aperture": "aperture"}
"""Devices that are not called as their tables."""


def flying_of(beamline: Beamline, devices: Mapping[str, Any], *, make_folders: bool = True) -> dict[str, Any]:
    """Return what a beamline with a capture box has for fly scans, by name; nothing if it has none.

    Parameters
    ----------
    beamline : Beamline
        Its description.
    devices : mapping of str to object
        The others, by name.
    make_folders : bool
        Whether the folder of the files is made where it is missing.
    """
    if (capture := beamline.capture) is None:
        return {}
    if make_folders:
        make_folder(capture.files)
    settings: Any = getattr(beamline, capture.detector)
    detector = devices[capture.detector]
    triggered = TriggeredDetector(
        detector.cam.prefix,
        detector=detector,
        readout_s=settings.readout_s,
        most_per_s=settings.most_per_s,
        buffer=settings.buffer,
    )
    box = class_of(capture, CaptureBox, "capture")(
        capture.prefix,
        name="capture",
        write=str(capture.files.write),
        read=str(capture.files.read),
        axes=_axes_of(capture, devices),
        most_per_s=capture.most_per_s,
        buffer=capture.buffer,
        triggered=triggered,
    )
    found = {"capture": box, f"{capture.detector}_triggered": triggered}
    if any(one.source == "monochromator.bragg" for one in capture.channels.values()):
        off = beamline.energy.feedback_off_while_moving
        found["energy_sweep"] = EnergySweep(name="energy_sweep", energy=devices["energy"], feedback_off=off)
    return found


def _axes_of(capture: Capture, devices: Mapping[str, Any]) -> dict[str, Any]:
    """Return the axis of each channel along which a line can go."""
    axes = {name: _part(channel.source, devices) for name, channel in capture.channels.items()}
    return {name: axis for name, axis in axes.items() if isinstance(axis, SampleAxis | Motor)}


def _part(source: str, devices: Mapping[str, Any]) -> Any:
    """Return the axis that a source of positions stands for."""
    if source.startswith(INTERFEROMETER):
        return getattr(devices["sample"], source.removeprefix(INTERFEROMETER))
    table, *path = source.split(".")
    found = devices.get(NAMES.get(table, table))
    for name in path:
        found = getattr(found, name, None)
    return found

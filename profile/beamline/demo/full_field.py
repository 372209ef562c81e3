"""The demonstration of a full-field microscope: calibrations, and a stack that holds its sample and keeps its focus."""

from typing import Any

from bluesky.utils import MsgGenerator

from whiteline.beamline.demo.sample import Particles
from whiteline.plans import calibrate_energy, calibrate_focus, xanes_stack

CLOCK = "frames"

PARTICLES = Particles()

DRIFT = ""
"""Of the sample: as the description has it."""

BINNING = 2
EXPOSURE_S = 0.2
FRAMES = 5
"""With the sample, and as many without it, at each energy: then their noise weighs the same. All are brought onto the
first one, which has the least contrast: with fewer it is known to no better than a tenth of a pixel where it lies."""

FOCUS_FRAMES, FOCUS_POINTS = 5, 11
"""Of the series through focus; below the edge the contrast is small, and needs many frames."""

BLANK_SHARE = 0.12
"""Of the frame, at its left, where no particle lies even after some drift."""

PIXEL_UM = 0.040
"""Size of a binned pixel at the sample, by design [µm]."""


def prepare(session: Any, side: int, element: str, edge: str) -> None:
    """Open the photon shutter, and read the middle of the camera."""
    devices = session.devices
    width, (rows, columns) = side * BINNING, devices.camera.sensor
    roi = ((columns - width) // 2, (rows - width) // 2, width, width)
    devices.photon_shutter.set("Open").wait(60.0)
    devices.camera.change({"roi": roi, "binning": BINNING}).wait(60.0)


def calibrations(session: Any, element: str, edge: str, energies: list[float]) -> list[tuple[str, MsgGenerator[Any]]]:
    """Return the plans that calibrate, each with what is said of it; the focus amid the scan, and at its end."""
    devices, live = session.devices, session.live
    energy = calibrate_energy(
        devices.counters, devices.energy, devices.mono, devices.foil_wheel, [element], shutter=devices.fast_shutter
    )
    focus = calibrate_focus(
        [devices.camera],
        devices.energy,
        devices.zone_plate,
        [energies[len(energies) // 2], energies[-1]],
        shutter=devices.fast_shutter,
        dwell_s=EXPOSURE_S,
        frames=FOCUS_FRAMES,
        points=FOCUS_POINTS,
        sharpness=live.sharpness,
        shift=live.shift,
        sample=devices.sample,
    )
    return [
        (f"calibrating the energy on a foil of {element}", energy),
        ("calibrating the focus by series through it, at two energies", focus),
    ]


def scan_plan(session: Any, side: int, element: str, edge: str, energies: list[float]) -> MsgGenerator[Any]:
    """Return the plan of the stack; its metadata say where the beam is to be seen without sample."""
    devices, live = session.devices, session.live
    return xanes_stack(
        devices.camera,
        devices.energy,
        energies,
        sample=devices.sample,
        shutter=devices.fast_shutter,
        exposure_s=EXPOSURE_S,
        frames=FRAMES,
        flat_frames=FRAMES,
        shift=live.shift,
        sharpness=live.sharpness,
        zone_plate=devices.zone_plate,
        md={
            "sample": "particles of the demonstration",
            "blank": [0, side, round(0.02 * side), round(BLANK_SHARE * side)],
        },
    )

"""The demonstration of a scanning nanoprobe: the energy calibrated, and a fly raster stack that follows its sample.

The focus is not calibrated here: its series needs an edge that is sharper than the spot, which particles do not have.
So the zone plate stands where its law says, and is as right as the energy is: 1 eV is an eighth of the depth of focus.
"""

from typing import Any

from bluesky.utils import MsgGenerator

from whiteline.analysis import tables
from whiteline.beamline.demo.sample import Particles
from whiteline.plans import calibrate_energy, fly_raster_stack

CLOCK = "wall"

PIXEL_UM = 0.3
"""From pixel to pixel [µm]."""

DWELL_S = 5e-4

LEAST_JUMP_OVER_NOISE = 40.0
"""Pixels whose edge jump is known less well have no fraction: at a rim a few nanometres of drift are a change of it."""

PARTICLES = Particles(per_um2=0.035, smallest_um=1.5, largest_um=3.5, of_field=0.3)
"""Large against the pixels: at a rim, where the thickness changes by its half within a pixel, a spectrum would rather
show by how much the sample has drifted while its map was flown."""

DRIFT = "drift = { walk_nm = 1.0, creep_nm_per_s = 0.0, creep_s = 20.0 }"
"""Of the sample: creep is that of a coarse stage after a move, and lines are flown with the fine one."""

GAINS = {"incident": 1e9, "transmitted": 1e8, "reference": 1e8}
"""Of the amplifiers [V/A]: a full beam gives about a volt."""

BEYOND_EV = 50.0
"""An energy so far beyond the edge excites its lines [eV]."""

LONG_S = 60.0

HIDDEN = ("bragg_offset_deg", "spacing_ppm", "undulator_gap_mm")
"""Errors that are hidden: those that are calibrated, or do not matter."""


def line_of(edge: str) -> str:
    """Return the line that is counted of an edge."""
    return "Ka" if edge == "K" else "La"


def prepare(session: Any, side: int, element: str, edge: str) -> None:
    """Open the photon shutter, count the line of the element, and let the ion chambers see the beam."""
    devices = session.devices
    devices.photon_shutter.set("Open").wait(LONG_S)
    beyond = tables.edge_energy(element, edge) + BEYOND_EV
    devices.fluorescence.set_regions([(element, line_of(edge))], beyond).wait(LONG_S)
    devices.counters.change({"gains": GAINS}).wait(LONG_S)


def calibrations(session: Any, element: str, edge: str, energies: list[float]) -> list[tuple[str, MsgGenerator[Any]]]:
    """Return the plans that calibrate, each with what is said of it."""
    devices = session.devices
    plan = calibrate_energy(
        devices.counters, devices.energy, devices.mono, devices.foil_wheel, [element], shutter=devices.fast_shutter,
        edge=edge,
    )  # fmt: skip
    return [(f"calibrating the energy on a foil of {element}", plan)]


def scan_plan(session: Any, side: int, element: str, edge: str, energies: list[float]) -> MsgGenerator[Any]:
    """Return the plan of the stack."""
    devices, live = session.devices, session.live
    half = PIXEL_UM * (side - 1) / 2
    return fly_raster_stack(
        [],
        devices.energy,
        energies,
        devices.sample.x,
        devices.sample.y,
        capture=devices.capture,
        fast_range=(-half, half, side),
        slow_range=(-half, half, side),
        dwell_s=DWELL_S,
        snake=True,
        shutter=devices.fast_shutter,
        signal=f"capture_{element}_{line_of(edge)}",
        shift=live.shift,
        md={"sample": "particles of the demonstration", "least_jump_over_noise": LEAST_JUMP_OVER_NOISE},
    )

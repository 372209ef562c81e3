"""The demonstration of a scanning nanoprobe: calibrations, and a fly raster stack that follows its sample.

A series through the focus needs an edge that is sharper than the spot, which particles do not have.
There is a knife beside them.
"""

from typing import Any

import bluesky.plan_stubs as bps
from bluesky.utils import MsgGenerator

from whiteline.analysis import tables
from whiteline.beamline.demo.sample import Particles
from whiteline.plans import calibrate_energy, calibrate_focus, fly_raster_stack
from whiteline.plans.restoring import putting_back, restoring

CLOCK = "wall"

PIXEL_UM = 0.3
"""From pixel to pixel [µm]."""

DWELL_S = 4e-4
FILTERS = ("Al 50",)
"""In the beam, as dose is dear: then errors come from counting, more than from where the sample has drifted to."""

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

FOIL_PASSES = 4
"""Fine scans of the foil: few pixels have few photons, so what all of them are off by is not to be added to that."""

EDGE_UM, EDGE_POINTS = 0.6, 21
"""Half of a scan over the knife, and its places: the spot in focus is as wide as from one to the next."""

EDGE_DWELL_S = 0.05

FOCUS_POINTS, FOCUS_SEARCH_MM = 7, 1.2
"""Of the series through focus, and the range in which it is looked for first."""

LONG_S = 60.0


def line_of(edge: str) -> str:
    """Return the line that is counted of an edge."""
    return "Ka" if edge == "K" else "La"


def prepare(session: Any, side: int, element: str, edge: str) -> None:
    """Open the photon shutter, filter the beam, count the line of the element, and set the gains of the chambers."""
    devices = session.devices
    devices.photon_shutter.set("Open").wait(LONG_S)
    devices.filters.set(FILTERS).wait(LONG_S)
    beyond = tables.edge_energy(element, edge) + BEYOND_EV
    devices.fluorescence.set_regions([(element, line_of(edge))], beyond).wait(LONG_S)
    devices.counters.change({"gains": GAINS}).wait(LONG_S)


def calibrations(session: Any, element: str, edge: str, energies: list[float]) -> list[tuple[str, MsgGenerator[Any]]]:
    """Return the plans that calibrate, each with what is said of it; the focus at both ends of the scan."""
    devices, knife_um = session.devices, session.beamline.simulation.knife.x_um
    energy = calibrate_energy(
        devices.counters, devices.energy, devices.mono, devices.foil_wheel, [element], shutter=devices.fast_shutter,
        edge=edge, passes=FOIL_PASSES,
    )  # fmt: skip
    focus = calibrate_focus(
        [devices.counters],
        devices.energy,
        devices.zone_plate,
        [energies[0], energies[-1]],
        shutter=devices.fast_shutter,
        dwell_s=EDGE_DWELL_S,
        points=FOCUS_POINTS,
        search=FOCUS_SEARCH_MM,
        edge_axis=devices.sample.x,
        edge_range=(-knife_um - EDGE_UM, -knife_um + EDGE_UM, EDGE_POINTS),
        signal="counters_transmitted_counts",
        incident="counters_incident_counts",
    )
    return [
        (f"calibrating the energy on a foil of {element}", energy),
        (
            "calibrating the focus by scans over a knife, at two energies",
            at_the_knife(devices.sample.x, knife_um, focus),
        ),
    ]


def at_the_knife(x: Any, knife_um: float, plan: MsgGenerator[Any]) -> MsgGenerator[Any]:
    """Return a plan that is run with the knife in the beam; whatever ends it, the particles come back."""

    def there() -> MsgGenerator[Any]:
        yield from bps.mv(x, -knife_um)
        return (yield from plan)

    return restoring(there(), [putting_back(x, 0.0)])


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

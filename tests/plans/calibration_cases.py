"""The plans that calibrate, as short as their fits allow."""

from typing import Any

import numpy as np
from bluesky.utils import MsgGenerator
from calibration_fakes import CalibrationLine, Hidden
from fakes import Fake, FakeAxis, World

import whiteline.plans as plans

SEED = 1
RIGHT = Hidden(zero_mm=0.0, ratio=1.0, angle_deg=0.0, gap_mm=0.0)
"""An instrument that is as it is believed to be: what is found does not move anything."""


class ApertureLine(CalibrationLine):
    """The beamline with an order-sorting aperture."""

    def __init__(self) -> None:
        super().__init__(np.random.default_rng(SEED), hidden=RIGHT)
        self.world.positions |= {"osa_x": 0.0, "osa_y": 0.0}
        self.aperture = Fake("aperture", self.world)
        for name in "xy":
            setattr(self.aperture, name, FakeAxis(f"aperture_{name}", self.world, f"osa_{name}"))


def full_field() -> CalibrationLine:
    """Return a full-field microscope."""
    return CalibrationLine(np.random.default_rng(SEED), hidden=RIGHT)


def scanning() -> CalibrationLine:
    """Return a scanning one."""
    return CalibrationLine(np.random.default_rng(SEED), full_field=False, hidden=RIGHT)


def through_aperture(world: World) -> float:
    """Return what passes the aperture, whose middle is where it stands."""
    apart = np.hypot(world.positions.get("osa_x", 0.0), world.positions.get("osa_y", 0.0))
    return float(1e6 * np.clip((42 - apart) / 25, 0, 1) + 100)


def _by_image(line: Any) -> dict[str, Any]:
    return {
        "shutter": line.shutter, "dwell_s": 0.1, "sharpness": line.live.sharpness, "shift": line.live.shift,
        "sample": line.sample,
    }  # fmt: skip


def calibrate_energy(line: Any) -> MsgGenerator[Any]:
    """On one foil."""
    return plans.calibrate_energy(line.counters, line.energy, line.mono, line.wheel, ["Ni"], shutter=line.shutter)


def calibrate_focus(line: Any) -> MsgGenerator[Any]:
    """At three energies, by images."""
    return plans.calibrate_focus(
        [line.camera], line.energy, line.zone_plate, [8300.0, 8400.0, 8500.0], points=9, search=None, **_by_image(line)
    )


def calibrate_gap(line: Any) -> MsgGenerator[Any]:
    """At two energies."""
    return plans.calibrate_gap(
        [line.counters], line.energy, line.undulator, [8300.0, 8400.0], shutter=line.shutter, dwell_s=0.1,
        signal="counters_incident",
    )  # fmt: skip


def calibrate_magnification(line: Any) -> MsgGenerator[Any]:
    """By two moves."""
    return plans.calibrate_magnification(
        line.camera, line.energy, line.sample.x, shift=line.live.shift, sample=line.sample, shutter=line.shutter,
        dwell_s=0.1, moves=2,
    )  # fmt: skip


def find_rotation_centre(line: Any) -> MsgGenerator[Any]:
    """By one pair of images; the axis goes to the middle."""
    return plans.find_rotation_centre(
        line.camera, line.energy, line.sample.rotation, line.sample.x, centre=line.live.rotation, sample=line.sample,
        shutter=line.shutter, dwell_s=0.1, pairs=1, move=True,
    )  # fmt: skip


def focus_series(line: Any) -> MsgGenerator[Any]:
    """By images, without going to the focus."""
    return plans.focus_series([line.camera], line.energy, line.zone_plate, points=9, **_by_image(line))


def knife_edge(line: Any) -> MsgGenerator[Any]:
    """Over an edge."""
    return plans.knife_edge(
        [line.edge], line.sample.x, (-0.4, 0.4, 21), signal="edge_signal", shutter=line.shutter, dwell_s=0.1
    )


def scan_osa(line: Any) -> MsgGenerator[Any]:
    """Once over each axis."""
    return plans.scan_osa(
        [line.fluorescence], line.aperture, shutter=line.shutter, signal="fluorescence_Ni_Ka", points=17, rounds=1,
        dwell_s=0.1,
    )  # fmt: skip


def measure_dark_rates(line: Any) -> MsgGenerator[Any]:
    """At two gains of one channel, and one of the other."""
    gains = {"incident": [1e6, 1e8], "transmitted": [1e7]}
    return plans.measure_dark_rates(line.counters, shutter=line.shutter, gains=gains, dwell_s=0.1, counts=2)

"""Every public plan at its smallest size with all its phases, on the beamline of fakes."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import calibration_cases as calibrations
import fly_cases as flying
from bluesky.utils import MsgGenerator
from calibration_cases import through_aperture
from dark_fakes import DarkLine
from fakes import Fake, FakeAxis, FakeBeamline, Finished, World, finished
from fly_fakes import FlyBeamline

import whiteline.plans as plans
from whiteline.analysis.live.fake import FakeLive

ENERGIES = [8330.0, 8350.0]
HOME = 8200.0
"""Where the energy of the fakes is at first [eV]."""

TWO_BY_TWO: dict[str, Any] = {"fast_range": (0.0, 1.0, 2), "slow_range": (5.0, 6.0, 2)}


class FakeFeedback(Fake):
    """The feedback of the second crystal."""

    def check_value(self, value: str) -> None:
        """Refuse other words."""
        if value not in ("On", "Off"):
            raise ValueError(f"{self.name} = {value!r} must be On or Off")

    def set(self, value: str) -> Finished:
        """Switch it."""
        self.world.feedback = value
        return finished()

    def locate(self) -> dict[str, str]:
        """Say how it was switched."""
        return {"setpoint": self.world.feedback, "readback": self.world.feedback}

    def values(self) -> dict[str, Any]:
        """Return the word."""
        return {self.name: self.world.feedback}


def slope(world: World) -> float:
    """Return counts that differ from place to place and energy to energy."""
    return world.energy + 10 * world.positions["x"] + 100 * world.positions["y"]


def peak(world: World) -> float:
    """Return counts with a maximum where the sample stands at first."""
    return 10.0 + 1000.0 * math.exp(-((world.positions["x"] - 3.0) ** 2))


@dataclass(frozen=True)
class Case:
    """A plan with all that it is given.

    Parameters
    ----------
    plan : str
        Its name.
    run : callable
        Given the beamline of fakes, returns its messages.
    variant : str
        What is special about it, where there are several.
    moves : tuple of str
        What it need not leave where it was: of "energy", "x", "y".
    signal : callable
        What is counted, given the world.
    line : callable
        Returns the beamline.
    every : int
        Only every n-th message is tried, of plans that cannot be small.
    """

    plan: str
    run: Callable[[Any], MsgGenerator[Any]]
    variant: str = ""
    moves: tuple[str, ...] = ()
    signal: Callable[[World], float] = slope
    line: Callable[[], FakeBeamline] = FakeBeamline
    every: int = 1

    @property
    def name(self) -> str:
        """Of plan and variant."""
        return f"{self.plan} {self.variant}".strip()


def _xanes(line: FakeBeamline) -> MsgGenerator[Any]:
    return plans.xanes(
        [line.counters, line.fluorescence], line.energy, ENERGIES, dwell_s=[0.1, 0.2], shutter=line.shutter,
        return_to=HOME,
    )  # fmt: skip


def _xanes_stack(line: FakeBeamline) -> MsgGenerator[Any]:
    return plans.xanes_stack(
        line.camera, line.energy, ENERGIES, sample=line.sample, shutter=line.shutter, exposure_s=0.1, darks="before",
        positions=[(0.0, 1.0), (2.0, 1.0)], return_to=HOME,
    )  # fmt: skip


def _two_edges(line: FakeBeamline) -> MsgGenerator[Any]:
    return plans.xanes_stack(
        line.camera, line.energy, [[7100.0], [8330.0]], sample=line.sample, shutter=line.shutter, exposure_s=0.1,
        flats="before and after", darks="before and after", filters=line.filters, filter_names=[[], ["Al 100"]],
    )  # fmt: skip


def _tuned_stack(line: FakeBeamline) -> MsgGenerator[Any]:
    return plans.xanes_stack(
        line.camera, line.energy, ENERGIES[:1], sample=line.sample, shutter=line.shutter, exposure_s=0.1, flats="none",
        darks="none", also=[line.counters], tune_every=1, tune_axis=line.sample.x, tune_span=4.0, tune_points=7,
        tune_feedback=_feedback(line),
    )  # fmt: skip


def _held_stack(line: FakeBeamline) -> MsgGenerator[Any]:
    live = FakeLive(shift=[{"y": 5.0, "y_um": 0.1, "x": 0.0, "x_um": 0.0}], error=[{"median": 0.001}])
    return plans.xanes_stack(
        line.camera, line.energy, ENERGIES, sample=line.sample, shutter=line.shutter, exposure_s=[0.1, 0.2],
        darks="none", passes=2, stop_at_error=0.02, error=live.error, shift=live.shift, look_s=0.05, return_to=HOME,
    )  # fmt: skip


def _raster(line: FakeBeamline) -> MsgGenerator[Any]:
    return plans.raster(
        [line.fluorescence, line.counters], line.sample.x, line.sample.y, dwell_s=0.1, snake=True, energy=line.energy,
        shutter=line.shutter, **TWO_BY_TWO,
    )  # fmt: skip


def _two_regions(line: FakeBeamline) -> MsgGenerator[Any]:
    return plans.raster(
        [line.fluorescence], line.sample.x, line.sample.y, dwell_s=0.1, shutter=line.shutter,
        regions=[((0.0, 1.0, 2), (5.0, 5.0, 1)), ((7.0, 8.0, 2), (5.0, 5.0, 1))],
    )  # fmt: skip


def _raster_stack(line: FakeBeamline) -> MsgGenerator[Any]:
    return plans.raster_stack(
        [line.fluorescence], line.energy, ENERGIES, line.sample.x, line.sample.y, dwell_s=[0.1, 0.2],
        shutter=line.shutter, return_to=HOME, **TWO_BY_TWO,
    )  # fmt: skip


def _mosaic(line: FakeBeamline) -> MsgGenerator[Any]:
    return plans.mosaic(
        line.camera, sample=line.sample, area=((0.0, 18.0), (0.0, 10.0)), tile_um=(10.0, 10.0), shutter=line.shutter,
        exposure_s=0.1, energy=line.energy,
    )  # fmt: skip


def _raster_mosaic(line: FakeBeamline) -> MsgGenerator[Any]:
    return plans.raster_mosaic(
        [line.fluorescence], line.sample.x, line.sample.y, area=((0.0, 18.0), (0.0, 10.0)), tile_um=(10.0, 10.0),
        points=(2, 2), dwell_s=0.1, shutter=line.shutter,
    )  # fmt: skip


def _tune(line: FakeBeamline) -> MsgGenerator[Any]:
    return plans.tune(
        [line.counters], line.sample.x, span=4.0, points=7, signal="counters_incident", dwell_s=0.1,
        shutter=line.shutter, feedback=_feedback(line), energy=line.energy, energies=ENERGIES[:1],
    )  # fmt: skip


def _scan_axis(line: FakeBeamline) -> MsgGenerator[Any]:
    return plans.scan_axis(
        [line.counters], line.sample.x, start=-1.0, stop=1.0, points=3, relative=True, dwell_s=0.1,
        shutter=line.shutter,
    )  # fmt: skip


def _time_series(line: FakeBeamline) -> MsgGenerator[Any]:
    return plans.time_series("xanes", _repeated(line), times_s=[0.0, 1e-9])


def _bias_series(line: FakeBeamline) -> MsgGenerator[Any]:
    line.world.positions["bias"] = 0.0
    bias = FakeAxis("bias", line.world, "bias", (-5.0, 5.0), "V", line.energy.seconds)
    return plans.bias_series("xanes", _repeated(line), axis=bias, values=[1.0, 2.0])


def _restore_positions(line: FakeBeamline) -> MsgGenerator[Any]:
    return plans.restore_positions(
        [line.sample.x, line.sample.y, line.sample.coarse_x], [1.0, 2.0, 0.5], energy=line.energy, energy_eV=8300.0,
        along_beam=[line.sample.y], shutter=line.shutter,
    )  # fmt: skip


def _feedback(line: FakeBeamline) -> FakeFeedback:
    return FakeFeedback("feedback", line.world)


def _repeated(line: FakeBeamline) -> dict[str, Any]:
    return {
        "detectors": [line.counters], "energy": line.energy, "energies": [8330.0], "shutter": line.shutter,
        "dwell_s": 0.1, "return_to": HOME,
    }  # fmt: skip


CASES = [
    Case("xanes", _xanes),
    Case("xanes_stack", _xanes_stack),
    Case("xanes_stack", _two_edges, "of two edges", moves=("energy",)),
    Case("xanes_stack", _tuned_stack, "tuned", moves=("energy",), signal=peak),
    Case("xanes_stack", _held_stack, "held", every=2),
    Case("raster", _raster),
    Case("raster", _two_regions, "of two regions"),
    Case("raster_stack", _raster_stack),
    Case("mosaic", _mosaic),
    Case("raster_mosaic", _raster_mosaic),
    Case("tune", _tune, moves=("energy",), signal=peak),
    Case("tune", _tune, "without a peak", moves=("energy",)),
    Case("scan_axis", _scan_axis),
    Case("time_series", _time_series),
    Case("bias_series", _bias_series),
    Case("restore_positions", _restore_positions, moves=("energy", "x", "y")),
    Case("fly_raster", flying.fly_raster, line=FlyBeamline),
    Case("fly_raster", flying.strict_regions, "of two regions", line=FlyBeamline, every=3),
    Case("fly_raster_stack", flying.fly_raster_stack, line=FlyBeamline, every=3),
    Case("fly_raster_stack", flying.followed_stack, "followed", line=FlyBeamline, every=3),
    Case("fly_xanes", flying.fly_xanes, line=FlyBeamline, every=2),
    Case("fly_tomography", flying.fly_tomography, line=FlyBeamline, every=3),
    Case("xanes_tomography", flying.xanes_tomography, line=FlyBeamline, every=6),
    Case("calibrate_energy", calibrations.calibrate_energy, line=calibrations.full_field, every=40),
    Case("calibrate_focus", calibrations.calibrate_focus, line=calibrations.full_field, every=40),
    Case("calibrate_magnification", calibrations.calibrate_magnification, line=calibrations.full_field, every=12),
    Case("calibrate_gap", calibrations.calibrate_gap, line=calibrations.full_field, every=40),
    Case(
        "find_rotation_centre", calibrations.find_rotation_centre, moves=("x",), line=calibrations.full_field, every=12
    ),
    Case("focus_series", calibrations.focus_series, line=calibrations.full_field, every=20),
    Case("knife_edge", calibrations.knife_edge, line=calibrations.scanning, every=20),
    Case("measure_dark_rates", calibrations.measure_dark_rates, line=DarkLine, every=2),
    Case("scan_osa", calibrations.scan_osa, signal=through_aperture, line=calibrations.ApertureLine, every=40),
]
"""All of them."""

SMALL = [case for case in CASES if case.every == 1]
"""Those of which every message is tried."""

"""Where everything stands, as the physics is told: each axis in its place, with its unit and its sign."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from whiteline.beamline import twin
from whiteline.beamline.description import load
from whiteline.sim import full_field, nanoprobe
from whiteline.sim.ioc.clock import Clock, FramesClock, WallClock
from whiteline.sim.ioc.floor import Floor
from whiteline.sim.ioc.instrument import Instrument

STANDS = {
    "monochromator.bragg": 13.7,
    "monochromator.crystal_gap": 12.9,
    "monochromator.pitch": 3.0,
    "monochromator.fine_pitch": 0.5,
    "zone_plate.x": 1.0,
    "zone_plate.y": -2.0,
    "zone_plate.z": 50.7,
    "sample.coarse.x": 0.25,
    "sample.coarse.y": -0.5,
    "sample.coarse.z": 1.5,
    "sample.fine.x": 4.0,
    "sample.fine.y": 5.0,
    "sample.fine.z": 6.0,
    "sample.rotation": 30.0,
    "detector.z": 1700.0,
    "condenser.x": 7.0,
    "condenser.y": -8.0,
    "order_sorting_aperture.x": 9.0,
    "order_sorting_aperture.y": 10.0,
    "order_sorting_aperture.z": -11.0,
    "mirrors.vertical.pitch": 12.0,
    "mirrors.horizontal.pitch": 13.0,
}
"""Every axis somewhere else, in its own unit."""


def instrument(clock: Clock, floor: Floor, seed: int, *, scanning: bool = False) -> Instrument:
    axes: Any = {path: SimpleNamespace(dial=value) for path, value in STANDS.items()}
    return Instrument(
        scanning=scanning,
        axes=axes,
        gap=lambda: 5.01,
        errors=twin.stage_errors(load("txm"), seed=seed),
        clock=clock,
        floor=floor,
        filters=lambda: ("Al 50",),
        foil=lambda: "Ni",
        correction_urad=lambda time_s: -1.25,
    )


@pytest.fixture
def floor(tmp_path: Path) -> Floor:
    return Floor.create(tmp_path / "floor", 0.0)


def test_each_axis_of_a_full_field_microscope_is_in_its_place(floor: Floor, seed: int) -> None:
    there = instrument(FramesClock(1.0, floor), floor, seed)
    there.thermal_jump_urad = 2.0
    readings = there.readings()
    assert isinstance(readings, full_field.Readings)
    wobble_x, wobble_z = there.errors.wobbled_nm(30.0)
    assert (readings.bragg, readings.crystal_gap, readings.undulator_gap) == (13.7, 12.9, 5.01)
    assert (readings.pitch_urad, readings.thermal_jump_urad) == (3.0, 2.0)
    assert readings.fine_pitch_urad == pytest.approx(0.5 - 1.25 - 2.0)
    assert (readings.zone_plate, readings.zone_plate_xy_um) == (50.7, (1.0, -2.0))
    assert readings.sample_um == pytest.approx((250 + 4 + 1e-3 * wobble_x, -500 + 5))
    assert readings.sample_z == pytest.approx(1.5 + 1e-3 * 6 + 1e-6 * wobble_z)
    assert (readings.rotation_deg, readings.detector, readings.condenser_um) == (30.0, 1700.0, (7.0, -8.0))
    assert readings.filters == ("Al 50",)


def test_each_axis_of_a_scanning_microscope_is_in_its_place(floor: Floor, seed: int) -> None:
    readings = instrument(FramesClock(1.0, floor), floor, seed, scanning=True).readings()
    assert isinstance(readings, nanoprobe.Readings)
    assert (readings.aperture, readings.aperture_xy_um) == (-11.0, (9.0, 10.0))
    assert readings.mirror_pitch_urad == (12.0, 13.0)


def test_shutters_and_dumps_of_the_machine_are_seen(floor: Floor, seed: int) -> None:
    there = instrument(FramesClock(1.0, floor), floor, seed)
    assert not there.readings().open
    for name in ("photon", "fast"):
        floor.set_shutter(name, True)
    floor.dump(1.0, 2.0)
    assert there.readings().open
    assert there.readings().dumps_s == ((1.0, 2.0),)


def test_a_coarse_stage_lands_elsewhere_after_each_move_and_a_fine_one_does_not(floor: Floor, seed: int) -> None:
    there = instrument(FramesClock(1.0, floor), floor, seed)
    before = there.stage_um()
    there.moved("sample.fine.x", 0.0, 50.0)
    assert there.stage_um() == before
    for number in (1, 2):
        there.moved("sample.coarse.y", 0.0, 1.0)
        landed = 1e-3 * there.errors.landed_nm(1, number)
        assert there.stage_um() == pytest.approx((before[0], before[1] + landed, before[2]))


@pytest.mark.parametrize(
    ("path", "travel", "creeps"),
    [
        ("sample.fine.x", 0.9, False),
        ("sample.fine.x", -1.1, True),
        ("sample.coarse.x", 0.0009, False),
        ("sample.coarse.x", 0.0011, True),
        ("zone_plate.x", 500.0, False),
        ("sample.rotation", 90.0, False),
    ],
)
def test_the_sample_creeps_after_moves_of_more_than_a_micrometre(
    floor: Floor, seed: int, path: str, travel: float, creeps: bool
) -> None:
    later = instrument(FramesClock(1.0, floor), floor, seed)
    later.clock.moved(path, 2.0)
    later.moved(path, 0.0, travel)
    assert later.readings().moves_s == ()
    assert later.expose(later.clock).moves_s == ((2.0,) if creeps else ())
    at_once = instrument(WallClock(1.0, floor), floor, seed)
    at_once.moved(path, 0.0, travel)
    assert len(at_once.readings().moves_s) == creeps

"""Gap, aperture, focus and probe measured on a simulated nanoprobe whose truth is hidden, against that truth."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ca_client import Channels
from conftest import Simulate
from same_plans import judge_tidy, ready
from scipy.optimize import minimize_scalar

from whiteline.beamline import twin as truth_of
from whiteline.beamline.simulation import Simulated

GAP_ERROR_MM = 0.004

FOCUSED_AT = [8370.0, 8550.0]

KNIFE_MM = -0.2
"""Where the coarse stage brings the knife into the beam."""


@pytest.fixture(scope="module")
def twin(simulate: Simulate) -> Simulated:
    seed = int(np.random.default_rng().integers(2**31))
    print(f"seed of the twin: {seed}")
    rng = np.random.default_rng(seed)
    errors = {
        "undulator_gap_mm": GAP_ERROR_MM,
        "zone_plate_zero_mm": rng.uniform(-0.3, 0.3),
        "zone_plate_ppm": rng.uniform(-2000, 2000),
    }
    hidden = [(f"{name} = 0.0", f"{name} = {value:.9g}") for name, value in errors.items()]
    return simulate("nanoprobe", hidden, speed=100.0, clock="frames", seed=seed)


@pytest.fixture(scope="module")
def devices(twin: Simulated, keep: Callable[[Any], Any], ca: Channels) -> Any:
    from whiteline.beamline.build import build

    return ready(keep(build(twin.beamline)), ca)


@pytest.fixture(scope="module")
def microscope(twin: Simulated) -> Any:
    return truth_of.nanoprobe(twin.beamline)


@pytest.fixture(scope="module")
def focused(devices: Any) -> Any:
    """What a calibration of the focus on the knife has found, after which the knife is in the beam."""
    from whiteline.plans import calibrate_focus

    devices.counters.change({"gains": {"transmitted": 1e8}}).wait(60.0)
    devices.energy.move(FOCUSED_AT[0])  # a table of the gap reaches no farther, once there is one
    devices.sample.coarse.x.move(KNIFE_MM)
    here = devices.sample.x.position
    plan = calibrate_focus(
        [devices.counters], devices.energy, devices.zone_plate, FOCUSED_AT, points=7, search=1.2, dwell_s=0.1,
        edge_axis=devices.sample.x, edge_range=(here - 0.6, here + 0.6, 21), signal="counters_transmitted_counts",
        incident="counters_incident_counts", shutter=devices.fast_shutter,
    )  # fmt: skip
    return found_by(plan)


def found_by(plan: Any) -> Any:
    """Run a plan, and return what it has found."""
    from bluesky import RunEngine

    return RunEngine({}, context_managers=[], call_returns_result=True)(plan).plan_result


def test_the_gap_is_where_the_beam_is_brightest(devices: Any, microscope: Any) -> None:
    from whiteline.plans import calibrate_gap

    def darkness(gap: float, energy: float) -> float:
        return -float(microscope.beam.undulator.brightness(gap, energy))

    energies, undulator, home = [8360.0, 8560.0], devices.undulator, devices.energy.position
    plan = calibrate_gap(
        [devices.counters], devices.energy, undulator, energies, shutter=devices.fast_shutter, points=21, dwell_s=0.1
    )
    found = found_by(plan)
    assert found.applied, found.reason
    assert undulator.gap_table.calibration == found.calibration
    for energy in energies:
        gap = float(found.calibration.position(energy))
        near = gap - 0.02, gap + 0.02
        best = minimize_scalar(darkness, args=(energy,), bounds=near, method="bounded", options={"xatol": 1e-7}).x
        # the law that the energy axis went by is off by the hidden error, and the table is not
        assert abs(gap - best) < GAP_ERROR_MM / 8
        assert abs(gap - best) < 6 * float(found.calibration.predicted_error(energy)) + 1e-4
    # back where it was, though the table does not reach there
    assert devices.energy.position == pytest.approx(home, abs=0.1)
    assert not energies[0] <= home <= energies[1]
    judge_tidy(devices)


def test_the_aperture_comes_to_the_middle_of_the_beam(devices: Any, microscope: Any) -> None:
    from whiteline.plans import scan_osa

    aperture, plate = devices.aperture, devices.zone_plate
    aperture.x.move(14.0)
    aperture.y.move(-11.0)
    plan = scan_osa(
        [devices.counters], aperture, shutter=devices.fast_shutter, span=120.0, points=17, rounds=1, dwell_s=0.1
    )
    found = found_by(plan)
    assert found.applied, found.reason
    wander = microscope.optic.zone_plate.wander(plate.z.position)
    for axis, name, off in zip((aperture.x, aperture.y), "xy", wander, strict=True):
        middle = getattr(plate, name).position + off
        assert abs(axis.position - middle) < 2.0
        assert abs(found.quantities[name][0] - middle) < 2.0
    judge_tidy(devices)


def test_the_focus_is_found_on_a_knife(devices: Any, microscope: Any, focused: Any) -> None:
    assert focused.applied, focused.reason
    lens, law = microscope.optic.zone_plate, devices.zone_plate.law
    for energy in (FOCUSED_AT[0], 8450.0, FOCUSED_AT[1]):
        devices.energy.move(energy)
        off = lens.position(devices.zone_plate.z.position) + lens.focal_length(energy)
        # 0.3 mm that nobody was told are three of them
        assert abs(off) < 0.05 * 1e-3 * float(law.depth_of_focus(energy)), energy
    judge_tidy(devices)


def test_the_probe_is_as_wide_as_it_truly_is(devices: Any, microscope: Any, focused: Any) -> None:
    from whiteline.plans import knife_edge

    energy = 8400.0
    devices.energy.move(energy)
    home, here = devices.sample.x.position, focused.quantities["edge"][0]
    plan = knife_edge(
        [devices.counters], devices.sample.x, (here - 0.45, here + 0.45, 37), signal="counters_transmitted_counts",
        incident="counters_incident_counts", shutter=devices.fast_shutter, dwell_s=0.1,
    )  # fmt: skip
    found = found_by(plan)
    assert found.quantities, found.reason
    sigma, error, _ = found.quantities["sigma"]
    true = 1e-3 * microscope.sharp_spot_nm(energy)[0]
    # the sample creeps by some nanometres while it is scanned
    assert abs(sigma / true - 1) < 0.15 + 5 * error / true
    assert error < 0.1 * true
    assert devices.sample.x.position == pytest.approx(home, abs=0.05)
    judge_tidy(devices)

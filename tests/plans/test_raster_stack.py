"""Stacks of rasters: the same places at every energy, and each count at its energy and place in the stack of maps."""

import random
from typing import Any

import numpy as np
import pytest
from fakes import FakeBeamline, FakeDetector, World
from hypothesis import given, settings
from hypothesis import strategies as st
from running import length_of_run, pausing, taken

from whiteline.plans import paths
from whiteline.plans.raster_stack import raster_stack

ENERGIES = [8320.0, 8333.0, 8350.0]
FAST, SLOW = (-1.0, 2.0, 4), (10.0, 14.0, 3)
"""An odd number of lines: with snake, the second map begins backwards."""


def pattern(energy: Any, x: Any, y: Any) -> Any:
    """Return counts that are different at every place and energy."""
    return 0.5 * energy + 7.0 * x + 31.0 * y + x * y


def counted(world: World) -> float:
    return float(pattern(world.energy, world.positions["x"], world.positions["y"]))


@pytest.fixture
def line() -> FakeBeamline:
    line = FakeBeamline()
    line.world.signal = counted
    return line


def of(line: FakeBeamline, energies: Any = ENERGIES, **different: Any) -> Any:
    arguments = {"fast_range": FAST, "slow_range": SLOW, "dwell_s": 0.1, "shutter": line.shutter, **different}
    return raster_stack(
        [line.fluorescence, line.counters], line.energy, energies, line.sample.x, line.sample.y, **arguments
    )


@pytest.mark.parametrize("snake", [False, True])
def test_a_pattern_comes_back_at_its_energy_and_place(line: FakeBeamline, snake: bool) -> None:
    (run,) = taken(of(line, snake=snake))
    assert run.raster_shape == (3, 3, 4)
    energies, rows, columns = np.array(ENERGIES)[:, None, None], np.linspace(*SLOW)[:, None], np.linspace(*FAST)
    np.testing.assert_array_equal(run.map_of("fluorescence_Ni_Ka"), pattern(energies, columns, rows))
    np.testing.assert_array_equal(run.map_of("energy"), np.broadcast_to(energies, (3, 3, 4)))
    np.testing.assert_array_equal(run.planned_energies, ENERGIES)
    assert run.completeness.whole
    assert run.completeness.planned_energies == 3


def test_the_places_are_the_same_at_every_energy_whatever_the_optics_did(line: FakeBeamline) -> None:
    """A stage that is nudged whenever the energy moves is brought to its place again, on both axes."""
    nudged = line.energy.set

    def nudge(value: float) -> Any:
        line.world.positions["y"] += 0.3
        line.world.positions["x"] -= 0.2
        return nudged(value)

    line.energy.set = nudge  # type: ignore[method-assign]
    # with snake and an odd number of lines, a map begins where the axes were sent last
    taken(of(line, snake=True))
    seen = [one for one in line.world.exposures if one.detector == "fluorescence"]
    assert all(one.open for one in seen)
    np.testing.assert_array_equal([(one.x, one.y) for one in seen], paths.raster(FAST, SLOW, snake=True, maps=3))
    np.testing.assert_array_equal([one.energy for one in seen], np.repeat(ENERGIES, FAST[2] * SLOW[2]))


def test_each_energy_has_its_dwell_and_all_is_as_before(line: FakeBeamline) -> None:
    before, positions = line.state(), dict(line.world.positions)
    taken(of(line, dwell_s=[0.1, 0.4, 0.2], return_to=8200.0))
    dwells = {one.energy: one.seconds for one in line.world.exposures}
    assert dwells == {8320.0: 0.1, 8333.0: 0.4, 8350.0: 0.2}
    assert line.state() == before
    assert line.world.positions == positions
    assert line.world.energy == 8200.0


def test_the_start_document_tells_readers_what_they_look_for(line: FakeBeamline) -> None:
    (run,) = taken(of(line, snake=True, dwell_s=None))
    start = run.start
    assert start["motors"] == ["energy", "sample_y", "sample_x"]
    assert start["shape"] == [3, 3, 4]
    assert start["snaking"] == [False, False, True]
    assert start["element"] == "Ni"
    assert start["edge"] == "K"
    assert start["roles"]["energy"] == "energy"
    assert start["plan_args"]["dwell_s"] == [1.0, 1.0, 1.0]
    assert start["scan"]["scan_input"] == [-1.0, 2.0, 4, 10.0, 14.0, 3, 1.0]


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.booleans())
def test_a_pause_anywhere_leaves_the_same_data(seed: int, snake: bool) -> None:
    def plan_of(line: FakeBeamline) -> Any:
        line.world.signal = counted
        return of(line, [8330.0, 8350.0], fast_range=(0.0, 1.0, 2), slow_range=(0.0, 2.0, 3), snake=snake)

    undisturbed, disturbed = FakeBeamline(), FakeBeamline()
    (expected,) = taken(plan_of(undisturbed))
    at = random.Random(seed).randrange(length_of_run(plan_of(FakeBeamline())))
    (run,) = taken(pausing(plan_of(disturbed), at))
    assert run.exit_status == "success"
    np.testing.assert_array_equal(run.map_of("fluorescence_Ni_Ka"), expected.map_of("fluorescence_Ni_Ka"))
    np.testing.assert_array_equal(run.map_of("energy"), expected.map_of("energy"))
    assert disturbed.state() == undisturbed.state()


class Particular(FakeDetector):
    """Counts a line of an edge."""

    def check_energy(self, energy: float) -> None:
        if energy < 8333.0:
            raise ValueError(f"energy {energy:g} eV cannot excite Ni Ka1: its K edge is at 8333 eV")


def test_a_line_may_be_missing_below_its_edge_but_not_at_all_energies(line: FakeBeamline) -> None:
    line.fluorescence = Particular("fluorescence", line.world, ["Ni_Ka"])
    taken(of(line, [8320.0, 8350.0]))
    with pytest.raises(ValueError, match="energy 8330 eV cannot excite Ni Ka1"):
        next(of(line, [8320.0, 8330.0]))


@pytest.mark.parametrize(
    ("different", "says"),
    [
        ({"energies": []}, "number of energies 0 must be at least 1"),
        ({"energies": [8.32, 8.35]}, "looks like keV: write 8320"),
        ({"energies": [8320.0, 8350.0, 8330.0]}, "energies must ascend or descend"),
        ({"energies": [4000.0, 8350.0]}, "energy 4000 eV must lie between"),
        ({"return_to": 8.2}, "looks like keV"),
        ({"dwell_s": 0.0}, "dwell 0 s must be"),
        ({"dwell_s": [0.1, 0.2]}, "dwell_s has 2 values for 3 energies"),
        ({"fast_range": (0.0, 1.0, 0)}, "number of points of fast_range 0"),
        ({"fast_range": (0.0, 1.0, 100), "slow_range": (0.0, 1.0, 40)}, "number of points 12000.*use fly_raster"),
        ({"slow_range": (0.0, 1000.0, 3)}, "sample_y 1000 um must lie between"),
    ],
)
def test_what_cannot_be_right_is_refused_before_the_first_message(
    line: FakeBeamline, different: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        next(of(line, **different))


def test_a_camera_and_a_setting_are_refused_as_detector_and_energy(line: FakeBeamline) -> None:
    ranges = {"fast_range": FAST, "slow_range": SLOW}
    with pytest.raises(TypeError, match=r"camera is a camera.*take xanes_stack or mosaic"):
        next(raster_stack([line.camera], line.energy, ENERGIES, line.sample.x, line.sample.y, **ranges))
    with pytest.raises(TypeError, match="energy = counters cannot play this part"):
        next(raster_stack([line.counters], line.counters, ENERGIES, line.sample.x, line.sample.y, **ranges))

"""Rasters: the right places are exposed in the right order, and what was there comes back at its place on the map."""

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fakes import FakeAxis, FakeBeamline, FakeDetector, World
from hypothesis import given, settings
from hypothesis import strategies as st
from running import length_of_run, pausing, taken

from whiteline.plans import paths, spirals
from whiteline.plans.raster import raster

FAST, SLOW = (-2.0, 2.0, 5), (10.0, 16.0, 4)
COLUMNS, ROWS = np.linspace(*FAST), np.linspace(*SLOW)


def pattern(x: Any, y: Any) -> Any:
    """Return counts that are different at every place."""
    return 1000.0 + 7.0 * x + 31.0 * y + x * y


def counted(world: World) -> float:
    return float(pattern(world.positions["x"], world.positions["y"]))


@pytest.fixture
def line() -> FakeBeamline:
    line = FakeBeamline()
    line.world.signal = counted
    return line


def of(line: FakeBeamline, **different: Any) -> Any:
    arguments = {"fast_range": FAST, "slow_range": SLOW, "dwell_s": 0.1, "shutter": line.shutter, **different}
    return raster([line.fluorescence, line.counters], line.sample.x, line.sample.y, **arguments)


def places(line: FakeBeamline, detector: str = "fluorescence") -> list[tuple[float, float]]:
    """Return where a detector was exposed; it must have been open everywhere."""
    seen = [one for one in line.world.exposures if one.detector == detector]
    assert all(one.open for one in seen)
    return [(one.x, one.y) for one in seen]


def refused(plan: Any, kind: type[Exception], says: str) -> None:
    """Assert that a plan is refused before its first message."""
    with pytest.raises(kind, match=says):
        next(plan)


@pytest.mark.parametrize("snake", [False, True])
def test_a_pattern_comes_back_at_its_place_on_the_map(line: FakeBeamline, snake: bool) -> None:
    (run,) = taken(of(line, snake=snake))
    expected = pattern(COLUMNS[None, :], ROWS[:, None])
    assert run.raster_shape == (4, 5)
    for key in ("fluorescence_Ni_Ka", "counters_incident"):
        np.testing.assert_array_equal(run.map_of(key), expected)
    np.testing.assert_array_equal(run.map_of("sample_x"), np.broadcast_to(COLUMNS, (4, 5)))
    np.testing.assert_array_equal(run.map_of("sample_y"), np.broadcast_to(ROWS[:, None], (4, 5)))
    assert run.completeness.whole
    assert run.completeness.planned == 20
    assert places(line) == [tuple(one) for one in paths.raster(FAST, SLOW, snake=snake).tolist()]


def test_every_place_is_counted_for_the_dwell_with_the_shutter_open_and_all_is_as_before(line: FakeBeamline) -> None:
    before, position = line.state(), dict(line.world.positions)
    taken(of(line))
    assert {one.seconds for one in line.world.exposures} == {0.1}
    assert all(one.open for one in line.world.exposures)
    assert line.state() == before
    assert line.world.positions == position
    # closed while the sample moves: opened and closed once for each place, and closed at the end
    assert line.shutter.calls["set"] == 2 * 20 + 1


def test_an_axis_is_only_sent_where_it_is_not(line: FakeBeamline) -> None:
    taken(of(line, snake=True))
    # and back at the end
    assert line.sample.y.calls["set"] == len(ROWS) + 1
    assert line.sample.x.calls["set"] == len(ROWS) * (len(COLUMNS) - 1) + 2
    # it averages its interferometer at every point, wherever it was sent
    assert line.sample.y.calls["trigger"] == line.sample.x.calls["trigger"] == 20


def test_the_start_document_tells_readers_what_they_look_for(line: FakeBeamline) -> None:
    (run,) = taken(of(line, snake=True, energy=line.energy, signal="fluorescence_Ni_Ka", md={"sample": "NMC 811"}))
    start = run.start
    assert start["plan_name"] == "raster"
    assert start["sample"] == "NMC 811"
    assert start["motors"] == ["sample_y", "sample_x"]
    assert start["shape"] == [4, 5]
    assert start["snaking"] == [False, True]
    assert start["extents"] == [[10.0, 16.0], [-2.0, 2.0]]
    assert start["hints"]["gridding"] == "rectilinear"
    assert start["roles"]["fast"] == "sample_x"
    assert start["roles"]["slow"] == "sample_y"
    assert start["roles"]["energy"] == "energy"
    assert start["roles"]["signal"] == "fluorescence_Ni_Ka"
    assert start["plan_args"]["dwell_s"] == 0.1
    assert start["scan"] == {
        "type": "XRF_STEP",
        "scan_input": [-2.0, 2.0, 5, 10.0, 16.0, 4, 0.1],
        "fast_axis": {"motor_name": "sample_x", "units": "um"},
        "slow_axis": {"motor_name": "sample_y", "units": "um"},
        "shape": [4, 5],
        "snake": 1,
        "dwell": 0.1,
        "detectors": ["fluorescence", "counters"],
    }
    np.testing.assert_array_equal(run.energies, 8200.0)


def test_several_regions_are_runs_of_a_group(line: FakeBeamline) -> None:
    regions = [((0.0, 2.0, 3), (0.0, 1.0, 2)), ((10.0, 10.0, 1), (5.0, 4.0, 2))]
    runs = taken(of(line, fast_range=None, slow_range=None, regions=regions))
    assert [one.raster_shape for one in runs] == [(2, 3), (2, 1)]
    assert [one.start["group_index"] for one in runs] == [0, 1]
    assert {one.start["group_size"] for one in runs} == {2}
    assert len({one.start["group"] for one in runs}) == 1
    assert runs[0].start["group_purpose"] == "regions"
    for run, (fast, slow) in zip(runs, regions, strict=True):
        expected = pattern(np.linspace(*fast)[None, :], np.linspace(*slow)[:, None])
        np.testing.assert_array_equal(run.map_of("fluorescence_Ni_Ka"), expected)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("hexagonal", paths.hexagonal(FAST, SLOW)),
        ("spiral", spirals.spiral(FAST, SLOW)),
        ("square spiral", spirals.square_spiral(FAST, SLOW)),
        ("fermat", spirals.fermat(FAST, SLOW)),
    ],
)
def test_other_paths_record_where_each_point_was(line: FakeBeamline, path: str, expected: Any) -> None:
    (run,) = taken(of(line, path=path))
    assert places(line) == [tuple(one) for one in expected.tolist()]
    assert run.raster_shape is None
    assert run.completeness.planned == len(expected)
    x, y = (run.positions(axis).read for axis in ("sample_x", "sample_y"))
    np.testing.assert_array_equal(run.points.read("fluorescence_Ni_Ka"), pattern(x, y))


def test_only_what_lies_inside_polygons_is_exposed_and_each_point_says_in_which(line: FakeBeamline) -> None:
    low, high = [(-2, 10), (2, 10), (2, 12)], [(-1, 13), (1, 13), (1, 17), (-1, 17)]
    (run,) = taken(of(line, polygons=[high, low], snake=True))
    assert run.raster_shape is None
    index = run.points.read("region_index")
    assert (np.diff(index) >= 0).all()
    assert set(index) == {0, 1}
    y = run.positions("sample_y").read
    assert (y[index == 0] > 13).all()
    assert (y[index == 1] <= 12).all()
    assert places(line)[: (index == 0).sum()] == [(-1, 14), (0, 14), (1, 14), (1, 16), (0, 16), (-1, 16)]


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.booleans(), st.booleans())
def test_a_pause_anywhere_leaves_the_same_data(seed: int, snake: bool, inside: bool) -> None:
    def plan_of(line: FakeBeamline) -> Any:
        line.world.signal = counted
        small = {"fast_range": (0.0, 2.0, 3), "slow_range": (5.0, 6.0, 2), "snake": snake}
        return of(line, **small, polygons=[[(0, 5), (2, 5), (2, 6)]] if inside else None)

    undisturbed, disturbed = FakeBeamline(), FakeBeamline()
    (expected,) = taken(plan_of(undisturbed))
    # the cleanup comes after the run: a pause there has nothing to do with its data
    at = random.Random(seed).randrange(length_of_run(plan_of(FakeBeamline())))
    (run,) = taken(pausing(plan_of(disturbed), at))
    assert run.exit_status == "success"
    for key in ("fluorescence_Ni_Ka", "sample_x", "sample_y", "counters_incident"):
        np.testing.assert_array_equal(run.points.read(key), expected.points.read(key))
    np.testing.assert_array_equal(run.points.seq_nums, expected.points.seq_nums)
    assert disturbed.state() == undisturbed.state()
    assert places(disturbed)[-1] == places(undisturbed)[-1]


def test_the_time_to_average_is_that_of_the_point_for_the_interferometer_of_the_stage(line: FakeBeamline) -> None:
    meter = FakeDetector("interferometer", line.world, ["x", "y"])
    line.sample.x.interferometer = line.sample.y.interferometer = meter  # type: ignore[attr-defined]
    seen: list[float] = []
    line.world.signal = lambda world: seen.append(meter.dwell.value) or 1.0  # type: ignore[attr-defined, func-returns-value]
    taken(of(line))
    assert set(seen) == {0.1}
    assert meter.dwell.value == 0.25, "as before"  # type: ignore[attr-defined]


class Particular(FakeDetector):
    """Counts a line of an edge."""

    def check_energy(self, energy: float) -> None:
        if energy < 8333.0:
            raise ValueError(f"energy {energy:g} eV cannot excite Ni Ka1: its K edge is at 8333 eV")


def test_an_energy_below_the_edge_of_the_line_is_refused_before_anything_moves(line: FakeBeamline) -> None:
    particular = Particular("fluorescence", line.world, ["Ni_Ka"])
    plan = raster(
        [particular], line.sample.x, line.sample.y, fast_range=FAST, slow_range=SLOW, dwell_s=0.1, energy=line.energy
    )
    with pytest.raises(ValueError, match="energy 8200 eV cannot excite Ni Ka1"):
        taken(plan)
    assert not line.world.exposures
    assert not line.sample.x.calls["set"]


@pytest.mark.parametrize(
    ("different", "says"),
    [
        ({"fast_range": (0.0, 1.0, 0)}, "number of points of fast_range 0 must be a whole number from 1 on"),
        ({"slow_range": (0.0, 1.0, -1)}, "number of points of slow_range -1"),
        ({"slow_range": (0.0, 1.0)}, r"slow_range = \(0.0, 1.0\) must be \(start, stop, points\)"),
        ({"slow_range": None}, "slow_range"),
        ({"fast_range": None, "slow_range": None}, "give either fast_range and slow_range, or regions"),
        ({"regions": [(FAST, SLOW)]}, "give either fast_range and slow_range, or regions"),
        ({"fast_range": None, "slow_range": None, "regions": []}, "regions is empty"),
        ({"fast_range": None, "slow_range": None, "regions": [FAST]}, "must be"),
        ({"dwell_s": 0.0}, "dwell 0 s must be"),
        ({"dwell_s": -1.0}, "dwell -1 s must be"),
        ({"dwell_s": 1e5}, "must be at most 3600 s; give it in seconds"),
        ({"fast_range": (0.0, 1.0, 101), "slow_range": (0.0, 1.0, 100)}, "must be at most 10000.*use fly_raster"),
        ({"fast_range": (0.0, 1.0, 10**6), "slow_range": (0.0, 1.0, 10**6), "path": "fermat"}, "use fly_raster"),
        ({"fast_range": (0.0, 501.0, 3)}, "sample_x 501 um must lie between"),
        ({"slow_range": (-501.0, 0.0, 3)}, "sample_y -501 um must lie between"),
        ({"fast_range": (0.0, math.nan, 3)}, "fast_range nan um must be a finite number"),
        ({"path": "zigzag"}, "path = 'zigzag' must be one of 'raster', 'hexagonal'"),
        ({"path": "spiral", "snake": True}, "snake goes with lines"),
        ({"path": "spiral", "fast_range": (0.0, 1.0, 2)}, "number of points of fast_range 2 must be .* from 3 on"),
        ({"polygons": []}, "polygons is empty"),
        ({"polygons": [[(0, 0), (1, 1)]]}, "number of corners of polygon 0 2 must be at least 3"),
        ({"polygons": [[(90, 90), (91, 91), (90, 91)]]}, "no point of the path lies inside polygon 0"),
    ],
)
def test_what_cannot_be_right_is_refused_before_the_first_message(
    line: FakeBeamline, different: dict[str, Any], says: str
) -> None:
    refused(of(line, **different), ValueError, says)


@pytest.mark.parametrize(
    ("make", "kind", "says"),
    [
        (lambda line: [line.camera], TypeError, "camera is a camera.*take xanes_stack or mosaic"),
        (lambda line: [line.counters, line.camera], TypeError, "needs a probe that is scanned"),
        (lambda line: [], ValueError, "detectors is empty"),
        (lambda line: line.counters, TypeError, "must be a list"),
    ],
)
def test_detectors_that_scan_nothing_are_refused(
    line: FakeBeamline, make: Callable[[FakeBeamline], Any], kind: type[Exception], says: str
) -> None:
    plan = raster(make(line), line.sample.x, line.sample.y, fast_range=FAST, slow_range=SLOW, dwell_s=0.1)
    refused(plan, kind, says)


def test_axes_that_are_none_are_refused(line: FakeBeamline) -> None:
    ranges = {"fast_range": FAST, "slow_range": SLOW, "dwell_s": 0.1}
    refused(raster([line.counters], line.sample.x, line.sample.x, **ranges), ValueError, "give two axes")
    refused(raster([line.counters], line.counters, line.sample.y, **ranges), TypeError, "fast = counters cannot play")


def test_a_raster_needs_no_shutter_and_runs_with_axes_of_its_own(line: FakeBeamline) -> None:
    line.world.positions |= {"fine_x": 0.0, "fine_y": 0.0}
    x, y = (FakeAxis(name, line.world, name, (-50.0, 50.0)) for name in ("fine_x", "fine_y"))
    line.world.shutter = "Open"
    line.world.signal = lambda world: pattern(world.positions["fine_x"], world.positions["fine_y"])
    (run,) = taken(raster([line.counters, x], x, y, fast_range=FAST, slow_range=SLOW, dwell_s=0.1))
    np.testing.assert_array_equal(run.map_of("counters_incident"), pattern(COLUMNS[None, :], ROWS[:, None]))
    assert line.world.shutter == "Open"

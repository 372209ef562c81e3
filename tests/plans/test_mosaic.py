"""Mosaics: every place of the area lies in a tile, flats come when they should, and the sample is in for each tile."""

import random
from typing import Any

import numpy as np
import pytest
from fakes import Exposure, FakeBeamline
from hypothesis import given, settings
from hypothesis import strategies as st
from running import length_of_run, pausing, taken

from whiteline.plans.mosaic import mosaic, raster_mosaic

AREA, TILE = ((0.0, 100.0), (-30.0, 30.0)), (40.0, 40.0)
"""Three columns of two rows, at an overlap of a tenth."""

CENTRES = [(20.0, -10.0), (50.0, -10.0), (80.0, -10.0), (80.0, 10.0), (50.0, 10.0), (20.0, 10.0)]


@pytest.fixture
def line() -> FakeBeamline:
    return FakeBeamline()


def of(line: FakeBeamline, **different: Any) -> Any:
    arguments: dict[str, Any] = {
        "sample": line.sample, "area": AREA, "tile_um": TILE, "shutter": line.shutter, "exposure_s": 0.2, "frames": 2,
        **different,
    }  # fmt: skip
    return mosaic(different.pop("camera", line.camera), **{k: v for k, v in arguments.items() if k != "camera"})


def kinds(line: FakeBeamline) -> str:
    """Return what the camera took, in order: t for a tile, f for a flat, d for a dark."""
    return "".join(_kind(one) for one in line.world.exposures if one.detector == "camera")


def _kind(seen: Exposure) -> str:
    return "d" if not seen.open else "t" if seen.sample_in else "f"


def test_tiles_are_exposed_row_by_row_and_cover_the_area(line: FakeBeamline) -> None:
    before, positions = line.state(), dict(line.world.positions)
    (run,) = taken(of(line))
    tiles = [one for one in line.world.exposures if _kind(one) == "t"]
    assert [(one.x, one.y) for one in tiles] == CENTRES
    assert {one.seconds for one in tiles} == {0.2}
    assert kinds(line) == "d" + "f" + "tttttt" + "f"
    assert line.state() == before
    assert line.world.positions == positions
    places = np.random.default_rng(1).uniform([0, -30], [100, 30], (2000, 2))
    off = np.abs(places[:, None] - np.array(CENTRES)[None])
    assert ((off <= 20.0).all(axis=2)).any(axis=1).all()
    assert len(run.points) == run.completeness.planned == 6
    assert run.raster_shape == (2, 3)
    np.testing.assert_array_equal(run.map_of("sample_x"), [[20, 50, 80], [20, 50, 80]])
    np.testing.assert_array_equal(run.map_of("sample_y"), [[-10] * 3, [10] * 3])


def test_the_start_document_says_where_the_tiles_are(line: FakeBeamline) -> None:
    (run,) = taken(of(line, energy=line.energy, also=[line.counters], md={"sample": "NMC 811"}))
    start = run.start
    assert start["plan_name"] == "mosaic"
    assert start["sample"] == "NMC 811"
    assert start["tile_um"] == [40.0, 40.0]
    assert [tuple(one) for one in start["tile_centres"]] == CENTRES
    assert start["snaking"] == [False, True]
    assert start["roles"]["frames"] == "camera_image"
    assert start["frames_per_event"] == 2
    assert "counters_incident" in run.points
    np.testing.assert_array_equal(run.energies, 8200.0)
    np.testing.assert_array_equal(run.energies_of("flat"), 8200.0)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("none", "tttttt"),
        ("before and after", "fttttttf"),
        # every second tile begins with its flats, as the sample is still out
        ("each", "tffttffttfft"),
        (4, "tfttttfft"),
    ],
)
def test_flats_are_taken_by_the_policy(line: FakeBeamline, policy: Any, expected: str) -> None:
    taken(of(line, flats=policy, darks="none"))
    assert kinds(line).count("t") == 6
    assert kinds(line).count("f") == {"none": 0, "before and after": 2, "each": 6, 4: 3}[policy]
    assert kinds(line) == expected


def test_darks_are_taken_with_the_shutter_closed_and_more_flats_in_more_events(line: FakeBeamline) -> None:
    (run,) = taken(of(line, darks="before and after", dark_frames=4, flat_frames=6))
    assert kinds(line) == "dd" + "fff" + "tttttt" + "fff" + "dd"
    assert len(run.stream("flat")) == 6
    assert len(run.stream("dark")) == 4


def test_a_sample_that_cannot_go_out_has_no_flats(line: FakeBeamline) -> None:
    class Fixed:
        name, x, y = "fixed", line.sample.x, line.sample.y

    with pytest.raises(ValueError, match="flats = 'each' need a sample that can be taken out, and 'fixed'"):
        next(of(line, sample=Fixed(), flats="each"))
    taken(of(line, sample=Fixed(), flats="none"))
    assert kinds(line) == "dtttttt"


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.sampled_from(["each", "before and after"]))
def test_a_pause_anywhere_leaves_the_same_data(seed: int, flats: str) -> None:
    def plan_of(line: FakeBeamline) -> Any:
        line.world.signal = lambda world: world.positions["x"] + 1000 * world.positions["y"] + 1e6 * world.sample_in
        return of(line, area=((0.0, 60.0), (0.0, 10.0)), flats=flats)

    undisturbed, disturbed = FakeBeamline(), FakeBeamline()
    (expected,) = taken(plan_of(undisturbed))
    at = random.Random(seed).randrange(length_of_run(plan_of(FakeBeamline())))
    (run,) = taken(pausing(plan_of(disturbed), at))
    assert run.exit_status == "success"
    for stream in ("primary", "flat", "dark"):
        np.testing.assert_array_equal(
            run.stream(stream).read("camera_image"), expected.stream(stream).read("camera_image")
        )
    assert disturbed.state() == undisturbed.state()


def test_a_probe_takes_a_raster_of_each_tile_and_all_are_a_group(line: FakeBeamline) -> None:
    line.world.signal = lambda world: world.positions["x"] + 1000 * world.positions["y"]
    runs = taken(
        raster_mosaic(
            [line.fluorescence], line.sample.x, line.sample.y, area=((0.0, 18.0), (0.0, 4.0)), tile_um=(10.0, 4.0),
            points=(6, 3), overlap=0.2, dwell_s=0.1, shutter=line.shutter,
        )
    )  # fmt: skip
    assert len(runs) == 2
    assert {one.start["group_purpose"] for one in runs} == {"mosaic"}
    assert len({one.start["group"] for one in runs}) == 1
    assert [one.start["group_index"] for one in runs] == [0, 1]
    assert runs[0].start["tile_um"] == [10.0, 4.0]
    for run, low in zip(runs, (0.0, 8.0), strict=True):
        columns, rows = np.linspace(low, low + 10.0, 6), np.linspace(0.0, 4.0, 3)
        np.testing.assert_array_equal(run.map_of("fluorescence_Ni_Ka"), columns + 1000 * rows[:, None])


@pytest.mark.parametrize(
    ("different", "kind", "says"),
    [
        ({"overlap": 1.0}, ValueError, "overlap 1 must be at least 0 and less than 1"),
        ({"tile_um": (0.0, 5.0)}, ValueError, "tile_um 0 um must be"),
        ({"area": (0.0, 100.0)}, ValueError, "area"),
        ({"area": ((0.0, 1200.0), (0.0, 1.0))}, ValueError, "sample_x 1180 um must lie between"),
        ({"exposure_s": 0.0}, ValueError, "exposure 0 s must be"),
        ({"frames": 0}, ValueError, "frames 0 must be a whole number"),
        ({"flat_frames": 3}, ValueError, "flat_frames 3 must be a multiple of frames = 2"),
        ({"dark_frames": 1}, ValueError, "dark_frames 1 must be a multiple of frames = 2"),
        ({"flats": "sometimes"}, ValueError, "flats = 'sometimes' must be"),
        ({"darks": "sometimes"}, ValueError, "darks = 'sometimes' must be"),
        ({"camera": "counters"}, TypeError, "camera = counters sees no field at once.*take raster_mosaic"),
        ({"sample": "counters"}, TypeError, "sample.x"),
    ],
)
def test_what_cannot_be_right_is_refused_before_the_first_message(
    line: FakeBeamline, different: dict[str, Any], kind: type[Exception], says: str
) -> None:
    given = {key: getattr(line, one) if one == "counters" else one for key, one in different.items()}
    with pytest.raises(kind, match=says):
        next(of(line, **given))


@pytest.mark.parametrize(
    ("different", "says"),
    [
        ({"points": 5}, r"points = 5 must be \(fast, slow\)"),
        ({"points": (0, 5)}, "number of points of fast_range 0"),
        ({"points": (101, 100)}, "use fly_raster"),
        ({"overlap": 1.2}, "overlap 1.2 must be"),
        ({"tile_um": 5.0}, r"tile_um = 5.0 must be \(width, height\)"),
        ({"dwell_s": 0.0}, "dwell 0 s must be"),
    ],
)
def test_a_mosaic_of_rasters_that_cannot_be_is_refused(
    line: FakeBeamline, different: dict[str, Any], says: str
) -> None:
    arguments = {"area": ((0.0, 10.0), (0.0, 10.0)), "tile_um": (10.0, 10.0), "points": (5, 5), "dwell_s": 0.1}
    with pytest.raises(ValueError, match=says):
        next(raster_mosaic([line.counters], line.sample.x, line.sample.y, **arguments | different))  # type: ignore[arg-type]

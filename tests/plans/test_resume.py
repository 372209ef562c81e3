"""An interrupted scan is gone on with: only what is missing is taken, and read with the rest it is the whole scan."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from fakes import FakeBeamline
from fly_fakes import FlyBeamline
from fly_parts import NUMBERS
from hypothesis import given, settings
from hypothesis import strategies as st
from interrupting import Document, Kept, devices_of, messages_in_runs, parts, resumed, run
from public_plans import CASES, Case
from test_passes import dose_meter

from whiteline.analysis.live.fake import FakeLive
from whiteline.analysis.runs import Run, find_run, open_run
from whiteline.analysis.runs.parts import planned_of
from whiteline.beamline.resuming import CannotResume, missing_of, resumption_of
from whiteline.beamline.resuming.arguments import PLANS
from whiteline.plans import fly_lines, xanes_stack

RESUMABLE = [case for case in CASES if case.plan in PLANS and case.variant not in ("tuned", "held", "followed")]
MOVED = {"y": 5.0, "y_um": 0.1, "x": 0.0, "x_um": 0.0}
UNMOVED = {"y": 0.0, "y_um": 0.0, "x": 0.0, "x_um": 0.0}
"""What the live analysis may say of a frame."""

SINGLE = [case for case in RESUMABLE if "two" not in case.name and case.plan != "xanes_tomography"]
"""That take one run."""

by_name = {case.name: case for case in CASES}


def line_of(case: Case, folder: Path) -> FakeBeamline:
    line = FlyBeamline(folder) if case.line is FlyBeamline else case.line()
    if "tomography" in case.plan:
        line.capture = line.turning
        line.turning.tellings = 3
    line.world.signal = case.signal
    return line


def contents(one: Run) -> dict[tuple[str, int], Any]:
    """Return what each point of the numbered streams tells; of a fly scan each line."""
    found: dict[tuple[str, int], Any] = {}
    for stream in planned_of(one.start):
        if stream == "fly" and stream in one.streams:
            for column in ("Ni_Ka_counts", "x_mean", "y_mean", "rotation_mean"):
                for line, values in zip(one.fly.lines, one.fly.read(column), strict=True):
                    found[f"fly {column}", int(line)] = np.round(values, 6).tolist()
        else:
            for point in one.streams[stream].points if stream in one.streams else ():
                kept = {key: value for key, value in point.data.items() if not key.endswith("_setpoint")}
                if stream != "primary":
                    del kept["camera_image"]  # where the sample stands when it is out is no matter
                found[stream, point.seq_num] = {key: round(float(value), 6) for key, value in kept.items()}
    return found


def whole_runs(catalog: Kept) -> list[Run]:
    """Return all runs that are the first of their kind, with those that resumed them, in the order of their group."""
    firsts = [one for one in catalog.values() if "resumes" not in one.start]
    return sorted((find_run(catalog, one.uid) for one in firsts), key=lambda one: one.start.get("group_index", 0))


def points_of(catalog: Kept) -> Counter[tuple[int, str, int]]:
    """Count the points of all runs as they were taken."""
    found: Counter[tuple[int, str, int]] = Counter()
    for one in catalog.values():
        for stream in planned_of(one.start):
            if stream not in one.streams:
                continue
            # a session may die while it tells of a line: then not all of its columns are told of
            told = set(one.streams[stream].external)
            numbers = [point.seq_num for point in one.streams[stream].points if told <= set(point.places)]
            found.update((int(one.start.get("group_index", 0)), stream, int(number)) for number in numbers)
    return found


def lacks_nothing(catalog: Kept, undisturbed: Kept) -> bool:
    return points_of(catalog) == points_of(undisturbed)


def assert_whole(catalog: Kept, undisturbed: Kept, told: str) -> None:
    runs, expected = whole_runs(catalog), whole_runs(undisturbed)
    assert len(runs) == len(expected), told
    for one, other in zip(runs, expected, strict=True):
        assert missing_of(one) == {}, told
        assert contents(one) == contents(other), told
        assert one.completeness.missing.size == 0, told
        assert one.completeness.whole == other.completeness.whole, told
        assert {listed.stream for listed in one.discarded} <= {"", "fly"}, told
    assert set(points_of(catalog).values()) == {1}, told
    assert points_of(catalog) == points_of(undisturbed), told


@pytest.fixture(autouse=True)
def _told_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fly_lines, "TELL_S", 0.002)


@pytest.mark.parametrize("case", RESUMABLE, ids=lambda case: case.name)
def test_aborted_anywhere_twice_and_resumed_it_is_the_undisturbed_scan(case: Case, tmp_path: Path, seed: int) -> None:
    source = random.Random(seed)
    line, undisturbed = line_of(case, tmp_path), Kept()
    undisturbed.keep(run(case.run(line)))
    first, last = messages_in_runs(case.run(line_of(case, tmp_path)))
    for at in source.sample(range(first + 2, last), 3):
        line, catalog = line_of(case, tmp_path), Kept()
        catalog.keep(run(case.run(line), abort_at=at))
        uid, told = catalog[0].uid, f"{case.name} aborted at message {at}"
        if lacks_nothing(catalog, undisturbed):
            continue
        again = source.randrange(1, last)
        told += f", and after {again} more"
        catalog.keep(run(resumed(catalog, uid, line), abort_at=again))
        if not lacks_nothing(catalog, undisturbed):
            catalog.keep(run(resumed(catalog, uid, line)))
        assert_whole(catalog, undisturbed, told)
        assert line.state() == line_of(case, tmp_path).state(), told


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Document]]:
    """Documents of each plan that takes one run, undisturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return {case.name: run(case.run(line_of(case, folder))) for case in SINGLE}


@settings(max_examples=60, deadline=None)
@given(case=st.sampled_from([case.name for case in SINGLE]), share=st.floats(0.0, 1.0, exclude_max=True))
def test_what_a_session_lacks_that_dies_anywhere_and_what_it_has_are_all(
    taken: dict[str, list[Document]], case: str, share: float
) -> None:
    documents, catalog = taken[case], Kept()
    catalog.keep(documents[: 1 + int(share * (len(documents) - 1))])
    found = catalog[0]
    lacking, planned = missing_of(found), planned_of(found.start)
    counted = points_of(catalog)
    for stream, count in planned.items():
        there = {number for _, name, number in counted if name == stream}
        assert there.isdisjoint(lacking.get(stream, ()))
        assert there | set(lacking.get(stream, ())) == set(range(1, count + 1))


@pytest.mark.parametrize("case", ["xanes_stack", "raster_stack", "fly_raster_stack", "mosaic"])
def test_a_session_that_dies_anywhere_is_gone_on_with(
    case: str, taken: dict[str, list[Document]], tmp_path: Path, seed: int
) -> None:
    source = random.Random(seed)
    undisturbed = Kept()
    undisturbed.keep(taken[case])
    for cut in source.sample(range(2, len(taken[case]) - 1), 2):
        catalog, line = Kept(), line_of(by_name[case], tmp_path)
        catalog.keep(taken[case][:cut])
        if not lacks_nothing(catalog, undisturbed):
            catalog.keep(run(resumed(catalog, catalog[0].uid, line)))
            assert_whole(catalog, undisturbed, f"{case} died at document {cut}")


def cut(case: str, taken: dict[str, list[Document]], share: float = 0.6) -> Kept:
    catalog = Kept()
    catalog.keep(taken[case][: int(share * len(taken[case]))])
    return catalog


def test_a_part_by_itself_is_at_its_place_in_the_map(taken: dict[str, list[Document]], tmp_path: Path) -> None:
    catalog, line = cut("raster_stack", taken), line_of(by_name["raster_stack"], tmp_path)
    first = catalog[0]
    catalog.keep(run(resumed(catalog, first.uid, line)))
    part, both = catalog[-1], find_run(catalog, first.uid)
    maps = [one.map_of("fluorescence_Ni_Ka") for one in (first, part, both)]
    whole = open_run(taken["raster_stack"]).map_of("fluorescence_Ni_Ka")
    np.testing.assert_array_equal(np.isnan(maps[0]), ~np.isnan(maps[1]))
    np.testing.assert_array_equal(np.nansum(maps[:2], axis=0), whole)
    np.testing.assert_array_equal(maps[2], whole)
    assert part.start["resumes"] == part.start["group"] == first.uid
    assert part.completeness.whole
    assert not first.completeness.whole
    assert find_run(catalog, part.uid).uid == first.uid
    assert open_run([part, first]).completeness.whole


def test_frames_of_a_detector_that_lie_in_two_files_are_those_of_their_pixels(tmp_path: Path, seed: int) -> None:
    case = by_name["fly_raster_stack"]
    line, catalog = line_of(case, tmp_path), Kept()
    first, last = messages_in_runs(case.run(line_of(case, tmp_path)))
    catalog.keep(run(case.run(line), abort_at=(first + last) // 2 + seed % 20))
    before = len(catalog[0].fly)
    catalog.keep(run(resumed(catalog, catalog[0].uid, line)))
    both = find_run(catalog, catalog[0].uid)
    assert 0 < before < len(both.fly) == 4
    frames, pulses = both.fly.taken_frames("fluorescence")
    assert len(frames.files) == 2
    np.testing.assert_array_equal(pulses, np.arange(8))
    np.testing.assert_array_equal(frames[:][:, 0, 0], pulses % 2)  # the fake writes into a frame which pixel it is
    assert both.fly.triggers("fluorescence").troubles == ()
    assert both.binned("Ni_Ka", plane=1).coverage.all()


@pytest.mark.parametrize("number", [0, 1])
def test_a_turn_is_gone_on_with_from_its_first_missing_angle(number: int, tmp_path: Path) -> None:
    case = by_name["xanes_tomography"]
    line, undisturbed = line_of(case, tmp_path), Kept()
    undisturbed.keep(run(case.run(line)))
    planned = [one.line for one in line.turning.flown]
    line, catalog = line_of(case, tmp_path), Kept()
    documents = run(case.run(line))
    starts = [n for n, (name, _) in enumerate(documents) if name == "start"]
    uid = documents[starts[number]][1]["uid"]
    # the session dies when it has told of the first rows of a turn, and of some columns of the next ones
    fly = {one["uid"] for name, one in documents if name == "descriptor" and one["name"] == "fly"}
    rows = [n for n, (name, one) in enumerate(documents) if name == "stream_datum" and one["descriptor"] in fly]
    rows = [n for n in rows if n > starts[number]]
    cut = next(n for n in rows if documents[n][1]["seq_nums"]["start"] > 1)
    catalog.keep(documents[: cut + 2])
    first = next(one for one in catalog.values() if one.uid == uid)
    count, turn = documents[rows[0]][1]["seq_nums"]["stop"] - 1, planned[number]
    assert len(first.fly) > count
    assert 0 < count < turn.rows / 2
    line.turning.flown.clear()
    catalog.keep(run(resumed(catalog, uid, line)))
    assert line.turning.flown[0].line == turn.of_rows(count, turn.rows - count)
    assert_whole(catalog, undisturbed, f"after {count} projections")
    both = find_run(catalog, uid)
    np.testing.assert_allclose(
        both.points.read("sample_rotation"), turn.first + turn.step * (np.arange(turn.pulses) + 0.5)
    )
    frames, pulses = both.fly.taken_frames("camera")
    np.testing.assert_array_equal(pulses, np.arange(turn.pulses))
    assert len(frames.files) == 2
    np.testing.assert_array_equal(both.points.read("energy"), case_energies(both))


def test_a_line_whose_frames_were_lost_is_flown_again(taken: dict[str, list[Document]], tmp_path: Path) -> None:
    catalog = cut("fly_raster_stack", taken, 0.8)
    (file,) = catalog[0].fly.frames("fluorescence").files
    before = set(missing_of(catalog[0]).get("fly", ()))
    lost = min(before, default=5) - 1
    assert lost > 1
    with h5py.File(file, "r+", locking=False) as held:
        for name in ("entry/data/data", NUMBERS):
            held[name].resize(lost * catalog[0].fly.pulses - 1, axis=0)
    assert set(missing_of(catalog[0])["fly"]) - before == {lost}


@pytest.mark.parametrize("columns", [1, 5])
def test_a_line_of_which_some_columns_were_told_is_missing(
    columns: int, taken: dict[str, list[Document]], tmp_path: Path
) -> None:
    documents, catalog = taken["fly_raster_stack"], Kept()
    fly = next(one["uid"] for name, one in documents if name == "descriptor" and one["name"] == "fly")
    first = next(n for n, (name, one) in enumerate(documents) if one.get("descriptor") == fly)
    catalog.keep(documents[: first + columns])
    assert missing_of(catalog[0])["fly"] == (1, 2, 3, 4)
    assert not catalog[0].fly.triggers("fluorescence").taken.any()


def case_energies(one: Run) -> Any:
    """Return the energy at which a run was taken, for each of its projections."""
    return np.full(one.start["shape"][-1], one.start["energies"][0])


def test_frames_of_a_run_have_its_own_flats(taken: dict[str, list[Document]], tmp_path: Path) -> None:
    catalog, line = cut("xanes_stack", taken), line_of(by_name["xanes_stack"], tmp_path)
    catalog.keep(run(resumed(catalog, catalog[0].uid, line)))
    both = find_run(catalog, catalog[0].uid)
    flats = both.stream("flat").numbers("energy")
    for group, energy in zip(both.flat_groups(), both.energies, strict=True):
        assert flats[list(group)].tolist() == [energy]


def test_a_sample_that_was_held_is_held_where_it_had_drifted_to(tmp_path: Path) -> None:
    def stack(line: FakeBeamline, live: FakeLive) -> Any:
        return xanes_stack(
            line.camera, line.energy, [8330.0, 8340.0, 8350.0, 8360.0], sample=line.sample, shutter=line.shutter,
            exposure_s=0.1, flats="none", darks="none", shift=live.shift,
        )  # fmt: skip

    line, live, catalog = FakeBeamline(), FakeLive(shift=[MOVED, MOVED, UNMOVED]), Kept()
    documents = run(stack(line, live))
    there = [one.y for one in line.world.exposures][-1]
    assert there == pytest.approx(-2.0 - 2 * MOVED["y_um"])
    last = [n for n, (name, one) in enumerate(documents) if name == "event" and "camera_image" in one["data"]][2]
    catalog.keep(documents[: last + 1])
    line.world.exposures.clear()
    plan = resumption_of(catalog[0], devices=devices_of(line), also=[*parts(line), live.shift]).plan()
    catalog.keep(run(plan))
    assert [one.y for one in line.world.exposures] == pytest.approx([there])
    assert find_run(catalog, catalog[0].uid).completeness.whole


def test_a_dose_budget_is_that_of_the_interrupted_run_and_of_the_one_that_goes_on(tmp_path: Path) -> None:
    line, catalog, energies = FakeBeamline(), Kept(), [8330.0, 8340.0, 8350.0]
    meter = dose_meter(line, 1.0)
    documents = run(
        xanes_stack(
            line.camera, line.energy, energies, sample=line.sample, shutter=line.shutter, exposure_s=0.1, flats="none",
            darks="none", passes=5, dose_budget_Gy=9.0, dose=meter,
        )
    )  # fmt: skip
    points = [n for n, (name, one) in enumerate(documents) if name == "event" and "camera_image" in one["data"]]
    assert len(points) == 9  # three passes of three
    # it is broken off after the first point of the second pass, with what was told at the end of the first one
    catalog.keep(documents[: points[3] + 1])
    line.world.exposures.clear()
    plan = resumption_of(catalog[0], devices=devices_of(line), also=[*parts(line), meter]).plan()
    catalog.keep(run(plan))
    assert len(line.world.exposures) == 5
    assert len(find_run(catalog, catalog[0].uid).points) == 9


def test_what_cannot_be_resumed_is_told_in_a_sentence(taken: dict[str, list[Document]], tmp_path: Path) -> None:
    case = by_name["xanes_stack"]
    line = line_of(case, tmp_path)

    def refusal(documents: list[Document], **start: Any) -> str:
        (name, first), *others = documents
        changed = open_run([(name, {**first, **start}), *others])
        with pytest.raises(CannotResume) as raised:
            resumption_of(changed, devices=devices_of(line), also=parts(line))
        return str(raised.value)

    whole = taken["xanes_stack"]
    dead = [*whole[: len(whole) // 2], ("stop", {"uid": "1", "run_start": whole[0][1]["uid"], "exit_status": "fail"})]
    assert "is finished: nothing of it is missing; run its plan again" in refusal(whole)
    assert "is still running; end it first" in refusal(whole[:-3])
    assert "a search that was interrupted is begun anew" in refusal(dead, plan_name="calibrate_energy")
    assert "is none that can be gone on with; those that can be resumed: xanes, " in refusal(dead, plan_name="count")
    elsewhere = {**whole[0][1]["plan_args"], "camera": "pco"}
    assert "camera = pco, and there is no pco here: if it is a run of another" in refusal(dead, plan_args=elsewhere)
    assert "does not say what it was to take" in refusal(dead, planned=None)
    assert "open that one from the catalog" in refusal(dead, resumes="5a1e")
    older = {**whole[0][1]["plan_args"], "gentle": True}
    assert "gentle = True, which xanes_stack does not have any more" in refusal(dead, plan_args=older)


@pytest.mark.parametrize(
    ("only", "says"),
    [
        ({"primary": [5]}, "number of a point in only\\['primary'\\] 5 must lie between 1 and 4"),
        ({"look": [1]}, "stream 'look', of which this scan takes none; it takes 4 of 'primary', 2 of 'flat'"),
        ({"flat": []}, "names no point"),
    ],
)
def test_a_part_that_is_none_is_refused_before_anything_moves(only: Any, says: str) -> None:
    line = FakeBeamline()
    arguments = {"sample": line.sample, "shutter": line.shutter, "exposure_s": 0.1, "only": only}
    two = [(0.0, 0.0), (1.0, 0.0)]
    with pytest.raises(ValueError, match=says):
        next(xanes_stack(line.camera, line.energy, [8330.0, 8350.0], positions=two, **arguments))
    with pytest.raises(ValueError, match="only goes with one run, and this plan would take 2"):
        next(xanes_stack(line.camera, line.energy, [[8330.0], [8350.0]], **(arguments | {"only": {"primary": [1]}})))

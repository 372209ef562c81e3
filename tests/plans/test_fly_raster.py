"""Fly rasters: each pixel at its place, lines that fail are taken again, and what does not count is not spoken of."""

import random
from pathlib import Path
from typing import Any

import bluesky.preprocessors as bpp
import numpy as np
import pytest
from bluesky import RunEngine
from bluesky.utils import FailedStatus, Msg, MsgGenerator
from fakes import World
from fly_fakes import FlyBeamline
from running import pausing, taken

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.runs import RunBuilder
from whiteline.plans import fly_raster, fly_raster_stack
from whiteline.plans.fly_lines import MOST_BATCHES, LineIncomplete

FAST, SLOW = (-2.0, 2.0, 5), (10.0, 16.0, 4)
COLUMNS, ROWS = np.linspace(*FAST), np.linspace(*SLOW)


def pattern(x: Any, y: Any) -> Any:
    """Return counts that are different at every place."""
    return 1000.0 + 7.0 * x + 31.0 * y + x * y


def counted(world: World) -> float:
    return float(pattern(world.positions["x"], world.positions["y"]))


@pytest.fixture
def line(tmp_path: Path) -> FlyBeamline:
    line = FlyBeamline(tmp_path)
    line.world.signal = counted
    return line


def of(line: FlyBeamline, **different: Any) -> Any:
    arguments = {
        "fast_range": FAST, "slow_range": SLOW, "dwell_s": 0.1, "shutter": line.shutter, "capture": line.capture,
        "energy": line.energy, **different,
    }  # fmt: skip
    return fly_raster([line.fly_fluorescence], line.sample.x, line.sample.y, **arguments)


def refused(plan: Any, kind: type[Exception], says: str) -> None:
    """Assert that a plan is refused before its first message."""
    with pytest.raises(kind, match=says):
        next(plan)


@pytest.mark.parametrize("snake", [False, True])
def test_a_pattern_comes_back_at_its_place_and_all_is_as_before(line: FlyBeamline, snake: bool) -> None:
    before, position = line.state(), dict(line.world.positions)
    (run,) = taken(of(line, snake=snake))
    assert run.raster_shape == (4, 5)
    expected = pattern(COLUMNS[None, :], ROWS[:, None])
    np.testing.assert_allclose(run.map_of("capture_Ni_Ka"), expected)
    np.testing.assert_allclose(run.map_of("sample_x"), np.broadcast_to(COLUMNS, (4, 5)), atol=1e-9)
    np.testing.assert_allclose(run.map_of("sample_y"), np.broadcast_to(ROWS[:, None], (4, 5)))
    np.testing.assert_array_equal(run.energies, 8200.0)
    np.testing.assert_allclose(run.map_of("capture_incident_rate"), 1e6)
    assert run.completeness.whole
    assert run.completeness.planned == 20
    assert run.fly.triggers("fluorescence").taken.all()
    frames, pulses = run.fly.taken_frames("fluorescence")
    np.testing.assert_array_equal(frames[:][:, 0, 0], np.tile(np.arange(5), 4))
    np.testing.assert_array_equal(pulses, np.arange(20))
    assert all(one.open for one in line.capture.flown)
    assert line.state() == before
    assert line.world.positions == position
    assert line.shutter.calls["set"] == 2 * 4 + 1


def test_the_start_document_tells_readers_what_they_look_for(line: FlyBeamline) -> None:
    (run,) = taken(of(line, snake=True, signal="capture_Ni_Ka", md={"sample": "NMC 811"}))
    start = run.start
    assert start["plan_name"] == "fly_raster"
    assert start["sample"] == "NMC 811"
    assert start["motors"] == ["sample_y", "sample_x"]
    assert start["channels"] == {"sample_x": "x", "sample_y": "y"}
    assert start["shape"] == [4, 5]
    assert start["num_points"] == 20
    assert start["snaking"] == [False, True]
    assert start["extents"] == [[10.0, 16.0], [-2.0, 2.0]]
    assert start["roles"]["signal"] == "capture_Ni_Ka"
    assert start["scan"]["type"] == "XRF_FLY"
    assert start["scan"]["shape"] == [5, 4]


def test_several_regions_are_runs_of_a_group_with_lines_of_their_own_length(line: FlyBeamline) -> None:
    regions = [((0.0, 2.0, 3), (0.0, 1.0, 2)), ((11.0, 10.0, 2), (5.0, 4.0, 3))]
    runs = taken(of(line, fast_range=None, slow_range=None, regions=regions))
    assert [one.raster_shape for one in runs] == [(2, 3), (3, 2)]
    assert [one.start["group_index"] for one in runs] == [0, 1]
    assert len({one.start["group"] for one in runs}) == 1
    for run, (fast, slow) in zip(runs, regions, strict=True):
        expected = pattern(np.linspace(*fast)[None, :], np.linspace(*slow)[:, None])
        np.testing.assert_allclose(run.map_of("capture_Ni_Ka"), expected)


@pytest.mark.parametrize("fault", ["trajectory", "pulses"])
def test_a_line_that_fails_is_taken_again_and_its_row_is_not_spoken_of(line: FlyBeamline, fault: str) -> None:
    line.capture.fault = lambda attempt: fault if attempt in (1, 3) else ""
    (run,) = taken(of(line))
    np.testing.assert_allclose(run.map_of("capture_Ni_Ka"), pattern(COLUMNS[None, :], ROWS[:, None]))
    assert len(line.capture.flown) == 6
    assert [one.y for one in line.capture.flown] == [ROWS[n] for n in (0, 1, 1, 2, 2, 3)]
    why = {"trajectory": "the axis has stopped", "pulses": "1 pulses did not come"}[fault]
    again = run.stream("again")
    np.testing.assert_array_equal(again.read("line_number"), [2, 3])
    assert all(why in one for one in again.read("line_why"))
    # what had begun is ended before it begins anew; the cleanup ends it once more
    failures = 2 if fault == "trajectory" else 0
    assert line.capture.calls["stop"] == line.fly_fluorescence.calls["stop"] == failures + 1
    assert run.fly.triggers("fluorescence").taken.all()


def test_a_slow_axis_that_still_moves_when_a_line_fails_is_let_rest_and_sent_again(line: FlyBeamline) -> None:
    line.sample.y.seconds = 0.02
    line.capture.fault = lambda attempt: "prepare" if attempt in (0, 2) else ""
    (run,) = taken(of(line))
    np.testing.assert_allclose(run.map_of("capture_Ni_Ka"), pattern(COLUMNS[None, :], ROWS[:, None]))
    assert line.sample.y.calls["stop"] == 2 + 1, "the run engine stops everything at its end"


@pytest.mark.parametrize("batches", [1, MOST_BATCHES])
def test_a_line_that_fails_each_time_ends_the_scan_with_its_sentence_and_those_before_can_be_read(
    line: FlyBeamline, monkeypatch: pytest.MonkeyPatch, batches: int
) -> None:
    monkeypatch.setattr("whiteline.plans.fly_lines.MOST_BATCHES", batches)
    before = line.state()
    line.capture.fault = lambda attempt: "unplugged" if attempt >= 2 else ""
    builder = RunBuilder()
    engine = RunEngine(context_managers=[])
    engine.subscribe(builder)
    with pytest.raises(FailedStatus) as raised:
        engine(of(line))
    assert "unplugged" in str(raised.value.__cause__)
    assert len(line.capture.flown) == 2 + 3
    assert line.state() == before
    run = builder.run()
    assert run.exit_status == "fail"
    assert len(run.fly) == 2
    np.testing.assert_allclose(run.fly.read("Ni_Ka_counts"), pattern(COLUMNS[None, :], ROWS[:2, None]))


def test_missed_triggers_are_masked_or_with_strict_taken_again(line: FlyBeamline, tmp_path: Path) -> None:
    line.capture.fault = lambda attempt: "triggers" if attempt == 2 else ""
    (run,) = taken(of(line))
    triggers = run.fly.triggers("fluorescence")
    assert [tuple(one) for one in np.argwhere(~triggers.taken)] == [(2, 1), (2, 4)]
    assert any("missed 2 of 20 triggers" in one for one in run.fly.troubles)
    frames, pulses = run.fly.taken_frames("fluorescence")
    np.testing.assert_array_equal(frames[:][:, 0, 0], pulses % 5)

    strict = FlyBeamline(tmp_path)
    strict.world.signal = counted
    strict.capture.fault = line.capture.fault
    (run,) = taken(of(strict, strict=True))
    assert run.fly.triggers("fluorescence").taken.all()
    frames, pulses = run.fly.taken_frames("fluorescence")
    np.testing.assert_array_equal(frames[:][:, 0, 0], np.tile(np.arange(5), 4))
    assert run.stream("again").read("line_why")[0] == "2 triggers were missed"


def test_strict_is_an_error_where_triggers_are_missed_each_time(line: FlyBeamline) -> None:
    before = line.state()
    line.capture.fault = lambda attempt: "triggers"
    with pytest.raises(LineIncomplete, match="line 1: 2 triggers were missed, each of 2 times"):
        taken(of(line, strict=True, retries=1))
    assert line.state() == before


def test_pulses_that_never_come_are_missing(line: FlyBeamline) -> None:
    line.capture.fault = lambda attempt: "pulses"
    (run,) = taken(of(line, retries=0))
    found = run.map_of("capture_Ni_Ka")
    assert np.isnan(found[:, 4]).all()
    np.testing.assert_allclose(found[:, :4], pattern(COLUMNS[None, :4], ROWS[:, None]))


@pytest.mark.parametrize("again", [False, True])
def test_a_pause_anywhere_leaves_the_same_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, again: bool
) -> None:
    """Also where a line is taken again among others that were not told of yet."""
    monkeypatch.setattr("whiteline.plans.fly_lines.MOST_BATCHES", 2)

    def plan_of(line: FlyBeamline) -> Any:
        line.world.signal = counted
        line.capture.fault = lambda attempt: "pulses" if again and attempt == 1 else ""
        return of(line, snake=True)

    undisturbed, messages = FlyBeamline(tmp_path), list[Msg]()
    (expected,) = taken(noting(plan_of(undisturbed), messages))
    last = max(number for number, one in enumerate(messages) if one.command == "close_run")
    telling = [n for n, one in enumerate(messages) if one.command == "collect" or one.obj is undisturbed.capture.line]
    chosen = {*telling, *(number + 1 for number in telling), *random.Random(seed).sample(range(last), 8)}
    for at in sorted(chosen):
        line = FlyBeamline(tmp_path)
        (run,) = taken(pausing(plan_of(line), at))
        told = f"paused before message {at}, {messages[at].command}"
        assert run.exit_status == "success", told
        np.testing.assert_array_equal(run.fly.lines, expected.fly.lines, err_msg=told)
        for key in ("capture_Ni_Ka", "sample_x", "sample_y"):
            np.testing.assert_array_equal(run.points.read(key), expected.points.read(key), err_msg=told)
        frames, pulses = run.fly.taken_frames("fluorescence")
        np.testing.assert_array_equal(frames[:][:, 0, 0], pulses % 5, err_msg=told)
        assert pulses.size == 20, told
        assert line.state() == FlyBeamline().state(), told


def noting(plan: MsgGenerator[Any], messages: list[Msg]) -> MsgGenerator[Any]:
    """Note all messages of a plan."""

    def note(message: Msg) -> Msg:
        messages.append(message)
        return message

    return (yield from bpp.msg_mutator(plan, note))


def test_a_million_pixels_are_a_few_thousand_documents(line: FlyBeamline) -> None:
    counts: dict[str, int] = {}
    engine = RunEngine(context_managers=[])
    engine.subscribe(lambda name, document: counts.update({name: counts.get(name, 0) + 1}))
    plain = FlyBeamline()
    rows = 401
    engine(of(plain, fast_range=(0.0, 1.0, 2), slow_range=(0.0, 1.0, rows), dwell_s=1e-3))
    columns = len(plain.capture.columns) + 1
    assert counts["stream_datum"] <= MOST_BATCHES * columns
    assert counts["stream_datum"] == -(-rows // 3) * columns
    assert plain.capture.line.said == ["accept"] * rows


def test_batches_hold_all_lines_and_one_that_is_taken_again_does_not_tear_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whiteline.plans.fly_lines.MOST_BATCHES", 2)
    for broken in range(7):
        line = FlyBeamline(tmp_path)
        line.world.signal = counted
        line.capture.fault = lambda attempt, broken=broken: "pulses" if attempt == broken else ""
        (run,) = taken(of(line, slow_range=(0.0, 5.0, 6)))
        expected = pattern(COLUMNS[None, :], np.arange(6.0)[:, None])
        np.testing.assert_allclose(run.map_of("capture_Ni_Ka"), expected, err_msg=f"line {broken}")


def test_a_stack_has_each_map_at_its_energy_and_dwell(line: FlyBeamline) -> None:
    energies, dwells = [8330.0, 8340.0, 8350.0], [0.1, 0.2, 0.1]
    line.world.signal = lambda world: counted(world) + world.energy
    (run,) = taken(
        fly_raster_stack(
            [line.fly_fluorescence], line.energy, energies, line.sample.x, line.sample.y, capture=line.capture,
            fast_range=FAST, slow_range=(0.0, 2.0, 3), dwell_s=dwells, snake=True, shutter=line.shutter,
            return_to=8300.0,
        )
    )  # fmt: skip
    assert run.raster_shape == (3, 3, 5)
    expected = pattern(COLUMNS[None, None], np.arange(3.0)[None, :, None]) + np.array(energies)[:, None, None]
    np.testing.assert_allclose(run.map_of("capture_Ni_Ka"), expected)
    np.testing.assert_allclose(run.energies, np.repeat(energies, 15))
    np.testing.assert_allclose(run.fly.gate_s()[:, 0], np.repeat(dwells, 3))
    # the second map begins where the first has ended
    assert [one.line.step > 0 for one in line.capture.flown] == [True, False] * 4 + [True]
    assert run.completeness.whole
    assert line.world.energy == 8300.0


@pytest.mark.parametrize(
    ("different", "kind", "says"),
    [
        ({"fast_range": (0.0, 0.0, 1)}, OutOfRange, "number of points of fast_range 1 must be .* from 2 on"),
        ({"slow_range": (0.0, 1.0)}, ValueError, "slow_range"),
        ({"fast_range": None, "slow_range": None}, ValueError, "give either"),
        ({"dwell_s": 0.0}, OutOfRange, "dwell"),
        ({"fast_range": (-20.0, 20.0, 5), "dwell_s": 6e-4}, OutOfRange, "velocity of sample_x"),
        ({"dwell_s": 4e-4}, OutOfRange, "rate of fluorescence 2500 1/s must be at most 2000"),
        ({"fast_range": (495.0, 499.0, 5), "dwell_s": 0.01}, ValueError, "sample_x .* must lie between"),
        ({"slow_range": (-501.0, 0.0, 3)}, ValueError, "sample_y -501 um must lie between"),
        ({"retries": -1}, OutOfRange, "retries"),
    ],
)
def test_what_cannot_be_is_refused_before_the_first_message(
    line: FlyBeamline, different: dict[str, Any], kind: type[Exception], says: str
) -> None:
    refused(of(line, **different), kind, says)


def test_what_plays_no_part_is_refused(line: FlyBeamline) -> None:
    x, y = line.sample.x, line.sample.y
    ranges = {"fast_range": FAST, "slow_range": SLOW, "dwell_s": 0.1}
    refused(fly_raster([line.counters], x, y, capture=line.capture, **ranges), TypeError, "cannot be triggered")
    refused(fly_raster([], x, y, capture=line.counters, **ranges), TypeError, "capture = counters cannot play")
    refused(fly_raster([], line.sample.coarse_x, y, capture=line.capture, **ranges), ValueError, "no channel along")
    refused(fly_raster([], x, x, capture=line.capture, **ranges), ValueError, "give two axes")
    with pytest.raises(TypeError, match="must be a list"):
        next(fly_raster(line.fly_fluorescence, x, y, capture=line.capture, **ranges))


def test_the_shutter_opens_early_only_where_no_way_back_leads_over_the_sample(line: FlyBeamline) -> None:
    def opened_before_ready(snake: bool) -> list[bool]:
        messages: list[tuple[str, Any]] = []
        engine = RunEngine(context_managers=[])
        engine.msg_hook = lambda message: messages.append((message.command, (message.obj, message.args[:1])))
        engine(of(line, snake=snake))
        found, waited = list[bool](), False
        for command, (device, arguments) in messages:
            if command == "prepare" and device is line.capture:
                waited = False
            elif command == "wait":
                waited = True
            elif command == "set" and device is line.shutter and arguments == ("Open",):
                found.append(not waited)
        return found

    assert opened_before_ready(True) == [False, True, True, True]
    assert opened_before_ready(False) == [False] * 4

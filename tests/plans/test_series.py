"""Series: the same plan again, at its times or steps, as one group that says how late each was."""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import bluesky.plan_stubs as bps
import numpy as np
import pytest
from bluesky import RunEngine
from bluesky.utils import Msg, MsgGenerator
from fakes import Broken, FakeAxis, FakeBeamline
from running import pausing, taken

from whiteline.plans import series
from whiteline.plans.series import PLANS, bias_series, time_series
from whiteline.plans.xanes import xanes

ENERGIES = [8330.0, 8350.0]


@pytest.fixture
def line() -> FakeBeamline:
    return FakeBeamline()


def spectrum(line: FakeBeamline, **different: Any) -> dict[str, Any]:
    """Return the arguments of `xanes`."""
    return {
        "detectors": [line.counters], "energy": line.energy, "energies": ENERGIES, "dwell_s": 0.1,
        "shutter": line.shutter, **different,
    }  # fmt: skip


def voltage(line: FakeBeamline) -> FakeAxis:
    line.world.positions["voltage"] = 0.5
    return FakeAxis("voltage", line.world, "voltage", (-10.0, 10.0), "V")


def test_repeats_begin_at_their_times_and_are_one_group(line: FakeBeamline) -> None:
    times = [0.0, 0.2, 0.4]
    began = time.time()
    runs = taken(time_series("xanes", spectrum(line), times_s=times, md={"sample": "cell 7"}))
    assert len(runs) == 3
    assert len({run.start["group"] for run in runs}) == 1
    assert [run.start["group_index"] for run in runs] == [0, 1, 2]
    assert {run.start["group_size"] for run in runs} == {3}
    assert {run.start["group_purpose"] for run in runs} == {"time series"}
    assert {run.start["sample"] for run in runs} == {"cell 7"}
    assert [run.start["series"]["due_s"] for run in runs] == times
    # however late the machine makes them, none begins before it is due, and it is told how late it was
    for run, due in zip(runs, times, strict=True):
        late = run.start["series"]["late_s"]
        assert late >= 0
        assert run.start["time"] >= began + due + late - 0.05
    assert line.world.shutter == "Closed"


def test_a_repeat_that_is_due_before_the_one_before_is_over_is_late_and_says_so(line: FakeBeamline) -> None:
    def slow(md: Mapping[str, Any] | None = None) -> MsgGenerator[Any]:
        yield from bps.sleep(0.3)
        return (yield from xanes(**spectrum(line), md=md))

    runs = taken(time_series(slow, {}, times_s=[0.0, 0.05]))
    assert runs[1].start["series"]["late_s"] >= 0.2


def test_nothing_is_exposed_while_it_waits_and_a_pause_does_not_shift_what_comes_later(
    line: FakeBeamline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series, "SLICE_S", 0.02)
    seen: list[tuple[str, str]] = []
    plan = time_series("xanes", spectrum(line), times_s=[0.0, 1.0])

    def watched() -> MsgGenerator[Any]:
        given: Any = None
        while True:
            try:
                message = plan.send(given)
            except StopIteration:
                return
            if message.command == "sleep":
                seen.append((message.command, line.world.shutter))
                if len(seen) == 3:
                    yield Msg("pause")
            given = yield message

    began = time.monotonic()
    runs = taken(watched())
    assert time.monotonic() - began >= 1.0
    assert len(seen) > 3
    assert {shutter for _, shutter in seen} == {"Closed"}
    assert [len(run.points) for run in runs] == [2, 2]


def test_a_long_series_is_walked_through_at_once(line: FakeBeamline) -> None:
    """As a preflight does it, where nothing answers and nothing waits."""
    commands = [one.command for one in time_series("xanes", spectrum(line), times_s=[0.0, 3600.0])]
    assert commands.count("open_run") == 2
    assert commands.count("sleep") <= 3600


def test_what_is_wrong_with_the_repeated_plan_is_told_before_anything_moves(line: FakeBeamline) -> None:
    for arguments, says in [
        (spectrum(line, energies=[8.33]), "looks like keV"),
        (spectrum(line, dwell_s=0.0), "dwell"),
        (spectrum(line, md={}), "arguments hold md"),
    ]:
        with pytest.raises(ValueError, match=says):
            next(time_series("xanes", arguments, times_s=[0.0]))
        with pytest.raises(ValueError, match=says):
            next(bias_series("xanes", arguments, axis=voltage(line), values=[1.0]))
    with pytest.raises(TypeError, match="energies"):
        next(time_series("xanes", {"detectors": [line.counters], "energy": line.energy}, times_s=[0.0]))
    with pytest.raises(ValueError, match="plan = 'count' cannot be repeated; it must be one of xanes, xanes_stack"):
        next(time_series("count", {}, times_s=[0.0]))  # type: ignore[arg-type]
    assert line.energy.calls["set"] == line.shutter.calls["set"] == 0


@pytest.mark.parametrize(
    ("times", "says"),
    [
        ([], "number of times_s 0 must be at least 1"),
        ([0.0, 0.0], "must ascend"),
        ([-1.0, 0.0], "must ascend from 0 s or later"),
        ([0.0, 1e9], "must be at most"),
        ([0.0, float("nan")], "times_s nan s must be a finite number"),
    ],
)
def test_times_that_cannot_be_are_refused(line: FakeBeamline, times: list[float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        next(time_series("xanes", spectrum(line), times_s=times))


def test_a_voltage_is_stepped_and_goes_back(line: FakeBeamline) -> None:
    axis = voltage(line)
    seen: list[float] = []
    line.world.signal = lambda world: seen.append(world.positions["voltage"]) or 1.0  # type: ignore[func-returns-value]
    runs = taken(bias_series("xanes", spectrum(line), axis=axis, values=[1.0, 3.0, 1.0]))
    assert seen == [1.0, 1.0, 3.0, 3.0, 1.0, 1.0]
    assert [run.start["series"] for run in runs] == [
        {"axis": "voltage", "value": value, "reached": value} for value in (1.0, 3.0, 1.0)
    ]
    assert {run.start["group_purpose"] for run in runs} == {"series of voltage"}
    assert axis.position == 0.5
    taken(bias_series("xanes", spectrum(line), axis=axis, values=[2.0], go_back=False))
    assert axis.position == 2.0


def test_a_voltage_beyond_its_limits_is_refused_before_the_first_step(line: FakeBeamline) -> None:
    axis = voltage(line)
    with pytest.raises(ValueError, match="voltage 11 V must lie between"):
        next(bias_series("xanes", spectrum(line), axis=axis, values=[1.0, 11.0]))
    with pytest.raises(ValueError, match="settle_s -1 s"):
        next(bias_series("xanes", spectrum(line), axis=axis, values=[1.0], settle_s=-1.0))
    assert axis.calls["set"] == 0


def test_a_step_that_fails_leaves_voltage_and_shutter_in_order(line: FakeBeamline) -> None:
    axis = voltage(line)
    count = iter(range(10))

    def broken(world: Any) -> float:
        if next(count) == 3:
            raise Broken("no counts")
        return 1.0

    line.world.signal = broken
    with pytest.raises(Broken):
        RunEngine(context_managers=[])(bias_series("xanes", spectrum(line), axis=axis, values=[1.0, 2.0]))
    assert axis.position == 0.5
    assert line.world.shutter == "Closed"
    assert not line.counters.staged


def test_paused_anywhere_each_repeat_is_whole(line: FakeBeamline) -> None:
    count = len(_messages(bias_series("xanes", spectrum(line), axis=voltage(line), values=[1.0, 2.0])))
    for at in range(0, count - 12, 5):
        here = FakeBeamline()
        runs = taken(pausing(bias_series("xanes", spectrum(here), axis=voltage(here), values=[1.0, 2.0]), at))
        assert [list(run.points.seq_nums) for run in runs] == [[1, 2], [1, 2]], at
        np.testing.assert_array_equal(runs[1].energies, ENERGIES)


def test_a_function_of_the_beamlines_own_can_be_repeated(line: FakeBeamline) -> None:
    runs = taken(time_series(partial(xanes, **spectrum(line)), {}, times_s=[0.0]))
    assert runs[0].start["group_size"] == 1


def test_from_the_queue_plans_and_devices_come_by_name(line: FakeBeamline) -> None:
    queue = pytest.importorskip("bluesky_queueserver.manager.profile_ops")
    namespace = {
        **PLANS, "time_series": time_series, "bias_series": bias_series, "energy": line.energy,
        "counters": line.counters, "fast_shutter": line.shutter, "voltage": voltage(line),
    }  # fmt: skip
    plans, devices, plans_there, devices_there = queue.existing_plans_and_devices_from_nspace(nspace=namespace)
    arguments = {"detectors": ["counters"], "energy": "energy", "energies": ENERGIES, "shutter": "fast_shutter"}

    def item(name: str, plan: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "args": [plan, arguments], "kwargs": more, "user_group": "primary"}

    for name, more in [("time_series", {"times_s": [0]}), ("bias_series", {"axis": "voltage", "values": [1, 2]})]:
        asked = item(name, "xanes", **more)
        told = queue.validate_plan(asked, allowed_plans=plans, allowed_devices=devices)
        assert told == (True, "")
        ready = queue.prepare_plan(
            asked,
            plans_in_nspace=plans_there,
            devices_in_nspace=devices_there,
            allowed_plans={"primary": plans},
            allowed_devices={"primary": devices},
        )
        assert len(taken(ready["callable"](*ready["args"], **ready["kwargs"]))[0].points) == 2
    refused, why = queue.validate_plan(
        item("time_series", "count", times_s=[0]), allowed_plans=plans, allowed_devices=devices
    )
    assert not refused
    assert "plan" in why


def _messages(plan: MsgGenerator[Any]) -> list[Msg]:
    seen: list[Msg] = []
    engine = RunEngine(context_managers=[])
    engine.msg_hook = seen.append
    engine(plan)
    return seen

"""The wrapper that leaves things as they were: in which order it does so, and what it says when it cannot."""

from collections.abc import Iterator
from typing import Any

import bluesky.plan_stubs as bps
import pytest
from bluesky import RunEngine
from bluesky.utils import FailedStatus, Msg, RequestAbort
from fakes import Broken, FakeBeamline

from whiteline.plans.restoring import NotRestored, Step, putting_back, restoring, unstaging
from whiteline.plans.shutter import closing


def test_the_shutter_closes_before_anything_else_is_seen_to() -> None:
    line, messages = FakeBeamline(), list[Msg]()
    line.world.shutter = "Open"

    def plan() -> Iterator[Any]:
        yield from bps.mv(line.energy, 8300.0, line.sample.x, 5.0)
        raise Broken("something else")

    steps = [putting_back(line.sample.x, 3.0), *closing(line.shutter), putting_back(line.energy, 8200.0)]
    engine = RunEngine({}, context_managers=[])
    engine.msg_hook = messages.append
    with pytest.raises(Broken, match="something else"):
        engine(restoring(plan(), steps))  # type: ignore[arg-type]
    touched = [(one.command, one.obj.name) for one in messages if one.command in ("set", "stop")]
    # after the moves of the plan itself
    assert touched[2] == ("set", "fast_shutter")
    assert touched[3:5] == [("stop", "energy"), ("stop", "sample_x")]
    assert [name for _, name in touched[5:]] == ["sample_x", "energy"]
    assert line.world.shutter == "Closed"


def test_a_step_that_fails_is_named_with_its_reason_and_keeps_no_other_from_being_done() -> None:
    line = FakeBeamline()

    def never() -> Iterator[Any]:
        yield from bps.mv(line.sample.x, 900.0)

    def plan() -> Iterator[Any]:
        yield from bps.mv(line.sample.y, 7.0)

    steps = [Step("put sample_x back", never), putting_back(line.sample.y, -2.0)]  # type: ignore[arg-type]
    with pytest.raises(
        NotRestored, match=r"could not put sample_x back: sample_x 900 um must lie between .*; look at it"
    ):
        RunEngine({}, context_managers=[])(restoring(plan(), steps))  # type: ignore[arg-type]
    assert line.world.positions["y"] == -2.0


def test_a_step_that_can_only_be_done_after_others_is_tried_again() -> None:
    line = FakeBeamline()
    line.camera.staged = True

    def plan() -> Iterator[Any]:
        yield from bps.null()

    steps = [
        putting_back(line.camera.frames, 3),
        Step("unstage camera", lambda: bps.unstage(line.camera)),
    ]
    RunEngine({}, context_managers=[])(restoring(plan(), steps))  # type: ignore[arg-type]
    assert line.camera.frames.value == 3


def test_both_are_told_what_ended_the_plan_and_what_could_not_be_put_back() -> None:
    line = FakeBeamline()

    def fails() -> Iterator[Any]:
        yield from bps.mv(line.sample.x, 901.0)

    def plan() -> Iterator[Any]:
        yield from bps.mv(line.energy, 99.0)

    with pytest.raises(NotRestored, match=r"put it back: sample_x 901 .*; the plan had ended by energy 99 eV") as told:
        RunEngine({}, context_managers=[])(
            restoring(plan(), [Step("put it back", fails)])  # type: ignore[arg-type]
        )
    assert isinstance(told.value.__cause__, ValueError | FailedStatus)


def test_what_the_plan_returns_comes_through() -> None:
    def plan() -> Iterator[Any]:
        yield from bps.null()
        return 42

    engine = RunEngine({}, context_managers=[], call_returns_result=True)
    assert engine(restoring(plan(), [])).plan_result == 42  # type: ignore[arg-type, union-attr]


def test_a_device_that_failed_to_unstage_is_told_though_it_takes_itself_for_unstaged() -> None:
    class Box:
        name, parent, staged = "box", None, True

        def stage(self) -> list[object]:
            return [self]

        def unstage(self) -> list[object]:
            if self.staged:
                self.staged = False
                raise Broken("the file could not be closed")
            return [self]

    def plan() -> Iterator[Any]:
        yield from bps.null()

    with pytest.raises(NotRestored, match=r"could not unstage box: the file could not be closed; look at it"):
        RunEngine({}, context_managers=[])(restoring(plan(), unstaging(Box())))  # type: ignore[arg-type]


def test_an_axis_that_cannot_be_stopped_keeps_its_step_from_being_done_only_once() -> None:
    line, stops, tried = FakeBeamline(), list[float](), list[int]()

    def lost(*, success: bool = False) -> None:
        stops.append(line.world.positions["x"])
        raise Broken("sample_x has gone")

    def interrupted() -> Iterator[Any]:
        tried.append(len(stops))
        yield from bps.mv(line.sample.x, 3.0)
        if len(tried) == 1:
            line.sample.x.stop = lost
            raise RequestAbort

    def plan() -> Iterator[Any]:
        yield from bps.null()

    steps = [Step("put sample_x back", interrupted)]  # type: ignore[arg-type]
    RunEngine({}, context_managers=[])(restoring(plan(), steps))  # type: ignore[arg-type]
    assert line.world.positions["x"] == 3.0
    assert tried == [0, 1], "begun anew after one try to stop it"

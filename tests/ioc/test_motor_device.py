"""Our motor arrives or says why not, and is never taken to be where it is not."""

import itertools
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

LONG_S = 60
"""Time in which whatever is waited for has happened on any machine [s]."""

used: dict[str, Iterator[int]] = defaultdict(itertools.count)


class Outside:
    """What a motor truly does, as another client sees it: by pyepics, and by what the IOC says of itself."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._pvs: dict[str, Any] = {}

    def pv(self, field: str) -> Any:
        import epics

        if field not in self._pvs:
            separator = "" if field.startswith(":") else "."
            self._pvs[field] = epics.PV(f"{self.name}{separator}{field}", auto_monitor=False)
            assert self._pvs[field].wait_for_connection(LONG_S), field
        return self._pvs[field]

    def get(self, field: str) -> Any:
        value = self.pv(field).get(timeout=LONG_S, use_monitor=False)
        assert value is not None, field
        return value

    def put(self, field: str, value: Any) -> None:
        assert self.pv(field).put(value, wait=True, timeout=LONG_S) == 1, field

    def start(self, field: str, value: Any) -> None:
        self.pv(field).put(value, wait=False)


@pytest.fixture(scope="module")
def ioc(serve: Any) -> Any:
    return serve(Path(__file__).with_name("motors_ioc.py"), "T:slow0")


Fresh = Callable[..., tuple[Any, Outside]]


@pytest.fixture(scope="module")
def fresh(ioc: Any, keep: Callable[[Any], Any]) -> Fresh:
    """Return a motor that no test has touched before, and how it looks from outside."""

    def one(kind: str = "slow", called: str = "x", **limits: Any) -> tuple[Any, Outside]:
        from whiteline.devices.motor import AxisSettings, Motor

        name = f"T:{kind}{next(used[kind])}"
        outside = Outside(name)
        keep(SimpleNamespace(wait_for_connection=lambda timeout: None, outside=outside))
        return keep(Motor(name, name=called, settings=AxisSettings(name, **limits))), outside

    return one


def failure(status: Any) -> Exception:
    """Wait for the end of a status that must fail."""
    error = status.exception(timeout=LONG_S)
    assert error is not None
    assert str(error).count("\n") == 0
    return error


def started(motor: Any) -> threading.Event:
    """Return what is set when a motor has left its place."""
    from ophyd.positioner import PositionerBase

    here, event = motor.position, threading.Event()
    motor.subscribe(lambda value, **_: value != here and event.set(), event_type=PositionerBase.SUB_READBACK)
    return event


def go_at(velocity: float, motor: Any, outside: Outside, field: str = "VELO") -> None:
    """Give a motor a velocity [mm/s]: a slow one is still on its way when a busy machine comes to act on it."""
    known = threading.Event()
    signal = {"VELO": motor.velocity, "HVEL": motor.home_velocity}[field]
    token = signal.subscribe(lambda value, **_: value == velocity and known.set())
    outside.put(field, velocity)
    # the time that a move is given is computed from what the motor knows
    assert known.wait(LONG_S)
    signal.unsubscribe(token)


def events(documents: list[tuple[str, Any]]) -> list[Any]:
    return [document for name, document in documents if name == "event"]


def test_a_move_ends_where_it_should_and_its_reading_has_its_unit(fresh: Fresh) -> None:
    motor, outside = fresh()
    motor.set(2.5).wait(LONG_S)
    assert outside.get(":position") == pytest.approx(2.5, abs=1e-9)
    assert motor.read()["x"]["value"] == pytest.approx(2.5, abs=motor.tolerance)
    assert motor.describe()["x"]["units"] == "mm"
    assert motor.hints == {"fields": ["x"]}
    assert motor.tolerance == pytest.approx(2e-5)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 10.5, -10.5, 1e300])
def test_what_cannot_be_is_refused_before_anything_moves(fresh: Fresh, wrong: float) -> None:
    from ophyd.utils import LimitError

    from whiteline.analysis.checks import OutOfRange

    motor, outside = fresh("instant")
    with pytest.raises(OutOfRange) as caught:
        motor.set(wrong)
    assert str(caught.value).startswith("x ")
    assert "mm" in str(caught.value)
    assert isinstance(caught.value, LimitError) == bool(np.isfinite(wrong))
    assert outside.get("VAL") == 0
    assert outside.get(":completed") == 0


def test_the_limits_of_description_and_record_both_hold(fresh: Fresh) -> None:
    from whiteline.devices.positioner import OutOfLimits

    motor, outside = fresh("instant", low=-4.0, high=20.0)
    assert motor.limits == (-4.0, 10.0)
    with pytest.raises(OutOfLimits, match=r"x -5 mm must lie between -4 and 10 mm; move within them, or widen"):
        motor.set(-5)
    narrowed = threading.Event()
    motor.high_limit_travel.subscribe(lambda value, **_: value == 3 and narrowed.set())
    outside.put("HLM", 3)
    assert narrowed.wait(LONG_S)
    with pytest.raises(OutOfLimits, match="between -4 and 3 mm"):
        motor.set(3.5)
    outside.put("HLM", 0)
    outside.put("LLM", 0)  # the record's way to say that it has none
    motor.high_limit_travel.get(use_monitor=False)
    motor.low_limit_travel.get(use_monitor=False)
    assert motor.limits == (-4.0, 20.0)
    motor.set(10.1).wait(LONG_S)


def test_a_backlash_is_taken_up_within_the_limits(fresh: Fresh) -> None:
    from whiteline.devices.positioner import OutOfLimits

    motor, outside = fresh("lash")
    with pytest.raises(OutOfLimits, match=r"its backlash is approached from -10\.3 mm"):
        motor.set(-9.8)
    assert outside.get(":completed") == 0
    motor.set(-3.0).wait(LONG_S)
    assert outside.get(":position") == pytest.approx(-3.0, abs=1e-9)


@pytest.fixture(scope="module")
def watched(fresh: Fresh) -> tuple[Any, Outside, list[float]]:
    """Return a motor, how it looks from outside, and every target that its record was given."""
    motor, outside = fresh("instant", low=-7.5)
    targets: list[float] = []
    motor.user_setpoint.subscribe(lambda value, **_: targets.append(value), run=False)
    return motor, outside, targets


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats() | st.floats(-12, 12))
def test_nothing_is_ever_put_outside_a_limit(watched: tuple[Any, Outside, list[float]], position: float) -> None:
    motor, outside, targets = watched
    allowed = -7.5 <= position <= 10.0
    before = outside.get(":position")
    try:
        motor.set(position).wait(LONG_S)
    except ValueError:
        assert not allowed
        assert outside.get(":position") == before
    else:
        assert allowed
        assert outside.get(":position") == pytest.approx(position, abs=motor.tolerance)
    assert all(-7.5 <= target <= 10.0 for target in targets)


def test_a_record_that_refuses_is_no_arrival(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits may change after a position was checked: the record has the last word."""
    from whiteline.devices.errors import MoveFailed

    motor, outside = fresh("instant")
    monkeypatch.setattr(motor, "check_value", lambda value: None)
    error = failure(motor.set(12.0))
    assert isinstance(error, MoveFailed)
    assert f"{outside.name}.RBV" in str(error)
    assert "from 0 to 12 mm, but stands at 0 mm" in str(error)
    assert "(LVIO)" in str(error)


@pytest.mark.parametrize("switch", ["Stop", "Pause"])
def test_a_motor_that_is_held_is_not_moved(fresh: Fresh, switch: str) -> None:
    motor, outside = fresh("instant")
    held = threading.Event()
    motor.stop_pause_go.subscribe(lambda value, **_: value == switch and held.set())
    outside.put("SPMG", switch)
    assert held.wait(LONG_S)
    error = failure(motor.set(1.0))
    assert str(error) == f"x is held by {outside.name}.SPMG = {switch}; set it to Go"
    assert outside.get("VAL") == 0
    outside.put("SPMG", "Go")
    motor.stop_pause_go.get(use_monitor=False)
    motor.set(1.0).wait(LONG_S)


def test_held_on_its_way_it_says_what_holds_it(fresh: Fresh) -> None:
    from whiteline.devices.errors import Overdue

    motor, outside = fresh()
    go_at(2.0, motor, outside)
    outside.pv("SPMG")  # connected beforehand, for it has to be quick
    moving = started(motor)
    status = motor.move(10.0, wait=False, timeout=8.0)
    assert moving.wait(LONG_S)
    outside.put("SPMG", "Pause")
    error = failure(status)
    assert isinstance(error, Overdue)
    assert f"{outside.name}.SPMG = Pause" in str(error)


def test_a_limit_switch_is_no_arrival(fresh: Fresh) -> None:
    from whiteline.devices.errors import MoveFailed

    motor, outside = fresh("instant")
    outside.put("HLM", 0)
    outside.put("LLM", 0)
    assert motor.high_limit_travel.get(use_monitor=False) == motor.low_limit_travel.get(use_monitor=False) == 0
    error = failure(motor.set(11.0))
    assert isinstance(error, MoveFailed)
    assert "stands at 10.2 mm" in str(error)
    assert "the high limit switch is active" in str(error)
    assert outside.get("HLS") == 1


def test_a_stall_is_no_arrival(fresh: Fresh) -> None:
    from whiteline.devices.errors import Overdue

    motor, outside = fresh()
    outside.put(":stalled", 1)
    error = failure(motor.set(1.0))
    assert isinstance(error, Overdue)
    assert f"for the move of {outside.name}.RBV to complete" in str(error)
    assert "from 0 mm to 1 mm it was last seen at 0 mm" in str(error)
    assert "(MSTA)" in str(error)
    outside.put(":stalled", 0)
    motor.set(1.0).wait(LONG_S)
    assert outside.get(":position") == pytest.approx(1.0, abs=1e-9)


def test_a_move_that_never_says_that_it_is_done_ends(fresh: Fresh) -> None:
    from whiteline.devices.errors import Overdue

    motor, outside = fresh("instant")
    outside.put(":lost_done", 1)
    assert isinstance(failure(motor.set(1.0)), Overdue)
    outside.put(":lost_done", 0)
    motor.set(2.0).wait(LONG_S)
    assert outside.get(":position") == pytest.approx(2.0, abs=1e-9)


def test_a_motor_that_slipped_is_where_its_encoder_says(fresh: Fresh) -> None:
    from whiteline.devices.errors import MoveFailed

    motor, outside = fresh("instant")
    outside.put(":slipped", 0.3)
    error = failure(motor.set(1.0))
    assert isinstance(error, MoveFailed)
    assert "from 0 to 1 mm, but stands at 1.3 mm" in str(error)


def test_noise_within_the_tolerance_is_an_arrival(fresh: Fresh) -> None:
    from whiteline.devices.errors import MoveFailed

    rough, _ = fresh("noisy", tolerance=0.02)
    rough.set(1.0).wait(LONG_S)
    assert rough.position != 1.0
    fine, _ = fresh("noisy", tolerance=1e-4)
    assert isinstance(failure(fine.set(1.0)), MoveFailed)


def test_somebody_elses_stop_is_no_arrival(fresh: Fresh) -> None:
    from whiteline.devices.errors import MoveFailed

    motor, outside = fresh()
    go_at(1.0, motor, outside)
    outside.pv("STOP")  # connected beforehand, for it has to be quick
    moving = started(motor)
    status = motor.set(10.0)
    assert moving.wait(LONG_S)
    outside.put("STOP", 1)
    error = failure(status)
    assert isinstance(error, MoveFailed)
    assert str(error).endswith("was it stopped by somebody else?")
    assert motor.position < 9.9


def test_somebody_elses_move_is_no_arrival(fresh: Fresh) -> None:
    from whiteline.devices.errors import MoveFailed

    motor, outside = fresh()
    go_at(1.0, motor, outside)
    outside.pv("VAL")
    moving = started(motor)
    status = motor.set(10.0)
    assert moving.wait(LONG_S)
    outside.start("VAL", -0.5)
    assert isinstance(failure(status), MoveFailed)
    assert outside.get(":position") == pytest.approx(-0.5, abs=1e-9)


def test_a_move_of_somebody_else_is_waited_for_and_never_stopped(fresh: Fresh) -> None:
    from whiteline.devices.errors import Overdue

    motor, outside = fresh()
    moving = started(motor)
    outside.start("VAL", 1.0)
    assert moving.wait(LONG_S)
    motor.set(2.0).wait(LONG_S)
    assert outside.get(":position") == pytest.approx(2.0, abs=1e-9)
    assert outside.get(":completed") == 2

    moving = started(motor)
    outside.put("VELO", 0.8)
    outside.start("VAL", -1.5)  # takes longer than anything is waited for
    assert moving.wait(LONG_S)
    at_rest = threading.Event()
    motor.subscribe(lambda **_: at_rest.set(), event_type=motor.SUB_DONE, run=False)
    error = failure(motor.set(3.0))
    assert isinstance(error, Overdue)
    assert "is it moved by somebody else?" in str(error)
    assert at_rest.wait(LONG_S)
    assert outside.get(":position") == pytest.approx(-1.5, abs=1e-9)


def test_a_new_target_supersedes_the_old_one(fresh: Fresh) -> None:
    from whiteline.devices.errors import Stopped

    motor, outside = fresh()
    go_at(1.0, motor, outside)
    statuses = [motor.set(position) for position in (10.0, -10.0, 5.0, -5.0, 1.0)]
    for status, after in zip(statuses, (-10, 5, -5, 1), strict=False):
        error = failure(status)
        assert isinstance(error, Stopped)
        assert f"x was sent to {after} mm before it arrived" in str(error)
    statuses[-1].wait(LONG_S)
    assert outside.get(":position") == pytest.approx(1.0, abs=1e-9)


def test_stopped_it_fails_and_stands_still(fresh: Fresh) -> None:
    from whiteline.devices.errors import Stopped

    motor, outside = fresh()
    go_at(1.0, motor, outside)
    moving = started(motor)
    status = motor.set(10.0)
    assert moving.wait(LONG_S)
    motor.stop()
    error = failure(status)
    assert isinstance(error, Stopped)
    assert "x was stopped on its way at" in str(error)
    motor.set(motor.position).wait(LONG_S)  # waits until it has slowed down
    assert outside.get("DMOV") == 1
    motor.stop()  # at rest it does no harm
    motor.set(0.0).wait(LONG_S)
    assert outside.get(":position") == pytest.approx(0.0, abs=motor.tolerance)


def test_who_listens_for_a_start_or_an_end_is_told(fresh: Fresh) -> None:
    motor, _ = fresh()
    heard: list[str] = []
    ended = threading.Event()
    motor.subscribe(lambda **_: heard.append("start"), event_type=motor.SUB_START, run=False)
    motor.subscribe(lambda **_: (heard.append("done"), ended.set()), event_type=motor.SUB_DONE, run=False)
    motor.set(0.5).wait(LONG_S)
    assert ended.wait(LONG_S)
    assert heard == ["start", "done"]


def test_home_is_found_or_not(fresh: Fresh) -> None:
    from whiteline.devices.errors import MoveFailed

    motor, outside = fresh()
    motor.set(3.0).wait(LONG_S)
    motor.home("reverse").wait(LONG_S)
    assert outside.get(":position") == pytest.approx(0.0, abs=1e-9)
    motor.set(8.0).wait(LONG_S)
    go_at(1.0, motor, outside, "HVEL")
    outside.pv("STOP")
    moving = started(motor)
    status = motor.home("forward", wait=False)
    assert moving.wait(LONG_S)
    outside.put("STOP", 1)
    error = failure(status)
    assert isinstance(error, MoveFailed)
    assert "did not find its home position" in str(error)
    with pytest.raises(ValueError, match="'up' of x must be forward or reverse"):
        motor.home("up")


@pytest.fixture
def engine() -> Callable[[], tuple[Any, list[tuple[str, Any]]]]:
    """Return a new RunEngine and the documents that it emits."""

    def one() -> tuple[Any, list[tuple[str, Any]]]:
        from bluesky import RunEngine

        run_engine, documents = RunEngine(context_managers=[]), []
        run_engine.subscribe(lambda name, document: documents.append((name, document)))
        return run_engine, documents

    return one


def test_a_scan_of_300_points_does_not_stall(fresh: Fresh, engine: Any) -> None:
    from bluesky.plans import scan

    motor, outside = fresh("instant")
    run_engine, documents = engine()
    run_engine(scan([], motor, -10, 10, 300))
    recorded = [event["data"]["x"] for event in events(documents)]
    np.testing.assert_allclose(recorded, np.linspace(-10, 10, 300), atol=motor.tolerance)
    assert outside.get(":completed") == 300


def test_several_motors_move_at_once_and_over_a_grid(fresh: Fresh, engine: Any) -> None:
    from bluesky import plan_stubs as bps
    from bluesky.plans import grid_scan

    motors = [fresh("instant", f"axis{number}") for number in range(4)]
    run_engine, documents = engine()
    run_engine(bps.mv(*itertools.chain.from_iterable((motor, 1.0 + n) for n, (motor, _) in enumerate(motors))))
    assert [outside.get(":position") for _, outside in motors] == pytest.approx([1, 2, 3, 4], abs=1e-9)
    (first, _), (second, _), *_ = motors
    run_engine(grid_scan([], first, -1, 1, 5, second, -2, 2, 5, snake_axes=True))
    recorded = [(event["data"]["axis0"], event["data"]["axis1"]) for event in events(documents)]
    rows = [
        (x, y) for n, x in enumerate(np.linspace(-1, 1, 5)) for y in np.linspace(-2, 2, 5)[:: 1 if n % 2 == 0 else -1]
    ]
    np.testing.assert_allclose(recorded, rows, atol=first.tolerance)


def interrupt(run_engine: Any, motor: Any, outside: Outside, how: str) -> None:
    """Run a scan, interrupt it while its motor moves, slowly, and end as `how` says."""
    from bluesky.plans import scan
    from bluesky.utils import RunEngineInterrupted

    go_at(1.0, motor, outside)
    moving = started(motor)

    def later() -> None:
        assert moving.wait(LONG_S)
        {
            "abort": lambda: run_engine.abort("test"),
            "stop": run_engine.stop,
            "pause": run_engine.request_pause,
            "device": motor.stop,
        }[how]()

    thread = threading.Thread(target=later)
    thread.start()
    try:
        if how == "device":
            from bluesky.utils import FailedStatus

            with pytest.raises(FailedStatus):
                run_engine(scan([], motor, motor.position + 3, motor.position - 3, 2))
        else:
            with pytest.raises(RunEngineInterrupted):
                run_engine(scan([], motor, motor.position + 3, motor.position - 3, 2))
    finally:
        thread.join(LONG_S)
        go_at(10.0, motor, outside)
    if how == "pause":
        run_engine.resume()


@pytest.mark.parametrize("how", ["abort", "stop", "pause", "device"])
def test_the_scan_after_an_interrupted_one_records_where_the_motor_is(fresh: Fresh, engine: Any, how: str) -> None:
    from bluesky.plans import scan

    motor, outside = fresh()
    run_engine, documents = engine()
    for turn in range(3):
        before = motor.position
        del documents[:]
        interrupt(run_engine, motor, outside, how)
        if how == "pause":
            recorded = [event["data"]["x"] for event in events(documents)]
            np.testing.assert_allclose(recorded, [before + 3, before - 3], atol=motor.tolerance)
        del documents[:]
        wanted = [1.0 + turn, 0.5, 0.0]
        run_engine(scan([], motor, wanted[0], 0.0, 3) if turn % 2 else _through(motor, wanted))
        recorded = [event["data"]["x"] for event in events(documents)]
        wanted = list(np.linspace(wanted[0], 0.0, 3)) if turn % 2 else wanted
        np.testing.assert_allclose(recorded, wanted, atol=motor.tolerance)
        assert outside.get(":position") == pytest.approx(wanted[-1], abs=1e-9)


def _through(motor: Any, positions: list[float]) -> Any:
    from bluesky.plans import list_scan

    return list_scan([], motor, positions)


def test_aborted_twice_it_stops_and_goes_on(fresh: Fresh, engine: Any) -> None:
    from bluesky.plans import scan
    from bluesky.utils import RunEngineInterrupted

    motor, outside = fresh()
    run_engine, documents = engine()
    go_at(1.0, motor, outside)
    moving = started(motor)

    def twice() -> None:
        assert moving.wait(LONG_S)
        threads = [threading.Thread(target=_abort, args=(run_engine,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG_S)

    thread = threading.Thread(target=twice)
    thread.start()
    with pytest.raises(RunEngineInterrupted):
        run_engine(scan([], motor, 9, -9, 2))
    thread.join(LONG_S)
    assert not thread.is_alive()
    go_at(10.0, motor, outside)
    del documents[:]
    run_engine(scan([], motor, 1, 0, 3))
    np.testing.assert_allclose([event["data"]["x"] for event in events(documents)], [1, 0.5, 0], atol=motor.tolerance)
    assert outside.get("DMOV") == 1


def _abort(run_engine: Any) -> None:
    from bluesky.utils import TransitionError

    try:
        run_engine.abort("test")
    except TransitionError:
        return  # the other one was quicker


def test_hundreds_of_moves_leave_no_thread_and_no_subscription(fresh: Fresh) -> None:
    motor, _ = fresh("instant")
    motor.set(1.0).wait(LONG_S)

    def held() -> int:
        return sum(len(one) for one in motor._callbacks.values())

    before = held()
    for number in range(500):
        motor.set(number % 7).wait(LONG_S)
    deadline = time.monotonic() + LONG_S
    while any(thread.name == f"errand of {motor.name}" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert held() == before

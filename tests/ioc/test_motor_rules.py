"""What a motor may be told, and how long it takes, without any IOC; and the defect that the stock class has."""

import itertools
import math
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whiteline.analysis.checks import OutOfRange

LONG_S = 30
"""Time in which whatever is waited for has happened on any machine [s]."""


@pytest.fixture(scope="module", autouse=True)
def where_to_search(ca_ports: list[int]) -> None:
    """To import ophyd is to settle where this process looks for IOCs, and others in it need theirs found."""


def fake(**values: float) -> Any:
    """Return a motor whose record has these fields, and that is connected to nothing."""
    from ophyd.sim import make_fake_device

    from whiteline.devices.motor import AxisSettings, Motor

    limits = {name: values.pop(name) for name in ("low", "high") if name in values}
    motor = make_fake_device(Motor)("X", name="x", settings=AxisSettings("X", **limits))
    record = {"velocity": 2.0, "acceleration": 0.5, "settle_delay": 0.1, "resolution": 1e-5, "retry_dead_band": 1e-5}
    record |= {"backlash_distance": 0.0, "backlash_velocity": 1.0, "backlash_acceleration": 0.25, "user_offset_dir": 0}
    record |= {"low_limit_travel": -10.0, "high_limit_travel": 10.0, "user_readback": 0.0} | values
    for name, value in record.items():
        getattr(motor, name).sim_put(value)
    motor.motor_egu.sim_put("mm")
    return motor


def allowed(motor: Any, position: float) -> bool:
    try:
        motor.check_value(position)
    except OutOfRange:
        return False
    return True


positions = st.floats() | st.floats(-30, 30) | st.sampled_from([-10.0, 10.0, math.nextafter(10.0, 11), math.nan])
limits = st.floats(-20, 20)
described = st.tuples(limits, limits) | st.just((-math.inf, math.inf))
recorded = st.tuples(limits, limits) | st.just((0.0, 0.0))


@settings(max_examples=3000, deadline=None)
@given(position=positions, ours=described, record=recorded, lash=st.floats(-3, 3))
def test_nothing_outside_a_limit_is_let_through(
    position: float, ours: tuple[float, float], record: tuple[float, float], lash: float
) -> None:
    (low, high), (bottom, top) = sorted(ours), sorted(record)
    motor = shared(low, high, bottom, top, lash)
    turns = position - lash if abs(lash) > 1e-5 else position
    unlimited = bottom == top
    inside = all(low <= one <= high and (unlimited or bottom <= one <= top) for one in (position, turns))
    assert allowed(motor, position) == (math.isfinite(position) and inside)


def shared(low: float, high: float, bottom: float, top: float, lash: float) -> Any:
    """Return the one motor of the property, with other limits: to make a fake takes longer than to ask it."""
    from whiteline.devices.motor import AxisSettings

    if not made:
        made.append(fake())
    motor = made[0]
    motor.settings = AxisSettings("X", low=low, high=high)
    motor.low_limit_travel.sim_put(bottom)
    motor.high_limit_travel.sim_put(top)
    motor.backlash_distance.sim_put(lash)
    return motor


made: list[Any] = []


def test_a_backlash_follows_the_direction_of_the_user_positions() -> None:
    motor = fake(backlash_distance=1.0)
    assert (allowed(motor, -9.5), allowed(motor, 9.5)) == (False, True)
    motor.user_offset_dir.sim_put(1)
    assert (allowed(motor, -9.5), allowed(motor, 9.5)) == (True, False)


def test_the_time_of_a_move_follows_from_the_record() -> None:
    motor = fake()
    assert motor.duration(0, 10) == pytest.approx(10 / 2 + 0.5 + 0.1)
    assert motor.duration(10, 0) == pytest.approx(10 / 2 + 0.5 + 0.1)
    assert motor.duration(0, 0) == pytest.approx(0.1)
    motor.backlash_distance.sim_put(1.0)
    assert motor.duration(0, 5) == pytest.approx((4 / 2 + 0.5) + (1 / 1 + 0.25) + 0.1)


def test_a_refusal_is_one_sentence_with_limit_unit_and_remedy() -> None:
    from ophyd.utils import LimitError

    with pytest.raises(LimitError) as caught:
        fake(low=-3.0, high=4.0).check_value(5.0)
    assert str(caught.value) == "x 5 mm must lie between -3 and 4 mm; move within them, or widen the limits"
    with pytest.raises(OutOfRange, match="x nan mm must be a finite number"):
        fake().check_value(math.nan)


def test_the_tolerance_is_that_of_the_description_or_of_the_record() -> None:
    assert fake(retry_dead_band=3e-4).tolerance == pytest.approx(6e-4)
    assert fake(resolution=-1e-3).tolerance == pytest.approx(2e-3)


def axis(settle: Callable[[Any], bool] | None = None) -> Any:
    """Return a positioner that arrives as soon as it is told where to go, or never."""
    from ophyd import Component, Signal

    from whiteline.devices.errands import Errand
    from whiteline.devices.positioner import Positioner

    class Axis(Positioner):
        readback = Component(Signal, value=0.0)
        woken_by = ("readback",)
        readback_signal = property(lambda self: self.readback)
        needed_signals = property(lambda self: ())
        tolerance = property(lambda self: 1e-3)
        travel = property(lambda self: (-10.0, 10.0))
        egu = "mm"
        halted = 0

        def duration(self, start: float, end: float) -> float:
            return 1.0

        def _rests(self, errand: Errand) -> bool:
            return True

        def _command(self, errand: Errand, target: float) -> Callable[[], bool]:
            if settle is not None and not settle(target):
                return lambda: False
            self._done_changed(at_rest=False, timestamp=None)
            self.readback.put(target)
            self._set_position(target)
            self._done_changed(at_rest=True, timestamp=None)
            return lambda: True

        def _halt(self) -> None:
            self.halted += 1

    made = Axis(name="axis")
    made.readback.pvname = "AXIS"
    return made


def test_a_move_that_is_set_as_soon_as_the_last_one_ends_has_its_own_end() -> None:
    ours, ends = axis(), [threading.Event() for _ in range(200)]

    def go(number: int) -> None:
        status = ours.set(float(number % 7))
        status.add_callback(lambda ended: (number + 1 < len(ends) and go(number + 1), ends[number].set()))

    go(0)
    assert all(end.wait(LONG_S) for end in ends)


def test_the_stock_positioner_still_loses_such_an_end() -> None:
    """Once this fails, ophyd has been mended: `whiteline.devices.motor` need not keep its own account of ends."""
    from ophyd.positioner import PositionerBase

    class Stock(PositionerBase):
        egu = "mm"

        def check_value(self, value: float, **_: Any) -> None:
            """Anything goes."""

    stock, moves = Stock(name="stock"), []
    moves.append(stock.move(1.0))
    moves[0].add_callback(lambda ended: moves.append(stock.move(2.0)))
    stock._done_moving()
    assert [move.success for move in moves] == [True, False]
    stock._done_moving()  # the end of the second move finds nobody
    assert not moves[1].done


def test_stopped_it_fails_unless_that_is_to_count_as_a_success() -> None:
    from whiteline.devices.errors import Stopped

    ours = axis(settle=lambda target: False)
    status = ours.set(1.0)
    ours.stop()
    assert isinstance(status.exception(timeout=LONG_S), Stopped)
    status = ours.set(1.0)
    ours.stop(success=True)
    assert status.exception(timeout=LONG_S) is None


def test_it_is_halted_only_for_a_move_of_its_own() -> None:
    commanded = threading.Event()
    ours = axis(settle=lambda target: commanded.set())  # type: ignore[func-returns-value]
    status = ours.set(1.0)
    assert commanded.wait(LONG_S)
    ours.end_errand()
    assert status.exception(timeout=LONG_S) is not None
    assert ours.halted == 1
    ours._rests = lambda errand: errand.require_possible() or False
    status = ours.set(2.0)
    ours.end_errand()
    assert status.exception(timeout=LONG_S) is not None
    assert ours.halted == 1


def test_whoever_supersedes_fails_all_that_came_before() -> None:
    ours = axis(settle=lambda target: target == 9.0)
    statuses = [ours.set(float(target)) for target in range(10)]
    statuses[-1].wait(LONG_S)
    assert [status.success for status in statuses] == [False] * 9 + [True]
    for status, after in zip(statuses, itertools.count(1), strict=False):
        if not status.success:
            assert f"axis was sent to {after} mm before it arrived" in str(status.exception(timeout=LONG_S))


def test_an_error_of_a_library_ends_the_move_too() -> None:
    from whiteline.devices.errors import DeviceError

    def broken(target: float) -> bool:
        raise ZeroDivisionError("of a library")

    error = axis(settle=broken).set(1.0).exception(timeout=LONG_S)
    assert isinstance(error, DeviceError)
    assert str(error) == "axis: ZeroDivisionError: of a library"
    assert isinstance(error.__cause__, ZeroDivisionError)

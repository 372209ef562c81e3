"""The motion of an axis in time keeps its promises for any move, from rest and in flight."""

import math
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from whiteline.sim.ioc.motor_record.motion import Profile, at_rest, move

POSITIONS = st.floats(-100, 100)
VELOCITIES = st.floats(0.01, 100)
TIMES = st.floats(0.001, 5)
MOMENTS = st.floats(0, 1)

ACCURACY = 1e-6


def moments(profile: Profile, number: int = 50) -> list[float]:
    return [profile.duration * n / number for n in range(number + 1)]


@given(POSITIONS, POSITIONS, VELOCITIES, st.just(0.0) | TIMES)
def test_a_move_from_rest_goes_straight_to_its_target_and_stays_there(start, target, velocity, acceleration_s):
    profile = move(start, target, velocity, acceleration_s)
    positions = [profile.position(t) for t in moments(profile)]
    assert positions[0] == pytest.approx(start, abs=ACCURACY)
    assert profile.position(profile.duration) == target
    assert profile.position(profile.duration + 1) == target
    assert profile.velocity(profile.duration) == 0
    forward = math.copysign(1, target - start)
    assert all(forward * (b - a) >= -ACCURACY for a, b in pairwise(positions))


@given(POSITIONS, POSITIONS, VELOCITIES, st.just(0.0) | TIMES)
def test_it_is_never_faster_than_allowed(start, target, velocity, acceleration_s):
    profile = move(start, target, velocity, acceleration_s)
    assert all(abs(profile.velocity(t)) <= velocity * (1 + ACCURACY) for t in moments(profile))


@given(POSITIONS, POSITIONS, VELOCITIES, TIMES)
def test_it_is_symmetric_in_time_and_in_direction(start, target, velocity, acceleration_s):
    there, back = move(start, target, velocity, acceleration_s), move(target, start, velocity, acceleration_s)
    assert there.duration == pytest.approx(back.duration)
    for t in moments(there):
        left = there.duration - t
        assert there.position(t) == pytest.approx(back.position(left), abs=ACCURACY * max(1, velocity))


@given(st.floats(1, 100), VELOCITIES, st.floats(0, 0.5))
def test_a_long_move_takes_distance_over_velocity_and_the_time_of_acceleration(distance, velocity, share):
    acceleration_s = share * distance / velocity
    profile = move(0, distance, velocity, acceleration_s)
    assert profile.duration == pytest.approx(distance / velocity + acceleration_s)


@given(st.floats(0.001, 1), VELOCITIES, TIMES)
def test_a_short_move_never_reaches_its_velocity(share, velocity, acceleration_s):
    distance = 0.99 * share * velocity * acceleration_s
    profile = move(0, distance, velocity, acceleration_s)
    assert profile.duration == pytest.approx(2 * math.sqrt(distance * acceleration_s / velocity))
    assert max(profile.velocity(t) for t in moments(profile)) < velocity


@given(POSITIONS, POSITIONS, POSITIONS, VELOCITIES, TIMES, VELOCITIES, TIMES, MOMENTS)
def test_a_new_target_in_flight_changes_neither_position_nor_velocity_at_once(
    start, first, second, velocity, acceleration_s, new_velocity, new_acceleration_s, moment
):
    before = move(start, first, velocity, acceleration_s)
    t = moment * before.duration
    after = before.retargeted(t, second, new_velocity, new_acceleration_s)
    assert after.position(0) == pytest.approx(before.position(t), abs=ACCURACY)
    if after.duration > 0:
        assert after.velocity(0) == pytest.approx(before.velocity(t), abs=ACCURACY * max(1, velocity))
    assert after.position(after.duration) == second
    assert after.position(after.duration * (1 - 1e-12)) == pytest.approx(second, abs=1e-5)
    largest = max(new_velocity, abs(before.velocity(t)))
    assert all(abs(after.velocity(t)) <= largest * (1 + ACCURACY) for t in moments(after))


@given(POSITIONS, POSITIONS, POSITIONS, VELOCITIES, TIMES, MOMENTS)
def test_it_never_jumps(start, first, second, velocity, acceleration_s, moment):
    before = move(start, first, velocity, acceleration_s)
    after = before.retargeted(moment * before.duration, second, velocity, acceleration_s)
    times = moments(after, 200)
    step = after.duration / 200
    for a, b in pairwise(times):
        assert abs(after.position(b) - after.position(a)) <= velocity * step * (1 + 1e-3) + 1e-5
        assert abs(after.velocity(b) - after.velocity(a)) <= after.acceleration * step * (1 + 1e-3) + 1e-5


@given(POSITIONS, POSITIONS, VELOCITIES, TIMES, MOMENTS)
def test_a_stop_in_flight_decelerates_within_its_way(start, target, velocity, acceleration_s, moment):
    flight = move(start, target, velocity, acceleration_s)
    t = moment * flight.duration
    stop = flight.stopped(t)
    assert stop.position(0) == pytest.approx(flight.position(t), abs=ACCURACY)
    assert stop.duration == pytest.approx(abs(flight.velocity(t)) / velocity * acceleration_s)
    assert min(start, target) - ACCURACY <= stop.target <= max(start, target) + ACCURACY
    assert stop.velocity(stop.duration) == 0


@given(POSITIONS, POSITIONS, VELOCITIES, MOMENTS)
def test_without_a_time_of_acceleration_it_stops_at_once(start, target, velocity, moment):
    flight = move(start, target, velocity, 0.0)
    t = moment * flight.duration
    assert flight.stopped(t) == at_rest(flight.position(t))


@given(VELOCITIES, TIMES)
def test_a_target_behind_makes_it_turn_around(velocity, acceleration_s):
    way = 3 * velocity * acceleration_s
    assume(way > 1e-3)
    flight = move(0, way, velocity, acceleration_s)
    back = flight.retargeted(flight.duration / 2, 0.0, velocity, acceleration_s)
    positions = [back.position(t) for t in moments(back)]
    assert max(positions) > flight.position(flight.duration / 2)
    assert min(positions) >= -ACCURACY
    assert back.position(back.duration) == 0


def test_an_axis_at_rest_takes_no_time():
    assert at_rest(3.0).duration == 0
    assert move(3.0, 3.0, 1.0, 0.1).duration == 0
    assert move(3.0, 3.0, 1.0, 0.0).position(0.0) == 3.0


def test_an_infinite_velocity_is_there_at_once():
    profile = move(0.0, 5.0, math.inf, 0.0)
    assert profile.duration == 0
    assert profile.position(0.0) == 5.0


@pytest.mark.parametrize(
    ("velocity", "acceleration_s", "message"),
    [
        (0.0, 0.1, "velocity = 0"),
        (-1.0, 0.1, "velocity = -1"),
        (1.0, -0.1, "acceleration_s = -0.1"),
        (math.nan, 0, "v"),
    ],
)
def test_it_refuses_what_is_no_motion(velocity, acceleration_s, message):
    with pytest.raises(ValueError, match=message):
        move(0.0, 1.0, velocity, acceleration_s)

"""Positions in time: means over gates and crossings are right to a picometre, the piezo lags, and drives remember."""

import numpy as np
import pytest

from whiteline.beamline import twin
from whiteline.beamline.description import load
from whiteline.sim.course import Course, sample_times
from whiteline.sim.ioc.motor_record.drive import Drive, Leg
from whiteline.sim.ioc.motor_record.motion import move
from whiteline.sim.servo import Servo
from whiteline.sim.stages import StageErrors

PICOMETRE_UM = 1e-6


@pytest.fixture
def errors(seed: int) -> StageErrors:
    return twin.stage_errors(load("nanoprobe"), seed=seed)


def shaken(errors: StageErrors, velocity: float) -> Course:
    """A stage that moves at a velocity [µm/s] for a second, from far after the start, with its vibration."""
    times = sample_times(5000.0, 5001.0)
    return Course(times, velocity * (times - 5000.0) + 1e-3 * errors.vibrated_nm(0, times))


def test_means_over_gates_are_those_of_the_integral(errors: StageErrors, seed: int) -> None:
    course = shaken(errors, 20.0)
    source = np.random.default_rng(seed)
    starts = 5000.0 + source.uniform(0, 0.9, 50)
    ends = starts + 10 ** source.uniform(-4.5, -1.1, 50)
    fine = np.linspace(0, 1, 20_001)
    for start, end, mean in zip(starts, ends, course.mean(starts, ends), strict=True):
        times = start + (end - start) * fine
        true = 20.0 * (times - 5000.0) + 1e-3 * errors.vibrated_nm(0, times)
        assert mean == pytest.approx(np.trapezoid(true, fine), abs=20 * PICOMETRE_UM)


def test_pulses_come_where_the_stage_first_is(errors: StageErrors) -> None:
    course, places = shaken(errors, 20.0), np.arange(1.0, 19.0, 0.02)
    times = course.first_reached(places)
    true = 20.0 * (times - 5000.0) + 1e-3 * errors.vibrated_nm(0, times)
    assert times.size == places.size
    assert np.abs(true - places).max() < 20 * PICOMETRE_UM


def test_a_stage_that_shakes_back_and_forth_gives_each_pulse_once(errors: StageErrors) -> None:
    """At 0.2 µm/s the vibration carries the stage back by more than it goes on."""
    course, places = shaken(errors, 0.2), np.arange(0.02, 0.18, 0.001)
    assert (np.diff(course.values) < 0).any()
    times = course.first_reached(places)
    assert times.size == places.size
    assert (np.diff(times) >= 0).all()
    for time, place in zip(times, places, strict=True):
        before = course.values[course.times_s < time]
        assert before.max() <= place + PICOMETRE_UM


def test_what_was_not_reached_has_no_time(errors: StageErrors) -> None:
    assert shaken(errors, 20.0).first_reached(np.array([5.0, 10.0, 25.0])).size == 2


def test_the_piezo_is_behind_by_velocity_times_lag() -> None:
    servo = Servo(lag_s=1e-3, ripple_nm=0.0, ripple_Hz=300.0)
    times = sample_times(0.0, 0.5)
    profile = move(0.0, 20.0, 100.0, 0.005)
    command = Course(times, profile.positions(times))
    stage = servo.followed(command)
    cruising = (times > 0.05) & (times < 0.19)
    assert stage[cruising] == pytest.approx(command.values[cruising] - 0.1, abs=1e-6)
    # the commanded step comes after 1/e of it is left, one lag later
    step = Course(times, np.where(times > 0.1, 1.0, 0.0))
    assert servo.followed(step)[np.searchsorted(times, 0.101)] == pytest.approx(1 - np.exp(-1), abs=0.02)
    assert stage[-1] == pytest.approx(20.0, abs=1e-6)


def test_the_servo_ripples_while_it_moves() -> None:
    servo = Servo(lag_s=0.0, ripple_nm=2.0, ripple_Hz=300.0)
    times = sample_times(0.0, 1.0)
    moving = servo.followed(Course(times, 20.0 * times)) - 20.0 * times
    assert 1e3 * np.sqrt(np.mean(moving**2)) == pytest.approx(2.0, rel=0.01)
    assert np.ptp(servo.followed(Course(times, np.full(times.shape, 7.0)))) == 0


def test_a_motion_gives_many_positions_as_it_gives_one() -> None:
    for profile in (move(1.0, -3.0, 2.0, 0.3), move(0.0, 0.1, 2.0, 0.3), move(0.0, 5.0, 2.0, 0.0)):
        times = np.linspace(-0.1, profile.duration + 0.5, 501)
        one_by_one = [profile.position(time) for time in times]
        assert profile.positions(times) == pytest.approx(one_by_one, abs=1e-12)


def test_a_drive_knows_where_it_was() -> None:
    now = [100.0]
    drive = Drive(0.0, (-5.0, 5.0), lambda: now[0])
    seen = []

    def pass_time(seconds: float) -> None:
        for _ in range(round(seconds / 0.01)):
            seen.append((now[0], drive.position))
            now[0] += 0.01

    pass_time(0.1)
    drive.go(Leg(2.0, 1.0, 0.1))
    pass_time(0.8)
    drive.go(Leg(-1.0, 1.0, 0.1))
    pass_time(0.7)
    drive.freeze()
    pass_time(0.2)
    drive.go(Leg(20.0, 2.0, 0.1))
    pass_time(4.0)
    drive.arrive()
    pass_time(0.1)
    times, places = np.transpose(seen)
    assert drive.positions(drive.past, times) == pytest.approx(places, abs=1e-9)
    assert places.max() == 5.0

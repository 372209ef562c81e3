"""Lines of a fly scan: pulses, velocity and run-up against the motion of a motor record."""

import numpy as np
import pytest

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.laws.fly_line import EVEN_S, FlyLine
from whiteline.sim.ioc.motor_record.motion import move


def test_the_velocity_is_even_over_all_gates_of_a_motor_record() -> None:
    """By the twin's own trapezoid, the axis has its velocity from before the first pulse until after the last gate."""
    seed = np.random.default_rng().integers(2**32)
    print(f"seed {seed}")
    random = np.random.default_rng(seed)
    for _ in range(20):
        step, acceleration_s = float(random.uniform(0.01, 2) * random.choice([-1, 1])), float(random.uniform(0, 1))
        line = FlyLine("x", float(random.uniform(-50, 50)), step, int(random.integers(1, 500)), 0.01)
        assert line.velocity == pytest.approx(abs(step) / 0.01)
        least = 0.05
        begin, end = line.begin(acceleration_s, least), line.end(acceleration_s, least)
        profile = move(begin, end, line.velocity, acceleration_s)
        first_s = line.run_up(acceleration_s, least) / line.velocity + acceleration_s / 2
        last_s = first_s + line.length_s
        assert profile.position(first_s) == pytest.approx(line.first, abs=1e-9)
        assert profile.position(last_s) == pytest.approx(line.last, abs=1e-9)
        assert line.last == pytest.approx(line.first + line.pulses * step)
        for time_s in (first_s - EVEN_S, first_s, last_s, last_s + EVEN_S):
            assert profile.velocity(time_s) == pytest.approx(np.sign(step) * line.velocity)
        assert line.seconds(acceleration_s, least) == pytest.approx(first_s + last_s)
        # the noise of a position at rest does not take the axis past its first pulse
        assert (line.first - begin) * np.sign(step) >= least + line.velocity * EVEN_S


def test_a_line_by_the_clock_moves_nothing() -> None:
    line = FlyLine("", 3.0, 0.01, 100, 0.004)
    assert line.by_clock
    assert (line.velocity, line.direction, line.run_up(0.5)) == (0.0, 0, 0.0)
    assert (line.begin(0.5), line.end(0.5)) == (3.0, 3.0)
    assert line.seconds(0.5) == pytest.approx(0.994)
    assert line.rate == pytest.approx(100)


def test_some_rows_of_a_line_are_where_they_are_in_the_whole() -> None:
    line = FlyLine("rotation", 180.0, -0.5, 360, 0.1, rows=90)
    assert line.row_pulses == 4
    part = line.of_rows(10, 80)
    assert part == FlyLine("rotation", 160.0, -0.5, 320, 0.1, rows=80)
    assert (part.last, part.velocity, part.run_up(0.5)) == (line.last, line.velocity, line.run_up(0.5))
    assert line.of_rows(0, 90) == line
    for first, count, sentence in ((90, 1, "first row of a line 90"), (80, 11, "number of rows of a line 11")):
        with pytest.raises(OutOfRange, match=sentence):
            line.of_rows(first, count)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"step": 0.0}, "step between pulses 0 units must not be 0"),
        ({"pulses": 0}, "number of pulses 0 must be at least 1"),
        ({"pulses": 2.5}, "number of pulses 2.5 must be a whole number"),
        ({"first": float("nan")}, "position of the first pulse nan units must be a finite number"),
        ({"gate_s": 0.0}, "dwell of a fly scan 0 s must be a finite number above 0"),
        ({"gate_s": 5000.0}, "dwell of a fly scan 5000 s must lie between 0 and 3600 s"),
        ({"channel": "", "step": 0.001}, "gate of pulses by the clock 0.01 s must not exceed the period of 0.001 s"),
        ({"channel": "", "step": -1.0}, "period of pulses by the clock -1 s must be a finite number above 0"),
        ({"rows": 4}, "rows of a line 4 must divide its 10 pulses"),
        ({"rows": 0}, "rows of a line 0 must divide its 10 pulses"),
        ({"even_s": -1.0}, "even_s of a fly scan -1 s must be finite"),
    ],
)
def test_what_is_no_line(wrong: dict[str, object], sentence: str) -> None:
    given = {"channel": "x", "first": 0.0, "step": 0.1, "pulses": 10, "gate_s": 0.01}
    with pytest.raises(OutOfRange, match=sentence):
        FlyLine(**{**given, **wrong})  # type: ignore[arg-type]

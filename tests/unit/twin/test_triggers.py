"""Which trigger pulses a detector takes, and when the pulses and gates of a line come."""

import numpy as np
import pytest

from whiteline.sim.course import Course, sample_times
from whiteline.sim.ioc.capture.line import Line, LinePlan
from whiteline.sim.triggers import Triggers


def plan(**changed: object) -> LinePlan:
    parts = {"timed": False, "start": 1.0, "step": 0.5, "pulses": 4, "gate_s": 0.0, "timeout_s": 10.0}
    return LinePlan(**(parts | changed))  # type: ignore[arg-type]


def followed(line: Line, velocity: float, until_s: float = 10.0, ticks: int = 23) -> tuple[np.ndarray, np.ndarray]:
    """Follow a stage that starts at 0 with a constant velocity, in some looks; return starts and gates."""
    found = []
    for now in np.linspace(0.0, until_s, ticks + 1)[1:]:
        times = sample_times(line.looked_s, now)
        line.follow(now, None if line.plan.timed else Course(times, velocity * times))
        found.append(line.ended())
    starts, gates = (np.concatenate(one) for one in zip(*found, strict=True))
    return starts, gates


def test_a_detector_that_is_driven_slowly_takes_every_pulse() -> None:
    triggers = Triggers(0.02, 100, 50.0)
    assert triggers.take(np.arange(20) * 0.07, np.full(20, 0.05), 100).all()


def test_a_detector_that_is_driven_too_fast_misses_what_comes_while_it_is_busy() -> None:
    """0.05 s of exposure and 0.02 s of readout, pulses every 0.05 s: each second one comes too early."""
    triggers = Triggers(0.02, 100, 50.0)
    times = np.arange(10) * 0.05
    taken = np.concatenate(
        [triggers.take(times[:3], np.full(3, 0.05), 99), triggers.take(times[3:], np.full(7, 0.05), 99)]
    )
    assert taken.tolist() == [True, False] * 5


def test_a_gate_that_ends_with_the_next_pulse_is_followed_by_the_next() -> None:
    times = np.cumsum(np.random.default_rng(1).uniform(5e-4, 1.5e-3, 1001)) + 1e6
    assert Triggers(0.0, 10_000, 2000.0).take(times[:-1], np.diff(times), 10_000).all()


def test_a_full_buffer_lets_through_what_is_handed_on() -> None:
    triggers = Triggers(0.0, 500, 1000.0)
    taken = triggers.take(np.arange(20_000) * 1e-4, np.full(20_000, 1e-5), 100_000)
    # 10 kHz come and 1 kHz goes: after 500/9 ms it is full, and then one in ten is taken
    first = int(np.argmin(taken))
    assert first == pytest.approx(500 / 0.9, abs=2)
    assert taken[first:].mean() == pytest.approx(0.1, rel=0.01)
    triggers.begin()
    assert triggers.take(np.array([3.0]), np.array([1e-5]), 1).all()


def test_no_more_exposures_than_are_wanted() -> None:
    assert Triggers(0.0, 100, 1e3).take(np.arange(5.0), np.full(5, 0.1), 3).tolist() == [True] * 3 + [False] * 2


def test_pulses_and_gates_by_position() -> None:
    starts, gates = followed(Line(plan(), 0.0, np.zeros(5)), 0.5)
    assert starts == pytest.approx([2.0, 3.0, 4.0, 5.0])
    assert gates == pytest.approx([1.0] * 4)


def test_pulses_the_other_way() -> None:
    starts, gates = followed(Line(plan(start=-1.0, step=-0.5), 0.0, np.zeros(5)), -0.5)
    assert starts == pytest.approx([2.0, 3.0, 4.0, 5.0])
    assert gates == pytest.approx([1.0] * 4)


@pytest.mark.parametrize(("gate_s", "seen"), [(0.25, 0.25), (3.0, 1.0)])
def test_a_gate_of_its_own_ends_with_the_next_pulse_at_the_latest(gate_s: float, seen: float) -> None:
    starts, gates = followed(Line(plan(gate_s=gate_s), 0.0, np.zeros(5)), 0.5)
    assert starts == pytest.approx([2.0, 3.0, 4.0, 5.0])
    assert gates == pytest.approx([seen, seen, seen, gate_s])


def test_pulses_by_the_clock() -> None:
    starts, gates = followed(Line(plan(timed=True, step=0.1, pulses=30), 0.0, np.zeros(31)), 0.0)
    assert starts == pytest.approx(0.1 * np.arange(30))
    assert gates == pytest.approx([0.1] * 30)


def test_an_error_of_the_comparison_moves_pulses_and_never_swaps_them(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0, 0.02, 1001)
    starts, _ = followed(Line(plan(step=0.01, start=0.0, pulses=1000), 0.0, noise), 2.0)
    assert starts.size == 1000
    assert (np.diff(starts) >= 0).all()
    assert np.std(2.0 * starts - 0.01 * np.arange(1000)) == pytest.approx(0.02, rel=0.5)


def test_a_stage_that_stops_gives_no_more_pulses() -> None:
    line = Line(plan(pulses=100), 0.0, np.zeros(101))
    starts, _ = followed(line, 0.5, until_s=5.6)
    assert starts == pytest.approx([2.0, 3.0, 4.0])
    assert line.come == 4
    assert line.over == 3


def test_where_a_line_cannot_begin() -> None:
    line = Line(plan(), 0.0, np.zeros(5))
    assert line.beyond(1.0)
    assert line.beyond(1.2)
    assert not line.beyond(0.9)
    assert Line(plan(step=-0.5), 0.0, np.zeros(5)).beyond(0.9)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"pulses": 0}, "Pulses = 0 must be at least 1"),
        ({"step": 0.0}, "Step = 0 must be other than 0"),
        ({"step": -0.1, "timed": True}, "Step = -0.1 must be above 0 s"),
        ({"start": float("nan")}, "must be numbers"),
        ({"gate_s": -1.0}, "Gate = -1 s must not be negative"),
        ({"timeout_s": 0.0}, "Timeout = 0 s be above 0"),
    ],
)
def test_lines_that_cannot_be(changed: dict[str, object], why: str) -> None:
    assert why in plan(**changed).why_not()
    assert not plan().why_not()

"""Tuning: the axis ends at the true maximum, or exactly where it began, with the feedback as it was."""

import contextlib
import math
from typing import Any

import numpy as np
import pytest
from bluesky import RunEngine
from bluesky.utils import Msg, MsgGenerator
from fakes import Broken, FakeAxis, FakeBeamline, World
from public_plans import FakeFeedback
from running import pausing, taken

from whiteline.plans.tune import tune
from whiteline.plans.xanes_stack import xanes_stack

START, WIDTH, SPAN = 12.0, 10.0, 60.0
"""Where the pitch stands at first, width of the rocking curve, and span of the scan [µrad]."""


class Crystal:
    """A second crystal whose best pitch is known."""

    def __init__(self, best: float, noise: float = 0.0, seed: int = 0) -> None:
        self.line = FakeBeamline()
        world = self.line.world
        world.positions["pitch"] = START
        self.pitch = FakeAxis("pitch", world, "pitch", (-200.0, 200.0), "urad")
        self.feedback = FakeFeedback("feedback", world)
        self.best, self._random, self._noise = best, np.random.default_rng(seed), noise
        self.watched: list[tuple[float, str]] = []
        world.signal = self.signal

    def signal(self, world: World) -> float:
        """Return the counts, and note pitch and feedback as they are."""
        self.watched.append((world.positions["pitch"], world.feedback))
        flux = 20.0 + 1e4 * math.exp(-4 * math.log(2) * ((world.positions["pitch"] - self.best) / WIDTH) ** 2)
        return flux + self._noise * float(self._random.standard_normal())

    def tune(self, **different: Any) -> MsgGenerator[str]:
        """Return the plan."""
        arguments: dict[str, Any] = {"span": SPAN, "points": 31, "shutter": self.line.shutter, **different}
        return tune([self.line.counters], self.pitch, feedback=self.feedback, **arguments)


def test_it_ends_at_the_maximum_and_comes_there_from_below(seed: int) -> None:
    for number in range(10):
        best = START + float(np.random.default_rng((seed, number)).uniform(-0.35, 0.35)) * SPAN
        crystal = Crystal(best, noise=50.0, seed=seed + number)
        moves: list[float] = []
        put = crystal.pitch._put
        crystal.pitch._put = lambda value, put=put, moves=moves: (moves.append(value), put(value))[1]  # type: ignore[method-assign]
        (run,) = taken(crystal.tune())
        error = run.stream("tuned").numbers("tuned_error")[0]
        assert error < 0.3
        assert abs(crystal.pitch.position - best) < 0.5
        assert moves[-2] < moves[-1] == crystal.pitch.position
        assert run.stream("tuned").numbers("tuned_maximum")[0] == crystal.pitch.position
        assert run.stream("tuned").read("tuned_reason")[0] == ""
        assert crystal.line.world.shutter == "Closed"


def test_all_points_are_counted_with_the_shutter_open_and_the_feedback_off() -> None:
    crystal = Crystal(START + 5.0)
    (run,) = taken(crystal.tune(early_stop=0, dwell_s=0.5))
    assert len(run.points) == 31
    np.testing.assert_allclose(run.points.numbers("pitch"), START + np.linspace(-SPAN / 2, SPAN / 2, 31))
    assert all(one.open and one.seconds == 0.5 for one in crystal.line.world.exposures)
    assert {feedback for _, feedback in crystal.watched} == {"Off"}
    assert crystal.line.world.feedback == "On"
    assert crystal.line.counters.dwell.value == 0.25


def test_a_feedback_that_was_off_stays_off() -> None:
    crystal = Crystal(START)
    crystal.line.world.feedback = "Off"
    taken(crystal.tune())
    assert crystal.line.world.feedback == "Off"


@pytest.mark.parametrize(
    ("best", "says"), [(START + 200.0, "signal"), (START + 0.55 * SPAN, "rises towards 42, the end of the scan")]
)
def test_without_a_maximum_inside_it_goes_back(best: float, says: str) -> None:
    crystal = Crystal(best)
    (run,) = taken(crystal.tune())
    assert crystal.pitch.position == START
    assert says in run.stream("tuned").read("tuned_reason")[0]
    assert np.isnan(run.stream("tuned").numbers("tuned_maximum")[0])
    assert len(run.points) == 31
    assert crystal.line.world.feedback == "On"


def test_noise_without_a_peak_neither_ends_it_early_nor_moves_it(seed: int) -> None:
    crystal = Crystal(START + 500.0, noise=5.0, seed=seed)
    (run,) = taken(crystal.tune())
    reason = run.stream("tuned").read("tuned_reason")[0]
    if reason:  # once in some ten thousand times noise looks like a peak
        assert len(run.points) == 31
        assert crystal.pitch.position == START


def test_it_ends_early_behind_the_maximum_and_not_before() -> None:
    crystal = Crystal(START - 10.0)
    (run,) = taken(crystal.tune(early_stop=3))
    pitches = run.points.numbers("pitch")
    assert len(pitches) < 31
    below = pitches[pitches > START - 10.0 + WIDTH / 2]
    assert 3 <= len(below) <= 5
    assert crystal.pitch.position == pytest.approx(START - 10.0, abs=0.01)


def test_it_is_refused_before_anything_moves() -> None:
    crystal = Crystal(START)
    for different, says in [
        ({"span": -1.0}, "span -1 must be a finite number above 0"),
        ({"points": 4}, "points 4 must be a whole number from 7 on"),
        ({"early_stop": -1}, "early_stop -1"),
        ({"dwell_s": 0.0}, "dwell 0 s"),
        ({"energies": [8300.0]}, "give energy, too"),
        ({"energy": crystal.line.energy, "energies": [8.3]}, "looks like keV: write 8300"),
    ]:
        with pytest.raises((ValueError, TypeError), match=says):
            next(crystal.tune(**different))
    with pytest.raises(ValueError, match="detectors is empty"):
        next(tune([], crystal.pitch, span=1.0))
    with pytest.raises(ValueError, match="pitch -290 urad must lie between"):
        taken(crystal.tune(span=600.0, points=301))
    assert crystal.pitch.calls["set"] == 0
    assert crystal.line.world.exposures == []


def test_a_signal_that_nobody_reads_is_named_with_those_that_are() -> None:
    crystal = Crystal(START)
    with pytest.raises(ValueError, match="nothing that is read is called 'counters_I0'; there are counters_incident"):
        taken(crystal.tune(signal="counters_I0"))
    assert crystal.pitch.position == START
    assert crystal.line.world.feedback == "On"


def test_ended_anywhere_it_leaves_axis_feedback_and_shutter_in_order() -> None:
    """Broken off at each message in turn: the pitch stands where it stood, or at the maximum if it had got there."""
    count = sum(1 for _ in _messages(Crystal(START + 8.0)))
    assert count > 100
    for at in range(3, count, 7):
        crystal = Crystal(START + 8.0)
        # in the cleanup it is tried again, and then nothing has failed
        with contextlib.suppress(Broken):
            RunEngine(context_managers=[])(_breaking(crystal.tune(points=15), at))
        place = crystal.pitch.position
        assert place == START or abs(place - START - 8.0) < 0.01, at
        assert crystal.line.world.feedback == "On", at
        assert crystal.line.world.shutter == "Closed", at
        assert not crystal.line.counters.staged, at


def test_paused_anywhere_it_takes_the_same_points() -> None:
    whole = Crystal(START + 8.0)
    (undisturbed,) = taken(whole.tune(points=15))
    count = sum(1 for _ in _messages(Crystal(START + 8.0)))
    for at in range(0, count, 11):
        crystal = Crystal(START + 8.0)
        (run,) = taken(pausing(crystal.tune(points=15), at))
        np.testing.assert_array_equal(run.points.numbers("pitch"), undisturbed.points.numbers("pitch"))
        np.testing.assert_array_equal(run.points.seq_nums, undisturbed.points.seq_nums)
        assert crystal.pitch.position == pytest.approx(whole.pitch.position, abs=1e-9)
        assert crystal.line.world.feedback == "On"


def test_a_gap_is_tuned_at_given_energies() -> None:
    line = FakeBeamline()
    line.world.positions["gap"] = 7.0
    gap = FakeAxis("gap", line.world, "gap", (4.0, 30.0), "mm")
    energies = [8000.0, 8500.0, 9000.0]

    def best(energy: float) -> float:
        return 7.0 + (energy - 8500.0) * 4e-5

    line.world.signal = lambda world: 1e5 * math.exp(-(((world.positions["gap"] - best(world.energy)) / 0.03) ** 2))
    plan = tune([line.counters], gap, span=0.2, points=31, energy=line.energy, energies=energies, shutter=line.shutter)
    (run,) = taken(plan)
    tuned = run.stream("tuned")
    np.testing.assert_array_equal(tuned.numbers("energy"), energies)
    np.testing.assert_allclose(tuned.numbers("tuned_maximum"), [best(one) for one in energies], atol=1e-5)
    assert set(run.points.numbers("tuning_index")) == {0.0, 1.0, 2.0}


def stack(crystal: Crystal, **different: Any) -> MsgGenerator[tuple[str, ...]]:
    line = crystal.line
    arguments: dict[str, Any] = {
        "sample": line.sample, "shutter": line.shutter, "exposure_s": 0.1, "also": [line.counters], "tune_every": 2,
        "tune_axis": crystal.pitch, "tune_span": SPAN, "tune_points": 31, "tune_feedback": crystal.feedback,
        **different,
    }  # fmt: skip
    return xanes_stack(line.camera, line.energy, [8330.0, 8340.0, 8350.0, 8360.0], **arguments)


def test_within_a_stack_every_second_energy_is_tuned_before_its_frames() -> None:
    crystal = Crystal(START + 6.0)
    (run,) = taken(stack(crystal))
    np.testing.assert_array_equal(run.stream("tuned").numbers("energy"), [8330.0, 8350.0])
    assert set(run.stream("tuning").numbers("energy")) == {8330.0, 8350.0}
    assert len(run.points) == 4
    assert len(run.stream("flat")) == 4
    assert crystal.pitch.position == pytest.approx(START + 6.0, abs=0.01)
    # the camera, whose frames are the data, is not exposed for it
    assert crystal.line.camera.taken == 4 + 4 + 1


def test_a_range_that_the_axis_no_longer_has_costs_no_energy_of_a_stack() -> None:
    crystal = Crystal(START)
    crystal.pitch.limits = (-10.0, 30.0)
    (run,) = taken(stack(crystal))
    assert len(run.points) == 4
    assert "must lie between" in run.stream("tuned").read("tuned_reason")[0]
    assert crystal.pitch.calls["set"] == 0


def test_a_stack_that_ends_while_it_tunes_leaves_the_axis_and_the_feedback_as_they_were() -> None:
    crystal = Crystal(START + 6.0)

    def broken(_: World) -> float:
        if len(crystal.line.world.exposures) > 8:
            raise Broken("no counts")
        return 1.0

    crystal.line.world.signal = broken
    with pytest.raises(Broken):
        RunEngine(context_managers=[])(stack(crystal))
    assert crystal.pitch.calls["set"] > 1
    assert crystal.pitch.position == START
    assert crystal.line.world.feedback == "On"


@pytest.mark.parametrize(
    ("different", "says"),
    [
        ({"tune_every": 0}, "tune_every 0 must be a whole number from 1 on"),
        ({"tune_axis": None}, "tune_every = 2 needs tune_axis"),
        ({"also": []}, "also = "),
    ],
)
def test_a_stack_refuses_what_cannot_be_tuned(different: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        next(stack(Crystal(START), **different))


def _messages(crystal: Crystal) -> list[Msg]:
    seen: list[Msg] = []
    engine = RunEngine(context_managers=[])
    engine.msg_hook = seen.append
    engine(crystal.tune(points=15))
    return seen


def _breaking(plan: MsgGenerator[Any], at: int) -> MsgGenerator[Any]:
    """Throw into a plan at a message; an error that a device raises while it is carried out arrives there, too."""
    given: Any = None
    number = 0
    while True:
        try:
            message = plan.send(given) if number != at else plan.throw(Broken("as it was told to"))
        except StopIteration as end:
            return end.value
        number += 1
        given = yield message

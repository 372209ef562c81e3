"""However a plan ends, and at whichever message, it leaves no mess; and what watches over that sees every mess."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import bluesky.plan_stubs as bps
import numpy as np
import pytest
from abort_anywhere import Outcome, Trial, doubles, quiet_engine, singles
from bluesky import RunEngine
from public_plans import CASES, SMALL, Case
from ways_out import WAYS, abort, pause, refuse, together

import whiteline.plans
from whiteline.plans.restoring import NotRestored, restoring
from whiteline.plans.sample_out import SampleOut

AT_EVERY_MESSAGE = "stop", "abort", "pause, then abort", "refuse"
EVERY_FOURTH = [way for way in WAYS if way not in AT_EVERY_MESSAGE]
SLOW_S = 0.004
PAIRS = 40
"""Of each long plan."""

by_name = {case.name: case for case in CASES}
all_cases = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


@pytest.fixture(scope="module")
def engine() -> Iterator[RunEngine]:
    with quiet_engine() as engine:
        yield engine


def told(outcomes: Iterator[Outcome]) -> list[str]:
    """Return what is unsafe, in words; there must have been something to look at."""
    tried, found = 0, []
    for one in outcomes:
        tried += 1
        found += [f"{one.what}: {unsafe} ({one.error!r})" for unsafe in one.unsafe]
    assert tried
    return found


def test_every_public_plan_has_a_case() -> None:
    assert {case.plan for case in CASES} == set(whiteline.plans.__all__)


@all_cases
def test_an_undisturbed_plan_succeeds_and_leaves_no_mess(engine: RunEngine, case: Case) -> None:
    outcome = Trial(engine, case).run()
    assert outcome.error is None
    assert outcome.unsafe == []
    assert set(outcome.exit_statuses) <= {"success"}


@pytest.mark.parametrize("way", AT_EVERY_MESSAGE)
@all_cases
def test_a_plan_that_ends_at_any_message_leaves_no_mess(engine: RunEngine, case: Case, way: str, seed: int) -> None:
    assert told(singles(engine, case, [way], first=seed % case.every)) == []


@all_cases
def test_it_leaves_no_mess_in_rarer_ways_either(engine: RunEngine, case: Case, seed: int) -> None:
    every = 4 * case.every
    assert told(singles(engine, case, EVERY_FOURTH, every=every, first=seed % every)) == []


@pytest.mark.parametrize("way", WAYS)
def test_a_plan_that_ends_while_things_are_under_way_leaves_no_mess(engine: RunEngine, way: str) -> None:
    assert told(singles(engine, by_name["xanes"], [way], seconds=SLOW_S)) == []


@pytest.mark.parametrize("name", ["xanes_stack tuned", "bias_series", "mosaic"])
def test_so_do_longer_ones(engine: RunEngine, name: str, seed: int) -> None:
    assert told(singles(engine, by_name[name], seconds=SLOW_S, every=16, first=seed % 16)) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("refuse", "abort"),
        ("refuse", "pause, then abort"),
        ("abort", "abort"),
        ("abort", "refuse"),
        ("abort", "not done, and fails later"),
    ],
)
def test_a_cleanup_that_is_interfered_with_at_any_message_is_whole(
    engine: RunEngine, first: str, second: str, seed: int
) -> None:
    """All pairs for the spectrum; some of every other plan, and of a beamline on which all takes its time."""
    assert told(doubles(engine, by_name["xanes"], first, second)) == []
    source = np.random.default_rng(seed)

    def some(most: float) -> Callable[[int, int], bool]:
        return lambda *_: bool(source.random() < most)

    assert told(doubles(engine, by_name["xanes"], first, second, seconds=SLOW_S, chosen=some(0.05))) == []
    for case in SMALL:
        messages = len(Trial(engine, case).run().messages)
        for number, later in source.integers(0, messages + 30, (PAIRS // 5, 2)):
            (way, then), (again, then_again) = WAYS[first], WAYS[second]
            outcome = Trial(engine, case, {int(number): way, int(later): again}, then=then or then_again).run()
            assert outcome.unsafe == [], f"{case.name}: {first} at {number}, {second} at {later}, {outcome.error!r}"


@pytest.mark.parametrize("case", SMALL, ids=[case.name for case in SMALL])
def test_a_plan_that_is_paused_at_any_message_and_resumed_gives_the_same_data(engine: RunEngine, case: Case) -> None:
    undisturbed = Trial(engine, case).run()
    for number in range(len(undisturbed.messages)):
        outcome = Trial(engine, case, {number: pause}, then="resume").run()
        told = f"{case.name}: paused at message {number}, {undisturbed.messages[number].command}"
        assert outcome.pauses == 1, told
        assert outcome.error is None, told
        assert outcome.unsafe == [], told
        assert outcome.events == undisturbed.events, told
        assert outcome.exit_statuses == undisturbed.exit_statuses, told


@pytest.mark.parametrize("case", [case for case in CASES if case not in SMALL], ids=lambda case: case.name)
def test_one_that_calibrates_goes_on_after_a_pause(engine: RunEngine, case: Case, seed: int) -> None:
    """What it takes then is noisy, and not the same."""
    messages = len(Trial(engine, case).run().messages)
    for number in range(seed % case.every, messages, case.every):
        outcome = Trial(engine, case, {number: pause}, then="resume").run()
        assert (outcome.pauses, outcome.error, outcome.unsafe) == (1, None, []), f"paused at message {number}"


def test_so_does_one_whose_axes_and_detectors_take_their_time(engine: RunEngine) -> None:
    undisturbed = Trial(engine, by_name["xanes"], seconds=SLOW_S).run()
    for number in range(len(undisturbed.messages)):
        outcome = Trial(engine, by_name["xanes"], {number: pause}, then="resume", seconds=SLOW_S).run()
        assert (outcome.pauses, outcome.error, outcome.unsafe) == (1, None, []), f"paused at message {number}"
        assert outcome.events == undisturbed.events, f"paused at message {number}"


# what watches over all this sees what is missing


def nothing(*_: Any, **__: Any) -> list[Any]:
    """Return no steps."""
    return []


def remember_nothing(*_: Any) -> Any:
    yield from bps.null()


def stay_out(_: SampleOut) -> Any:
    yield from bps.null()


def restore_nothing(plan: Any, steps: Any) -> Any:
    return (yield from plan)


def module(plan: str) -> Any:
    """Return the module of a plan: the package shows the function under this name."""
    return sys.modules[f"whiteline.plans.{plan}"]


def without_step(named: str) -> Callable[[Any, Any], Any]:
    """Return the wrapper without the steps of some name."""

    def restore(plan: Any, steps: list[Any]) -> Any:
        class Without(list[Any]):
            def __iter__(self) -> Iterator[Any]:
                return (step for step in steps if not step.name.startswith(named))

        return (yield from restoring(plan, Without()))

    return restore


@pytest.mark.parametrize(
    ("case", "attribute", "instead", "sees"),
    [
        ("xanes", "restoring", restore_nothing, {"energy", "counters dwell", "fluorescence dwell", "shutter"}),
        ("xanes", "closing", nothing, {"shutter"}),
        ("xanes", "remember", remember_nothing, {"counters dwell", "fluorescence dwell"}),
        ("xanes", "restoring", without_step("put energy"), {"energy"}),
        ("xanes_stack", "closing", nothing, {"shutter"}),
        ("xanes_stack", "remember", remember_nothing, {"exposure", "x", "y"}),
        ("xanes_stack", "restoring", without_step("bring the sample"), {"sample in", "rotation"}),
        ("xanes_stack of two edges", "restoring", without_step("put filters"), {"filters"}),
        ("xanes_stack tuned", "restoring", without_step("switch feedback"), {"feedback"}),
        ("tune", "restoring", without_step("put sample_x"), {"x"}),
        ("raster", "closing", nothing, {"shutter"}),
        ("raster_stack", "restoring", without_step("put energy"), {"energy"}),
        ("mosaic", "restoring", without_step("put sample_y"), {"y"}),
        ("bias_series", "restoring", without_step("put bias"), {"bias"}),
        ("fly_raster", "closing", nothing, {"shutter"}),
        ("fly_raster", "restoring", without_step("put sample_x"), {"x"}),
        ("fly_raster_stack", "restoring", without_step("put sample_y"), {"y"}),
        ("fly_xanes", "restoring", without_step("put energy"), {"energy"}),
        ("fly_tomography", "restoring", without_step("bring the sample"), {"sample in"}),
        ("xanes_tomography", "restoring", without_step("put camera_exposure"), {"exposure"}),
    ],
)
def test_with_any_one_restore_removed_it_is_unsafe(
    engine: RunEngine,
    monkeypatch: pytest.MonkeyPatch,
    case: str,
    attribute: str,
    instead: Any,
    sees: set[str],
) -> None:
    chosen = by_name[case]
    monkeypatch.setattr(module("series" if case == "bias_series" else chosen.plan), attribute, instead)
    unsafe = told(singles(engine, chosen, ["abort"]))
    for one in sees:
        assert any(f": {one} is " in line for line in unsafe), (one, unsafe)


def test_a_staging_that_does_not_end_is_seen(engine: RunEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The RunEngine itself ends what a plan has left staged, so this is seen by its messages."""
    number, case = 30, by_name["xanes"]

    def unstaged(outcome: Outcome) -> set[str]:
        return {message.obj.name for message in outcome.messages if message.command == "unstage"}

    assert unstaged(Trial(engine, case, {number: abort}).run()) == {"energy", "counters", "fluorescence"}
    monkeypatch.setattr(module("xanes"), "unstaging", nothing)
    assert unstaged(Trial(engine, case, {number: abort}).run()) == set()


def test_a_pause_with_an_open_shutter_is_seen(engine: RunEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fakes.FakeShutter.pause", lambda shutter: None)
    assert any("open in a pause" in one for one in told(singles(engine, by_name["xanes"], ["pause, then abort"])))


def test_a_shutter_that_does_not_close_any_more_is_named_and_all_else_is_done(engine: RunEngine) -> None:
    case = by_name["xanes_stack"]
    messages = Trial(engine, case).run().messages
    opened = [number for number, message in enumerate(messages) if message.args == ("Open",)]
    for number in opened:
        outcome = Trial(engine, case, {number + 1: broken_shutter}).run()
        assert isinstance(outcome.error, NotRestored)
        assert "could not close fast_shutter: fast_shutter is broken for good" in str(outcome.error)
        assert "bring the sample" not in str(outcome.error)
        assert outcome.unsafe == []


async def broken_shutter(trial: Any, command: Any, message: Any) -> Any:
    trial.broken.add(id(trial.line.shutter))
    return await together(abort, refuse)(trial, command, message)

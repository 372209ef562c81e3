"""A scan that ends within an event tells why it ended, and its run is closed with a baseline."""

from collections.abc import Callable
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import pytest
from bluesky import RunEngine
from bluesky.preprocessors import SupplementalData
from bluesky.utils import IllegalMessageSequence, Msg, MsgGenerator, RequestStop, RunEngineInterrupted
from fakes import Broken, FakeBeamline

from whiteline.plans import scan_axis
from whiteline.plans.unfinished_event import dropping


def engine_with(line: FakeBeamline, *before: Callable[[Any], Any]) -> tuple[Any, list[tuple[str, dict[str, Any]]]]:
    """Return a run engine with a baseline, and the documents that it gives."""
    engine: Any = RunEngine(context_managers=[])
    engine.preprocessors.extend([*before, SupplementalData(baseline=[line.energy])])  # type: ignore[no-untyped-call]
    documents: list[tuple[str, dict[str, Any]]] = []
    engine.subscribe(lambda name, document: documents.append((name, document)))
    return engine, documents


def half_an_event(line: FakeBeamline, then: Callable[[], MsgGenerator[Any]]) -> MsgGenerator[Any]:
    """Begin an event, and let something happen in it."""

    @bpp.run_decorator()
    def run() -> MsgGenerator[None]:
        yield from bps.checkpoint()
        yield from bps.create("primary")
        yield from bps.read(line.sample.x)
        yield from then()
        yield from bps.save()

    return run()


def broken() -> MsgGenerator[None]:
    """Fail as a detector does."""
    yield Msg("null")
    raise Broken("the detector has not counted")


def paused() -> MsgGenerator[None]:
    """Pause."""
    yield Msg("pause")


def test_the_first_error_is_told_and_the_baseline_read() -> None:
    line = FakeBeamline()
    engine, documents = engine_with(line, dropping)
    with pytest.raises(Broken, match="has not counted"):
        engine(half_an_event(line, broken))
    assert documents[-1][1]["exit_status"] == "fail"
    assert documents[-1][1]["num_events"] == {"baseline": 2}


def test_an_abort_within_an_event_ends_in_order() -> None:
    line = FakeBeamline()
    engine, documents = engine_with(line, dropping)
    with pytest.raises(RunEngineInterrupted):
        engine(half_an_event(line, paused))
    engine.abort("enough")
    assert engine.state == "idle"
    assert documents[-1][1]["exit_status"] == "abort"


def test_an_interruption_in_place_of_the_answer_to_create_drops_the_event_too() -> None:
    line = FakeBeamline()
    messages = dropping(half_an_event(line, paused))
    message = next(messages)
    while message.command != "create":
        message = messages.send("uid" if message.command == "open_run" else None)
    assert messages.throw(RequestStop()).command == "drop"
    assert messages.send(None).command == "close_run"


def test_bluesky_does_not_do_so_itself_yet() -> None:
    line = FakeBeamline()
    engine, _ = engine_with(line)
    with pytest.raises(IllegalMessageSequence, match="second 'create'"):
        engine(half_an_event(line, broken))


def test_a_scan_that_goes_well_is_the_same() -> None:
    line = FakeBeamline()
    engine, documents = engine_with(line, dropping)
    engine(scan_axis([line.counters], line.sample.x, start=0.0, stop=1.0, points=3, shutter=line.shutter))
    assert documents[-1][1]["num_events"] == {"baseline": 2, "primary": 3}

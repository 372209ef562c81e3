"""What plans learn: the protocol, through a RunEngine; failures are sentences, and come in time."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bluesky import RunEngine
from bluesky import plan_stubs as bps
from bluesky.protocols import Readable, Status, Triggerable
from bluesky.utils import FailedStatus
from making_runs import Made, references, usual_energies

from whiteline.analysis.live import FakeLive, LiveXanes
from whiteline.analysis.live.recipes import cookbook_of
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.live.status import NotAnalysed, Pending
from whiteline.analysis.runs import open_run

PARTS = ("shift", "sharpness", "error", "rotation")


@pytest.fixture
def live() -> Iterator[LiveXanes]:
    one = LiveXanes(references=references(), wait_for_file_s=0.05)
    yield one
    one.close()


@pytest.fixture
def made(tmp_path: Path, seed: int) -> Iterator[Made]:
    drift = np.cumsum(np.full((len(usual_energies()), 2), (0.2, -0.3)), axis=0)
    run = Made(tmp_path, usual_energies(), seed, shape=(128, 140), drift=drift - drift[0])
    yield run
    run.handle.close()


@pytest.mark.parametrize("part", PARTS)
def test_parts_are_what_bluesky_triggers_and_reads(live: LiveXanes, part: str) -> None:
    for one in (getattr(live, part), getattr(FakeLive(), part)):
        assert isinstance(one, Triggerable)
        assert isinstance(one, Readable)
        assert isinstance(one.trigger(), Status)
        assert one.name == f"live_{part}"
        assert one.parent is None
        assert set(one.read()) == set(one.describe())
    assert set(getattr(live, part).describe()) == set(getattr(FakeLive(), part).describe())


def test_a_trigger_ends_when_what_was_recorded_before_it_is_worked_out(live: LiveXanes, made: Made) -> None:
    for pair in (*made.begin(), *made.point("dark"), *made.point("flat", 0)):
        live(*pair)
    for index in range(12):
        for pair in (*made.point("flat", index), *made.point("sample", index)):
            live(*pair)
        status = live.shift.trigger()
        assert status.exception(30) is None
        reading = {key: one["value"] for key, one in live.shift.read().items()}
        assert reading["live_shift_frame"] == index + 1
        assert reading["live_shift_y"] == pytest.approx(0.2 * index, abs=0.1)
        assert reading["live_shift_x"] == pytest.approx(-0.3 * index, abs=0.1)
        assert reading["live_shift_x_um"] == pytest.approx(0.04 * reading["live_shift_x"])
        assert reading["live_shift_y_um"] == pytest.approx(0.04 * reading["live_shift_y"])
        assert reading["live_shift_trusted"] == 1
    live.error.trigger().wait(30)
    error = {key: one["value"] for key, one in live.error.read().items()}
    assert error["live_error_energies"] == 12
    live.sharpness.trigger().wait(30)
    sharp = {key: one["value"] for key, one in live.sharpness.read().items()}
    assert sharp["live_sharpness_value"] > 0


def test_a_frame_on_its_way_into_its_file_is_awaited_while_all_else_goes_on(made: Made) -> None:
    live = LiveXanes(references=references(), wait_for_file_s=60)
    for pair in (*made.begin(), *made.point("dark"), *made.point("flat", 0), *made.point("sample", 0)):
        live(*pair)
    live.shift.trigger().wait(60)
    late = made.frame(1, "sample")
    for pair in (*made.point("flat", 1), *made.point("sample", 1, written=False)):
        live(*pair)
    status = live.shift.trigger()
    # a question that comes later is not answered before, nor is one lost
    error = live.error.trigger()
    assert not threading.Event().wait(0.2)
    assert not status.done
    assert not error.done
    assert live.results is not None
    assert live.results.energies.size == 1
    made.dataset.resize(made.taken, axis=0)
    made.dataset[made.taken - made.frames :] = late
    made.dataset.flush()
    assert status.exception(60) is None
    assert error.exception(60) is None
    assert live.shift.read()["live_shift_frame"]["value"] == 2
    live.close()


@pytest.mark.parametrize("first", [False, True])
def test_flats_before_and_after_by_turns_keep_no_frame_waiting(made: Made, first: bool) -> None:
    live = LiveXanes(references=references(), wait_for_file_s=60)
    for pair in (*made.begin(), *made.point("dark")):
        live(*pair)
    for index in range(6):
        before = (index % 2 == 0) == first
        points = ["flat", "sample"] if before else ["sample", "flat"]
        for kind in points:
            for pair in made.point(kind, index):
                live(*pair)
        assert live.wait(60).energies.size == index + 1
    live.close()


def test_a_frame_whose_flat_comes_later_is_worked_out_on_demand(live: LiveXanes, made: Made) -> None:
    for pair in (*made.begin(), *made.point("dark"), *made.point("sample", 0)):
        live(*pair)
    assert "has no flats" in str(live.shift.trigger().exception(30))
    for pair in (*made.point("flat", 0), *made.point("sample", 1)):
        live(*pair)
    live.shift.trigger().wait(30)
    assert live.shift.read()["live_shift_frame"]["value"] == 2


def is_flat(pair: Any, made: Made) -> bool:
    """Tell whether a document is an event of the planned flats."""
    name, document = pair
    return bool(name == "event" and document["descriptor"] == made.descriptors["flat"]["uid"])


def test_a_flat_to_look_by_serves_the_frames_of_its_energy(made: Made) -> None:
    keys = ("data_keys", "object_keys", "configuration")
    made.streams["look_flat"] = made.bundle.compose_descriptor(
        name="look_flat", **{key: made.descriptors["flat"][key] for key in keys}
    )
    documents = [*made.begin(), ("descriptor", made.streams["look_flat"].descriptor_doc), *made.point("dark")]
    documents += [*made.point("flat", 0), *made.point("sample", 0)]
    documents += [*made.point("look_flat", 3, spoilt=True), *made.point("sample", 3)]
    first, second = cookbook_of(open_run(documents), Settings()).recipes.values()
    # a resumed part may have none but those to look by
    looks = [*made.point("look_flat", 4), *made.point("sample", 4)]
    alone = [one for one in documents if not is_flat(one, made)]
    (only, last) = list(cookbook_of(open_run([*alone, *looks]), Settings()).recipes.values())[-2:]
    assert only.own_flat
    assert last.own_flat
    assert first.own_flat
    assert second.own_flat
    assert first.flats != second.flats


def test_a_frame_that_cannot_be_read_fails_the_trigger_with_a_sentence_and_the_next_one_is_tried(
    live: LiveXanes, made: Made
) -> None:
    for pair in (*made.begin(), *made.point("dark"), *made.point("flat", 0), *made.point("sample", 0)):
        live(*pair)
    for pair in made.point("sample", 1, written=False):
        live(*pair)
    error = live.shift.trigger().exception(30)
    assert isinstance(error, NotAnalysed)
    assert "the newest frame could not be analysed" in str(error)
    assert "was not written to its end" in str(error)
    for pair in made.point("sample", 2):
        live(*pair)
    live.shift.trigger().wait(30)
    assert "left out or failed" in live.progress


def test_a_fit_that_raises_never_disturbs_the_scan(
    live: LiveXanes, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    from whiteline.analysis.live.alignment import Aligner

    def broken(*_: Any) -> None:
        raise RuntimeError("no such thing")

    with monkeypatch.context() as patch:
        patch.setattr(Aligner, "measure", broken)
        for pair in (*made.begin(), *made.point("flat", 0), *made.point("sample", 0), *made.point("sample", 1)):
            live(*pair)
        assert "RuntimeError: no such thing" in str(live.shift.trigger().exception(30))
    assert any("no such thing" in one for one in live.troubles)
    for pair in made.point("sample", 2):
        live(*pair)
    live.shift.trigger().wait(30)
    assert live.shift.read()["live_shift_frame"]["value"] == 3


def test_a_status_ends_once_and_in_time() -> None:
    called: list[Any] = []
    status = Pending("shift", 0.05)
    status.add_callback(called.append)
    with pytest.raises(TimeoutError):
        status.exception(0)
    assert "the shift was not known after 0.05 s" in str(status.exception(10))
    assert called == [status]
    assert status.done
    assert not status.success
    assert not status.finish()
    status.add_callback(called.append)
    assert called == [status, status]
    threads = [one for one in threading.enumerate() if isinstance(one, threading.Timer)]
    assert not any(one.is_alive() and not one.daemon for one in threads)


def test_a_plan_learns_through_a_message_and_it_is_recorded() -> None:
    sentence = "the references do not fit"
    fake = FakeLive(shift=[{"y": 0.5}, {"y": 1.5}], failing={"error": sentence}, silent=["sharpness"])
    learnt, documents = [], []

    def plan() -> Iterator[Any]:
        yield from bps.open_run()
        for _ in range(3):
            reading = yield from bps.trigger_and_read([fake.shift], name="live")
            learnt.append(reading["live_shift_y"]["value"])
        yield from bps.close_run()

    engine = RunEngine(context_managers=[])
    engine(plan(), lambda name, document: documents.append((name, document)))
    assert learnt == [0.5, 1.5, 1.5]
    events = [document["data"] for name, document in documents if name == "event"]
    assert [one["live_shift_y"] for one in events] == learnt
    with pytest.raises(FailedStatus, match=sentence):
        engine(bps.trigger(fake.error, wait=True))
    start = time.monotonic()
    with pytest.raises(FailedStatus, match="was not known after 1 s"):
        engine(bps.trigger(fake.sharpness, wait=True))
    assert time.monotonic() - start < 10
    assert fake.triggers == {"shift": 3, "sharpness": 1, "error": 1, "rotation": 0}

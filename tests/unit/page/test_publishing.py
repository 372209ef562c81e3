"""Documents from a session to pages: all of them to all, however late; and nobody who listens can stop a scan."""

import json
import pickle
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from whiteline.beamline.page.addresses import require_zmq
from whiteline.beamline.page.publishing import TOPIC, Publisher, decode, encode
from whiteline.beamline.page.receiving import Ordering, Receiver

LONGEST_S = 60.0


class Heard:
    """What a page has heard."""

    def __init__(self) -> None:
        self.documents: list[tuple[str, Any]] = []
        self.notes: list[Mapping[str, Any]] = []
        self.joined = 0

    def join(self, documents: list[tuple[str, Any]]) -> None:
        self.documents = list(documents)
        self.joined += 1

    def document(self, name: str, document: dict[str, Any]) -> None:
        self.documents.append((name, document))

    def note(self, note: Mapping[str, Any]) -> None:
        self.notes.append(note)

    def numbers(self) -> list[int]:
        return [document["seq_num"] for name, document in self.documents if name == "event"]


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/documents"


@pytest.fixture
def publisher(address: str) -> Iterator[Publisher]:
    one = Publisher(address)
    yield one
    one.close()


@pytest.fixture
def listen(address: str) -> Iterator[Callable[[], Heard]]:
    receivers = []

    def begin() -> Heard:
        heard = Heard()
        receivers.append(Receiver(address, heard))
        return heard

    yield begin
    for one in receivers:
        one.close()


def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LONGEST_S
    while not true():
        assert time.monotonic() < deadline, f"not after {LONGEST_S:g} s: {what}"
        time.sleep(0.01)


def event(number: int) -> dict[str, Any]:
    return {"uid": f"e{number}", "seq_num": number, "data": {"energy": np.float64(8333 + number)}, "time": 1.0}


def test_who_comes_late_has_the_run_from_its_start_and_what_follows(
    publisher: Publisher, listen: Callable[[], Heard]
) -> None:
    early = listen()
    publisher("start", {"uid": "old"})
    publisher("stop", {"uid": "s", "run_start": "old"})
    publisher("start", {"uid": "new", "shape": np.array([3, 4])})
    publisher("descriptor", {"uid": "d", "run_start": "new"})
    for number in range(1, 51):
        publisher("event", event(number))
    publisher.note("ring_current", 398.5, "mA", 10.0)
    until(lambda: len(early.numbers()) == 50, "the early one has 50 events")
    late = listen()
    until(lambda: late.joined == 1, "the late one has joined")
    publisher("event", event(51))
    for heard in (early, late):
        until(lambda heard=heard: heard.numbers()[-1:] == [51], "the last event")
        assert heard.numbers() == list(range(1, 52))
        until(lambda heard=heard: bool(heard.notes), "the ring current")
        assert heard.notes[-1]["value"] == 398.5
    # the run before is of no use to who comes late
    assert late.documents[0] == ("start", {"uid": "new", "shape": [3, 4]})
    assert late.documents[2][1]["data"]["energy"] == 8334.0


def test_a_listener_that_is_stuck_or_goes_away_stops_nothing(
    publisher: Publisher, address: str, listen: Callable[[], Heard]
) -> None:
    context = zmq.Context()
    stuck, leaving = (context.socket(zmq.SUB) for _ in range(2))
    for one in (stuck, leaving):
        one.setsockopt(zmq.RCVHWM, 1)
        one.subscribe(TOPIC)
        one.connect(address)
    heard = listen()
    publisher("start", {"uid": "run"})
    until(lambda: bool(heard.documents), "the one that listens has joined")
    text = "x" * 2000
    for number in range(1, 30_001):  # far more than can wait for the stuck one, or in the socket's own buffers
        publisher("event", event(number) | {"text": text})
        if number == 1000:
            leaving.close(0)
        if number % 5000 == 0:  # the queue of the publisher is not what is asked about here
            until(lambda number=number: heard.numbers()[-1:] == [number], f"event {number}")
    assert publisher.lost == 0
    assert heard.numbers() == list(range(1, 30_001))
    stuck.close(0)
    context.term()


def test_what_is_no_json_is_never_loaded(address: str) -> None:
    class Worse:
        def __reduce__(self) -> tuple[Any, ...]:
            return (pytest.fail, ("a pickle was loaded",))

    asked: list[bytes] = []
    heard = Heard()
    ordering = Ordering(heard, asked.append)
    ordering.ask()
    ordering.take([asked[0], b"0"])
    for bad in ([TOPIC, b"1", pickle.dumps(Worse())], [TOPIC, b"one", b"{}"], [TOPIC, b"1", b'["a"]'], [TOPIC], []):
        ordering.take(bad)
    assert ordering.refused == 5
    assert heard.documents == []
    assert decode(encode("event", {"a": np.arange(2), "b": (np.int64(1), {2.5})})) == (
        "event",
        {"a": [0, 1], "b": [1, [2.5]]},
    )
    with pytest.raises(TypeError):
        encode("event", {"a": object()})


def test_a_gap_is_noticed_and_what_comes_meanwhile_is_kept_in_order() -> None:
    asked: list[bytes] = []
    heard = Heard()
    ordering = Ordering(heard, asked.append)

    def happened(number: int) -> None:
        ordering.take([TOPIC, b"%d" % number, encode("event", event(number))])

    def replayed(to: int) -> None:
        documents = [encode("start", {"uid": "run"}), *(encode("event", event(one)) for one in range(1, to + 1))]
        ordering.take([asked[-1], b"%d" % to, *documents])

    ordering.ask()
    for number in (3, 4):
        happened(number)
    assert not ordering.complete
    replayed(3)
    happened(5)
    assert heard.numbers() == [1, 2, 3, 4, 5]
    happened(8)  # 6 and 7 are lost
    happened(9)
    assert len(asked) == 2
    assert asked[0] != asked[1]
    assert not ordering.complete
    ordering.take([asked[0], b"9", encode("start", {"uid": "stale"})])  # of the question before
    replayed(8)
    happened(10)
    assert heard.numbers() == list(range(1, 11))
    happened(1)  # another session has taken the place
    assert len(asked) == 3


def test_a_document_that_cannot_be_sent_is_left_out_alone(
    publisher: Publisher, listen: Callable[[], Heard], caplog: pytest.LogCaptureFixture
) -> None:
    heard = listen()
    publisher("start", {"uid": "run"})
    publisher("event", event(1) | {"text": object()})
    publisher("event", event(2))
    until(lambda: heard.numbers() == [2], "the one that can be sent")
    assert "was not published" in caplog.text


@pytest.mark.parametrize("bad", ["tcp://0.0.0.0:5577", "tcp://*:5577", "tcp://192.168.1.4:5577", "tcp://[::]:5577"])
def test_nobody_outside_this_machine_is_told(bad: str) -> None:
    with pytest.raises(ValueError, match=r"not on loopback|is none"):
        Publisher(bad)


@pytest.mark.parametrize("bad", ["5577", "127.0.0.1:5577", "tcp://127.0.0.1", "tcp://127.0.0.1:99999", "ipc://here"])
def test_an_address_that_is_none_is_told_with_one_that_is(bad: str) -> None:
    with pytest.raises(ValueError, match=r"tcp://127\.0\.0\.1:5577"):
        require_zmq(bad)


def test_an_address_that_is_taken_is_told() -> None:
    with zmq.Context() as context, context.socket(zmq.XPUB) as other:
        port = other.bind_to_random_port("tcp://127.0.0.1")
        with pytest.raises(OSError, match="already in use; another session"):
            Publisher(f"tcp://127.0.0.1:{port}")


def test_the_last_documents_leave_before_it_ends(address: str, listen: Callable[[], Heard]) -> None:
    publisher = Publisher(address)
    heard = listen()
    publisher("start", {"uid": "run"})
    until(lambda: bool(heard.documents), "joined")
    for number in range(1, 2001):
        publisher("event", event(number))
    publisher.close()
    publisher("event", event(2001))  # after the end nothing is sent, and nothing raised
    until(lambda: len(heard.numbers()) == 2000, "all events")
    assert not [one for one in threading.enumerate() if one.name == "page publisher"]
    assert json.dumps(heard.documents)

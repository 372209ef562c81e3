"""The threads of the live analysis leave the interpreter to the RunEngine, and nobody waits for that."""

import threading
from typing import Any

import pytest

from whiteline.analysis.live import threads
from whiteline.analysis.live.threads import LONGEST_PAUSE_S, SHARE, Background, Inbox, Pace


class Clock:
    """A clock that goes on when it is told to."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    one = Clock()
    monkeypatch.setattr(threads, "time", one)
    return one


@pytest.mark.parametrize("took", [0.0, 0.02, 0.3])
def test_work_takes_its_share_of_the_time(clock: Clock, took: float) -> None:
    pace = Pace()
    assert pace.pause_s == 0
    with pace.work():
        clock.now += took
    assert took / (took + pace.pause_s or 1) == pytest.approx(SHARE if took else 0)
    clock.now += pace.pause_s + 1e-6
    assert pace.pause_s == 0


def test_a_result_never_becomes_too_old_for_that(clock: Clock) -> None:
    pace = Pace()
    with pace.work():
        clock.now += 60
    assert pace.pause_s == LONGEST_PAUSE_S


@pytest.fixture
def resting(clock: Clock) -> Any:
    """A background whose last job has just taken a minute of a clock that then stands still."""
    background, done = Background("test"), threading.Event()

    def long() -> None:
        clock.now += 60
        done.set()

    background.submit(long)
    assert done.wait(30)
    yield background
    background.close(10)


def test_a_job_waits_for_its_time_but_not_where_somebody_waits_for_it(resting: Background) -> None:
    ran: list[str] = []
    resting.submit(lambda: ran.append("dropped"))
    resting.submit(lambda: ran.append("newest"))
    assert not ran
    assert resting.rest(30)
    assert ran == ["newest"]


def test_the_last_job_of_a_run_waits_for_nothing(resting: Background) -> None:
    done = threading.Event()
    resting.submit(done.set, at_once=True)
    assert done.wait(30)


def test_an_inbox_comes_back_by_itself_if_it_is_asked_to() -> None:
    calls, enough = [], threading.Event()

    def idle() -> float | None:
        calls.append(len(calls))
        if len(calls) < 4:
            return 0.001
        enough.set()
        return None

    inbox = Inbox(lambda item: None, idle, "test")
    inbox.put(("a document", None))
    assert enough.wait(30)
    inbox.close(10)
    assert len(calls) == 4

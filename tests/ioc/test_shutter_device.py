"""The shutters and the heartbeat, as the session uses them: proven closed, or said plainly that it is not so."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from whiteline.beamline.simulation import Simulated

LONG_S = 60
PHOTON, FAST = "FE:shutter:", "TXM:shutter:"
STUCK = "SIM:machine:fault:shutter_stuck"


@pytest.fixture(scope="module")
def twin(simulate) -> Simulated:  # type: ignore[no-untyped-def]
    return simulate("txm", speed=20.0)


@pytest.fixture(scope="module")
def shutters(twin: Simulated, tag: str, keep):  # type: ignore[no-untyped-def]
    from whiteline.devices.shutter import FastShutter, Shutter

    return {
        FAST: keep(FastShutter(f"{tag}{FAST}", name="fast_shutter", timeout_s=1.5)),
        PHOTON: keep(Shutter(f"{tag}{PHOTON}", name="photon_shutter")),
    }


@pytest.fixture
def fast(shutters):  # type: ignore[no-untyped-def]
    return shutters[FAST]


@pytest.fixture
def photon(shutters):  # type: ignore[no-untyped-def]
    return shutters[PHOTON]


@pytest.fixture(autouse=True)
def _as_it_was(twin: Simulated, ca) -> Iterator[None]:  # type: ignore[no-untyped-def]
    yield
    if twin.processes["machine"].poll() is not None:
        return
    ca.put(STUCK, "None")
    ca.wait(f"{PHOTON}permit", lambda value: value == 1)
    for prefix in (PHOTON, FAST):
        ca.put(f"{prefix}command", "Closed")
        ca.wait(f"{prefix}status", lambda value: value == 0)


def seen(ca, prefix: str) -> str:  # type: ignore[no-untyped-def]
    return str(ca.get(f"{prefix}status", as_string=True))


@pytest.mark.parametrize("prefix", [PHOTON, FAST])
def test_a_shutter_is_there_when_its_status_is_done(ca, shutters, prefix: str) -> None:  # type: ignore[no-untyped-def]
    shutter = shutters[prefix]
    cycles = ca.get(f"{prefix}cycles")
    for _ in range(5):
        for word in ("Open", "Closed"):
            shutter.set(word).wait(LONG_S)
            assert seen(ca, prefix) == word
            assert shutter.read()[shutter.name]["value"] == word
    assert shutter.read()[f"{shutter.name}_cycles"]["value"] == cycles + 5


def test_a_word_that_it_does_not_know_is_refused_before_anything_moves(ca, fast) -> None:  # type: ignore[no-untyped-def]
    cycles = ca.get(f"{FAST}cycles")
    for word in ("open", "Moving", 1, None):
        with pytest.raises(ValueError, match="must be one of 'Open', 'Closed'"):
            fast.set(word)
    assert ca.get(f"{FAST}cycles") == cycles


def test_what_is_wrong_with_its_settings_is_told(twin: Simulated) -> None:
    from whiteline.devices.shutter import Shutter

    with pytest.raises(ValueError, match="timeout of fast_shutter 0 s must be a finite number above 0"):
        Shutter("X:", name="fast_shutter", timeout_s=0.0)
    with pytest.raises(ValueError, match="tries of fast_shutter 0 must be at least 1"):
        Shutter("X:", name="fast_shutter", tries=0)


def test_a_stuck_shutter_is_not_proven_closed_and_says_where_it_is(ca, fast, tag: str) -> None:  # type: ignore[no-untyped-def]
    from whiteline.devices.errors import NotClosed

    fast.set("Open").wait(LONG_S)
    ca.put(STUCK, "fast")
    with pytest.raises(NotClosed) as told:
        fast.set("Closed").wait(LONG_S)
    text = str(told.value)
    assert "fast_shutter was NOT proven to be closed" in text
    assert f"{tag}{FAST}status to be Closed, but it is Open" in text
    assert "3 times in 1.5 s" in text
    assert seen(ca, FAST) == "Open"


def test_a_shutter_that_was_stuck_closes_when_it_is_told_again(ca, fast) -> None:  # type: ignore[no-untyped-def]
    """Freed after the first command was given and completed; nobody but the shutter itself gives the second one."""
    fast.set("Open").wait(LONG_S)
    ca.put(STUCK, "fast")
    fast.timeout_s = 30.0  # 10 s for each try
    try:
        closing = fast.set("Closed")
        ca.wait(f"{FAST}command", lambda value: value == 0)
        ca.put(STUCK, "None")
        closing.wait(LONG_S)
    finally:
        fast.timeout_s = 1.5
    assert seen(ca, FAST) == "Closed"


def test_a_shutter_that_does_not_open_says_so_and_is_told_to_close(ca, fast, tag: str) -> None:  # type: ignore[no-untyped-def]
    from whiteline.devices.errors import MoveFailed

    ca.put(STUCK, "fast")
    with pytest.raises(MoveFailed, match=f"{tag}{FAST}status to be Open, but it is Closed"):
        fast.set("Open").wait(LONG_S)
    assert ca.wait(f"{FAST}command", lambda value: value == 0) == 0


def test_without_permit_it_does_not_open_and_names_the_permit(ca, photon, tag: str) -> None:  # type: ignore[no-untyped-def]
    from whiteline.devices.errors import Refused

    cycles = ca.get(f"{PHOTON}cycles")
    ca.put("SIM:machine:fault:beam_dump", 200.0)  # 10 s of wall time
    ca.wait(f"{PHOTON}permit", lambda value: value == 0)
    with pytest.raises(Refused, match=f"may not open: {tag}{PHOTON}permit is Denied"):
        photon.set("Open").wait(LONG_S)
    assert photon.read()["photon_shutter_permit"]["value"] == "Denied"
    photon.set("Closed").wait(LONG_S)  # closing needs no permit
    ca.wait(f"{PHOTON}permit", lambda value: value == 1)
    assert ca.get(f"{PHOTON}cycles") == cycles
    photon.set("Open").wait(LONG_S)
    assert ca.get(f"{PHOTON}cycles") == cycles + 1


@pytest.mark.parametrize("how", ["stopped", "told to close"])
def test_an_opening_that_is_ended_fails_and_the_shutter_closes(ca, photon, how: str) -> None:  # type: ignore[no-untyped-def]
    from whiteline.devices.errors import Stopped

    ca.put(STUCK, "photon")  # so that it is certain not to have opened before it is stopped
    opening = photon.set("Open")
    ca.wait(f"{PHOTON}command", lambda value: value == 1)
    closing = None
    if how == "stopped":
        photon.stop()
    else:
        closing = photon.set("Closed")
    with pytest.raises(Stopped, match="before it was open"):
        opening.wait(LONG_S)
    if closing is not None:
        closing.wait(LONG_S)
    ca.wait(f"{PHOTON}command", lambda value: value == 0)
    ca.put(STUCK, "None")
    assert seen(ca, PHOTON) == "Closed"


def test_stop_opens_nothing_and_lets_a_closing_go_on(ca, fast) -> None:  # type: ignore[no-untyped-def]
    fast.stop()
    assert seen(ca, FAST) == "Closed"
    fast.set("Open").wait(LONG_S)
    closing = fast.set("Closed")
    fast.stop()
    closing.wait(LONG_S)
    assert seen(ca, FAST) == "Closed"


def test_a_pause_closes_the_fast_shutter_alone_and_what_is_redone_opens_it(ca, fast, photon) -> None:  # type: ignore[no-untyped-def]
    """The photon shutter was read by the plan, too: closed, it would let the optics cool, and nothing would open it."""
    import bluesky.plan_stubs as bps
    from bluesky import RunEngine
    from bluesky.utils import Msg, RunEngineInterrupted

    photon.set("Open").wait(LONG_S)
    at_last = []

    def plan():  # type: ignore[no-untyped-def]
        yield from bps.rd(photon.status)
        yield Msg("read", photon)
        yield from bps.checkpoint()
        yield from bps.mv(fast, "Open")
        yield Msg("pause")
        at_last.append(seen(ca, FAST))
        yield from bps.mv(fast, "Closed")

    engine = RunEngine(context_managers=[])
    with pytest.raises(RunEngineInterrupted):
        engine(plan())
    ca.wait(f"{FAST}status", lambda value: value == 0)
    assert seen(ca, PHOTON) == "Open"
    engine.resume()
    assert at_last == ["Open"]
    assert (seen(ca, FAST), seen(ca, PHOTON)) == ("Closed", "Open")


def test_a_pause_while_it_opens_closes_it_and_fails_no_plan(ca, fast) -> None:  # type: ignore[no-untyped-def]
    import bluesky.plan_stubs as bps
    from bluesky import RunEngine
    from bluesky.utils import RunEngineInterrupted

    fast.timeout_s = 60.0
    ca.put(STUCK, "fast")  # so that it is certain to be on its way
    engine = RunEngine(context_managers=[])

    def pause_when_told() -> None:
        ca.wait(f"{FAST}command", lambda value: value == 1)
        engine.request_pause()

    def plan():  # type: ignore[no-untyped-def]
        yield from bps.checkpoint()
        yield from bps.mv(fast, "Open")

    pausing = threading.Thread(target=pause_when_told)
    pausing.start()
    try:
        with pytest.raises(RunEngineInterrupted):
            engine(plan())
        pausing.join(LONG_S)
        ca.wait(f"{FAST}command", lambda value: value == 0)
        ca.put(STUCK, "None")
        engine.resume()
    finally:
        fast.timeout_s = 1.5
    assert seen(ca, FAST) == "Open"


def test_that_it_stays_open_in_a_pause_is_told_by_the_log(ca, fast) -> None:  # type: ignore[no-untyped-def]
    import logging

    told: list[str] = []
    heard = threading.Event()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.CRITICAL:
                told.append(record.getMessage())
                heard.set()

    listener = Listener()
    fast.log.logger.addHandler(listener)
    try:
        fast.set("Open").wait(LONG_S)
        ca.put(STUCK, "fast")
        fast.pause()
        assert heard.wait(LONG_S)
    finally:
        fast.log.logger.removeHandler(listener)
    assert "in a pause: fast_shutter was NOT proven to be closed" in told[0]


def test_a_plan_demands_a_proof_by_messages_and_the_baseline_shows_it(fast, photon) -> None:  # type: ignore[no-untyped-def]
    import bluesky.plan_stubs as bps
    from bluesky import RunEngine
    from bluesky.preprocessors import baseline_decorator, run_decorator

    proofs, documents = [], []

    @baseline_decorator([fast, photon])
    @run_decorator()
    def plan():  # type: ignore[no-untyped-def]
        for word in ("Open", "Closed"):
            yield from bps.mv(fast, word)
            reading = yield from bps.trigger_and_read([fast], name="shutter")
            proofs.append(reading["fast_shutter"]["value"])
        proofs.append((yield from bps.locate(fast)))

    engine = RunEngine()
    engine(plan(), lambda name, document: documents.append((name, document)))
    assert proofs == ["Open", "Closed", {"setpoint": "Closed", "readback": "Closed"}]
    baseline = next(one for name, one in documents if name == "descriptor" and one["name"] == "baseline")
    assert {key: baseline["data_keys"][key]["dtype"] for key in ("fast_shutter", "photon_shutter")} == {
        "fast_shutter": "string",
        "photon_shutter": "string",
    }
    assert baseline["hints"]["fast_shutter"] == {"fields": ["fast_shutter"]}
    assert {"fast_shutter_permit", "fast_shutter_cycles"} < set(baseline["data_keys"])


def test_a_frozen_ioc_proves_nothing_and_never_opens_later(ca, twin: Simulated, fast) -> None:  # type: ignore[no-untyped-def]
    """Whatever was told while it was frozen is carried out when it wakes up: nothing of that may open the shutter."""
    from whiteline.devices.errors import Lost, NotClosed

    cycles = ca.get(f"{FAST}cycles")
    twin.freeze("machine")
    try:
        for work in (lambda: fast.set("Open"), fast.trigger):
            with pytest.warns(UserWarning, match="timed out"), pytest.raises(Lost, match="does not answer within 6 s"):
                work().wait(LONG_S)
        with pytest.raises(NotClosed, match=r"NOT proven to be closed .*status was last seen Closed.* 1\.5 s"):
            fast.set("Closed").wait(LONG_S)
    finally:
        twin.thaw("machine")
    fast.set("Closed").wait(LONG_S)
    assert ca.get(f"{FAST}cycles") == cycles
    fast.set("Open").wait(LONG_S)
    fast.set("Closed").wait(LONG_S)


CLIENT = """
import sys
print("ready", flush=True)
from whiteline.devices.heartbeat import Heartbeat
from whiteline.devices.shutter import Shutter
prefix = sys.argv[1]
photon = Shutter(prefix + "FE:shutter:", name="photon_shutter")
fast = Shutter(prefix + "TXM:shutter:", name="fast_shutter")
heartbeat = Heartbeat(prefix + "TXM:shutter:", name="heartbeat")
for one in (photon, fast, heartbeat):
    one.wait_for_connection(timeout=60)
heartbeat.set("On").wait(30)
photon.set("Open").wait(30)
fast.set("Open").wait(30)
print("open", flush=True)
for word in map(str.strip, sys.stdin):
    if word == "disarm":
        heartbeat.set("Off").wait(30)
    if word == "exit":
        break
    print(word, heartbeat.read()["heartbeat_armed"]["value"], flush=True)
"""


class Client:
    """A session of its own, that has armed the heartbeat and opened the shutters."""

    def __init__(self, tag: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", CLIENT, tag],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ,
        )
        self.until("open")

    def until(self, line: str) -> None:
        assert self.process.stdout is not None
        while (got := self.process.stdout.readline().strip()) != line:
            assert got, f"the client has ended before it said {line!r}"

    def tell(self, word: str, answer: str = "") -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        if answer:
            self.until(answer)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def client(twin: Simulated, tag: str) -> Iterator[Client]:
    one = Client(tag)
    yield one
    one.end()


def wait_for_top_ups(ca, number: int) -> None:  # type: ignore[no-untyped-def]
    """Wait for some top-ups of the ring, 6 s of wall time each: twice the patience of the watch."""
    for _ in range(number):
        ca.wait("SR:current", lambda value: value < 399)
        ca.wait("SR:current", lambda value: value > 399.5)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_the_fast_shutter_closes_when_the_session_dies_or_hangs(ca, client: Client, number: int) -> None:  # type: ignore[no-untyped-def]
    assert ca.get(f"{FAST}heartbeat:clients") == 1
    assert seen(ca, FAST) == "Open"
    os.kill(client.process.pid, number)
    ca.wait(f"{FAST}status", lambda value: value == 0)
    ca.wait(f"{FAST}heartbeat:clients", lambda value: value == 0)
    assert seen(ca, PHOTON) == "Open"


def test_it_stays_open_while_the_session_lives_and_after_a_clean_exit(ca, client: Client) -> None:  # type: ignore[no-untyped-def]
    beats = ca.get(f"{FAST}heartbeat")
    wait_for_top_ups(ca, 2)
    assert seen(ca, FAST) == "Open"
    client.tell("how", "how 1")
    assert ca.get(f"{FAST}heartbeat") > beats
    client.tell("exit")
    assert client.process.wait(LONG_S) == 0
    assert ca.get(f"{FAST}heartbeat") == 0
    assert ca.get(f"{FAST}heartbeat:clients") == 0
    wait_for_top_ups(ca, 1)
    assert seen(ca, FAST) == "Open"


def test_a_session_that_disarmed_is_not_watched(ca, client: Client) -> None:  # type: ignore[no-untyped-def]
    client.tell("disarm", "disarm 0")
    assert ca.get(f"{FAST}heartbeat:clients") == 0
    client.end()
    wait_for_top_ups(ca, 1)
    assert seen(ca, FAST) == "Open"


def test_the_reading_before_the_heartbeat_is_armed_and_what_it_refuses(twin: Simulated, tag: str, keep) -> None:  # type: ignore[no-untyped-def]
    from whiteline.devices.heartbeat import Heartbeat

    heartbeat = keep(Heartbeat(f"{tag}{FAST}", name="heartbeat"))
    assert heartbeat.read()["heartbeat_armed"]["value"] == 0
    with pytest.raises(ValueError, match="'Armed' must be On or Off"):
        heartbeat.set("Armed")
    heartbeat.set("Off").wait(LONG_S)  # what is not armed is disarmed


def test_a_dead_ioc_is_told_at_once_and_all_is_well_when_it_is_back(ca, twin: Simulated, fast, tag: str, keep) -> None:  # type: ignore[no-untyped-def]
    """And the same objects serve on; the heart beats by itself."""
    from whiteline.devices.errors import Lost, NotClosed
    from whiteline.devices.heartbeat import Heartbeat

    heartbeat = keep(Heartbeat(f"{tag}{FAST}", name="heartbeat"))
    heartbeat.set("On").wait(LONG_S)
    fast.set("Open").wait(LONG_S)
    lost = threading.Event()
    fast.changes.subscribe(lambda connected=None, **_: lost.set() if not connected else None, event_type="meta")
    twin.kill("machine")
    assert lost.wait(LONG_S)
    assert fast.last_seen == "Open"
    with pytest.raises(NotClosed, match=r"NOT proven to be closed \(.*last seen Open\).* has lost .*IOC has gone"):
        fast.set("Closed").wait(LONG_S)
    for work in (lambda: fast.set("Open"), fast.trigger):
        with pytest.raises(Lost, match="its IOC has gone"):
            work().wait(LONG_S)
    assert heartbeat.read()["heartbeat_armed"]["value"] == 1
    twin.start("machine")
    # the heart beats on by itself
    ca.wait(f"{FAST}heartbeat:clients", lambda value: value == 1, timeout=90)
    fast.wait_for_connection(timeout=90)
    fast.set("Open").wait(LONG_S)
    wait_for_top_ups(ca, 1)
    assert seen(ca, FAST) == "Open"
    fast.set("Closed").wait(LONG_S)
    heartbeat.set("Off").wait(LONG_S)
    assert ca.get(f"{FAST}heartbeat:clients") == 0

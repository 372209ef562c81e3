"""The machine: its ring, its shutters, and the watch over those who open them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from whiteline.beamline.simulation import Simulated

PHOTON, FAST = "FE:shutter:", "TXM:shutter:"

CLIENT = """
import sys, threading, epics
print("ready", flush=True)
names = "TXM:shutter:command", "FE:shutter:command", "TXM:shutter:heartbeat"
fast, photon, beat = (epics.PV(sys.argv[1] + name) for name in names)
for one in (fast, photon, beat):
    assert one.wait_for_connection(timeout=30)
if "beats" in sys.argv:
    beat.put(1, wait=True, timeout=30)
assert photon.put("Open", wait=True, timeout=30) == 1
assert fast.put("Open", wait=True, timeout=30) == 1
if "disarms" in sys.argv:
    beat.put(0, wait=True, timeout=30)
print("open", flush=True)
count = 1
while not sys.stdin.closed:
    if "beats" in sys.argv and "disarms" not in sys.argv:
        count += 1
        beat.put(count)
    threading.Event().wait(0.2)
"""


@pytest.fixture(scope="module")
def twin(simulate) -> Simulated:  # type: ignore[no-untyped-def]
    return simulate("txm", speed=40.0)


@pytest.fixture(autouse=True)
def _as_it_was(twin: Simulated, ca) -> Iterator[None]:  # type: ignore[no-untyped-def]
    yield
    ca.put("SIM:machine:fault:shutter_stuck", "None")
    ca.wait(f"{PHOTON}permit", lambda value: value == 1)
    for prefix in (PHOTON, FAST):
        ca.put(f"{prefix}command", "Closed")
        ca.wait(f"{prefix}status", lambda value: value == 0)


def status(ca, prefix: str) -> str:  # type: ignore[no-untyped-def]
    return str(ca.get(f"{prefix}status", as_string=True))


def test_the_ring_holds_a_current_that_decays_and_is_topped_up(ca) -> None:  # type: ignore[no-untyped-def]
    """A top-up every 3 s of wall time at this speed: the current goes down, and up again."""
    assert 400 * 0.995 < ca.get("SR:current") <= 400
    assert ca("SR:current").units == "mA"
    ca.wait("SR:current", lambda value: value < 398.8)
    ca.wait("SR:current", lambda value: value > 399.5)
    assert ca.get("SR:beam", as_string=True) == "Stored"


@pytest.mark.parametrize("prefix", [PHOTON, FAST])
def test_a_shutter_is_where_it_was_sent_when_the_put_completes(ca, prefix: str) -> None:  # type: ignore[no-untyped-def]
    cycles = ca.get(f"{prefix}cycles")
    for _ in range(3):
        ca.put(f"{prefix}command", "Open")
        assert status(ca, prefix) == "Open"
        ca.put(f"{prefix}command", "Closed")
        assert status(ca, prefix) == "Closed"
    assert ca.get(f"{prefix}cycles") == cycles + 3


def test_the_readback_cannot_be_written(ca) -> None:  # type: ignore[no-untyped-def]
    for name in (f"{FAST}status", f"{PHOTON}permit", "SR:current"):
        assert not ca(name).write_access


def test_a_dump_takes_beam_and_permit_until_it_is_over(ca) -> None:  # type: ignore[no-untyped-def]
    ca.put(f"{PHOTON}command", "Open")
    ca.put("SIM:machine:fault:beam_dump", 400.0)  # 10 s of wall time
    assert ca.get("SR:current") == 0.0
    ca.wait(f"{PHOTON}permit", lambda value: value == 0)
    ca.wait(f"{PHOTON}status", lambda value: value == 0)
    assert ca.severity("SR:beam") == 2
    assert ca.severity(f"{PHOTON}permit") == 2
    ca.put(f"{PHOTON}command", "Open")
    assert status(ca, PHOTON) == "Closed"
    assert ca.get(f"{PHOTON}command", as_string=True) == "Closed"
    ca.wait("SR:current", lambda value: value > 390)
    ca.wait(f"{PHOTON}permit", lambda value: value == 1)
    assert ca.severity("SR:beam") == 0
    ca.put(f"{PHOTON}command", "Open")
    assert status(ca, PHOTON) == "Open"


@pytest.mark.parametrize(("name", "prefix"), [("photon", PHOTON), ("fast", FAST)])
def test_a_stuck_shutter_completes_the_put_and_stays(ca, name: str, prefix: str) -> None:  # type: ignore[no-untyped-def]
    """Only the readback tells: whoever trusts the completion leaves the beam on the sample."""
    ca.put(f"{prefix}command", "Open")
    ca.put("SIM:machine:fault:shutter_stuck", name)
    ca.put(f"{prefix}command", "Closed")
    assert status(ca, prefix) == "Open"
    ca.put("SIM:machine:fault:shutter_stuck", "None")
    ca.put(f"{prefix}command", "Closed")
    assert status(ca, prefix) == "Closed"


def wait_for_top_ups(ca, number: int) -> None:  # type: ignore[no-untyped-def]
    """Wait for some top-ups of the ring, 3 s of wall time each, which is the patience of the watch."""
    for _ in range(number):
        ca.wait("SR:current", lambda value: value < 399)
        ca.wait("SR:current", lambda value: value > 399.5)


def client(tag: str, *words: str) -> "subprocess.Popen[str]":
    """Start a client of its own, and return when it has opened the shutters."""
    process = subprocess.Popen(
        [sys.executable, "-c", CLIENT, tag, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    assert process.stdout is not None
    while (line := process.stdout.readline()) != "open\n":
        assert line, "the client has ended"
    return process


def end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    assert process.stdin is not None
    process.stdout.close()
    process.stdin.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_the_fast_shutter_closes_when_the_client_that_opened_it_is_lost(ca, tag: str, number: int) -> None:  # type: ignore[no-untyped-def]
    process = client(tag, "beats")
    try:
        assert status(ca, FAST) == "Open"
        os.kill(process.pid, number)
        ca.wait(f"{FAST}status", lambda value: value == 0)
        assert status(ca, PHOTON) == "Open"
    finally:
        end(process)


def test_the_fast_shutter_stays_open_while_the_heart_beats(ca, tag: str) -> None:  # type: ignore[no-untyped-def]
    process = client(tag, "beats")
    try:
        seen = []
        for _ in range(3):
            wait_for_top_ups(ca, 1)
            seen.append(status(ca, FAST))
        assert seen == ["Open"] * 3
    finally:
        end(process)


@pytest.mark.parametrize("words", [(), ("beats", "disarms")])
def test_who_never_beat_or_said_goodbye_is_not_watched(ca, tag: str, words: tuple[str, ...]) -> None:  # type: ignore[no-untyped-def]
    process = client(tag, *words)
    end(process)
    wait_for_top_ups(ca, 3)
    assert status(ca, FAST) == "Open"


def test_a_lost_client_does_not_close_what_another_has_opened(ca, tag: str) -> None:  # type: ignore[no-untyped-def]
    ca.put(f"{PHOTON}command", "Open")
    ca.put(f"{FAST}command", "Open")
    process = client(tag, "beats")
    end(process)
    wait_for_top_ups(ca, 3)
    assert status(ca, FAST) == "Open"

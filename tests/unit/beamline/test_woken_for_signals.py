"""A scan pauses at Ctrl-C even if the system hands that to another thread than the main one."""

import subprocess
import sys

SCRIPT = """
import signal, sys, threading
import bluesky.plan_stubs as bps
from bluesky import RunEngine
from bluesky.utils import DefaultDuringTask, RunEngineInterrupted
from whiteline.beamline.woken_for_signals import WokenForSignals

of_bluesky, points = sys.argv[1] == "bluesky", int(sys.argv[2])
engine = RunEngine(during_task=DefaultDuringTask() if of_bluesky else WokenForSignals())
idle, done = threading.Event(), threading.Event()
other = threading.Thread(target=done.wait)
other.start()

def scan():
    yield from bps.checkpoint()
    yield from bps.sleep(0.5)  # by now the main thread waits
    signal.pthread_kill(other.ident, signal.SIGINT)
    for _ in range(points):
        yield from bps.checkpoint()
        yield from bps.sleep(0.05)

try:
    engine(scan())
except RunEngineInterrupted:
    print("was", engine.state)
    engine.stop()
else:
    print("was never paused")
done.set()
"""


def _scanned(waiting: str, points: int) -> str:
    """Return what became of a scan of so many points in whose beginning another thread was given Ctrl-C."""
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, waiting, str(points)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return next(line for line in done.stdout.splitlines() if line.startswith("was "))


def test_a_scan_is_paused_whichever_thread_is_given_the_signal() -> None:
    assert _scanned("whiteline", 5000) == "was paused"


def test_bluesky_still_needs_it() -> None:
    """If this fails, bluesky or Python wake the main thread up, and `woken_for_signals` can go."""
    assert _scanned("bluesky", 40) == "was never paused"

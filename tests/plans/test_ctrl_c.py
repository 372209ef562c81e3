"""Ctrl-C at any moment of a scan pauses it, as often as it is tried; it never ends it, and is never lost."""

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os, random, signal, sys, threading, time
sys.path.insert(0, sys.argv[1])
from bluesky import RunEngine
from bluesky.preprocessors import SupplementalData
from bluesky.utils import RunEngineInterrupted
from fakes import FakeBeamline
from whiteline.plans import scan_axis
from whiteline.plans.unfinished_event import dropping

random.seed(int(sys.argv[2]))
line, engine = FakeBeamline(), RunEngine()
engine.preprocessors += [dropping, SupplementalData(baseline=[line.energy])]
for _ in range(10):
    seen = threading.Event()
    token = engine.subscribe(lambda name, document: seen.set(), "event")

    def press():
        seen.wait()
        time.sleep(random.random() * 0.05)
        os.kill(os.getpid(), signal.SIGINT)

    pressing = threading.Thread(target=press)
    pressing.start()
    try:
        engine(scan_axis([line.counters], line.sample.x, start=0.0, stop=1.0, points=400, shutter=line.shutter))
    except RunEngineInterrupted:
        print("paused", engine.state, line.world.shutter)
        engine.stop()
    else:
        print("ended")
    pressing.join()
    engine.unsubscribe(token)
"""


def test_ctrl_c_pauses(seed: int) -> None:
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(Path(__file__).parent), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    told = [line for line in done.stdout.splitlines() if line.startswith(("paused ", "ended"))]
    assert told == ["paused paused Closed"] * 10

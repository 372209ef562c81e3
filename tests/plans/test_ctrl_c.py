"""Ctrl-C at any moment of a scan pauses it, as often as it is tried; it never ends it, and is never lost."""

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os, random, subprocess, sys, threading
sys.path.insert(0, sys.argv[1])
from bluesky import RunEngine
from bluesky.preprocessors import SupplementalData
from bluesky.utils import RunEngineInterrupted
from fakes import FakeBeamline
from whiteline.beamline.woken_for_signals import WokenForSignals
from whiteline.plans import scan_axis
from whiteline.plans.unfinished_event import dropping

random.seed(int(sys.argv[2]))
PRESSING = "import os, signal, sys, time\\nfor wait in sys.stdin: time.sleep(float(wait)); os.kill(%d, signal.SIGINT)"
pressing = subprocess.Popen(
    [sys.executable, "-c", PRESSING % os.getpid()], stdin=subprocess.PIPE, text=True, start_new_session=True
)
line, engine = FakeBeamline(), RunEngine(during_task=WokenForSignals())
engine.preprocessors += [dropping, SupplementalData(baseline=[line.energy])]
presses = []

def press_after_the_first(name, document):
    if presses:
        print(presses.pop(), file=pressing.stdin, flush=True)

def begin_threads(message):  # as devices do, which may then be given the signal
    threading.Thread(target=int).start()

engine.subscribe(press_after_the_first, "event")
engine.msg_hook = begin_threads
for _ in range(10):
    presses.append(random.random() * 0.05)
    try:
        engine(scan_axis([line.counters], line.sample.x, start=0.0, stop=1.0, points=4000, shutter=line.shutter))
    except RunEngineInterrupted:
        print("paused", engine.state, line.world.shutter)
        engine.stop()
    else:
        print("ended")
pressing.kill()
"""


def test_ctrl_c_pauses(seed: int) -> None:
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(Path(__file__).parent), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    told = [line for line in done.stdout.splitlines() if line.startswith(("paused ", "ended"))]
    assert told == ["paused paused Closed"] * 10

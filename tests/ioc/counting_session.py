"""A session that counts for a long time, with the shutter open and its heartbeat armed.

Run as `counting_session.py DESCRIPTION DATA`. It says "counting" when the shutter is open, halts its run engine when it
is told "halt", and says "halted" then.
"""

import os
import sys
import threading
from pathlib import Path

from whiteline.beamline.build import build
from whiteline.beamline.halting import close_when_halted
from whiteline.beamline.simulation.options import Options

LONG_S = 60.0
DWELL_S = 3000.0


def main() -> None:
    """Count."""
    from bluesky import RunEngine
    from bluesky.utils import Msg, RunEngineInterrupted

    from whiteline.plans import xanes

    description, data = sys.argv[1:]
    devices = build(Options(beamline=description, data=Path(data)).description())
    devices.wait_for_connection(timeout=LONG_S)
    devices.heartbeat.set("On").wait(LONG_S)
    engine = RunEngine(context_managers=[])
    close_when_halted(engine, devices.fast_shutter)

    def tell(message: Msg) -> None:
        if message.command == "wait" and "count" in str(message.kwargs.get("group")):
            print("counting", flush=True)

    def obey() -> None:
        for word in map(str.strip, sys.stdin):
            if word == "halt":
                engine.halt()

    engine.msg_hook = tell
    threading.Thread(target=obey, daemon=True).start()
    energy = devices.energy.position
    try:
        engine(xanes([devices.counters], devices.energy, [energy], dwell_s=DWELL_S, shutter=devices.fast_shutter))
    except RunEngineInterrupted:
        print("halted", flush=True)
    threading.Event().wait(LONG_S)
    os._exit(0)


if __name__ == "__main__":
    main()

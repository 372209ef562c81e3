"""A session that flies long lines with its heartbeat armed and the store of its beamline.

Run as `flying_session.py DESCRIPTION DATA`; it says "flying" when the third line is under way, and goes on.
"""

import os
import sys
from pathlib import Path

LONG_S = 60.0
PIXELS, LINES, DWELL_S = 100, 50, 0.2
BEFORE = 2
"""Lines that are whole when it says so."""


def main() -> None:
    """Fly."""
    from bluesky import RunEngine
    from bluesky.utils import Msg

    from whiteline.beamline.build import build
    from whiteline.beamline.simulation.options import Options
    from whiteline.beamline.store.writing import open_store
    from whiteline.plans import fly_raster

    description, data = sys.argv[1:]
    beamline = Options(beamline=description, data=Path(data)).description()
    devices = build(beamline)
    devices.wait_for_connection(timeout=LONG_S)
    devices.heartbeat.set("On").wait(LONG_S)
    engine, begun = RunEngine(context_managers=[]), [0]
    engine.subscribe(open_store(beamline))

    def tell(message: Msg) -> None:
        if message.command == "complete":
            begun[0] += 1
            if begun[0] == BEFORE + 1:
                print("flying", flush=True)

    engine.msg_hook = tell
    engine(
        fly_raster(
            [], devices.sample.x, devices.sample.y, capture=devices.capture, fast_range=(-1.0, 1.0, PIXELS),
            slow_range=(-1.0, 1.0, LINES), dwell_s=DWELL_S, snake=True, shutter=devices.fast_shutter,
        )
    )  # fmt: skip
    os._exit(0)


if __name__ == "__main__":
    main()

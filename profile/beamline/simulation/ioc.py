"""The process of one IOC: `python -m whiteline.beamline.simulation.ioc NAME PORT REPEATER FOLDER FLOOR OPTIONS`."""

import logging
import os
import select
import shutil
import sys
import threading
from pathlib import Path

from whiteline.beamline.simulation.options import Options


def main(name: str, port: str, repeater_port: str, folder: str, shared: str, options: str) -> None:
    """Run an IOC until it is told to end, or the process that started it has ended."""
    threading.Thread(target=_end_with_parent, args=(Path(shared).parent,), daemon=True).start()
    # a put that is refused is the client's to know; caproto would print a traceback of it
    logging.getLogger("caproto").setLevel(logging.CRITICAL)

    from whiteline.beamline.simulation.settings import beamline_settings, machine_settings, microscope
    from whiteline.sim.ioc.beamline import Beamline
    from whiteline.sim.ioc.channel_access import serve
    from whiteline.sim.ioc.clock import FramesClock, WallClock
    from whiteline.sim.ioc.floor import Floor
    from whiteline.sim.ioc.machine import Machine

    chosen = Options.from_json(options)
    floor = Floor(Path(shared))
    frames = FramesClock(chosen.speed, floor, floor.frames_time_s)
    clock = WallClock(chosen.speed, floor) if chosen.clock == "wall" else frames
    try:
        description = chosen.description()
        if name == "machine":
            machine = Machine(machine_settings(description), clock, floor)
            serve(machine.pvdb, int(port), machine.tasks, repeater=int(repeater_port))
        else:
            settings = beamline_settings(description, Path(folder) / f"truth-{port}.h5")
            beamline = Beamline(settings, lambda: microscope(description), clock, floor)
            serve(beamline.pvdb, int(port), beamline.tasks, repeater=int(repeater_port))
    except (ValueError, OSError) as error:
        sys.exit(f"whiteline: {error}")


def _end_with_parent(folder: Path) -> None:
    """End at once when the parent is gone, however it ended, and take its folder away: then standard input closes.

    A process that the parent has forked may still hold the other end of that pipe, so the parent's number is looked at
    as well.
    """
    parent = os.getppid()
    while os.getppid() == parent:
        readable, _, _ = select.select([0], [], [], 1.0)
        if readable and not os.read(0, 1024):
            break
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""A whole 2D XANES stack on the simulated TXM, as at a beamline: 61 energies over the Ni edge, flats at each, speed 1.

The time that is not spent counting is what the scan costs besides the photons. Its reference is what such scans take
where they are run today, 5 to 10 minutes. What moves the figure: `flats_apart` takes frames and flats in the same order
at each energy, so that the sample goes out and in twice as often. The defocus is the twin's own truth.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from whiteline.beamline.simulation import simulated
from whiteline.beamline.simulation.options import Options
from whiteline.sim.ioc.loopback import client_environment
from whiteline.sim.ioc.ports import leased

GOALS = {"stack_61_energies_s": ("<=", 300.0), "stack_defocus_dof": ("<=", 0.05)}

SIZE = 512
EXPOSURE_S = 0.2
FRAMES, FLATS = 5, 1
ENERGIES = 61


def measure(*, long: bool) -> dict[str, float]:
    """Measure in another process, which decides once and for all where it looks for IOCs."""
    with leased(3) as ports, tempfile.TemporaryDirectory() as folder:
        environment = os.environ | client_environment(*ports)
        command = [sys.executable, __file__, *map(str, ports), folder, *(["--long"] if long else [])]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the stack could not be measured:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _energies(count: int) -> list[float]:
    from whiteline.analysis.energies import xanes

    listed = list(xanes("Ni"))
    step = (len(listed) - 1) / (count - 1)
    return [listed[round(number * step)] for number in range(count)]


def _scan(ports: list[int], folder: Path, energies: list[float], speed: float) -> dict[str, float]:
    import h5py
    import numpy as np
    from bluesky import RunEngine
    from bluesky import plan_stubs as bps

    from whiteline.beamline.build import build
    from whiteline.plans.xanes_stack import xanes_stack

    with simulated(Options(beamline="txm", speed=speed, data=folder), ports=ports) as twin:
        devices = build(twin.beamline)
        devices.wait_for_connection(timeout=60.0)
        engine, stop = RunEngine({}, context_managers=[]), {}
        row = (2048 - 2 * SIZE) // 2

        def prepared() -> Any:
            yield from bps.mv(devices.photon_shutter, "Open")
            yield from bps.configure(devices.camera, {"binning": 2, "roi": (row, row, 2 * SIZE, 2 * SIZE)})
            yield from bps.mv(devices.energy, energies[0])

        engine(prepared())
        begun = time.monotonic()
        engine(
            xanes_stack(
                devices.camera,
                devices.energy,
                energies,
                sample=devices.sample,
                shutter=devices.fast_shutter,
                exposure_s=EXPOSURE_S,
                frames=FRAMES,
                flat_frames=FLATS,
            ),
            lambda name, document: stop.update(document) if name == "stop" else None,
        )
        seconds = time.monotonic() - begun
        from ophyd import EpicsSignal, EpicsSignalRO

        assert twin.beamline.simulation is not None
        prefix = f"{twin.beamline.simulation.prefix}truth:"
        write, file = EpicsSignal(f"{prefix}write", name="write", put_complete=True), EpicsSignalRO(f"{prefix}file", name="file", string=True)
        write.wait_for_connection(timeout=30.0)
        file.wait_for_connection(timeout=30.0)
        write.set("Write").wait(60.0)
        with h5py.File(file.get()) as truth:
            states = truth["exposures"]
            defocus = np.abs(states["defocus"][:] / states["depth_of_focus"][:])[FRAMES:]
    counted = (len(energies) * (FRAMES + FLATS) + FRAMES) * EXPOSURE_S / speed
    assert stop["exit_status"] == "success"
    return {
        "stack_61_energies_s": seconds,
        "stack_overhead_fraction": 1 - counted / seconds,
        "stack_defocus_dof": float(defocus.max()),
        "stack_events": float(sum(stop["num_events"].values())),
    }


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("ports", nargs=3, type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--energies", type=int, default=ENERGIES)
    parser.add_argument("--speed", type=float, default=1.0)
    chosen = parser.parse_args()
    print(json.dumps(_scan(chosen.ports, chosen.folder, _energies(chosen.energies), chosen.speed)))


if __name__ == "__main__":
    _main()

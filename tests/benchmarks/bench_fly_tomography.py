"""Tomographies on the simulated TXM at speed 1, frames of 512²: what they take beyond the turn of the sample.

180° at 12 °/s with exposures of 0.05 s. `fly_tomography_overhead_s` is how much longer than the turn it takes from the
first message of the plan, without flats and darks, to the end of its run, when all frames are in their file and told
of; the reference is the turn itself, 15 s. After that the plan brings the rotation back to where it was, which takes
another turn: `fly_tomography_back_s`. `xanes_tomography_overhead_s` is how much longer than its turn each energy takes,
with flats and darks, the move of the energy, and all ways back; in the short series over a fifth of the turn. What
moves the figures: other programs on the same processors, as the twin computes each frame.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from whiteline.beamline.simulation import simulated
from whiteline.beamline.simulation.options import Options
from whiteline.sim.ioc.loopback import client_environment
from whiteline.sim.ioc.ports import leased

GOALS = {
    "fly_tomography_overhead_s": ("<=", 2.0),
    "fly_tomography_missed": ("==", 0.0),
    "xanes_tomography_overhead_s": ("<=", 44.0),
}

VELOCITY, EXPOSURE_S, ROI = 12.0, 0.05, (768, 768, 512, 512)
ENERGIES = [8333.0, 8345.0]
SHORT_DEG, WHOLE_DEG = 36.0, 180.0


def measure(*, long: bool) -> dict[str, float]:
    """Measure in another process, which decides once and for all where it looks for IOCs."""
    with leased(3) as ports, tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, *map(str, ports), folder, str(WHOLE_DEG if long else SHORT_DEG)]
        done = subprocess.run(
            command, env=os.environ | client_environment(*ports), capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise RuntimeError(f"tomographies could not be measured:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _measure(ports: list[int], folder: Path, stop_deg: float) -> dict[str, float]:
    from bluesky import RunEngine

    from whiteline.analysis.runs import RunBuilder
    from whiteline.beamline.build import build
    from whiteline.plans import fly_tomography, xanes_tomography

    engine, builder = RunEngine(context_managers=[]), RunBuilder()
    with simulated(Options(beamline="txm", speed=1.0, data=folder), ports=ports) as twin:
        devices = build(twin.beamline)
        devices.wait_for_connection(timeout=60.0)
        devices.photon_shutter.set("Open").wait(60.0)
        devices.camera.change({"roi": ROI, "binning": 1}).wait(60.0)
        devices.energy.set(ENERGIES[0]).wait(120.0)
        common: dict[str, Any] = {
            "capture": devices.capture, "energy": devices.energy, "sample": devices.sample,
            "shutter": devices.fast_shutter, "exposure_s": EXPOSURE_S, "velocity": VELOCITY,
        }  # fmt: skip
        camera, rotation = devices.camera_triggered, devices.sample.rotation

        ended = [0.0]

        def watch(name: str, document: dict[str, Any]) -> None:
            builder.feed(name, document)
            if name == "stop":
                ended[0] = time.monotonic()

        begun = time.monotonic()
        engine(fly_tomography(camera, rotation, **common, flats="none", darks="none"), watch)
        flown_s, back_s = ended[0] - begun, time.monotonic() - ended[0]
        run = builder.run()
        taken = run.fly.triggers(devices.camera.name).taken

        begun = time.monotonic()
        engine(xanes_tomography(camera, energies=ENERGIES, rotation=rotation, stop=stop_deg, **common))
        each_s = (time.monotonic() - begun) / len(ENERGIES)
    return {
        "fly_tomography_s": flown_s,
        "fly_tomography_overhead_s": flown_s - WHOLE_DEG / VELOCITY,
        "fly_tomography_back_s": back_s,
        "fly_tomography_projections": float(taken.size),
        "fly_tomography_missed": float(np.count_nonzero(~taken)),
        "xanes_tomography_overhead_s": each_s - stop_deg / VELOCITY,
    }


def _main() -> None:
    *ports, folder, stop_deg = sys.argv[1:]
    print(json.dumps(_measure([int(one) for one in ports], Path(folder), float(stop_deg))), flush=True)
    os._exit(0)


if __name__ == "__main__":
    _main()

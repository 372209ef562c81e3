"""A whole 2D XANES stack on the simulated TXM, as at a beamline: 61 energies over the Ni edge, flats at each, speed 1.

The time that is not spent counting is what the scan costs besides the photons. Its reference is what such scans take
where they are run today, 5 to 10 minutes. What moves the figure: `flats_apart` takes frames and flats in the same order
at each energy, so that the sample goes out and in twice as often. The defocus is the twin's own truth.

Before it, the preflight of the same plan predicts its time, from the times that a shorter and smaller stack of other
energies has taught. Its own cost is measured against the bare iteration of the same messages, `preflight_ratio`, and by
that of a hundred spectra of twenty points each, about energies that were never asked for before.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from whiteline.beamline.simulation import simulated
from whiteline.beamline.simulation.options import Options
from whiteline.sim.ioc.loopback import client_environment
from whiteline.sim.ioc.ports import leased

GOALS = {
    "stack_61_energies_s": ("<=", 300.0),
    "stack_defocus_dof": ("<=", 0.05),
    "preflight_duration_error": ("<=", 0.1),
    "preflight_ratio": ("<=", 2.0),
    "preflight_100_plans_s": ("<=", 1.0),
    "preflight_bytes_wrong": ("==", 0.0),
}

SIZE = 512
EXPOSURE_S = 0.2
FRAMES, FLATS = 5, 1
ENERGIES = 61
REPEATS, POINTS = 5, 20


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
    from bluesky import RunEngine
    from bluesky import plan_stubs as bps

    from whiteline.beamline.build import build
    from whiteline.beamline.stopwatch import Stopwatch
    from whiteline.plans.preflight import preflight
    from whiteline.plans.xanes import xanes
    from whiteline.plans.xanes_stack import xanes_stack

    with simulated(Options(beamline="txm", speed=speed, data=folder), ports=ports) as twin:
        devices = build(twin.beamline)
        devices.wait_for_connection(timeout=60.0)
        engine, stop, watch = RunEngine({}, context_managers=[]), dict[str, Any](), Stopwatch()

        def prepared(size: int) -> Any:
            row = (2048 - 2 * size) // 2
            yield from bps.mv(devices.photon_shutter, "Open")
            yield from bps.configure(devices.camera, {"binning": 2, "roi": (row, row, 2 * size, 2 * size)})
            yield from bps.mv(devices.energy, energies[0])

        def stack(chosen: list[float], exposure_s: float, frames: int, flats: int) -> Any:
            return xanes_stack(
                devices.camera,
                devices.energy,
                chosen,
                sample=devices.sample,
                shutter=devices.fast_shutter,
                exposure_s=exposure_s,
                frames=frames,
                flat_frames=flats,
            )

        # a smaller, shorter run of other energies, from which the times of this beamline are learnt
        engine(prepared(SIZE // 2))
        engine.msg_hook = watch
        engine(stack([one + 0.7 for one in energies[:: max(1, len(energies) // 8)]], EXPOSURE_S / 2, 2, 1))
        times = watch.model()

        engine.msg_hook = None
        engine(prepared(SIZE))
        bare, walked = [], []
        for _ in range(REPEATS):
            begun = time.perf_counter()
            list(stack(energies, EXPOSURE_S, FRAMES, FLATS))
            bare.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            report = preflight(stack(energies, EXPOSURE_S, FRAMES, FLATS), energy=devices.energy, times=times)
            walked.append(time.perf_counter() - begun)
        spectra = [
            xanes(
                [devices.counters],
                devices.energy,
                [one + number / 7 for one in energies[:POINTS]],
                dwell_s=0.1,
                shutter=devices.fast_shutter,
            )
            for number in range(100)
        ]
        begun = time.perf_counter()
        for spectrum in spectra:
            preflight(spectrum, energy=devices.energy, times=times)
        hundred = time.perf_counter() - begun

        begun = time.monotonic()
        engine(
            stack(energies, EXPOSURE_S, FRAMES, FLATS),
            lambda name, document: stop.update(document) if name == "stop" else None,
        )
        seconds = time.monotonic() - begun
        defocus = _defocus(twin)[-len(energies) * (FRAMES + FLATS) :]
    counted = (len(energies) * (FRAMES + FLATS) + FRAMES) * EXPOSURE_S / speed
    assert stop["exit_status"] == "success"
    return {
        "stack_61_energies_s": seconds,
        "stack_overhead_fraction": 1 - counted / seconds,
        "stack_defocus_dof": float(defocus.max()),
        "preflight_duration_error": abs(report.seconds / seconds - 1),
        "preflight_ratio": median(walked) / median(bare),
        "preflight_100_plans_s": hundred,
        "preflight_bytes_wrong": float(report.walked.bytes != sum(stop["num_events"].values()) * 2 * SIZE**2),
    }


def _defocus(twin: Any) -> Any:
    """Return the true defocus of all exposures so far, in depths of focus."""
    import h5py
    import numpy as np
    from ophyd import EpicsSignal, EpicsSignalRO

    prefix = f"{twin.beamline.simulation.prefix}truth:"
    write = EpicsSignal(f"{prefix}write", name="truth_write", put_complete=True)
    file = EpicsSignalRO(f"{prefix}file", name="truth_file", string=True)
    for signal in (write, file):
        signal.wait_for_connection(timeout=30.0)
    write.set("Write").wait(60.0)
    with h5py.File(file.get()) as truth:
        states = truth["exposures"]
        return np.abs(states["defocus"][:] / states["depth_of_focus"][:])


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

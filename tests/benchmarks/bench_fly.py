"""Fly rasters on the simulated nanoprobe at speed 1: how fast, nothing lost, and every pixel where it says it was.

A million pixels of 20 nm in lines of 2750, six channels (three positions, three counters), without a detector that is
triggered; then lines with whole spectra of four elements. The reference is the time that the stage itself needs for the
lines, in `fly_stage_s`. What moves the figures: shorter lines, as each costs its turn; a shorter gate makes positions
noisier.
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
    "fly_khz_6ch": (">=", 10.0),
    "fly_pixels_lost": ("==", 0.0),
    "fly_documents_1e6": ("<=", 5000.0),
    "fly_position_rms_nm": ("<=", 2.0),
    "fly_khz_mca": (">=", 1.0),
}

PIXELS, LINES, STEP_UM, DWELL_S = 2750, 364, 0.02, 1 / 15_000
MCA_PIXELS, MCA_LINES, MCA_DWELL_S = 1000, 10, 1 / 1500


def measure(*, long: bool) -> dict[str, float]:
    """Measure in another process, which decides once and for all where it looks for IOCs."""
    with leased(3) as ports, tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, *map(str, ports), folder, str(LINES)]
        done = subprocess.run(
            command, env=os.environ | client_environment(*ports), capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise RuntimeError(f"fly rasters could not be measured:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _flown(devices: Any, detectors: list[Any], pixels: int, lines: int, dwell_s: float) -> tuple[Any, float, int]:
    """Fly a raster; return its run, how long its lines took [s], and its documents."""
    from bluesky import RunEngine

    from whiteline.analysis.runs import open_run
    from whiteline.plans import fly_raster

    documents: list[tuple[str, dict[str, Any]]] = []
    first, last = [0.0], [0.0]

    def keep(name: str, document: dict[str, Any]) -> None:
        documents.append((name, document))
        last[0] = time.monotonic()
        first[0] = first[0] or (last[0] if name == "start" else 0.0)

    engine = RunEngine(context_managers=[])
    half = (pixels - 1) * STEP_UM / 2
    engine(
        fly_raster(
            detectors,
            devices.sample.x,
            devices.sample.y,
            capture=devices.capture,
            fast_range=(-half, half, pixels),
            slow_range=(-2.5, -2.5 + STEP_UM * (lines - 1), lines),
            dwell_s=dwell_s,
            snake=True,
            shutter=devices.fast_shutter,
        ),
        keep,
    )
    return open_run(documents), last[0] - first[0], len(documents)


def _measure(ports: list[int], folder: Path, lines: int) -> dict[str, float]:
    import h5py
    from ophyd import EpicsSignalRO

    from whiteline.beamline.build import build

    with simulated(Options(beamline="nanoprobe", speed=1.0, data=folder), ports=ports) as twin:
        devices = build(twin.beamline)
        devices.wait_for_connection(timeout=60.0)
        devices.photon_shutter.set("Open").wait(60.0)
        truth = EpicsSignalRO("SIM:truth:capture:file", name="truth", string=True)
        truth.wait_for_connection(timeout=30.0)

        run, seconds, documents = _flown(devices, [], PIXELS, lines, DWELL_S)
        positions = run.fly.read("x_mean")
        stream = run.fly.stream
        rows = [point.places["capture_x_mean"].first for point in stream.points]
        with h5py.File(truth.get()) as file:
            # the truth is in the coordinate of the box, and the run counts from the zero of the axis
            true = file["entry/truth/x_mean"][:][rows] - float(stream.configuration["capture_x_zero"])
        off = 1e3 * (positions - true)
        again = len(run.streams["again"]) if "again" in run.streams else 0
        lost = lines * PIXELS - int(np.isfinite(positions).sum())

        spectra, mca_s, _ = _flown(devices, [devices.fluorescence_triggered], MCA_PIXELS, MCA_LINES, MCA_DWELL_S)
        taken = int(spectra.fly.triggers("fluorescence").taken.sum())
    return {
        "fly_khz_6ch": lines * PIXELS / seconds / 1e3,
        "fly_stage_s": lines * PIXELS * DWELL_S,
        "fly_raster_s": seconds,
        "fly_pixels_lost": float(lost),
        "fly_lines_again": float(again),
        "fly_documents_1e6": float(documents),
        "fly_position_rms_nm": float(np.sqrt(np.nanmean(off**2))),
        "fly_khz_mca": taken / mca_s / 1e3,
        "fly_spectra_missed": float(MCA_LINES * MCA_PIXELS - taken),
    }


def _main() -> None:
    *ports, folder, lines = sys.argv[1:]
    print(json.dumps(_measure([int(one) for one in ports], Path(folder), int(lines))), flush=True)
    os._exit(0)


if __name__ == "__main__":
    _main()

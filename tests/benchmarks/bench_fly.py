"""Fly rasters on the simulated nanoprobe at speed 1: how fast, nothing lost, and every pixel where it says it was.

A million pixels of 20 nm in lines of 3700, which the fine axis can just make with its run-up, six channels (three
positions, three counters), without a detector that is triggered; then lines with whole spectra of four elements, 10⁵ of
them in the long series. The shutter opens and closes for each line. The reference is the time that the stage itself
needs for the lines, in `fly_stage_s`. What moves the figures: shorter lines, as each costs its turn of about 0.1 s; a
shorter gate makes positions noisier; other programs on the same processors, as the twin computes what the box reads.

`fly_doc_overhead_s` is the time that the run engine spends on messages that make documents, and on their subscribers.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from whiteline.beamline.simulation import simulated
from whiteline.beamline.simulation.options import Options
from whiteline.sim.ioc.loopback import client_environment
from whiteline.sim.ioc.ports import leased

GOALS = {
    "fly_khz_6ch": (">=", 10.0),
    "fly_pixels_lost": ("==", 0.0),
    "fly_documents_1e6": ("<=", 5000.0),
    "fly_doc_overhead_s": ("<=", 5.0),
    "fly_position_rms_nm": ("<=", 2.0),
    "fly_khz_mca": (">=", 1.0),
}

PIXELS, LINES, STEP_UM, DWELL_S = 3700, 271, 0.02, 1 / 15_000
MCA_PIXELS, MCA_LINES, MCA_LINES_LONG, MCA_DWELL_S = 3000, 4, 34, 1 / 1500

DOCUMENTED = {"open_run", "declare_stream", "create", "read", "save", "collect", "close_run"}
"""Messages in which the run engine makes documents."""


def measure(*, long: bool) -> dict[str, float]:
    """Measure in another process, which decides once and for all where it looks for IOCs."""
    with leased(3) as ports, tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, *map(str, ports), folder, str(MCA_LINES_LONG if long else MCA_LINES)]
        done = subprocess.run(
            command, env=os.environ | client_environment(*ports), capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise RuntimeError(f"fly rasters could not be measured:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


class Flown(NamedTuple):
    """A raster: its run, how long it took from the first document to the last [s], and what its documents took [s]."""

    run: Any
    seconds: float
    documents: int
    documents_s: float


def _flown(devices: Any, detectors: list[Any], pixels: int, lines: int, dwell_s: float) -> Flown:
    """Fly a raster."""
    from bluesky import RunEngine

    from whiteline.analysis.runs import open_run
    from whiteline.plans import fly_raster

    documents: list[tuple[str, dict[str, Any]]] = []
    first, last = [0.0], [0.0]

    def keep(name: str, document: dict[str, Any]) -> None:
        documents.append((name, document))
        last[0] = time.monotonic()
        first[0] = first[0] or (last[0] if name == "start" else 0.0)

    spent, begun = [0.0], list[float]()

    def clock(message: Any) -> None:
        now = time.monotonic()
        if begun:
            spent[0] += now - begun.pop()
        if message.command in DOCUMENTED:
            begun.append(now)

    engine = RunEngine(context_managers=[])
    engine.msg_hook = clock
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
    return Flown(open_run(documents), last[0] - first[0], len(documents), spent[0])


def _measure(ports: list[int], folder: Path, mca_lines: int) -> dict[str, float]:
    import h5py
    from ophyd import EpicsSignalRO

    from whiteline.beamline.build import build

    with simulated(Options(beamline="nanoprobe", speed=1.0, data=folder), ports=ports) as twin:
        devices = build(twin.beamline)
        devices.wait_for_connection(timeout=60.0)
        devices.photon_shutter.set("Open").wait(60.0)
        truth = EpicsSignalRO("SIM:truth:capture:file", name="truth", string=True)
        truth.wait_for_connection(timeout=30.0)

        flown = _flown(devices, [], PIXELS, LINES, DWELL_S)
        run = flown.run
        positions = run.fly.read("x_mean")
        stream = run.fly.stream
        rows = [point.places["capture_x_mean"].first for point in stream.points]
        with h5py.File(truth.get()) as file:
            # the truth is in the coordinate of the box, and the run counts from the zero of the axis
            true = file["entry/truth/x_mean"][:][rows] - float(stream.configuration["capture_x_zero"])
        off = 1e3 * (positions - true)
        again = len(run.streams["again"]) if "again" in run.streams else 0
        lost = LINES * PIXELS - int(np.isfinite(positions).sum())

        spectra = _flown(devices, [devices.fluorescence_triggered], MCA_PIXELS, mca_lines, MCA_DWELL_S)
        taken = int(spectra.run.fly.triggers("fluorescence").taken.sum())
    return {
        "fly_khz_6ch": LINES * PIXELS / flown.seconds / 1e3,
        "fly_stage_s": LINES * PIXELS * DWELL_S,
        "fly_raster_s": flown.seconds,
        "fly_pixels_lost": float(lost),
        "fly_lines_again": float(again),
        "fly_documents_1e6": float(flown.documents),
        "fly_doc_overhead_s": flown.documents_s,
        "fly_position_rms_nm": float(np.sqrt(np.nanmean(off**2))),
        "fly_khz_mca": taken / spectra.seconds / 1e3,
        "fly_spectra": float(taken),
        "fly_spectra_missed": float(mca_lines * MCA_PIXELS - taken),
    }


def _main() -> None:
    *ports, folder, mca_lines = sys.argv[1:]
    print(json.dumps(_measure([int(one) for one in ports], Path(folder), int(mca_lines))), flush=True)
    os._exit(0)


if __name__ == "__main__":
    _main()

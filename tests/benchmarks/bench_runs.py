"""What it costs to open a run and to read its frames: memory beside the size of the stack, and time beside plain h5py.

A stack of 61 energies of 2048² pixels of 16 bits lies on the disk as a camera writes it. A process of its own opens it
and goes through all of its pixels by blocks, as the maps do (`open_run_peak_mb`: what its memory grows by); another one
reads it whole into one array (`open_run_whole_peak_mb`), which is to be no more than the stack itself and some frames.
`read_frame_ms` is one frame of it through a run, file opened and closed again; the reference is h5py with its file
open. What moves the figures: with `_twice` the stack is read before the blocks are made.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from whiteline.analysis.runs import RunBuilder

ENERGIES, SIDE = 61, 2048
STACK_MB = ENERGIES * SIDE**2 * 2 / 2**20

GOALS = {
    "open_run_peak_mb": ("<=", STACK_MB / 2),
    "open_run_whole_peak_mb": ("<=", 1.2 * STACK_MB),
    "run_builder_us_per_document": ("<=", 50.0),
}

CHILD = """
import json, sys, threading
import numpy as np
from whiteline.analysis.blocks import over_pixels
from whiteline.analysis.runs import open_run
import h5py

def status(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(name))

def kernel(block):
    return [block.mean(axis=0, dtype=np.float32)]

documents = json.load(open(sys.argv[1]))
np.zeros((4, 4)) @ np.zeros((4, 4))
before = status("VmRSS")
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
run = open_run(documents)
if sys.argv[2] in ("whole", "twice"):
    whole = np.asarray(run.frames)
if sys.argv[2] == "twice":
    again = whole.copy()
if sys.argv[2] == "blocks":
    over_pixels(kernel, run.frames)
print(status("VmHWM") - before)
"""


def documents_of(path: Path, points: int, per_point: int = 1) -> list[tuple[str, dict[str, Any]]]:
    """Make the documents of a stack in one file."""
    image = {"dtype": "array", "dtype_numpy": "<u2", "shape": [per_point, SIDE, SIDE], "external": "FILESTORE:"}
    number = {"dtype": "number", "shape": [], "source": ""}
    keys = {"camera_image": image | {"source": ""}, "energy": number, "energy_setpoint": number}
    options = {"frame_per_point": per_point, "dataset": "entry/data/data", "chunk_shape": [1, SIDE, SIDE]}
    found: list[tuple[str, dict[str, Any]]] = [
        ("start", {"uid": "stack", "time": 0.0}),
        ("descriptor", {"uid": "d", "run_start": "stack", "name": "primary", "time": 0.0, "data_keys": keys}),
        (
            "resource",
            {"uid": "r", "spec": "AD_HDF5", "root": "/", "resource_path": str(path)[1:], "resource_kwargs": options},
        ),
    ]
    for point in range(points):
        datum = f"r/{point}"
        data = {"camera_image": datum, "energy": 8300.0 + point, "energy_setpoint": 8300.0 + point}
        found.append(("datum", {"datum_id": datum, "resource": "r", "datum_kwargs": {"point_number": point}}))
        event = {"uid": str(point), "descriptor": "d", "seq_num": point + 1, "time": float(point), "data": data}
        found.append(("event", event))
    return [*found, ("stop", {"uid": "s", "run_start": "stack", "time": 1.0, "exit_status": "success"})]


def peak_mb(listed: Path, what: str) -> float:
    """Return by how much the memory of a process grew at most that opened a run and did something with it [MB]."""
    done = subprocess.run([sys.executable, "-c", CHILD, str(listed), what], check=True, capture_output=True, text=True)
    return float(done.stdout)


def median_ms(once: Callable[[int], object], calls: int = 15) -> float:
    """Return the median time of a call [ms]; the first one is not counted."""
    times = []
    for number in range(calls + 1):
        start = time.perf_counter()
        once(number)
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times[1:]))


def measure(*, long: bool) -> dict[str, float]:
    """Measure; there is no longer series of this."""
    import json

    source = np.random.default_rng()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stack.h5"
        with h5py.File(path, "w", libver="latest") as file:
            data = file.create_dataset("entry/data/data", (ENERGIES, SIDE, SIDE), "<u2", chunks=(1, SIDE, SIDE))
            frame = source.poisson(20_000, (SIDE, SIDE)).astype(np.uint16)
            for number in range(ENERGIES):
                data[number] = frame + number
        listed = Path(folder) / "documents.json"
        documents = documents_of(path, ENERGIES)
        listed.write_text(json.dumps(documents))
        found = {
            "open_run_stack_mb": STACK_MB,
            "open_run_peak_mb": peak_mb(listed, "blocks"),
            "open_run_whole_peak_mb": peak_mb(listed, "whole"),
            "open_run_twice_peak_mb": peak_mb(listed, "twice"),
        }
        builder = RunBuilder()
        for pair in documents:
            builder.feed(*pair)
        frames = builder.run().frames
        found["read_frame_ms"] = median_ms(lambda number: frames[number % ENERGIES])
        with h5py.File(path) as file:
            plain = file["entry/data/data"]
            found["read_frame_ms_h5py"] = median_ms(lambda number: plain[number % ENERGIES])
        found["read_frame_mean_of_5_ms"] = median_ms(lambda number: frames.averaged([range(number, number + 5)])[0])
    many = documents_of(path, 10_000)
    times = []
    for _ in range(5):
        builder = RunBuilder()
        start = time.perf_counter()
        for pair in many:
            builder.feed(*pair)
        times.append(1e6 * (time.perf_counter() - start) / len(many))
    found["run_builder_us_per_document"] = float(np.median(times))
    start = time.perf_counter()
    _ = builder.run().energies
    found["run_of_10k_events_ms"] = 1e3 * (time.perf_counter() - start)
    return found

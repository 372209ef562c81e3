"""Maps of a stack that is larger than memory, on a Dask cluster of this machine: how fast, and with how much memory.

The twin's camera takes a sample at several angles, at 20 energies each, 2048² pixels of 16 bits, with drift; the frames
lie on the disk as a camera writes them, one file an angle, flats and darks beside them. They are rendered without
Channel Access. A process of its own then does what `whiteline maps` does: it looks through each slice with its
registration, makes the copy in spectral order, and maps fractions of two references, edge jump, edge energy and white
line, with errors. A spectrum is one pixel at all energies. Three slices are 1.3·10⁷ of them; with --long 24 are 10⁸.

`dask_mspectra_per_s` is of all this, from the frames to the closed file, by two workers; `…_1_worker` by one,
`…_one_slice` of 4·10⁶ spectra, `…_copy_kept` of another fit of the same frames.
Processes are started before the clock, `dask_start_s`. `dask_peak_rss_mb` is the largest sum of the resident memory of
the process, its workers and theirs, every 0.2 s; what they share is counted each time. It is not to grow with the
stack: `…_one_slice`. `dask_hours_1e9` extrapolates the rate. `dask_load` is the load of the machine meanwhile.

Reference in the same run: `dask_read_mspectra_per_s`, one reader that goes through the same frames once, and no more.
What moves the memory: parts as large as a whole slice (`dask_peak_rss_mb_whole_slices`).
"""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import psutil

from whiteline.beamline import twin
from whiteline.beamline.description import load
from whiteline.beamline.in_focus import readings_in_focus
from whiteline.sim.camera import Region
from whiteline.sim.sample import particles

SIDE, SLICES, MANY_SLICES, HARMONIC, EXPOSURE_S, FLATS = 2048, 3, 24, 5, 0.2, 2
ENERGIES = [8253.0, 8293.0, *np.arange(8323.0, 8361.0, 3.0).tolist(), 8373.0, 8393.0, 8423.0, 8463.0, 8503.0]
WORKERS, MEMORY = 2, "2GB"

GOALS = {"dask_peak_rss_over_one_slice": ("<=", 1.3)}

CHILD = """
import json, sys, time
from pathlib import Path
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.runs import open_run
from whiteline.analysis.scale import map_slices, parts, slices_of
from whiteline.analysis.spectrum_files import Spectrum
from whiteline.beamline.dask_cluster import Cluster, client_of

asked = json.loads(sys.argv[1])
parts.PART_BYTES = asked["part_bytes"] or parts.PART_BYTES
folder = Path(asked["folder"])
references = tuple(Spectrum(*one) for one in json.loads((folder / "references.json").read_text()))
settings = Settings(references=references, read_noise=1.6, edge=8333.0)
run = open_run(json.loads((folder / "documents.json").read_text()))
slices = slices_of([run], settings)[: asked["slices"]]
begin = time.perf_counter()
with client_of(Cluster(workers=asked["workers"], memory=asked["memory"])) as client:
    started = time.perf_counter()
    done = map_slices(slices, settings, client, folder / "maps.h5", folder / asked["cache"])
    ended = time.perf_counter()
errors = sorted(one.median for one in done.errors)
print(json.dumps([started - begin, ended - started, errors[len(errors) // 2], len(done.troubles)]))
"""


def make_frames(folder: Path, slices: int) -> None:
    """Render frames, flats and darks into files, and write documents and references beside them."""
    beamline = load("txm")
    microscope = twin.full_field(beamline)
    sample = particles(
        microscope.sample.species, count=130, field_um=40.0, radius_um=(0.6, 2.0), core_size=(0.5, 0.8), seed=1
    )
    microscope = dataclasses.replace(microscope, sample=sample)
    region, numbers = Region.centred(microscope.camera.sensor, (SIDE, SIDE)), iter(range(10**6))
    with ThreadPoolExecutor(os.cpu_count()) as executor:

        def frame(energy: float, **there: Any) -> Any:
            number = next(numbers)
            readings = readings_in_focus(beamline, energy, HARMONIC)
            moved = dataclasses.replace(readings, time_s=4.6 * number, moves_s=(0.0,), **there)
            return microscope.frame(moved, EXPOSURE_S, number, region, executor)

        with _frames(folder / "beside.h5", FLATS * len(ENERGIES) + 4) as data:
            for at, energy in enumerate(np.repeat(ENERGIES, FLATS)):
                data[at] = frame(float(energy), sample_um=(5000.0, 0.0))
            for at in range(4):
                data[FLATS * len(ENERGIES) + at] = frame(ENERGIES[0], open=False)
        for number in range(slices):
            with _frames(folder / f"slice_{number}.h5", len(ENERGIES)) as data:
                for at, energy in enumerate(ENERGIES):
                    data[at] = frame(energy, rotation_deg=180.0 * number / slices)
    grid = np.arange(8230.0, 8530.0, 0.5)
    references = []
    for one in microscope.sample.species[:2]:
        absorption = np.array([one.absorption(float(energy)) for energy in grid])
        line = np.polynomial.Polynomial.fit(grid[grid < 8310], absorption[grid < 8310], 1)
        rest = absorption - line(grid)
        references.append((one.name, grid.tolist(), (rest / rest[grid > 8400].mean()).tolist()))
    (folder / "references.json").write_text(json.dumps(references))
    (folder / "documents.json").write_text(json.dumps(list(_documents(folder, slices))))


class _frames:
    """A file with frames as areaDetector writes it."""

    def __init__(self, path: Path, count: int) -> None:
        self._file = h5py.File(path, "w", libver="latest")
        self._data = self._file.create_dataset("entry/data/data", (count, SIDE, SIDE), "<u2", chunks=(1, SIDE, SIDE))

    def __enter__(self) -> Any:
        return self._data

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _documents(folder: Path, slices: int) -> Iterator[tuple[str, dict[str, Any]]]:
    number = {"dtype": "number", "shape": [], "source": ""}
    keys = {"energy": number, "camera_image": {
        "dtype": "array", "dtype_numpy": "<u2", "shape": [1, SIDE, SIDE], "external": "FILESTORE:", "source": ""
    }}  # fmt: skip
    yield "start", {"uid": "volume", "time": 0.0, "plan_name": "xanes_stack"}
    for name in ("dark", "flat", "primary"):
        more = {"position_index": number} if name == "primary" else {}
        yield "descriptor", {
            "uid": name, "run_start": "volume", "name": name, "time": 0.0, "data_keys": keys | more
        }  # fmt: skip
    files = ["beside", *(f"slice_{index}" for index in range(slices))]
    for one in files:
        yield "resource", {
            "uid": one, "spec": "AD_HDF5", "root": "/", "resource_path": str(folder / f"{one}.h5")[1:],
            "resource_kwargs": {"frame_per_point": 1, "dataset": "entry/data/data"},
        }  # fmt: skip
    beside = [("flat", energy) for energy in np.repeat(ENERGIES, FLATS).tolist()] + [("dark", ENERGIES[0])] * 4
    taken = [(name, energy, "beside", at, {}) for at, (name, energy) in enumerate(beside)]
    taken += [
        ("primary", energy, f"slice_{index}", at, {"position_index": index})
        for index in range(slices)
        for at, energy in enumerate(ENERGIES)
    ]
    counts: dict[str, int] = {}
    for when, (name, energy, file, at, more) in enumerate(taken):
        counts[name] = counts.get(name, 0) + 1
        datum, data = f"{file}/{at}", {"energy": energy, "camera_image": f"{file}/{at}", **more}
        yield "datum", {"datum_id": datum, "resource": file, "datum_kwargs": {"point_number": at}}
        yield "event", {
            "uid": datum, "descriptor": name, "seq_num": counts[name], "time": float(when), "data": data,
        }  # fmt: skip
    yield "stop", {"uid": "s", "run_start": "volume", "time": 1e4, "exit_status": "success"}


def mapped(
    folder: Path, slices: int, workers: int, cache: str, part_bytes: int = 0, memory: str = MEMORY
) -> dict[str, float]:
    """Map some slices in a process of its own; return rate, times, and the peak of the memory of all processes."""
    asked = json.dumps(
        {"folder": str(folder), "slices": slices, "workers": workers, "cache": cache, "part_bytes": part_bytes,
         "memory": memory}
    )  # fmt: skip
    child = subprocess.Popen([sys.executable, "-c", CHILD, asked], stdout=subprocess.PIPE, text=True)
    peak, loads, processes, looked = 0, [], [psutil.Process(child.pid)], 0.0
    while child.poll() is None:
        if time.monotonic() - looked > 2:  # to look for children costs much more than to ask them
            looked, processes = time.monotonic(), tree(child.pid)
        peak = max(peak, resident(processes))
        loads.append(os.getloadavg()[0])
        time.sleep(0.2)
    text = child.stdout.read() if child.stdout is not None else ""
    if child.returncode:
        raise RuntimeError(f"mapping {slices} slices by {workers} workers ended with {child.returncode}")
    start, took, error, troubles = json.loads(text)
    if troubles:
        raise RuntimeError(f"{troubles} frames were left out")
    rate = slices * SIDE**2 / took / 1e6
    return {"rate": rate, "rss": peak / 2**20, "start": start, "error": error, "load": float(np.mean(loads))}


def tree(pid: int) -> list[psutil.Process]:
    """Return a process and all that it has started."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def resident(processes: list[psutil.Process]) -> int:
    """Return the sum of the resident memory of those processes that still run [bytes]."""
    total = 0
    for one in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += one.memory_info().rss
    return total


def read_rate(folder: Path, slices: int) -> float:
    """Return how fast one reader goes through the frames [10⁶ spectra/s]."""
    frame, start = np.empty((SIDE, SIDE), np.uint16), time.perf_counter()
    for number in range(slices):
        with h5py.File(folder / f"slice_{number}.h5") as file:
            data = file["entry/data/data"]
            for at in range(len(ENERGIES)):
                data.read_direct(frame, np.s_[at])
    return slices * SIDE**2 / (time.perf_counter() - start) / 1e6


def removed(folder: Path, cache: str) -> None:
    """Remove copies and maps."""
    for path in (*(folder / cache).glob("*/*"), folder / "maps.h5"):
        path.unlink(missing_ok=True)


def measure(*, long: bool) -> dict[str, float]:
    """Measure; the longer series has 10⁸ spectra."""
    slices = MANY_SLICES if long else SLICES
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        begin = time.perf_counter()
        make_frames(folder, slices)
        rendered = time.perf_counter() - begin
        # parts of half the memory of a worker, which two of them would not bear at once
        whole = mapped(folder, 1, 1, "whole", 2**31, "8GB")
        removed(folder, "whole")
        small = mapped(folder, 1, WORKERS, "small")
        removed(folder, "small")
        single = mapped(folder, min(slices, SLICES), 1, "single")
        removed(folder, "single")
        reading = read_rate(folder, slices)
        large = mapped(folder, slices, WORKERS, "large")
        again = mapped(folder, slices, WORKERS, "large")
    return {
        "dask_spectra": float(slices * SIDE**2),
        "dask_render_s": rendered,
        "dask_mspectra_per_s": large["rate"],
        "dask_mspectra_per_s_1_worker": single["rate"],
        "dask_mspectra_per_s_one_slice": small["rate"],
        "dask_mspectra_per_s_copy_kept": again["rate"],
        "dask_read_mspectra_per_s": reading,
        "dask_start_s": large["start"],
        "dask_peak_rss_mb": large["rss"],
        "dask_peak_rss_mb_one_slice": small["rss"],
        "dask_peak_rss_over_one_slice": large["rss"] / small["rss"],
        "dask_peak_rss_mb_1_worker": single["rss"],
        "dask_peak_rss_mb_whole_slices": whole["rss"],
        "dask_hours_1e9": 1e3 / large["rate"] / 3600,
        "dask_median_error": large["error"],
        "dask_load": large["load"],
    }

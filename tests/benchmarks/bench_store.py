"""What keeping every document costs, how quickly it is read, and what is lost when things go wrong.

`data_overhead_ms_per_event` is what the RunEngine waits for the store and the live analysis together: the median
over the events of scans that come as fast as the RunEngine makes them, which leaves the threads of both no pause;
`…_mean` tells how often these hold the interpreter just then.

References of the same run: writing and syncing as many bytes with nothing around it, which is all but some of the cost
of a document (a machine under load adds to both); the same frame by h5py alone. What moves the figures: a batch of one
event costs a write to SQLite each, and a journal that is not synced costs next to nothing and loses what a power cut
finds in memory.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from whiteline.beamline.simulation import simulated
from whiteline.beamline.simulation.options import Options
from whiteline.sim.ioc.loopback import client_environment
from whiteline.sim.ioc.ports import leased

GOALS = {
    "data_overhead_ms_per_event": ("<=", 1.5),
    "journal_faults_missed": ("==", 0.0),
    "kill_frames_lost": ("==", 0.0),
}

HELPERS = Path(__file__).parents[1] / "ioc"
SEED = 1
POINTS = 200
EDGE = 8333.0
SIZE = 2048


def measure(*, long: bool) -> dict[str, float]:
    """Measure; the longer series kills 50 sessions."""
    with tempfile.TemporaryDirectory() as folder:
        # in processes of their own: ophyd decides once and for all where this one looks for IOCs, and one forks
        found = _in_another([__file__, folder]) | faults(Path(folder))
    return found | kills(50 if long else 5)


def _in_another(command: list[str]) -> dict[str, Any]:
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the store could not be measured:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def costs(folder: Path) -> dict[str, float]:
    """Measure what a document costs, and how quickly runs are read."""
    from whiteline.beamline.description import load
    from whiteline.beamline.store.recovery import write
    from whiteline.beamline.store.writing import open_store

    beamline = load("txm")
    assert beamline.camera is not None
    files = beamline.camera.files.model_copy(update={"write": folder, "read": folder})
    camera = beamline.camera.model_copy(update={"files": files})
    table = beamline.store.model_copy(update={"folder": folder / "catalog"})
    start = time.perf_counter()
    with open_store(beamline.model_copy(update={"store": table, "camera": camera})) as store:
        found = {"catalog_open_s": time.perf_counter() - start} | overhead(store, folder)
        catalog = store.catalog
        write(catalog, run_of_events("e" * 8 + "-10000", 10_000), 1000)
        found["read_10k_events_ms"] = median_ms(lambda: catalog["e" * 8 + "-10000"]["primary"].read(), 5)
        path = frames(folder, 8)
        write(catalog, run_of_frames("f" * 8 + "-frames", path, 8))
        array = catalog["f" * 8 + "-frames"]["primary"]["image"]
        found["read_frame_ms"] = median_ms(lambda: array[3], 9)

        def alone() -> Any:
            with h5py.File(path, "r", swmr=True, libver="latest") as file:
                return file["entry/data/data"][3]

        found["read_frame_ms_h5py_alone"] = median_ms(alone, 9)
    return found


def overhead(store: Any, folder: Path) -> dict[str, float]:
    """Measure what the RunEngine's thread waits at each event of point scans, and for the disk alone in turns."""
    from bluesky import RunEngine
    from bluesky.plans import scan
    from ophyd.sim import SynAxis, SynSignal

    from whiteline.analysis.live import LiveXanes

    energy = SynAxis(name="energy")
    beam = SynSignal(name="beam", func=lambda: 1e5)
    counter = SynSignal(name="counter", func=lambda: 1e5 * np.exp(-1.5 - np.arctan(energy.position - EDGE) / np.pi))
    live = LiveXanes(signal="counter", incident="beam", edge=EDGE)
    engine, took = RunEngine(context_managers=[]), list[tuple[float, float]]()

    def timed(name: str, document: Any) -> None:
        start = time.perf_counter()
        store(name, document)
        stored = time.perf_counter()
        live(name, document)
        if name == "event":
            took.append((time.perf_counter() - start, stored - start))

    synced = []
    file = os.open(folder / "sync", os.O_CREAT | os.O_WRONLY)
    for _ in range(5):
        engine(scan([counter, beam], energy, EDGE - 130.0, EDGE + 270.0, POINTS), timed)
        store.wait()
        live.wait()
        for number in range(POINTS):
            start = time.perf_counter()
            os.pwrite(file, b"x" * 400, 400 * number)
            os.fdatasync(file)
            synced.append(time.perf_counter() - start)
    os.close(file)
    live.close()
    both, alone = 1e3 * np.array(took).T
    disk = 1e3 * np.array(synced)
    return {
        "data_overhead_ms_per_event": float(np.median(both)),
        "data_overhead_ms_per_event_mean": float(both.mean()),
        "data_overhead_ms_per_event_least_tenth": float(np.quantile(both, 0.1)),
        "data_overhead_ms_per_event_store": float(np.median(alone)),
        "data_overhead_ms_per_event_disk_alone": float(np.median(disk)),
        "data_overhead_ms_per_event_disk_alone_mean": float(disk.mean()),
        "data_overhead_ms_per_event_disk_alone_least_tenth": float(np.quantile(disk, 0.1)),
    }


def median_ms(work: Any, times: int) -> float:
    """Median time of some work [ms]; the first time is not counted."""
    took = []
    for _ in range(times + 1):
        start = time.perf_counter()
        work()
        took.append(time.perf_counter() - start)
    return 1e3 * float(np.median(took[1:]))


def run_of_events(uid: str, count: int) -> list[tuple[str, dict[str, Any]]]:
    """Return the documents of a run of numbers."""
    keys = {f"x{n}": {"dtype": "number", "shape": [], "source": "bench"} for n in range(10)}
    events = [
        {"data": {key: float(n) for key in keys}, "timestamps": dict.fromkeys(keys, float(n)), "filled": {}}
        for n in range(count)
    ]
    return _run(uid, keys, events)


def run_of_frames(uid: str, path: Path, count: int) -> list[tuple[str, dict[str, Any]]]:
    """Return the documents of a run of frames, one a point."""
    described = {"dtype": "array", "dtype_numpy": "<u2", "shape": [1, SIZE, SIZE], "source": "bench"}
    events = [
        {"data": {"image": f"r/{n}"}, "timestamps": {"image": float(n)}, "filled": {"image": False}}
        for n in range(count)
    ]
    run = _run(uid, {"image": described | {"external": "FILESTORE:"}}, events)
    kwargs = {"frame_per_point": 1, "dataset": "entry/data/data", "chunk_shape": [1, SIZE, SIZE], "swmr": True}
    resource = {"uid": "r", "run_start": uid, "spec": "AD_HDF5_SWMR_STREAM", "root": "/", "resource_kwargs": kwargs}
    datums = [
        ("datum", {"datum_id": f"r/{n}", "resource": "r", "datum_kwargs": {"point_number": n}}) for n in range(count)
    ]
    return [run[0], ("resource", resource | {"resource_path": str(path)[1:]}), *datums, *run[1:]]


def _run(uid: str, keys: dict[str, Any], events: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    descriptor = {"uid": f"{uid}-d", "run_start": uid, "time": 0.0, "name": "primary", "data_keys": keys}
    return [
        ("start", {"uid": uid, "time": 0.0}),
        ("descriptor", descriptor | {"object_keys": {"bench": list(keys)}, "configuration": {}, "hints": {}}),
        *(
            ("event", one | {"uid": f"{uid}-{n}", "descriptor": f"{uid}-d", "seq_num": n, "time": float(n)})
            for n, one in enumerate(events, 1)
        ),
        ("stop", {"uid": f"{uid}-s", "run_start": uid, "time": 1.0, "exit_status": "success"}),
    ]


def frames(folder: Path, count: int) -> Path:
    """Write frames as an IOC does."""
    path = folder / "frames.h5"
    source = np.random.default_rng(SEED)
    with h5py.File(path, "w", libver="latest") as file:
        data = file.create_dataset("entry/data/data", (count, SIZE, SIZE), "<u2", chunks=(1, SIZE, SIZE))
        for number in range(count):
            data[number] = source.integers(0, 4000, (SIZE, SIZE), np.uint16)
    return path


def faults(folder: Path) -> dict[str, float]:
    """Do to the journal whatever can be done to it, in a process of its own, and in memory if there is such a disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else folder) as place:
        found = _in_another([str(HELPERS / "journal_faults.py"), place, str(SEED)])
    return {"journal_faults_tried": float(found["tried"]), "journal_faults_missed": float(len(found["missed"]))}


def kills(trials: int) -> dict[str, float]:
    """Kill sessions that take a stack."""
    sys.path.insert(0, str(HELPERS))
    from kill_trials import kill_trials

    with leased(3) as ports, tempfile.TemporaryDirectory() as folder:
        os.environ.update(client_environment(*ports))
        options = Options(beamline="txm", speed=50.0, data=Path(folder) / "data")
        with simulated(options, ports=ports) as twin:
            found = kill_trials(Path("txm"), twin.folder, trials, SEED, twin.environment)
    if found["wrong"] or found["troubles"]:
        raise RuntimeError(f"the catalog holds what it should not: {found['wrong']} {found['troubles']}")
    return {
        "kill_trials": float(trials),
        "kill_runs_failed": float(found["failed"]),
        "kill_frames": float(found["frames"]),
        "kill_frames_lost": float(found["lost"]),
    }


if __name__ == "__main__":
    print(json.dumps(costs(Path(sys.argv[1]))), flush=True)

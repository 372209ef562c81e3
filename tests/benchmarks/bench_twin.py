"""How quick the simulated beamline is over Channel Access, by a stock client.

References of the same run: a put to a plain record beside the put to an instant axis; the same monitors without a busy
channel on the circuit; appending frames to a file with h5py alone; importing caproto alone. What moves the figures:
with the defaults of caproto for high load the monitors are late by up to a second, without TCP_NODELAY a put with
completion takes 22 ms, and rendered in the event loop, frames hold every process variable up.
"""

import os
import subprocess
import sys
import tempfile
import threading
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
    "sim_ready_s": ("<=", 5.0),
    "put_completion_ms": ("<=", 1.5),
    "monitor_latency_ms": ("<=", 5.0),
    "camera_fps_2048": (">=", 5.0),
    "camera_fps_512": (">=", 50.0),
}

SPEED = 20.0
AXIS = "TXM:condenser:x"
CAMERA = "TXM:camera:"
BUSY_HZ = 500


def measure(*, long: bool) -> dict[str, float]:
    """Measure; there is no longer series of this."""
    found: dict[str, float] = {}
    with leased(3) as ports, tempfile.TemporaryDirectory() as folder:
        os.environ.update(client_environment(*ports))
        options = Options(beamline="txm", speed=SPEED, data=Path(folder))
        starts = []
        for _ in range(4):
            with simulated(options, ports=ports) as twin:
                starts.append(twin.ready_s)
        found["sim_ready_s"] = float(np.median(starts[1:]))
        found["sim_ready_s_import_caproto"] = imported_s("caproto.asyncio.server")
        with simulated(options, ports=ports) as twin:
            wait_until_built()
            found |= channel_access()
            found |= camera(512, 200) | camera(2048, 40)
            found["sim_rss_mb"] = sum(resident_mb(process.pid) for process in twin.processes.values())
        found["camera_fps_512_h5py_alone"] = appended_per_s(Path(folder), 512, 200)
        found["camera_fps_2048_h5py_alone"] = appended_per_s(Path(folder), 2048, 40)
    return found


def wait_until_built() -> None:
    """Return when the twin has loaded its cross sections, which it does when it already answers."""
    truth = channel("SIM:truth:time")
    while not truth.get(use_monitor=False):
        time.sleep(0.1)


def imported_s(module: str) -> float:
    """Time of a new interpreter that imports a module [s]; the median of three."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def channel(name: str) -> Any:
    """Connect a process variable."""
    import epics

    made = epics.PV(name, auto_monitor=True)
    if not made.wait_for_connection(timeout=30):
        raise TimeoutError(f"{name} is not there")
    return made


def completion_ms(pv: Any, values: list[float], rounds: int = 300) -> float:
    """Median time of a put with completion [ms]."""
    times = []
    for number in range(rounds):
        start = time.perf_counter()
        pv.put(values[number % len(values)], wait=True, timeout=30)
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def latency_ms(pv: Any, rounds: int = 200) -> float:
    """Median time from a put to the monitor that it causes [ms]."""
    came = threading.Event()
    index = pv.add_callback(lambda **_: came.set())
    times = []
    for number in range(rounds):
        came.clear()
        start = time.perf_counter()
        pv.put(number + 1, wait=False)
        if not came.wait(10):
            raise TimeoutError(f"no monitor of {pv.pvname}")
        times.append(time.perf_counter() - start)
        time.sleep(0.005)
    pv.remove_callback(index)
    return 1e3 * float(np.median(times))


def channel_access() -> dict[str, float]:
    """Puts and monitors."""
    for field, value in (("VELO", 1e9), ("ACCL", 0.0)):
        channel(f"{AXIS}.{field}").put(value, wait=True, timeout=30)
    found = {
        "put_completion_ms": completion_ms(channel(AXIS), [0.0, 1.0]),
        "put_completion_ms_plain_record": completion_ms(channel("SIM:truth:x:points"), [50, 51]),
    }
    rate = channel("TXM:interferometer:rate")
    counted = [0]
    busy = channel("TXM:interferometer:1:position")

    def count(**_: Any) -> None:
        counted[0] += 1

    plain = channel("SIM:truth:frame")
    found["monitor_latency_ms_quiet"] = latency_ms(plain)
    busy.add_callback(count)
    rate.put(BUSY_HZ, wait=True, timeout=30)
    start, before = time.perf_counter(), counted[0]
    found["monitor_latency_ms"] = latency_ms(plain)
    found["monitor_latency_busy_Hz"] = (counted[0] - before) / (time.perf_counter() - start)
    rate.put(10, wait=True, timeout=30)
    plain.put(-1, wait=True, timeout=30)
    return found


def camera(side: int, frames: int) -> dict[str, float]:
    """Frames per second of one trigger, from the put to its completion, with every frame in the file."""
    settings = {
        "cam1:AcquireTime": 0.05,
        "cam1:AcquirePeriod": 0.0,
        "cam1:NumImages": frames,
        "cam1:ImageMode": 1,
        "cam1:MinX": 1024 - side // 2,
        "cam1:MinY": 1024 - side // 2,
        "cam1:SizeX": side,
        "cam1:SizeY": side,
        "HDF1:FilePath": f"{folder()}/",
        "HDF1:FileName": f"bench_{side}",
        "HDF1:FileNumber": 0,
        "HDF1:FileTemplate": "%s%s_%6.6d.h5",
        "HDF1:FileWriteMode": 2,
        "HDF1:NumCapture": 0,
        "HDF1:EnableCallbacks": 1,
    }
    for name in ("FE:shutter:command", "TXM:shutter:command"):
        channel(name).put("Open", wait=True, timeout=30)
    for name, value in settings.items():
        channel(f"{CAMERA}{name}").put(value, wait=True, timeout=30)
    acquire, capture = channel(f"{CAMERA}cam1:Acquire"), channel(f"{CAMERA}HDF1:Capture")
    rates = []
    for _ in range(3):
        capture.put(1, wait=False)
        writing = channel(f"{CAMERA}HDF1:Capture_RBV")
        while writing.get(use_monitor=False) != 1:
            time.sleep(0.01)
        start = time.perf_counter()
        acquire.put(1, wait=True, timeout=300)
        rates.append(frames / (time.perf_counter() - start))
        written = channel(f"{CAMERA}HDF1:NumCaptured_RBV").get(use_monitor=False)
        if written != frames:
            raise RuntimeError(f"{written} of {frames} frames are in the file")
        capture.put(0, wait=True, timeout=30)
    return {f"camera_fps_{side}": float(np.median(rates))}


def folder() -> str:
    """Where the twin writes: the folder of its truth."""
    return str(Path(channel("SIM:truth:file").get(as_string=True)).parent)


def resident_mb(pid: int) -> float:
    """Resident memory of a process [MB]."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1e3
    raise RuntimeError(f"process {pid} tells no memory")


def appended_per_s(where: Path, side: int, frames: int) -> float:
    """Frames per second that h5py alone appends, with a flush after each."""
    frame = np.random.default_rng().integers(0, 2**16, (side, side), np.uint16)
    with h5py.File(where / "alone.h5", "w", libver="latest") as out:
        data = out.create_dataset(
            "data", (0, side, side), np.uint16, chunks=(1, side, side), maxshape=(None, side, side)
        )
        out.swmr_mode = True
        start = time.perf_counter()
        for number in range(frames):
            data.resize(number + 1, 0)
            data[number] = frame
            data.flush()
        return frames / (time.perf_counter() - start)

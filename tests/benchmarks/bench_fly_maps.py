"""How long it takes from the file of a fly scan to its map: 10⁶ pixels of six channels, positions and counters.

`fly_read_map_ms` goes from the documents of a run, which are in memory, to a map per incident beam with its errors and
coverage: two positions, both ends of the gates and four counters are read from HDF5. Beside it stand what h5py needs to
read these columns alone, what the same takes line by line while the scan goes on, and a preview slice of a tomography.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from whiteline.analysis.fly import bin_pixels
from whiteline.analysis.runs import RunBuilder
from whiteline.analysis.tomography import reconstruct_slice

GOALS = {"fly_read_map_ms": ("<=", 250.0)}

LINES = PULSES = 1000
STEP_UM = 0.02
COUNTERS = ("incident", "transmitted", "reference", "Ni_Ka")


def write(path: Path, source: np.random.Generator) -> list[str]:
    """Write the capture table of a million pixels, and return the names of its columns."""
    along = STEP_UM * np.arange(PULSES)
    with h5py.File(path, "w", libver="latest") as file:
        group = file.create_group("entry/capture")

        def column(name: str, values: Callable[[int], Any]) -> None:
            data = group.create_dataset(name, (0, PULSES), "f8", maxshape=(None, PULSES), chunks=(1, PULSES))
            for line in range(LINES):
                data.resize(line + 1, axis=0)
                data[line] = values(line)

        for name, late in (("time_start", 0.0), ("time_end", 1e-4)):
            column(name, lambda line, late=late: 0.13 * line + 1e-4 * np.arange(PULSES) + late)
        column("x_mean", lambda line: along[:: -1 if line % 2 else 1] + source.normal(0, 0.003, PULSES))
        column("y_mean", lambda line: STEP_UM * line + source.normal(0, 0.003, PULSES))
        for name in COUNTERS:
            column(f"{name}_counts", lambda line: source.poisson(1000, PULSES))
        return list(group)


def documents_of(path: Path, columns: list[str]) -> list[tuple[str, dict[str, Any]]]:
    """Make the documents of the run, a StreamDatum for each column and line."""
    about = {"dtype": "array", "dtype_numpy": "<f8", "shape": [PULSES], "external": "STREAM:", "source": ""}
    start: dict[str, Any] = {"uid": "fly", "time": 0.0, "motors": ["y", "x"], "shape": [LINES, PULSES]}
    start |= {"extents": [[0.0, STEP_UM * (LINES - 1)], [0.0, STEP_UM * (PULSES - 1)]], "snaking": [False, True]}
    keys = {f"capture_{one}": about for one in columns}
    found: list[tuple[str, dict[str, Any]]] = [
        ("start", start),
        ("descriptor", {"uid": "d", "run_start": "fly", "name": "fly", "time": 0.0, "data_keys": keys}),
    ]
    for one in columns:
        resource = {"uid": one, "data_key": f"capture_{one}", "mimetype": "application/x-hdf5"}
        parameters = {"dataset": f"/entry/capture/{one}"}
        found.append(("stream_resource", resource | {"uri": f"file://localhost{path}", "parameters": parameters}))
    for line in range(LINES):
        indices, numbers = {"start": line, "stop": line + 1}, {"start": line + 1, "stop": line + 2}
        for one in columns:
            datum = {"uid": f"{one}/{line}", "stream_resource": one, "descriptor": "d"}
            found.append(("stream_datum", datum | {"indices": indices, "seq_nums": numbers}))
    return [*found, ("stop", {"uid": "s", "run_start": "fly", "time": 1.0, "exit_status": "success"})]


def median_ms(once: Callable[[], object], calls: int = 5) -> float:
    """Return the median time of a call [ms]; the first one is not counted, as it compiles."""
    times = []
    for _ in range(calls + 1):
        start = time.perf_counter()
        once()
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times[1:]))


def measure(*, long: bool) -> dict[str, float]:
    """Measure; there is no longer series of this."""
    source = np.random.default_rng()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "capture.h5"
        columns = write(path, source)
        builder = RunBuilder()
        start = time.perf_counter()
        for pair in documents_of(path, columns):
            builder.feed(*pair)
        found = {"fly_feed_documents_ms": 1e3 * (time.perf_counter() - start)}

        def whole() -> None:
            binned = builder.run().binned(*COUNTERS)
            assert binned.normalised(3, 0).valid.mean() > 0.9

        found["fly_read_map_ms"] = median_ms(whole)

        def plain() -> list[Any]:
            with h5py.File(path) as file:
                return [file[f"entry/capture/{one}"][:] for one in columns]

        found["fly_read_map_h5py_only_ms"] = median_ms(plain)
        table = dict(zip(columns, plain(), strict=True))
        counts = [table[f"{one}_counts"] for one in COUNTERS]
        gate = table["time_end"] - table["time_start"]
        grid = builder.run().binned("incident").grid
        found["fly_bin_nearest_ms"] = median_ms(
            lambda: bin_pixels(grid, table["y_mean"], table["x_mean"], gate, counts)
        )
        found["fly_bin_bilinear_ms"] = median_ms(
            lambda: bin_pixels(grid, table["y_mean"], table["x_mean"], gate, counts, deposit="bilinear")
        )
    sinogram, angles = source.standard_normal((300, 512)), 0.6 * np.arange(300)
    found["preview_slice_512_ms"] = median_ms(lambda: reconstruct_slice(sinogram, angles, centre=255.0))
    return found

"""How soon the live analysis has the map, and what it costs the RunEngine.

`live_latency_ms_…`: from handing over the event of the flat that closes an energy, frames already in their file, to the
fraction map and its standard error being there, in `live.results`; the median over the energies after the fit is
determined. Each energy has 5 frames and a flat of 1, uint16, uncompressed, one chunk a frame, at hand for the operating
system; two references with a linear background; the drift is a random walk, so each frame is registered and resampled.
A process that sums a stack of 64 MB again and again stands for the twin that runs beside it.

`live_overhead_ms_per_event` is the time of the callback itself, for the datum and the event of a point, while frames
are being worked out in the other thread: the median over the points by the clock on the wall, `…_mean` their mean, and
`…_cpu` by the processor time of the thread. On a machine that does other things as well the first two tell of these:
`live_overhead_ms_nothing` is the mean of a callback that does nothing, given the same documents in between.

References in the same run: `live_read_ms_…` reads the same frames and flat and averages them, no more.
`live_batch_ms_per_energy_…` is the offline analysis of the same run, per energy. Sabotage:
`live_latency_ms_512_not_warmed` is the first energy of a fresh process, with its imports and compiled code to be
fetched, which the callback otherwise does before the scan; `live_latency_ms_512_redone` an energy that is taken again,
so that its old frame must be worked out once more to be taken from the sums.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit" / "analysis" / "live"))

GOALS = {
    "live_latency_ms_2048": ("<=", 1000.0),
    "live_latency_ms_512": ("<=", 150.0),
    "live_overhead_ms_per_event": ("<=", 0.2),
}
ENERGIES = {512: 24, 2048: 11}
FRAMES = 5
LONGEST_S = 30.0
DETERMINED = 6
"""Energies before the fractions are determined, in the order of the list."""


class Beside:
    """A process that keeps one core busy while it is open, as the twin does."""

    def __enter__(self) -> "Beside":
        code = "import numpy as np\na = np.ones(2**24, np.float32)\nwhile True: a.sum()"
        self._process = subprocess.Popen([sys.executable, "-c", code])
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


def nothing(name: str, document: Any) -> None:
    """Take a document, and do nothing."""


def made_run(folder: Path, size: int) -> Any:
    """Return a run of some size, whose energies pass over the edge from the beginning."""
    from making_runs import EDGE, Made

    energies = EDGE + np.concatenate([[-100.0, -40.0, 0.0, 12.0, 20.0, 60.0], np.linspace(-20, 150, 60)])
    energies = energies[: ENERGIES[size]]
    walk = np.cumsum(np.random.default_rng(size).normal(0, 0.7, (energies.size, 2)), axis=0)
    return Made(
        folder, energies.tolist(), 1, shape=(size, size), frames=FRAMES, drift=walk - walk[0], similar_frames=True
    )


def latencies(size: int, folder: Path, again: int = 2) -> dict[str, Any]:
    """Take a run, its last energy some times again, and return how long maps took after their flat, and callbacks."""
    from making_runs import references

    from whiteline.analysis.live import LiveXanes

    made = made_run(folder, size)
    live = LiveXanes(references=references(), every=1000)
    documents: list[Any] = []
    waits: list[float] = []
    redone: list[float] = []
    calls: list[tuple[float, float, float]] = []

    def give(pairs: Iterator[Any], timed: list[tuple[float, float, float]] | None = None) -> float:
        given = list(pairs)
        begin = time.perf_counter()
        for name, document in given:
            if timed is None:
                live(name, document)
                continue
            clocks = time.perf_counter(), time.thread_time()
            live(name, document)
            middle, used = time.perf_counter(), time.thread_time()
            nothing(name, document)
            timed.append((middle - clocks[0], used - clocks[1], time.perf_counter() - middle))
        documents.extend(given)
        return begin

    def give_up(begin: float, live: Any) -> None:
        if time.perf_counter() - begin > LONGEST_S:
            raise TimeoutError(f"no map after {LONGEST_S:g} s: {live.progress}")

    def until(number: int, begin: float) -> float:
        while True:
            results = live.results
            mapped = results is not None and (number <= DETERMINED or "fraction of NiO" in results.maps)
            if mapped and results is not None and results.error.energies >= number:
                return time.perf_counter() - begin
            give_up(begin, live)
            time.sleep(0.002)

    give(made.begin())
    give(made.point("dark"))
    time.sleep(6)  # as a scan does before its first frame
    for index in range(len(made.energies)):
        give(made.point("sample", index), calls)
        begin = give(made.point("flat", index), calls)
        waits.append(until(index + 1, begin))
    number = len(made.energies)
    for _ in range(again):
        before = live.results
        begin = give(made.point("sample", number - 1, seq_num=number))
        while True:
            now = live.results
            if (
                now is not None
                and before is not None
                and now.maps["fraction of NiO"] is not before.maps["fraction of NiO"]
            ):
                break
            give_up(begin, live)
            time.sleep(0.002)
        redone.append(time.perf_counter() - begin)
        live.wait(60)
    give(made.end())
    live.wait(300)
    live.close()
    return {"waits": waits[DETERMINED:], "first": waits[0], "calls": calls, "redone": redone, "documents": documents}


def measure(*, long: bool = False) -> dict[str, float]:
    """Return latencies and overhead."""
    from making_runs import references

    from whiteline.analysis.live import analyse
    from whiteline.analysis.runs import open_run

    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, Beside():
        for size in (512, 2048):
            taken = latencies(size, Path(folder))
            found[f"live_latency_ms_{size}"] = 1e3 * float(np.median(taken["waits"]))
            found[f"live_latency_ms_{size}_worst"] = 1e3 * float(np.max(taken["waits"]))
            found[f"live_latency_ms_{size}_redone"] = 1e3 * float(np.median(taken["redone"]))
            if size == 512:
                # the datum and the event of a point
                points = 1e3 * np.array(taken["calls"]).reshape(-1, 2, 3).sum(axis=1)
                found["live_overhead_ms_per_event"] = float(np.median(points[:, 0]))
                found["live_overhead_ms_per_event_mean"] = float(points[:, 0].mean())
                found["live_overhead_ms_per_event_cpu"] = float(points[:, 1].mean())
                found["live_overhead_ms_nothing"] = float(points[:, 2].mean())
            run = open_run(taken["documents"])
            reads = []
            for index in range(len(run.frames)):
                start = time.perf_counter()
                _ = run.frames[index], run.flats[index]
                reads.append(time.perf_counter() - start)
            found[f"live_read_ms_{size}"] = 1e3 * float(np.median(reads))
            start = time.perf_counter()
            analyse(run, references=references(), maps=False)
            found[f"live_batch_ms_per_energy_{size}"] = 1e3 * (time.perf_counter() - start) / len(run.frames)
    found["live_latency_ms_512_not_warmed"] = not_warmed()
    return found


def not_warmed() -> float:
    """Return the first latency of a process in which nothing was made ready."""
    code = (
        "import sys, tempfile, pathlib\n"
        f"sys.path[:0] = [{str(Path(__file__).parent)!r}]\n"
        "import whiteline.analysis.live.callback as c, bench_live as b\n"
        "put = c.Inbox.put\n"
        "c.Inbox.put = lambda inbox, item: item[0] == 'warm up' or put(inbox, item)\n"
        "b.ENERGIES = {512: 7}\n"
        "with tempfile.TemporaryDirectory() as f: print(1e3 * b.latencies(512, pathlib.Path(f), again=0)['first'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    return float(done.stdout.split()[-1])


if __name__ == "__main__":
    for key, value in measure().items():
        print(f"{key:40} {value:10.4g}")

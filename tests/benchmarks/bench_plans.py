"""What scans leave behind that are ended before their end: at every message, in every way.

`abort_points_tried` counts scans that were run to be ended: every public plan at its smallest size with all its phases,
at each of its messages, those of the cleanup included, in each of ten ways; for a spectrum also every pair of a message
at which it ends and a later one at which its cleanup is interfered with; all by a real RunEngine, on fakes.
To these come `abort_twin_points` on the simulated TXM, at random messages and moments. `abort_points_unsafe` counts
those after which something is not as it was and the error does not name it: shutter, sample, feedback, filters,
settings, staging, axes.

Sabotage: `abort_points_unsafe_without_restoring` is what the spectrum leaves when its cleanup is taken away, of
`abort_points_without_restoring`.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from whiteline.beamline.simulation import simulated
from whiteline.beamline.simulation.options import Options
from whiteline.sim.ioc.loopback import client_environment
from whiteline.sim.ioc.ports import leased

GOALS = {"abort_points_unsafe": ("==", 0.0)}

TESTS = Path(__file__).resolve().parents[1]
PARTS = 2
"""Processes among which the fakes are divided."""

PAIRS = [
    ("refuse", "abort"),
    ("refuse", "pause, then abort"),
    ("abort", "abort"),
    ("abort", "refuse"),
    ("abort", "not done, and fails later"),
]
SPEED, SEED = 20.0, 1


def measure(*, long: bool) -> dict[str, float]:
    """Count; the longer series has 60 points on the twin."""
    with leased(3) as ports, tempfile.TemporaryDirectory() as folder:
        environment = os.environ | client_environment(*ports)
        twin = ["twin", *map(str, ports), folder, str(60 if long else 6)]
        parts = [["fakes", str(part)] for part in range(PARTS)]
        with ThreadPoolExecutor(PARTS) as pool:
            found = list(pool.map(lambda one: _in_another(one, environment), parts))
        found.append(_in_another(twin, environment))
    summed: dict[str, float] = {}
    for one in found:
        for key, value in one.items():
            summed[key] = summed.get(key, 0.0) + value
    return summed


def _in_another(arguments: list[str], environment: dict[str, str]) -> dict[str, float]:
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{arguments[0]} could not be measured:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def on_fakes(part: int) -> dict[str, float]:
    """Count on fakes: every second series, and the sabotage with the first of them."""
    from abort_anywhere import doubles, quiet_engine, singles
    from public_plans import CASES
    from ways_out import WAYS

    spectrum = next(case for case in CASES if case.name == "xanes")
    with quiet_engine() as engine:
        series: list[Iterable[Any]] = [singles(engine, case, [way]) for case in CASES for way in WAYS]
        series += [doubles(engine, spectrum, first, second) for first, second in PAIRS]
        outcomes = [not one.unsafe for several in series[part::PARTS] for one in several]
        found: dict[str, float] = {
            "abort_points_tried": len(outcomes),
            "abort_points_unsafe": outcomes.count(False),
        }
        if part == 0:
            sys.modules["whiteline.plans.xanes"].restoring = lambda plan, steps: plan  # type: ignore[attr-defined]
            without = [not one.unsafe for one in singles(engine, spectrum)]
            found["abort_points_without_restoring"] = len(without)
            found["abort_points_unsafe_without_restoring"] = without.count(False)
    return found


def on_the_twin(ports: list[int], folder: Path, number: int) -> dict[str, float]:
    """Count on the simulated TXM."""
    from twin_trials import make_ready, random_trials

    from whiteline.beamline.build import build

    with simulated(Options(beamline="txm", speed=SPEED, data=folder), ports=ports) as twin:
        devices = build(twin.beamline)
        devices.wait_for_connection(timeout=90)
        make_ready(devices)
        unsafe = 0
        for what, found in random_trials(devices, number, SEED):
            unsafe += bool(found)
            if found:
                print(what, found, file=sys.stderr)
    return {"abort_points_tried": number, "abort_points_unsafe": unsafe, "abort_twin_points": number}


def main() -> None:
    """Do what the command says, or measure."""
    sys.path[:0] = [str(TESTS / "plans"), str(TESTS / "ioc")]
    if sys.argv[1:2] == ["fakes"]:
        print(json.dumps(on_fakes(int(sys.argv[2]))))
    elif sys.argv[1:2] == ["twin"]:
        *ports, folder, number = sys.argv[2:]
        print(json.dumps(on_the_twin([int(port) for port in ports], Path(folder), int(number))), flush=True)
        os._exit(0)  # pyepics may crash where channels are closed
    else:
        for key, value in measure(long="--long" in sys.argv).items():
            print(f"{key:40} {value:10.4g}")


if __name__ == "__main__":
    main()

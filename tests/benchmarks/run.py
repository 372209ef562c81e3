"""Run every benchmark of this folder, write out/bench.json, and print one table: key, value, goal, met.

A benchmark is a file bench_*.py with `measure(long=…)`, which returns keys and values, and `GOALS`, which gives some of
the keys a goal as (relation, limit). With --long the series of seeds and trials are run whole.
"""

import argparse
import importlib.util
import json
import operator
import os
import platform
import sys
import time
from pathlib import Path
from types import ModuleType

from rich.console import Console
from rich.table import Table

RELATIONS = {"<=": operator.le, ">=": operator.ge, "==": operator.eq}


def benchmarks(folder: Path) -> list[ModuleType]:
    """Import the benchmarks of a folder."""
    found = []
    for path in sorted(folder.glob("bench_*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found.append(module)
    return found


def main() -> None:
    """Run them, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--long", action="store_true", help="whole series of seeds and trials")
    parser.add_argument("--out", type=Path, default=Path("out/bench.json"))
    options = parser.parse_args()

    values: dict[str, float | str] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "load_before": os.getloadavg()[0],
    }
    goals: dict[str, tuple[str, float]] = {}
    start = time.monotonic()
    for module in benchmarks(Path(__file__).parent):
        values |= module.measure(long=options.long)
        goals |= module.GOALS
    values["bench_s"] = time.monotonic() - start
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(values, indent=2) + "\n")

    table = Table("key", "value", "goal", "met", title=f"{values['machine']}, load {values['load_before']:.2f} before")
    missed = []
    for key, value in values.items():
        if isinstance(value, str):
            continue
        relation, limit = goals.get(key, ("", 0.0))
        met = RELATIONS[relation](value, limit) if relation else None
        if met is False:
            missed.append(key)
        table.add_row(
            key, f"{value:.4g}", f"{relation} {limit:g}" if relation else "", {True: "yes", False: "NO"}.get(met, "")
        )
    Console().print(table)
    if absent := sorted(set(goals) - set(values)):
        sys.exit(f"no benchmark measured {', '.join(absent)}")
    if missed:
        Console().print(f"not met: {', '.join(missed)}")


if __name__ == "__main__":
    main()

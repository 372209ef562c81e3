"""Run every benchmark of this folder, write out/bench.json, and print one table: key, value, goal, met.

A benchmark is a file bench_*.py with `measure(long=…)`, which returns keys and values, and `GOALS`, which gives some
of the keys a goal as (relation, limit); `GOALS_LONG` are those of whole series, if they are others. Each runs in a
process of its own, one after the other, and what it has measured is written at once; one that fails is named at the
end. With --long the series of seeds and trials are run whole. With --only some are run, and what the others have
measured before stays in the file and in the table.
"""

import argparse
import importlib.util
import json
import operator
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType

from rich.console import Console
from rich.table import Table

RELATIONS = {"<=": operator.le, ">=": operator.ge, "==": operator.eq}

FOLDER = Path(__file__).parent

Values = dict[str, float | str]


def loaded(name: str) -> ModuleType:
    """Import a benchmark of this folder."""
    path = FOLDER / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def goals_of(benchmark: ModuleType, *, long: bool) -> dict[str, tuple[str, float]]:
    """Return the goals of a benchmark; whole series may have others, `GOALS_LONG`."""
    found: dict[str, tuple[str, float]] = getattr(benchmark, "GOALS_LONG", benchmark.GOALS) if long else benchmark.GOALS
    return found


def measured(name: str, *, long: bool) -> Values | None:
    """Run one benchmark in a process of its own; None if it fails, and what it says of that is printed."""
    before, start = os.getloadavg()[0], time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "values.json"
        command = [sys.executable, __file__, "--measure", name, "--out", str(answer), *(["--long"] if long else [])]
        if subprocess.run(command, check=False).returncode:
            return None
        found = json.loads(answer.read_text())
    return {**found, f"{name}_s": time.monotonic() - start, f"{name}_load_before": before}


def table_of(values: Values, goals: dict[str, tuple[str, float]]) -> tuple[Table, list[str]]:
    """Return the table, and the keys whose goal was missed."""
    table, missed = Table("key", "value", "goal", "met", title=str(values["machine"])), []
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
    return table, missed


def main() -> None:
    """Run them, and say what was found."""
    names = [path.stem for path in sorted(FOLDER.glob("bench_*.py"))]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--long", action="store_true", help="whole series of seeds and trials")
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--out", type=Path, default=Path("out/bench.json"))
    parser.add_argument("--measure", choices=names, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        options.out.write_text(json.dumps(loaded(options.measure).measure(long=options.long)))
        return

    values: Values = json.loads(options.out.read_text()) if options.only and options.out.exists() else {}
    values["machine"] = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    options.out.parent.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in options.only or names:
        found = measured(name, long=options.long)
        if found is None:
            failed.append(name)
            continue
        values |= found
        options.out.write_text(json.dumps(values, indent=2) + "\n")

    goals: dict[str, tuple[str, float]] = {}
    for name in names:
        goals |= goals_of(loaded(name), long=options.long)
    table, missed = table_of(values, goals)
    Console().print(table)
    if missed:
        Console().print(f"not met: {', '.join(missed)}")
    absent = [] if options.only else sorted(set(goals) - set(values))
    if failed or absent:
        sys.exit(f"failed: {', '.join(failed) or 'none'}; not measured: {', '.join(absent) or 'nothing'}")


if __name__ == "__main__":
    main()

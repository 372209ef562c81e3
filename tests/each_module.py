"""Run each test module in a pytest process of its own, as many at a time as there are cores: `each_module.py FOLDER …`.

libca has one queue of searches for all that a process has ever looked for. A few thousand channels of IOCs that earlier
modules have ended keep it for minutes from finding those of the next one; and a crash of the client library is the
failure of one module, not of all.
"""

import argparse
import os
import re
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

NO_TESTS = 5
"""Exit status of pytest where a module holds no test that was asked for."""


def run(module: Path, options: list[str]) -> "subprocess.CompletedProcess[str]":
    """Run the tests of a module."""
    command = [sys.executable, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", str(module), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def main() -> None:
    """Run them all, print what failed and what was skipped, and end with their numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("-n", type=int, default=os.cpu_count() or 1, help="how many at a time")
    parser.add_argument("-k", help="as pytest has it")
    chosen = parser.parse_args()
    options = ["-k", chosen.k] if chosen.k else []
    modules = [module for folder in chosen.folders for module in sorted(folder.rglob("test_*.py"))]
    counts: Counter[str] = Counter()
    with ThreadPoolExecutor(chosen.n) as pool:
        running = {pool.submit(run, module, options): module for module in modules}
        for one in as_completed(running):
            done, module = one.result(), running[one]
            last = (done.stdout.strip().splitlines() or ["it printed nothing"])[-1]
            print(f"{module}: {last}", flush=True)
            found = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|error|skipped)", last)}
            counts.update(found)
            if done.returncode not in (0, NO_TESTS):
                if not found.get("failed") and not found.get("error"):
                    counts["failed"] += 1  # it crashed before it could count
                print(done.stdout, done.stderr, f"{module} ended with {done.returncode}", sep="\n", flush=True)
            else:
                for line in done.stdout.splitlines():
                    if line.startswith("SKIPPED"):
                        print(line)
    failed = counts["failed"] + counts["error"]
    print(f"{counts['passed']} passed, {failed} failed, {counts['skipped']} skipped")
    sys.exit(1 if failed or not counts["passed"] else 0)


if __name__ == "__main__":
    main()

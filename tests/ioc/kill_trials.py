"""Kill a session that takes a stack on the fast twin, at a random moment, and see what is left of it."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

SESSION = Path(__file__).with_name("stack_session.py")

READY_S = 180.0
LONGEST_S = 4.0
"""A trial is killed within so many seconds of its first message; a scan takes about as long."""


def kill_trials(
    description: Path, data: Path, trials: int, seed: int, environment: Mapping[str, str]
) -> dict[str, Any]:
    """Kill so many sessions, and return what the last look says; each session recovers what the one before left."""
    source = np.random.default_rng(seed)
    command = [sys.executable, str(SESSION)]
    found: dict[str, Any] = {}
    for _ in range(trials):
        took = subprocess.Popen(
            [*command, "take", str(description), str(data)], env=os.environ | environment, stdout=subprocess.PIPE
        )
        assert took.stdout is not None
        try:
            ready, _, _ = select.select([took.stdout], [], [], READY_S)
            if not ready or b"ready" not in took.stdout.readline():
                raise RuntimeError("the session did not begin to take a stack")
            time.sleep(source.uniform(0.05, LONGEST_S))
        finally:
            took.send_signal(signal.SIGKILL)
            took.wait()
            took.stdout.close()
    time.sleep(1.0)  # the camera goes on with its exposures, whoever has died
    done = subprocess.run(
        [*command, "look", str(description), str(data)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the catalog could not be looked at:\n{done.stderr}")
    found = json.loads(done.stdout.splitlines()[-1])
    return found

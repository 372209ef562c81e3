"""With a clock that goes by frames, the same puts give the same frames, idle or under load."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from whiteline.beamline.simulation.options import Options

CLIENT = Path(__file__).parent / "frames_client.py"


@contextmanager
def load(processes: int) -> Iterator[None]:
    """Keep the machine busy."""
    with ExitStack() as stack:
        for _ in range(processes):
            busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(busy.wait)
            stack.callback(busy.kill)
        yield


def taken(options: Options) -> dict[str, Any]:
    """Return digests of the frames, and when each was taken."""
    command = [sys.executable, str(CLIENT), options.to_json()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def options(tmp_path: Path, seed: int) -> Options:
    return Options(beamline="txm", speed=20.0, seed=seed, clock="frames", data=tmp_path)


def test_the_same_puts_give_the_same_frames_bit_for_bit(options: Options) -> None:
    idle = taken(options)
    assert len(set(idle["digests"])) == len(idle["digests"]) == 13
    with load(4):
        assert taken(options)["digests"] == idle["digests"], "under load"
    faster = taken(replace(options, speed=60.0))
    assert faster["digests"] == idle["digests"], "faster"
    assert faster["times"] == idle["times"]
    # exposure and readout of one frame after the other; a wheel that turns in between takes no time
    assert np.diff(idle["times"][:4]) == pytest.approx(0.22, abs=1e-9)
    # 4 µm at 5 mm/s with 0.2 s of acceleration, 3 µm likewise, and about 1 µm at 500 µm/s with 0.1 s
    moved = 2 * np.sqrt(0.004 * 0.2 / 5) + 2 * np.sqrt(0.003 * 0.2 / 5) + 2 * np.sqrt(1 * 0.1 / 500)
    assert idle["times"][4] - idle["times"][3] == pytest.approx(0.22 + moved, abs=1e-3)


def test_another_seed_gives_other_frames(options: Options) -> None:
    assert options.seed is not None
    one, other = taken(options), taken(replace(options, seed=options.seed + 1))
    assert not set(one["digests"]) & set(other["digests"])
    assert one["times"] == other["times"]

"""A session that is killed while it takes a stack loses no frame that reached the disk."""

from collections.abc import Callable
from pathlib import Path

import pytest
from kill_trials import kill_trials

from whiteline.beamline.simulation import Simulated

Simulate = Callable[..., Simulated]


@pytest.fixture(scope="module")
def twin(simulate: Simulate) -> Simulated:
    return simulate("txm", speed=50.0)


def test_frames_of_killed_sessions_are_all_in_the_catalog(twin: Simulated, seed: int) -> None:
    trials = 5
    description = Path(str(twin.options.beamline))
    found = kill_trials(description, twin.folder, trials, seed, twin.environment)
    print(found)
    assert found["lost"] == 0
    assert found["wrong"] == []
    assert found["troubles"] == []
    assert 1 <= found["failed"] <= trials
    assert found["frames"] > 0

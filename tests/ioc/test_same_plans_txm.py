"""The plans that do not care what kind of microscope they run on, on the simulated txm."""

from collections.abc import Callable
from typing import Any

from ca_client import Channels
from conftest import Simulate
from same_plans import judge_all, ready


def test_the_same_calls_run(simulate: Simulate, keep: Callable[[Any], Any], ca: Channels) -> None:
    twin = simulate("txm", speed=20.0)
    from whiteline.beamline.build import build

    judge_all(ready(keep(build(twin.beamline)), ca))

"""Scans that are ended on the simulated TXM, at random messages, leave no mess; and so do sessions that die in one."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ca_client import Channels
from conftest import Simulate
from twin_trials import LONG_S, PLANS, make_ready, random_trials

from whiteline.beamline.simulation import Simulated

SESSION = Path(__file__).with_name("counting_session.py")
TRIALS = 12
FAST = "TXM:shutter:"


@pytest.fixture(scope="module")
def twin(simulate: Simulate) -> Simulated:
    return simulate("txm", speed=20.0)


@pytest.fixture(scope="module")
def devices(twin: Simulated, keep: Callable[[Any], Any]) -> Any:
    from whiteline.beamline.build import build

    made = keep(build(twin.beamline))
    make_ready(made)
    return made


def test_a_scan_that_is_ended_anywhere_leaves_the_beamline_as_it_was(devices: Any, ca: Channels, seed: int) -> None:
    unsafe = []
    for what, found in random_trials(devices, TRIALS, seed):
        print(what, found)
        unsafe += [f"{what}: {one}" for one in found]
        assert ca.get(f"{FAST}status") == 0, what
    assert unsafe == []


def test_a_scan_after_all_that_is_whole(devices: Any) -> None:
    from bluesky import RunEngine

    from whiteline.analysis.runs import RunBuilder

    builder = RunBuilder()
    RunEngine(context_managers=[])(PLANS["xanes_stack"](devices), builder)
    assert builder.run().completeness.whole


def test_a_turn_after_all_that_has_each_frame_at_its_angle(devices: Any) -> None:
    from bluesky import RunEngine

    from whiteline.analysis.runs import RunBuilder

    builder = RunBuilder()
    RunEngine(context_managers=[])(PLANS["fly_tomography"](devices), builder)
    run = builder.run()
    assert run.completeness.whole
    assert run.fly.triggers("camera").taken.all()
    angles = run.fly.read("rotation_mean").ravel()
    assert len(angles) == 6
    # pulses come every 2 deg from 0 on; an exposure takes nine tenths of a gate, less the readout
    assert angles[0] == pytest.approx(1.0, abs=0.3)
    assert angles[1:] - angles[:-1] == pytest.approx(2.0, abs=0.01)


class Session:
    """A session of its own, in the middle of a count."""

    def __init__(self, twin: Simulated) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(SESSION), str(twin.options.beamline), str(twin.folder)],
            env=os.environ | twin.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.until("counting")

    def until(self, line: str) -> None:
        assert self.process.stdout is not None
        while (got := self.process.stdout.readline().strip()) != line:
            assert got or self.process.poll() is None, f"the session has ended before it said {line!r}"

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def session(twin: Simulated, devices: Any, ca: Channels) -> Iterator[Session]:
    one = Session(twin)
    try:
        assert ca.get(f"{FAST}status", as_string=True) == "Open"
        assert ca.get(f"{FAST}heartbeat:clients") == 1
        yield one
    finally:
        one.end()
    devices.fast_shutter.set("Closed").wait(LONG_S)


def test_the_machine_closes_the_shutter_of_a_session_that_is_killed_while_it_counts(
    session: Session, ca: Channels
) -> None:
    session.process.kill()
    ca.wait(f"{FAST}status", lambda value: value == 0)
    ca.wait(f"{FAST}heartbeat:clients", lambda value: value == 0)


def test_a_halt_closes_the_shutter_though_no_cleanup_runs_and_the_session_lives_on(
    session: Session, ca: Channels
) -> None:
    assert session.process.stdin is not None
    session.process.stdin.write("halt\n")
    session.process.stdin.flush()
    session.until("halted")
    ca.wait(f"{FAST}status", lambda value: value == 0)
    assert ca.get(f"{FAST}heartbeat:clients") == 1
    assert session.process.poll() is None

"""An IOC that dies or hangs while the energy moves: told in a sentence, the beam is off, and all works again after."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from ca_client import Channels
from conftest import Simulate

from whiteline.beamline.simulation import Simulated

LONG_S = 120.0


@pytest.fixture(scope="module")
def twin(simulate: Simulate) -> Simulated:
    return simulate("txm", speed=5.0)


@pytest.fixture(scope="module")
def devices(twin: Simulated, keep: Callable[[Any], Any]) -> Any:
    from whiteline.beamline.build import build

    return keep(build(twin.beamline))


def wait_for(true: Callable[[], bool], what: str, seconds: float = LONG_S) -> None:
    """Wait for what a monitor will bring."""
    ticks, deadline = threading.Event(), time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"{what} did not come"
        ticks.wait(0.05)


def move_half_way(devices: Any, target: float) -> Any:
    """Start a move that takes seconds, and return its status when the detector is on its way."""
    status = devices.energy.set(target)
    start = devices.detector.z.position
    wait_for(lambda: abs(devices.detector.z.position - start) > 2.0, "a move of the detector")
    return status


def test_a_killed_ioc_is_told_the_beam_is_closed_and_the_same_devices_work_again(twin: Simulated, devices: Any) -> None:
    devices.energy.move(8300.0)
    for shutter in (devices.photon_shutter, devices.fast_shutter):
        shutter.set("Open").wait(LONG_S)
    status = move_half_way(devices, 8500.0)
    twin.kill("beamline")
    error = status.exception(timeout=LONG_S)
    assert "energy did not arrive at 8500 eV" in str(error)
    assert "its IOC has gone" in str(error)
    assert "last seen" in str(error)
    # the shutters are in the other IOC, and prove that they are closed
    devices.fast_shutter.set("Closed").wait(LONG_S)
    with pytest.raises(RuntimeError, match="has lost"):
        devices.energy.set(8400.0)

    twin.start("beamline")
    parts = (devices.energy, devices.mono.feedback, *devices.energy.axes)
    wait_for(lambda: all(part.connected for part in parts), "it")
    devices.energy.move(8400.0)
    assert devices.energy.position == pytest.approx(8400.0, abs=0.02)
    assert devices.energy.magnification.get() == pytest.approx(32.5, rel=2e-4)


def test_a_hanging_ioc_fails_in_the_time_that_was_computed(twin: Simulated, devices: Any, ca: Channels) -> None:
    devices.energy.move(8300.0)
    status = move_half_way(devices, 8500.0)
    twin.freeze("beamline")
    try:
        error = status.exception(timeout=LONG_S)
        assert "energy did not arrive at 8500 eV" in str(error)
        devices.fast_shutter.set("Closed").wait(LONG_S)
    finally:
        twin.thaw("beamline")
    wait_for(lambda: devices.energy.connected and not any(axis.moving for axis in devices.energy.axes), "rest")
    wait_for(lambda: ca.get("MONO:feedback:status", as_string=True) in ("Locked", "Off"), "the feedback")
    devices.energy.move(8400.0)
    assert devices.energy.position == pytest.approx(8400.0, abs=0.02)
    assert devices.energy.magnification.get() == pytest.approx(32.5, rel=2e-4)


def test_a_shutter_whose_ioc_is_dead_is_not_said_to_be_closed(twin: Simulated, devices: Any) -> None:
    from whiteline.devices.errors import NotClosed

    devices.fast_shutter.set("Open").wait(LONG_S)
    twin.kill("machine")
    with pytest.raises(NotClosed, match="was NOT proven to be closed"):
        devices.fast_shutter.set("Closed").wait(LONG_S)
    twin.start("machine")
    wait_for(lambda: devices.fast_shutter.connected, "the shutter")
    devices.fast_shutter.set("Closed").wait(LONG_S)
    assert devices.fast_shutter.status.get() == "Closed"

"""What the energy axis refuses before anything moves, and what it says when a part of it fails."""

import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from ca_client import Channels
from conftest import Simulate
from hypothesis import given, settings
from hypothesis import strategies as st

from whiteline.analysis.calibration import EnergyCalibration, Table, Uncertain
from whiteline.beamline.simulation import Simulated

SPEED = 20.0


@pytest.fixture(scope="module")
def twin(simulate: Simulate) -> Simulated:
    return simulate("txm", speed=SPEED)


@pytest.fixture(scope="module")
def devices(twin: Simulated, keep: Callable[[Any], Any]) -> Any:
    from whiteline.beamline.build import build

    return keep(build(twin.beamline))


@pytest.fixture
def nothing_moves(devices: Any, ca: Channels) -> Iterator[None]:
    """Assert that no axis was told to go anywhere."""
    targets = {axis.name: axis.needed_signals[1].get() for axis in devices.energy.axes}
    yield
    for axis in devices.energy.axes:
        assert axis.needed_signals[1].get() == targets[axis.name], axis.name


@pytest.mark.parametrize(
    ("energy", "sentence"),
    [
        (8.333, "8.333 looks like keV: write 8333"),
        (99.0, "must lie above 100 eV"),
        (-20.0, "an offset from an edge is no energy"),
        (math.nan, "must be a finite number"),
        (math.inf, "must be a finite number"),
        (4999.0, "must lie between 5000 and 12000 eV"),
        (12001.0, "must lie between 5000 and 12000 eV"),
    ],
)
def test_an_energy_that_is_none_moves_nothing(devices: Any, energy: float, sentence: str, nothing_moves: None) -> None:
    with pytest.raises(ValueError, match=sentence):
        devices.energy.set(energy)


def test_a_harmonic_that_does_not_reach_names_those_that_do(devices: Any, nothing_moves: None) -> None:
    devices.undulator.energies.put((8200.0, 8600.0))
    devices.energy.stage()  # as a run does: the harmonic is then kept
    try:
        devices.undulator.harmonic.put(1)
        with pytest.raises(ValueError, match="harmonic 3 or 5 would do"):
            devices.energy.set(8333.0)
    finally:
        devices.energy.unstage()
        devices.undulator.energies.put((8200.0, 8600.0))


def test_a_soft_limit_in_the_way_is_named(devices: Any, ca: Channels, nothing_moves: None) -> None:
    high = ca.get("TXM:detector:z.HLM")
    ca.put("TXM:detector:z.HLM", 1690.0)
    try:
        ca.wait("TXM:detector:z.HLM", lambda value: value == 1690.0)
        wait_for(lambda: devices.detector.z.travel[1] == 1690.0)
        with pytest.raises(ValueError, match=r"detector_z .* must lie between 950 and 1690 mm"):
            devices.energy.set(8400.0)
    finally:
        ca.put("TXM:detector:z.HLM", high)
    wait_for(lambda: devices.detector.z.travel[1] == high)


def test_a_table_is_not_left(devices: Any, nothing_moves: None) -> None:
    table = Table(
        axis="detector.z",
        unit="mm",
        energies=(8300.0, 8400.0),
        positions=(1690.0, 1710.0),
        errors=(0.0, 0.0),
        version=1,
        date="2026-03-01",
        source="a test",
    )
    devices.detector.table.put(table)
    devices.energy.mode.put("table")
    try:
        with pytest.raises(ValueError, match="a table is never extrapolated"):
            devices.energy.set(8401.0)
    finally:
        devices.energy.mode.put("constant-magnification")


def test_a_calibration_that_knows_too_little_refuses(devices: Any, nothing_moves: None) -> None:
    good = devices.mono.calibration.calibration
    vague = EnergyCalibration(
        spacing=good.spacing,
        offset=good.offset,
        covariance=((1e-8, 0.0), (0.0, 0.0)),
        version=2,
        date="2026-03-01",
        source="a test",
    )
    devices.mono.calibration.put(vague)
    try:
        with pytest.raises(Uncertain, match="calibrate nearer"):
            devices.energy.set(8333.0)
    finally:
        devices.mono.calibration.put(good)


@pytest.mark.parametrize("text", ["", "{}", "nonsense", '{"kind": "focus"}', '{"kind": "magnification", "factor": 1}'])
def test_what_is_no_calibration_is_refused(devices: Any, text: str) -> None:
    before = devices.mono.calibration.get()
    with pytest.raises(ValueError, match="calibration"):
        devices.mono.calibration.put(text)
    assert devices.mono.calibration.get() == before


@settings(max_examples=1500, deadline=None)
@given(st.one_of(st.floats(), st.floats(4000, 13000)))
def test_what_is_accepted_keeps_every_axis_within_its_limits(devices: Any, energy: float) -> None:
    try:
        devices.energy.check_value(energy)
    except ValueError:
        return
    assert 5000 <= energy <= 12000
    for name, position in devices.energy.preview(energy).items():
        axis = next(one for one in devices.energy.axes if one.name == name)
        low, high = axis.travel
        assert low <= position <= high


def test_no_axis_leaves_its_limits_on_the_way(devices: Any, ca: Channels) -> None:
    seen: dict[str, list[float]] = {axis.name: [] for axis in devices.energy.axes}
    for axis in devices.energy.axes:
        axis.subscribe(
            lambda value, axis=axis, **_: seen[axis.name].append(value), event_type=axis.SUB_READBACK, run=False
        )
    rng = np.random.default_rng()
    for energy in rng.uniform(7000, 9500, 6):
        devices.energy.move(float(energy))
        assert devices.energy.position == pytest.approx(energy, abs=0.02)
    for axis in devices.energy.axes:
        low, high = axis.travel
        assert all(low - axis.tolerance <= value <= high + axis.tolerance for value in seen[axis.name])
    assert len(seen["detector_z"]) > 10


def wait_for(true: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for what a monitor will bring."""
    ticks = threading.Event()
    for _ in range(int(seconds / 0.05)):
        if true():
            return
        ticks.wait(0.05)
    raise AssertionError("it did not come")


@pytest.mark.parametrize("axis", ["zone_plate:z", "detector:z"])
def test_a_part_that_stalls_stops_the_others_and_is_named(devices: Any, ca: Channels, tag: str, axis: str) -> None:
    energy, pv = devices.energy, f"{tag}TXM:{axis}"
    energy.move(8333.0)
    ca.put("SIM:fault:stalled_axis", pv)
    try:
        status = energy.set(8600.0)
        error = status.exception(timeout=120)
    finally:
        ca.put("SIM:fault:stalled_axis", "")
    name = axis.replace(":", "_")
    assert f"{energy.name} did not arrive at 8600 eV" in str(error)
    assert name in str(error)
    assert pv in str(error)
    for one in energy.axes:
        assert not one.moving
    assert ca.get("MONO:feedback:status", as_string=True) == "Locked"
    energy.move(8600.0)
    assert energy.position == pytest.approx(8600.0, abs=0.02)


def test_somebody_elses_stop_is_no_arrival(devices: Any, ca: Channels) -> None:
    energy = devices.energy
    energy.move(8333.0)
    status = energy.set(8600.0)
    wait_for(lambda: devices.detector.z.moving)
    ca.put("TXM:detector:z.STOP", 1)
    error = status.exception(timeout=60)
    assert "detector_z" in str(error)
    assert "did not arrive at 8600 eV" in str(error)
    energy.move(8600.0)
    assert energy.position == pytest.approx(8600.0, abs=0.02)
    assert energy.magnification.get() == pytest.approx(32.5, rel=2e-4)


def test_a_stop_stops_all_and_the_next_call_recovers(devices: Any, ca: Channels) -> None:
    energy = devices.energy
    energy.move(8450.0)
    for target in (8600.0, 8300.0, 8600.0):
        status = energy.set(target)
        wait_for(lambda status=status: devices.detector.z.moving or status.done)
        energy.stop()
        error = status.exception(timeout=60)
        assert "was stopped before all of its axes had arrived" in str(error)
        assert "detector_z at " in str(error)
        energy.move(8450.0)
        assert energy.position == pytest.approx(8450.0, abs=0.02)
        assert energy.magnification.get() == pytest.approx(32.5, rel=2e-4)
        assert ca.get("MONO:feedback:status", as_string=True) == "Locked"


def test_a_run_that_is_aborted_leaves_a_beamline_that_works(devices: Any, ca: Channels) -> None:
    import bluesky.plans as bp
    from bluesky import RunEngine
    from bluesky.utils import RunEngineInterrupted

    engine, events = RunEngine(context_managers=[]), []
    engine.subscribe(lambda name, document: events.append(document["data"]) if name == "event" else None)
    energy = devices.energy
    for _ in range(3):
        energy.move(8300.0)
        threading.Timer(0.3, engine.request_pause).start()
        with pytest.raises(RunEngineInterrupted):
            engine(bp.list_scan([], energy, [8600.0, 8200.0, 8600.0, 8200.0]))
        engine.abort()
        events.clear()
        engine(bp.list_scan([], energy, [8340.0, 8350.0]))
        np.testing.assert_allclose([event["energy"] for event in events], [8340.0, 8350.0], atol=0.02)
        np.testing.assert_allclose([event["energy_magnification"] for event in events], 32.5, rtol=2e-4)


def test_a_run_that_is_paused_goes_on_where_it_was(devices: Any) -> None:
    import bluesky.plans as bp
    from bluesky import RunEngine
    from bluesky.utils import RunEngineInterrupted

    engine, events = RunEngine(context_managers=[]), []
    engine.subscribe(lambda name, document: events.append(document["data"]) if name == "event" else None)
    energy, wanted = devices.energy, [8600.0, 8400.0, 8500.0]
    energy.move(8300.0)
    threading.Timer(0.4, engine.request_pause).start()
    with pytest.raises(RunEngineInterrupted):
        engine(bp.list_scan([], energy, wanted))
    engine.resume()
    # a point that was redone is there twice; every one is where it says
    found = [event["energy"] for event in events]
    assert {round(one) for one in found} == {round(one) for one in wanted}
    np.testing.assert_allclose(found, [event["energy_setpoint"] for event in events], atol=0.02)
    np.testing.assert_allclose([event["energy_magnification"] for event in events], 32.5, rtol=2e-4)

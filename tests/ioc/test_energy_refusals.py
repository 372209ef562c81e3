"""What the energy axis refuses before anything moves, and what it says when a part of it fails."""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


@pytest.mark.parametrize("energy", ["8333", "abc", None, [8333.0], True])
def test_what_is_no_number_is_refused_in_a_sentence(devices: Any, energy: Any, nothing_moves: None) -> None:
    with pytest.raises(ValueError, match=r"energy = .* must be one number, in eV"):
        devices.energy.check_value(energy)
    with pytest.raises(ValueError, match=r"detector_z = .* must be one number, in mm"):
        devices.detector.z.check_value(energy)


def test_modes_and_tables_of_something_else_are_refused(devices: Any, nothing_moves: None) -> None:
    with pytest.raises(ValueError, match="mode 'Fixed' of the detector must be one of"):
        devices.energy.mode.put("Fixed")
    with pytest.raises(ValueError, match="magnification nan must be above 1"):
        devices.energy.wanted_magnification.put(math.nan)
    devices.energy.mode.put("fixed")
    with pytest.raises(ValueError, match="energy_detector_position"):
        devices.energy.set(8340.0)
    devices.energy.mode.put("constant-magnification")
    table = Table(
        axis="detector.z",
        unit="um",
        energies=(8300.0, 8400.0),
        positions=(5.0, 5.1),
        errors=(0.0, 0.0),
        version=1,
        date="2026-03-01",
        source="a test",
    )
    for signal in (devices.undulator.gap_table, devices.detector.table):
        with pytest.raises(ValueError, match="is in um"):
            signal.put(table)


def test_a_gap_table_of_another_harmonic_is_not_passed_over(devices: Any) -> None:
    undulator = devices.undulator
    undulator.energies.put((8200.0, 8600.0))
    chosen = undulator.harmonic.get()
    gaps = tuple(float(undulator.law.gap(energy, chosen)) + 1e-3 for energy in (8200.0, 8600.0))
    table = Table(
        axis="undulator.gap",
        unit="mm",
        energies=(8200.0, 8600.0),
        positions=gaps,
        errors=(0.0, 0.0),
        harmonic=chosen,
        version=1,
        date="2026-03-01",
        source="a test",
    )
    undulator.gap_table.put(table)
    try:
        assert undulator.gap_at(8200.0, chosen) == pytest.approx(gaps[0])
        with pytest.raises(ValueError, match="has no gap table"):
            undulator.gap_at(8333.0, chosen - 2)
    finally:
        undulator.gap_table._calibration = None


def test_calibrations_and_energies_are_set_by_messages(devices: Any) -> None:
    import json

    import bluesky.plan_stubs as bps
    from bluesky import RunEngine

    engine = RunEngine(context_managers=[])
    calibration = devices.mono.calibration.calibration
    text = json.dumps(json.loads(calibration.to_json()), indent=2)  # another spelling of the same
    engine(bps.configure(devices.mono, {"calibration": text}))
    assert devices.mono.calibration.calibration == calibration
    engine(bps.mv(devices.mono.calibration, calibration))
    for energies in ((8200.0, 8600.0), list(np.linspace(8200, 8600, 61)), np.linspace(8200, 8600, 61)):
        engine(bps.mv(devices.undulator.energies, energies))
        assert devices.undulator.energies.get() == [8200.0, 8600.0]
        engine(bps.configure(devices.undulator, {"energies": energies}))


def test_a_run_chooses_its_harmonic_once(devices: Any) -> None:
    energy, undulator = devices.energy, devices.undulator
    undulator.energies.put((5200.0, 5300.0))
    low = undulator.harmonic.get()
    energy.stage()
    energy.move(8300.0)  # the first energy of a run chooses
    high = undulator.harmonic.get()
    assert high != low
    energy.move(8000.0)  # outside of what it was chosen for: it stays
    assert undulator.harmonic.get() == high
    energy.unstage()
    undulator.harmonic.put(3)
    energy.move(8350.0)
    assert undulator.harmonic.get() == 3, "one that was set by hand stays"
    undulator.energies.put((8200.0, 8600.0))
    assert undulator.harmonic.get() == high


def test_a_record_in_set_mode_is_not_renamed(devices: Any, ca: Channels) -> None:
    before = devices.zone_plate.z.position
    ca.put("TXM:zone_plate:z.SET", 1)
    try:
        wait_for(lambda: bool(devices.zone_plate.z.set_use_switch.get()))
        error = devices.zone_plate.z.set(before + 1).exception(timeout=60)
        assert "would only rename its position" in str(error)
    finally:
        ca.put("TXM:zone_plate:z.SET", 0)
    wait_for(lambda: not devices.zone_plate.z.set_use_switch.get())
    assert ca.get("TXM:zone_plate:z.OFF") == 0


@contextmanager
def slow_detector(devices: Any, ca: Channels) -> Iterator[None]:
    """Let the detector be on its way for long, so that a busy machine acts before a move has ended."""
    pv, usual = "TXM:detector:z.VELO", ca.get("TXM:detector:z.VELO")

    def go(velocity: float) -> None:
        ca.put(pv, velocity)
        # the time that a move is given is computed from what its device knows
        wait_for(lambda: devices.detector.z.velocity.get() == velocity)

    go(0.1 * usual)
    try:
        yield
    finally:
        go(usual)


def test_an_axis_that_somebody_else_moves_meanwhile_is_no_arrival(devices: Any, ca: Channels) -> None:
    energy = devices.energy
    energy.move(8300.0)
    ca.connect(["MONO:bragg"])
    with slow_detector(devices, ca):
        status = energy.set(8600.0)
        wait_for(lambda: devices.mono.bragg.is_there(devices.mono.angle(8600.0)) and not devices.mono.bragg.moving)
        ca.start("MONO:bragg", float(devices.mono.angle(8590.0)))
        error = status.exception(timeout=120)
    assert "did not arrive at 8600 eV" in str(error)
    assert "mono_bragg" in str(error)
    wait_for(lambda: not devices.mono.bragg.moving)
    energy.move(8600.0)
    assert energy.position == pytest.approx(8600.0, abs=0.02)


def test_a_calibration_that_changes_meanwhile_is_no_arrival(devices: Any, ca: Channels) -> None:
    energy, good = devices.energy, devices.mono.calibration.calibration
    energy.move(8300.0)
    with slow_detector(devices, ca):
        status = energy.set(8600.0)
        wait_for(lambda: devices.detector.z.moving)
        devices.mono.calibration.put(
            EnergyCalibration(
                spacing=good.spacing,
                offset=good.offset + 0.01,
                covariance=good.covariance,
                version=3,
                date="2026-03-01",
                source="a test",
            )
        )
        error = status.exception(timeout=120)
    devices.mono.calibration.put(good)
    assert "a calibration was changed" in str(error)
    energy.move(8600.0)


def test_a_feedback_that_cannot_lock_is_told_with_what_arrived(devices: Any, ca: Channels) -> None:
    energy = devices.energy
    energy.move(8340.0)
    devices.mono.pitch.move(300.0)
    error = energy.set(8350.0).exception(timeout=60)
    devices.mono.pitch.move(0.0)
    assert "did not arrive at 8350 eV, though all of its axes have arrived" in str(error)
    assert "cannot lock" in str(error)
    ca.wait("MONO:feedback:status", lambda value: value == "Locked", as_string=True)
    energy.move(8360.0)


def test_what_the_energy_depends_on_is_recorded_with_it(devices: Any) -> None:
    configuration = devices.energy.read_configuration()
    assert set(configuration) == set(devices.energy.describe_configuration())
    assert {"mono_calibration", "zone_plate_calibration", "undulator_harmonic", "energy_mode"} <= set(configuration)


def test_a_zone_plate_stays_where_it_was_centred(devices: Any) -> None:
    plate, energy = devices.zone_plate, devices.energy
    energy.move(8333.0)
    aligned = plate.x.position + 20.0
    plate.centre_x.put(20.0)
    try:
        energy.move(8333.0)
        assert plate.x.position == pytest.approx(aligned, abs=0.003)
    finally:
        plate.centre_x.put(0.0)


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
    ca.connect(["TXM:detector:z.STOP"])
    with slow_detector(devices, ca):
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
        with slow_detector(devices, ca):
            status = energy.set(target)
            wait_for(lambda status=status: devices.detector.z.moving or status.done)
            energy.stop()
            error = status.exception(timeout=60)
        assert "was stopped before all of its axes had arrived" in str(error)
        assert "detector_z was passing " in str(error)
        energy.move(8450.0)
        assert energy.position == pytest.approx(8450.0, abs=0.02)
        assert energy.magnification.get() == pytest.approx(32.5, rel=2e-4)
        assert ca.get("MONO:feedback:status", as_string=True) == "Locked"


def pause_later(engine: Any, seconds: float) -> None:
    """Pause a plan some time after its first move has begun, however long the run engine takes to get there."""

    def first_move(message: Any) -> None:
        if message.command == "set":
            engine.msg_hook = None
            threading.Timer(seconds, engine.request_pause).start()

    engine.msg_hook = first_move


def test_a_run_that_is_aborted_leaves_a_beamline_that_works(devices: Any, ca: Channels) -> None:
    import bluesky.plans as bp
    from bluesky import RunEngine
    from bluesky.utils import RunEngineInterrupted

    engine, events = RunEngine(context_managers=[]), []
    engine.subscribe(lambda name, document: events.append(document["data"]) if name == "event" else None)
    energy = devices.energy
    for _ in range(3):
        energy.move(8300.0)
        pause_later(engine, 0.3)
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
    pause_later(engine, 0.4)
    with pytest.raises(RunEngineInterrupted):
        engine(bp.list_scan([], energy, wanted))
    engine.resume()
    # a point that was redone is there twice; every one is where it says
    found = [event["energy"] for event in events]
    assert {round(one) for one in found} == {round(one) for one in wanted}
    np.testing.assert_allclose(found, [event["energy_setpoint"] for event in events], atol=0.02)
    np.testing.assert_allclose([event["energy_magnification"] for event in events], 32.5, rtol=2e-4)

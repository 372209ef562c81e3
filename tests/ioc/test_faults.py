"""Each fault, as a stock client sees it: with classes of ophyd as they come, and with plain channels."""

import threading
from collections.abc import Iterator

import pytest

from whiteline.beamline.simulation import Simulated

FAULT = "SIM:fault:"


@pytest.fixture(scope="module")
def twin(simulate) -> Simulated:  # type: ignore[no-untyped-def]
    return simulate("txm", speed=20.0)


@pytest.fixture(autouse=True)
def _no_fault_is_left(twin: Simulated, ca) -> Iterator[None]:  # type: ignore[no-untyped-def]
    yield
    if twin.processes["beamline"].poll() is not None:
        return
    for name, value in (
        ("lost_done", ""),
        ("stalled_axis", ""),
        ("slipped_bragg", 0.0),
        ("dropped_frames", 0),
        ("file_write_error", 0),
        ("thermal_jump", 0.0),
    ):
        ca.put(f"{FAULT}{name}", value)


@pytest.fixture
def motor(twin: Simulated, tag: str, keep):  # type: ignore[no-untyped-def]
    from ophyd import EpicsMotor

    return lambda pv: keep(EpicsMotor(f"{tag}{pv}", name="motor"))


def true_energy(ca) -> float:  # type: ignore[no-untyped-def]
    """Return the photon energy of now: the truth is published every half second, so two updates are awaited."""
    for _ in range(2):
        now = ca.get("SIM:truth:time")
        ca.wait("SIM:truth:time", lambda value, now=now: value > now)
    return float(ca.get("SIM:truth:energy"))


def test_lost_dmov_leaves_a_stock_motor_waiting_at_its_target(ca, motor, tag: str) -> None:  # type: ignore[no-untyped-def]
    from ophyd.utils import WaitTimeoutError

    axis = motor("TXM:condenser:x")
    ca.put(f"{FAULT}lost_done", f"{tag}TXM:condenser:x")
    status = axis.set(5.0, wait=False)
    ca.wait("TXM:condenser:x.RBV", lambda value: abs(value - 5.0) < 1e-6)
    # it is there, and does not say so
    with pytest.raises(WaitTimeoutError):
        status.wait(timeout=1.0)
    assert not status.done
    assert ca.get("TXM:condenser:x.DMOV") == 0
    ca.put(f"{FAULT}lost_done", "")
    status.wait(timeout=30)
    assert axis.position == pytest.approx(5.0)


def test_a_stalled_axis_stands_short_of_its_target_until_it_is_stopped(ca, tag: str) -> None:  # type: ignore[no-untyped-def]
    pv = "TXM:detector:z"
    start, velocity = ca.get(f"{pv}.RBV"), ca.get(f"{pv}.VELO")
    ca.put(f"{pv}.VELO", 0.25)  # 20 s of wall time
    ca.start(pv, start + 100.0)
    ca.wait(f"{pv}.RBV", lambda value: value > start + 2)
    ca.put(f"{FAULT}stalled_axis", f"{tag}{pv}")
    ca.wait(f"{pv}.MSTA", lambda value: int(value) & 0x40)
    stands = ca.get(f"{pv}.RBV")
    assert start < stands < start + 100
    assert ca.get(f"{pv}.DMOV") == 0
    assert ca.get(f"{pv}.MOVN") == 1
    ca.put("TXM:scaler.TP", 6.0)
    ca.put("TXM:scaler.CNT", 1)  # some time later
    assert ca.get(f"{pv}.RBV") == stands
    ca.put(f"{pv}.STOP", 1)
    ca.wait(f"{pv}.DMOV", lambda value: value == 1)
    assert ca.get(f"{pv}.RBV") == stands
    ca.put(f"{FAULT}stalled_axis", "")
    ca.put(f"{pv}.VELO", velocity)
    ca.put(pv, start)
    assert ca.get(f"{pv}.RBV") == pytest.approx(start)


def test_a_slipped_bragg_axis_is_done_and_beside_its_target(ca, motor) -> None:  # type: ignore[no-untyped-def]
    """And the photon energy is that of where it stands, not of where it was sent."""
    axis = motor("MONO:bragg")
    energy = true_energy(ca)
    start = axis.position
    target = start - 0.02
    ca.put(f"{FAULT}slipped_bragg", 0.005)
    status = axis.set(target, wait=False)
    status.wait(timeout=30)
    assert status.success
    assert axis.position == pytest.approx(target + 0.005, abs=1e-4)
    risen = 1e6 * 0.015 * 0.017453292519943295 * 0.03412  # µrad times eV/µrad at the Ni edge
    assert true_energy(ca) - energy == pytest.approx(risen, abs=1.0)
    ca.put(f"{FAULT}slipped_bragg", 0.0)
    axis.set(target, wait=False).wait(timeout=30)
    assert axis.position == pytest.approx(target, abs=1e-4)
    axis.set(start, wait=False).wait(timeout=30)


def test_dropped_frames_are_counted_by_the_camera_and_miss_in_the_file(ca, twin: Simulated, camera_of) -> None:  # type: ignore[no-untyped-def]
    camera = camera_of(twin)
    camera.frames(1)
    dropped = ca.get("TXM:camera:HDF1:DroppedArrays_RBV")
    ca.put(f"{FAULT}dropped_frames", 2)
    camera.frames(5, expected=3)
    assert ca.get("TXM:camera:HDF1:DroppedArrays_RBV") == dropped + 2
    assert ca.get("TXM:camera:cam1:NumImagesCounter_RBV") == 5
    camera.frames(3)


def test_a_full_disk_ends_the_capture_and_is_told(ca, twin: Simulated, camera_of) -> None:  # type: ignore[no-untyped-def]
    camera = camera_of(twin)
    ca.put(f"{FAULT}file_write_error", 1)
    camera.frames(3, expected=0)
    assert ca.get("TXM:camera:HDF1:WriteStatus", as_string=True) == "Write error"
    assert "No space left on device" in ca.get("TXM:camera:HDF1:WriteMessage", as_string=True)
    assert ca.severity("TXM:camera:HDF1:WriteStatus") == 2
    ca.put(f"{FAULT}file_write_error", 0)
    camera.frames(2)
    assert ca.get("TXM:camera:HDF1:WriteStatus", as_string=True) == "Write OK"


def test_a_thermal_jump_changes_the_energy_and_not_the_bragg_axis(ca) -> None:  # type: ignore[no-untyped-def]
    """20 µrad are 0.68 eV at the Ni edge: the encoder sees nothing, the temperature and the counters do."""
    before, cold = true_energy(ca), ca.get("MONO:crystal:temperature")
    angle = ca.get("MONO:bragg.RBV")
    ca.put(f"{FAULT}thermal_jump", 20.0)
    fallen = true_energy(ca) - before
    assert fallen == pytest.approx(-20 * 0.03412, abs=0.1)
    assert ca.wait("SIM:truth:energy_offset", lambda value: value < -0.3) == pytest.approx(fallen, abs=0.1)
    ca.wait("MONO:crystal:temperature", lambda value: value > cold + 0.5)
    assert ca.get("MONO:bragg.RBV") == pytest.approx(angle, abs=1e-4)


def test_without_feedback_a_thermal_jump_costs_flux(ca, twin: Simulated, camera_of) -> None:  # type: ignore[no-untyped-def]
    camera = camera_of(twin)
    camera.open()
    ca.put("TXM:scaler.TP", 0.5)

    def incident() -> float:
        ca.put("TXM:scaler.CNT", 1)
        return float(ca.get("TXM:scaler.S2"))

    bright = incident()
    ca.put("MONO:feedback:enable", "Off")
    ca.put(f"{FAULT}thermal_jump", 60.0)
    dim = incident()
    assert dim < 0.5 * bright
    ca.put("MONO:feedback:enable", "On")
    ca.wait("MONO:feedback:correction", lambda value: value > 59)
    # not quite all of it: 60 µrad are 2 eV, and the undulator shines elsewhere
    assert incident() == pytest.approx(bright, rel=0.2)


@pytest.mark.parametrize("name", ["slipped_bragg", "thermal_jump"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_fault_that_is_no_number_is_refused_and_nothing_breaks(ca, name: str, value: float) -> None:  # type: ignore[no-untyped-def]
    ca(f"{FAULT}{name}").put(value, wait=True, timeout=30)
    assert ca.get(f"{FAULT}{name}") == 0
    ca.put("MONO:bragg", ca.get("MONO:bragg.VAL"))
    assert abs(ca.get("MONO:feedback:correction")) < 200


@pytest.mark.parametrize("name", ["lost_done", "stalled_axis"])
def test_a_fault_of_an_axis_that_is_none_is_refused(ca, name: str) -> None:  # type: ignore[no-untyped-def]
    before = ca.get(f"{FAULT}{name}")
    ca(f"{FAULT}{name}").put("NO:such:axis", wait=True, timeout=30)
    assert ca.get(f"{FAULT}{name}") == before


@pytest.mark.parametrize(("ioc", "pv"), [("beamline", "SIM:fault:exit"), ("machine", "SIM:machine:fault:exit")])
def test_an_ioc_that_exits_disconnects_its_clients(twin: Simulated, ca, ioc: str, pv: str) -> None:  # type: ignore[no-untyped-def]
    """These are the last tests of this module: they end its IOCs."""
    channel = ca({"beamline": "TXM:condenser:x", "machine": "SR:current"}[ioc])
    gone = threading.Event()
    channel.connection_callbacks.append(lambda conn=True, **rest: conn or gone.set())
    assert channel.connected
    ca.start(pv, 3)
    assert twin.processes[ioc].wait(30) == 3
    assert gone.wait(30)
    assert not channel.connected

"""Tuning, a beam dump, and the way back to an old run, on the simulated nanoprobe over Channel Access."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from bluesky import RunEngine
from bluesky import preprocessors as bpp
from ca_client import Channels
from conftest import Simulate

from whiteline.analysis.runs import Run, RunBuilder
from whiteline.beamline import twin as physics
from whiteline.beamline.simulation import Simulated

ENERGY = 8360.0
LONG_S = 60.0


@pytest.fixture(scope="module")
def twin(simulate: Simulate) -> Simulated:
    hidden = float(np.random.default_rng().uniform(-30.0, 30.0))
    print(f"hidden fine pitch {hidden:.3f} urad")
    edits = [("fine_pitch_urad = 0.0", f"fine_pitch_urad = {hidden:.6g}")]
    return simulate("nanoprobe", edits, speed=20.0)


@pytest.fixture(scope="module")
def devices(twin: Simulated, keep: Callable[[Any], Any], ca: Channels) -> Any:
    """The beamline, ready for a scan, with the photon shutter open."""
    from bluesky import plan_stubs as bps

    from whiteline.beamline.build import build

    built = keep(build(twin.beamline))
    ca.put("FE:shutter:command", "Open")

    def ready() -> Any:
        yield from bps.mv(built.energy, ENERGY)
        chambers = {"gains": {"incident": 1e8}, "dark_rates": {"incident": {1e8: 10.0}}}
        yield from bps.configure(built.counters, chambers)

    RunEngine(context_managers=[])(ready())
    return built


def taken(plan: Any) -> Run:
    """Run a plan that takes one run, and open it."""
    builder = RunBuilder()
    engine = RunEngine(context_managers=[])
    engine.subscribe(builder)
    engine(plan)
    return builder.run()


def pitch_curve(devices: Any) -> Run:
    from whiteline.plans.tune import tune

    return taken(
        tune(
            [devices.counters], devices.mono.fine_pitch, span=240.0, points=25, dwell_s=0.2,
            shutter=devices.fast_shutter, feedback=devices.mono.feedback,
        )
    )  # fmt: skip


def test_the_fine_pitch_is_tuned_to_the_true_maximum(twin: Simulated, devices: Any, ca: Channels) -> None:
    mono = devices.mono
    mono.feedback.set("Off").wait(LONG_S)  # its correction stays as it is
    mono.fine_pitch.set(float(np.random.default_rng().uniform(-60.0, 60.0))).wait(LONG_S)
    run = pitch_curve(devices)
    assert run.stream("tuned").read("tuned_reason")[0] == ""
    best = physics.true_monochromator(twin.beamline).best_pitch_urad
    # the jitter of 0.2 µrad, and a step of the ring current by top-up, move the maximum of a curve 49 µrad wide little
    assert mono.fine_pitch.position + ca.get("MONO:feedback:correction") == pytest.approx(best, abs=2.0)
    assert ca.get("NANO:shutter:status", as_string=True) == "Closed"
    assert not mono.feedback.is_on


def test_the_feedback_does_not_work_against_the_scan_and_is_on_again(devices: Any, ca: Channels) -> None:
    mono = devices.mono
    mono.feedback.set("On").wait(LONG_S)
    counts = pitch_curve(devices).points.numbers("counters_incident_counts")
    assert counts.min() < 0.2 * counts.max()
    assert mono.feedback.is_on
    assert mono.feedback.status.get() == "Locked"


def test_the_gap_is_tuned_at_each_energy(devices: Any) -> None:
    from whiteline.plans.tune import tune

    gap = devices.undulator.gap
    run = taken(
        tune(
            [devices.counters], gap, span=0.06, points=25, dwell_s=0.2, shutter=devices.fast_shutter,
            energy=devices.energy, energies=[8340.0, 8360.0],
        )
    )  # fmt: skip
    tuned = run.stream("tuned")
    assert list(tuned.read("tuned_reason")) == ["", ""]
    # the gap that the energy axis goes to is the best one, as nothing is hidden of the undulator
    firsts = [run.points.numbers("tuning_index").searchsorted(number) for number in (0, 1)]
    stood = run.points.numbers("undulator_gap")[firsts] + 0.03
    np.testing.assert_allclose(tuned.numbers("tuned_maximum"), stood, atol=0.002)


def test_a_dump_in_the_middle_of_a_spectrum_loses_no_energy(twin: Simulated, devices: Any, ca: Channels) -> None:
    from whiteline.plans.suspenders import beam_suspender, guarded
    from whiteline.plans.xanes import xanes

    energies = [8350.0 + number for number in range(8)]
    stored: list[int] = []
    events: list[int] = []

    def look(*, value: Any, **_: Any) -> None:
        stored.append(value)

    def dump(name: str, document: dict[str, Any]) -> None:
        if name == "event":
            events.append(document["seq_num"])
            if len(events) == 3:
                ca.put("SIM:machine:fault:beam_dump", 40.0)  # 2 s of wall time

    builder, engine = RunBuilder(), RunEngine(context_managers=[])
    engine.subscribe(builder)
    engine.subscribe(dump)
    devices.ring.stored.subscribe(look, run=False)
    suspender = beam_suspender(
        ring_stored=devices.ring.stored, permit=devices.photon_shutter.permit, temperature=devices.mono.temperature,
        temperature_range=(-1e3, 1e3), shutter=devices.fast_shutter, photon_shutter=devices.photon_shutter,
        settle_s=0.5,
    )  # fmt: skip
    plan = xanes([devices.counters], devices.energy, energies, dwell_s=4.0, shutter=devices.fast_shutter)
    engine(guarded(plan, [suspender]))
    run = builder.run()
    np.testing.assert_allclose(run.energies, energies, atol=0.1)
    assert list(run.points.seq_nums) == list(range(1, 9))
    assert run.exit_status == "success"
    assert stored == [0, 1]
    counts = run.points.numbers("counters_incident_counts")
    assert counts.min() > 0.5 * counts.max(), "all that is left was counted with beam"


def test_a_permit_that_is_missing_already_is_waited_for(devices: Any, ca: Channels) -> None:
    from whiteline.plans.suspenders import beam_suspender, guarded
    from whiteline.plans.xanes import xanes

    def spectrum() -> Any:
        return xanes([devices.counters], devices.energy, [ENERGY], dwell_s=0.5, shutter=devices.fast_shutter)

    usual = taken(spectrum()).points.numbers("counters_incident_counts")[0]
    ca.put("SIM:machine:fault:beam_dump", 200.0)  # 10 s of wall time
    ca.wait("FE:shutter:status", lambda value: value == 0)
    suspender = beam_suspender(
        permit=devices.photon_shutter.permit, shutter=devices.fast_shutter, photon_shutter=devices.photon_shutter,
        settle_s=0.0,
    )  # fmt: skip
    counts = taken(guarded(spectrum(), [suspender])).points.numbers("counters_incident_counts")
    assert counts[0] > 0.5 * usual


def test_all_axes_go_back_to_where_they_stood_before_an_old_run(devices: Any, ca: Channels) -> None:
    from rich.console import Console

    from whiteline.beamline.earlier_positions import positions_before
    from whiteline.plans.xanes import xanes

    engine = RunEngine(context_managers=[])
    builder = RunBuilder()
    devices.energy.set(ENERGY).wait(LONG_S)
    plan = xanes([devices.counters], devices.energy, [ENERGY], dwell_s=0.1, shutter=devices.fast_shutter)
    engine(bpp.baseline_wrapper(plan, devices.baseline), builder)
    stood = {
        axis.name: axis.position
        for axis in (devices.mono.bragg, devices.undulator.gap, devices.zone_plate.z, devices.aperture.z,
                     devices.sample.coarse.x, devices.sample.rotation, devices.sample.fine.y)
    }  # fmt: skip
    devices.energy.set(8500.0).wait(LONG_S)
    for axis, away in [
        (devices.sample.coarse.x, 2.0), (devices.sample.rotation, 30.0), (devices.sample.fine.y, 5.0),
        (devices.zone_plate.x, 20.0),
    ]:  # fmt: skip
        axis.set(axis.position + away).wait(LONG_S)
    earlier = positions_before(builder, devices)
    assert earlier.unknown == ()
    moving = {way.axis.name for way in earlier.ways if way.moves}
    assert {"sample_coarse_x", "sample_rotation", "sample_fine_y", "zone_plate_x", "mono_bragg"} <= moving
    console = Console(width=120)
    with console.capture() as shown:
        console.print(earlier.table())
    assert "sample_rotation" in shown.get()
    assert "energy" in shown.get()
    engine(earlier.plan())
    assert devices.energy.position == pytest.approx(ENERGY, abs=0.1)
    for way in earlier.ways:
        if way.axis.name in stood:
            assert abs(way.axis.position - stood[way.axis.name]) <= 2 * way.tolerance, way.axis.name
    assert not [
        way.axis.name for way in positions_before(builder, devices).ways if way.moves and "fine" not in way.axis.name
    ]

"""Spectra that the simulated nanoprobe takes while its energy goes on, against the foil that is truly in the beam."""

import re
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from bluesky.utils import FailedStatus
from ca_client import Channels
from conftest import Simulate
from same_plans import judge_tidy, ready, taken
from scipy.optimize import minimize_scalar

from whiteline.analysis.runs import Run
from whiteline.beamline import twin as truth_of
from whiteline.beamline.simulation import Simulated

LOW, HIGH, POINTS = 8318.0, 8348.0, 150
CHAMBERS = {
    "gains": {"incident": 1e9, "transmitted": 1e8, "reference": 1e8},
    "dark_rates": {"incident": {1e9: 100.0}, "transmitted": {1e8: 10.0}, "reference": {1e8: 10.0}},
}
"""Amplifiers [V/A], and what they count in the dark by 1 pA [1/s]."""

LONG_S = 60.0


@pytest.fixture(scope="module")
def twin(simulate: Simulate) -> Simulated:
    seed = int(np.random.default_rng().integers(2**31))
    print(f"seed of the twin: {seed}")
    return simulate("nanoprobe", [], speed=5.0, seed=seed)


@pytest.fixture(scope="module")
def devices(twin: Simulated, keep: Callable[[Any], Any], ca: Channels) -> Any:
    from whiteline.beamline.build import build

    built = ready(keep(build(twin.beamline)), ca)
    built.counters.change(CHAMBERS).wait(LONG_S)
    built.foil_wheel.set("Ni").wait(LONG_S)
    return built


@pytest.fixture(scope="module")
def foil(twin: Simulated) -> Any:
    return truth_of.nanoprobe(twin.beamline).monitors.foils["Ni"]


def flown(devices: Any, **different: Any) -> Run:
    from whiteline.plans import fly_xanes

    arguments: dict[str, Any] = {
        "energy_range": (LOW, HIGH, POINTS), "capture": devices.capture, "sweep": devices.energy_sweep,
        "dwell_s": 0.02, "shutter": devices.fast_shutter, "signal": "capture_reference_rate",
        "retries": 5,  # what follows starts late on a busy machine
    }  # fmt: skip
    (run,) = taken(fly_xanes([], devices.energy, **(arguments | different)))
    return run


def off_the_truth(foil: Any, energies: Any, absorption: Any) -> tuple[float, float]:
    """Return by how much a spectrum lies above the true energies [eV], and what is left then, root mean square."""

    def left(shift: float) -> float:
        true = -np.log(foil.transmissions(energies - shift))
        return float(np.std(absorption - true))

    best = minimize_scalar(left, bounds=(-1.0, 1.0), method="bounded", options={"xatol": 1e-4})
    return float(best.x), float(best.fun)


def test_a_spectrum_has_its_edge_where_it_truly_is_whichever_way_it_is_flown(devices: Any, foil: Any) -> None:
    before = devices.energy.position
    run = flown(devices, repeats=2, both_ways=True)
    assert run.completeness.whole
    angles = run.fly.read("bragg_mean")
    assert angles.shape == (2, POINTS)
    energies = devices.mono.calibration.calibration.energy(angles)
    np.testing.assert_allclose(energies[0][[0, -1]], [LOW, HIGH], atol=0.05)
    np.testing.assert_allclose(energies[1][[0, -1]], [HIGH, LOW], atol=0.05)
    shifts = []
    for energy, reference, incident in zip(
        energies, run.fly.read("reference_counts"), run.fly.read("incident_counts"), strict=True
    ):
        shift, noise = off_the_truth(foil, energy, np.log(incident / reference))
        shifts.append(shift)
        # 2 % of 10⁹ photons a second are counted before, and half of what passes behind, for 20 ms
        assert noise < 0.02
    # an encoder that were read late by a point would show 0.2 eV, one way up and the other way down
    assert np.abs(shifts).max() < 0.05
    assert abs(shifts[0] - shifts[1]) < 0.03
    spectrum = run.spectrum("capture_reference_rate")
    assert spectrum.energies.size == 2 * POINTS
    assert (np.diff(spectrum.energies) >= 0).all()
    assert abs(off_the_truth(foil, spectrum.energies, spectrum.absorption)[0]) < 0.05
    assert devices.energy.position == pytest.approx(before, abs=0.1)
    judge_tidy(devices)


def test_a_flown_spectrum_is_that_of_single_points(devices: Any, foil: Any) -> None:
    from whiteline.plans import xanes

    energies = np.linspace(LOW + 2, HIGH - 2, 14)
    plan = xanes(
        [devices.counters], devices.energy, energies.tolist(), dwell_s=0.2, shutter=devices.fast_shutter,
        signal="counters_reference_rate",
    )  # fmt: skip
    (steps,) = taken(plan)
    one, many = steps.spectrum("counters_reference_rate"), flown(devices).spectrum("capture_reference_rate")
    np.testing.assert_allclose(np.interp(one.energies, many.energies, many.absorption), one.absorption, atol=0.05)
    judge_tidy(devices)


def test_a_sweep_that_was_followed_too_late_is_taken_again(
    devices: Any, foil: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A computer that is busy starts what follows late: then all of a sweep is dim and out of focus."""
    sweep, begin, delays = devices.energy_sweep, devices.energy_sweep._go, [0.0, 0.4]

    def late(targets: Any, seconds: float | None) -> None:
        time.sleep(delays.pop(0) if seconds is not None and delays else 0.0)
        begin(targets, seconds)

    monkeypatch.setattr(sweep, "_go", late)
    run = flown(devices, repeats=3)
    whys = [one.data["line_why"] for one in run.streams["again"].points]
    sentence = r"undulator_gap started (\S+) s after mono_bragg, and was (\S+) eV off"
    found = [told for told in (re.search(sentence, why) for why in whys) if told is not None]
    # a machine that stalls may be late of itself before, and then it is another line that is kept waiting
    told = next((one for one in found if float(one[1]) > 1.9), None)
    assert told is not None, whys
    late, off = map(float, told.groups())
    # 0.4 s and some more of a machine that runs five times as fast, at 10 eV/s
    assert late > 1.9
    assert off == pytest.approx(10 * late, rel=0.05)
    assert run.completeness.whole
    incident = run.fly.read("incident_counts")
    assert incident.shape == (3, POINTS)
    assert incident.min() > 0.5 * incident.max()
    spectrum = run.spectrum("capture_reference_rate")
    assert abs(off_the_truth(foil, spectrum.energies, spectrum.absorption)[0]) < 0.05
    judge_tidy(devices)
    delays[:] = [1.0]
    with pytest.raises(FailedStatus) as caught:
        flown(devices, retries=0)
    assert "sweep again, or more slowly" in str(caught.value.__cause__)
    judge_tidy(devices)


def test_an_undulator_that_a_killed_sweep_has_left_slow_gets_its_velocity_back(
    devices: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """At the velocity of a sweep no move of the energy would arrive in its time, and no sentence would say why."""
    gap = devices.undulator.gap
    gap.velocity.put(0.004, wait=True)
    assert flown(devices).completeness.whole
    assert gap.velocity.get(use_monitor=False) == pytest.approx(gap.settings.velocity)
    assert "gets its usual 0.1: was a fly scan killed?" in caplog.text
    gap.velocity.put(0.004, wait=True)
    devices.energy_sweep.see_to_undulator().wait(LONG_S)
    assert gap.velocity.get(use_monitor=False) == pytest.approx(gap.settings.velocity)


def test_a_session_that_begins_after_a_killed_sweep_gives_the_undulator_its_velocity_back(
    twin: Simulated, devices: Any
) -> None:
    from whiteline.beamline.session import open_session

    gap, feedback, told = devices.undulator.gap, devices.mono.feedback, list[str]()
    gap.velocity.put(0.004, wait=True)
    feedback.set("Off").wait(LONG_S)
    session = open_session(twin.beamline, tell=told.append, connect_s=LONG_S)
    assert not session.missing
    session.close()
    assert gap.velocity.get(use_monitor=False) == pytest.approx(gap.settings.velocity)
    # that may be meant so, and is told of
    assert any("mono.feedback.set('On')" in sentence for sentence in told), told
    feedback.set("On").wait(LONG_S)


def test_a_session_begins_also_where_the_velocity_of_the_undulator_cannot_be_seen_to(
    twin: Simulated, devices: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from whiteline.beamline.session import open_session
    from whiteline.devices.energy_sweep import EnergySweep
    from whiteline.devices.errors import Lost

    def refused(_: EnergySweep) -> Any:
        raise Lost("it may not be written to")

    monkeypatch.setattr(EnergySweep, "see_to_undulator", refused)
    told: list[str] = []
    session = open_session(twin.beamline, tell=told.append, connect_s=LONG_S)
    assert not session.missing
    assert "it may not be written to" in told
    session.close()


def test_a_sweep_that_is_stopped_on_its_way_gives_all_velocities_back(
    devices: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stop and the errand that it ends both give them back, at the same time."""
    from whiteline.devices import energy_sweep

    sweep, put = devices.energy_sweep, energy_sweep.put
    gap = devices.undulator.gap

    def slow(signal: Any, value: float, **how: Any) -> None:
        put(signal, value, **how)
        time.sleep(0.2)

    sweep.stage()
    sweep.prepare(sweep.line(LOW, HIGH, POINTS, 0.1)).wait(LONG_S)
    assert gap.velocity.get(use_monitor=False) < 0.9 * gap.settings.velocity
    ended = sweep.kickoff()  # Bragg does not start
    monkeypatch.setattr(energy_sweep, "put", slow)
    sweep.stop(success=True)
    ended.wait(LONG_S)
    sweep.unstage()
    assert gap.velocity.get(use_monitor=False) == pytest.approx(gap.settings.velocity)
    assert devices.mono.feedback.is_on


def test_the_feedback_comes_back_also_where_a_velocity_does_not(devices: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from whiteline.devices.errors import DeviceError

    sweep = devices.energy_sweep
    sweep.stage()
    sweep.prepare(sweep.line(LOW, HIGH, POINTS, 0.02)).wait(LONG_S)
    assert not devices.mono.feedback.is_on

    def lost() -> None:
        raise DeviceError("an axis has gone")

    with monkeypatch.context() as without:
        without.setattr(sweep, "_restore", lost)
        with pytest.raises(DeviceError, match="an axis has gone"):
            sweep.unstage()
    assert devices.mono.feedback.is_on
    sweep._restore()


def test_a_range_that_the_undulator_cannot_follow_is_refused_before_anything_moves(devices: Any) -> None:
    from whiteline.plans import fly_xanes

    before = devices.energy.position
    with pytest.raises(ValueError, match=r"dwell_s|slower|velocity"):
        next(
            fly_xanes(
                [], devices.energy, (8200.0, 8700.0, 20), capture=devices.capture, sweep=devices.energy_sweep,
                dwell_s=1e-3, shutter=devices.fast_shutter,
            )
        )  # fmt: skip
    assert devices.energy.position == before

"""A preflight tells beforehand what a run does afterwards, and moves nothing."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import numpy as np
import pytest
from bluesky import RunEngine
from fakes import FakeBeamline
from hypothesis import given
from hypothesis import strategies as st

from whiteline.plans.preflight import DoseExceeded, TimeModel, after_preflight, preflight
from whiteline.plans.preflight.times import Experience, Timing
from whiteline.plans.xanes import xanes
from whiteline.plans.xanes_stack import xanes_stack

INSTANT = TimeModel(
    {("set", name): Experience(0.0) for name in ("fast_shutter", "camera_exposure", "camera_frames")}, messages={}
)
"""Devices and a run engine that take no time beside what is computed."""


class Gray:
    """A beam of one gray a second, at 8300 eV and below; twice as much above."""

    source = "the figure of a test"

    def dose_per_s(self, energy: float) -> float:
        """Return the dose rate [Gy/s]."""
        return 1.0 if energy <= 8300 else 2.0


def stack(beamline: FakeBeamline, energies: list[float], **options: Any) -> Any:
    """Return a small stack."""
    return xanes_stack(
        beamline.camera,
        beamline.energy,
        energies,
        sample=beamline.sample,
        shutter=beamline.shutter,
        exposure_s=0.2,
        **options,
    )


def test_it_moves_nothing_and_tells_what_the_run_does() -> None:
    beamline = FakeBeamline()
    before, energy = beamline.state(), beamline.world.energy
    options: dict[str, Any] = {"frames": 4, "flat_frames": 2, "positions": [(0.0, 0.0), (10.0, 5.0)]}
    report = preflight(stack(beamline, [8300.0, 8310.0, 8320.0], **options), energy=beamline.energy)
    assert beamline.state() == before
    assert beamline.world.energy == energy
    assert not beamline.world.exposures
    assert not any(one.calls["set"] or one.calls["trigger"] or one.calls["stage"] for one in beamline.devices)
    assert not report.violations

    events: dict[str, int] = {}
    RunEngine({}, context_managers=[])(
        stack(beamline, [8300.0, 8310.0, 8320.0], **options),
        lambda name, document: events.update(document["num_events"]) if name == "stop" else None,
    )
    assert report.walked.events == events
    per_event = beamline.camera.frame_bytes * 2
    assert report.walked.bytes == beamline.camera.taken * per_event
    assert report.walked.frames == beamline.camera.taken * 2


def test_the_time_is_that_of_moves_and_counts() -> None:
    beamline = FakeBeamline()
    offsets = {("trigger", "counters"): Experience(0.25), ("set", "fast_shutter"): Experience(0.5)}
    times = TimeModel(INSTANT.actions | offsets | {("set", "energy"): Experience(0.1, 2.0)}, messages={})
    plan = xanes([beamline.counters], beamline.energy, [8300.0, 8400.0], dwell_s=3.0, shutter=beamline.shutter)
    report = preflight(plan, times=times)
    # from 8200 eV, a millisecond for each eV, twice that and a tenth by experience
    moves = 2 * (0.1 + 2 * 0.1)
    # a setting of a dwell takes what settings take; the last closing is that of the cleanup
    assert report.walked.by_cause["counting"] == pytest.approx(2 * 3.25)
    assert report.walked.by_cause["shutter"] == pytest.approx(5 * 0.5)
    assert report.walked.by_cause["moving"] == pytest.approx(moves + 2 * 0.02)
    assert report.seconds == pytest.approx(sum(report.walked.by_cause.values()))


def test_the_dose_is_that_of_the_most_exposed_place_without_the_flats() -> None:
    beamline = FakeBeamline()
    report = preflight(
        stack(beamline, [8300.0, 8310.0], frames=3, flat_frames=1), energy=beamline.energy, times=INSTANT, beam=Gray()
    )
    assert report.dose is not None
    # each frame of 0.2 s with 0.05 s of the camera's own until it says that it is done
    assert report.dose.gray == pytest.approx(3 * 0.25 * (1.0 + 2.0))
    apart = preflight(
        stack(beamline, [8300.0, 8310.0], frames=3, flat_frames=1, positions=[(0.0, 0.0), (50.0, 0.0)]),
        energy=beamline.energy,
        times=INSTANT,
        beam=Gray(),
    )
    assert apart.dose is not None
    assert apart.dose.gray == pytest.approx(report.dose.gray)
    assert len({place for place, _ in apart.walked.exposed_s}) == 2


def test_a_plan_over_its_budget_is_refused_unless_that_is_accepted_and_then_recorded() -> None:
    beamline = FakeBeamline()
    starts: list[dict[str, Any]] = []
    engine = RunEngine({}, context_managers=[])
    conditions = {"energy": beamline.energy, "times": INSTANT, "beam": Gray(), "budget_Gy": 1.0}
    arguments: dict[str, Any] = {"sample": beamline.sample, "shutter": beamline.shutter, "exposure_s": 0.2, "frames": 3}

    def run(accept: bool) -> Any:
        return after_preflight(
            xanes_stack,
            beamline.camera,
            beamline.energy,
            [8300.0, 8310.0],
            conditions=conditions,
            accept_dose=accept,
            md={"sample_name": "NMC"},
            **arguments,
        )

    with pytest.raises(DoseExceeded, match=r"dose .* must be at most the budget of 1 Gy, by the figure of a test"):
        engine(run(False))
    assert not beamline.world.exposures
    engine(run(True), lambda name, document: starts.append(document) if name == "start" else None)
    (start,) = starts
    assert start["preflight"]["accept_dose"] is True
    assert start["preflight"]["dose_Gy"] == pytest.approx((3 * 0.2 + 0.05) * (1.0 + 2.0))
    assert start["sample_name"] == "NMC"


@given(st.lists(st.floats(-800, 800), min_size=1, max_size=6), st.lists(st.floats(4000, 13000), min_size=1, max_size=4))
def test_whatever_a_device_would_refuse_is_found_beforehand(places: list[float], energies: list[float]) -> None:
    beamline = FakeBeamline()

    def plan() -> Iterator[Any]:
        for place in places:
            yield from bps.mv(beamline.sample.x, place)
        yield from bp.list_scan([beamline.counters], beamline.energy, energies)

    report = preflight(plan())  # type: ignore[arg-type]
    refused = any(abs(place) > 500 for place in places) or any(not 5000 <= one <= 12000 for one in energies)
    assert bool(report.violations) == refused
    if refused:
        with pytest.raises(ValueError, match=re.escape(report.violations[0])):
            RunEngine({}, context_managers=[])(plan())
    else:
        RunEngine({}, context_managers=[])(plan())


def test_a_strict_one_raises_the_first_violation() -> None:
    beamline = FakeBeamline()
    with pytest.raises(ValueError, match="sample_x 900"):
        preflight(bps.mv(beamline.sample.x, 900.0), strict=True)


def test_a_decision_that_depends_on_data_is_costed_at_its_end_and_marked() -> None:
    from whiteline.analysis.live.fake import FakeLive

    beamline, live = FakeBeamline(), FakeLive()

    def until_good() -> Iterator[Any]:
        for _ in range(7):
            yield from bps.sleep(1.0)
            reading = yield from bps.trigger_and_read([live.error], name="live")
            if reading and reading["live_error_median"]["value"] < 0.05:
                return

    report = preflight(until_good(), times=INSTANT)  # type: ignore[arg-type]
    assert report.walked.up_to
    assert report.walked.by_cause["waiting"] == 7.0
    assert dict(report.rows())["duration"].startswith("up to ")
    assert live.triggers["error"] == 0
    assert not beamline.world.exposures


def test_times_are_learnt_from_what_was_measured(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    computed = rng.uniform(0.2, 8.0, 60)
    measured = 0.35 + 1.25 * computed + rng.normal(0, 0.02, 60)
    measured[:5] += rng.uniform(5, 30, 5)  # somebody paused
    timings = [Timing("set", "energy", *pair) for pair in zip(computed, measured, strict=True)]
    timings += [Timing("set", "fast_shutter", 0.0, 0.06 + one) for one in rng.normal(0, 0.002, 40)]
    model = TimeModel.learned(timings, {"save": [0.001, 0.002, 0.003]})
    assert model.seconds("set", "energy", 5.0) == pytest.approx(0.35 + 1.25 * 5.0, abs=0.05)
    assert model.seconds("set", "fast_shutter", 0.0) == pytest.approx(0.06, abs=0.003)
    assert model.messages["save"] == 0.002
    model.to_file(tmp_path / "times.json")
    assert TimeModel.from_file(tmp_path / "times.json") == model


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"actions": [3], "messages": {}}', '{"actions": [], "messages": 3}'])
def test_a_file_that_holds_something_else_is_told(text: str, tmp_path: Path) -> None:
    path = tmp_path / "times.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"times\.json holds no times of a beamline"):
        TimeModel.from_file(path)

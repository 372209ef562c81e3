"""A preflight tells beforehand what a run does afterwards, and moves nothing."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import numpy as np
import pytest
from abort_anywhere import quiet_engine
from bluesky import RunEngine
from bluesky.utils import Msg
from fakes import Fake, FakeBeamline
from fly_fakes import FlyBeamline
from public_plans import CASES, Case

import whiteline.plans as plans
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


SEARCHING = {
    "tune", "tune without a peak", "xanes_stack tuned", "calibrate_energy", "calibrate_focus", "calibrate_gap",
    "focus_series", "scan_osa",
}  # fmt: skip
"""Cases whose end depends on what they find."""

STEPPING = [case for case in CASES if case.line is not FlyBeamline]
"""Cases that go step by step."""

EXPOSED = "primary", "flat", "dark", "look", "tuning"
"""Streams of what was measured; others tell of what was decided."""


@pytest.mark.parametrize("case", STEPPING, ids=[case.name for case in STEPPING])
def test_every_plan_is_walked_to_the_end_that_it_has_at_most(case: Case) -> None:
    report = preflight(case.run(case.line()))
    assert not report.violations
    assert not report.walked.unchecked
    if case.name in SEARCHING:
        assert report.walked.up_to

    events: Counter[str] = Counter()
    line = case.line()
    line.world.signal = case.signal
    with quiet_engine() as engine:
        engine(case.run(line), lambda name, doc: events.update(doc["num_events"]) if name == "stop" else None)
    walked = report.walked.events
    if report.walked.up_to:
        assert all(walked[stream] >= events[stream] for stream in EXPOSED)
    else:
        assert walked == events
    assert report.walked.frames >= getattr(line.camera, "taken", 0)


def test_a_search_is_costed_with_all_that_it_may_need() -> None:
    # 3 energies of 9 places, and each series once more about what it may find
    (focus,) = (case for case in CASES if case.name == "calibrate_focus")
    assert preflight(focus.run(focus.line())).walked.events["primary"] == 3 * 2 * 9
    # two foils: 21 points to find the edge, twice 21 about it
    line = focus.line()
    energy = plans.calibrate_energy(line.counters, line.energy, line.mono, line.wheel, ["Ni", "Co"], shutter=None)
    report = preflight(energy)
    assert report.walked.events["primary"] == 2 * (21 + 2 * 21)
    low, high = report.walked.travel["energy"]
    assert low == pytest.approx(7709 - 25)
    assert high == pytest.approx(8333 + 25)


def test_a_scan_that_may_stop_at_its_peak_is_costed_as_if_it_had_none() -> None:
    def curve(early_stop: int) -> Any:
        line = FakeBeamline()
        return preflight(
            plans.tune(
                [line.counters], line.sample.x, span=20.0, points=21, signal="counters_incident", early_stop=early_stop
            )
        )

    assert curve(3).walked.events == curve(0).walked.events == {"primary": 21, "tuned": 1}
    assert curve(3).walked.up_to


def test_the_declared_end_of_a_plan_of_somebody_else_marks_it() -> None:
    line = FakeBeamline()
    scan = bp.list_scan([line.counters], line.energy, [8300.0], md={"may_stop_early": True})
    assert preflight(scan).walked.up_to


def test_a_series_waits_from_one_beginning_to_the_next() -> None:
    line = FakeBeamline()
    once = {"detectors": [line.counters], "energy": line.energy, "energies": [8300.0, 8310.0], "dwell_s": 3.0}
    single = preflight(xanes(**once), times=INSTANT).seconds
    report = preflight(plans.time_series("xanes", once, times_s=[0.0, 100.0, 102.0]), times=INSTANT)
    # the third is due while the second still counts
    assert report.seconds == pytest.approx(100.0 + 2 * single, abs=0.2)
    assert len(report.walked.runs) == 3
    assert report.walked.runs[1].begun >= 100.0


def test_a_sample_is_thinner_than_the_smallest_depth_of_focus_of_the_scan() -> None:
    line = FakeBeamline()
    line.energy.depth_of_focus = lambda energy: 23.2 * energy / 8000  # type: ignore[attr-defined]
    scan: Any = lambda: stack(line, [7200.0, 8300.0])  # noqa: E731
    # the energy is found by its role in the start document
    assert not preflight(scan(), thickness_um=20.8).violations
    (sentence,) = preflight(scan(), thickness_um=21.0).violations
    assert sentence.startswith("sample thickness 21 um must be at most the depth of focus, 20.9 um at 7200 eV")
    assert "thickness against the depth of focus, as none is given" in preflight(scan()).not_checked
    assert "thickness" not in "".join(preflight(scan(), thickness_um=2.0).not_checked)


def test_what_cannot_be_checked_is_said() -> None:
    line = FakeBeamline()
    plain = Fake("stage", line.world)

    def moved() -> Iterator[Any]:
        yield Msg("set", plain, 1.0, group="move")
        yield Msg("wait", None, group="move")

    assert preflight(moved()).not_checked == ("stage",)  # type: ignore[arg-type]
    report = preflight(stack(line, [8300.0]), energy=line.energy)
    assert report.not_checked == (
        "dose, as no beam is known",
        "depth of focus, as the energy does not know its optics",
        "room on the disk, as no folder is given",
    )
    known = preflight(stack(line, [8300.0]), energy=line.energy, beam=Gray(), folders=[Path("/")])
    assert "dose against a budget, as none is given" in known.not_checked
    assert "dose, as no beam is known" not in known.not_checked

    def without_shutter() -> Any:
        return xanes([line.counters], line.energy, [8300.0], dwell_s=2.0)

    open_all_the_time = preflight(without_shutter(), energy=line.energy, beam=Gray(), times=INSTANT)
    assert open_all_the_time.dose is not None
    assert open_all_the_time.dose.gray == pytest.approx(2.05)
    assert any("the plan moves no shutter" in one for one in open_all_the_time.not_checked)


def test_what_does_not_move_the_sample_does_not_spread_the_dose() -> None:
    (focus,) = (case for case in CASES if case.name == "focus_series")
    report = preflight(focus.run(focus.line()), beam=Gray(), times=INSTANT)
    # eighteen looks at one place, each of ten frames of 0.1 s
    assert len({place for place, _ in report.walked.exposed_s}) == 1
    assert report.dose is not None
    assert report.dose.gray == pytest.approx(18 * 10 * 0.1 * Gray().dose_per_s(8200.0), rel=0.1)


def test_each_run_has_its_own_time_and_dose() -> None:
    line = FakeBeamline()
    report = preflight(
        stack(line, [[8290.0, 8300.0], [8390.0]], frames=2, flats="none", darks="none"),  # type: ignore[list-item]
        beam=Gray(),
        times=INSTANT,
    )
    first, second = report.walked.runs
    assert report.run_doses_Gy == pytest.approx([2 * 2 * 0.2 + 2 * 0.05, (2 * 0.2 + 0.05) * 2.0])
    assert report.dose is not None
    assert report.dose.gray == pytest.approx(sum(report.run_doses_Gy))
    assert first.seconds > second.seconds > 0.4


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
    other = replace(model, pace=0.25)  # of a simulated beamline that is four times as fast
    assert other.seconds("set", "energy", 5.0) == model.seconds("set", "energy", 5.0)
    assert other.seconds("complete", "capture", 8.0) - other.seconds("complete", "capture", 4.0) == pytest.approx(1.0)
    assert model.seconds("complete", "capture", 8.0) - model.seconds("complete", "capture", 4.0) == pytest.approx(4.0)
    model.to_file(tmp_path / "times.json")
    assert TimeModel.from_file(tmp_path / "times.json") == model


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"actions": [3], "messages": {}}', '{"actions": [], "messages": 3}'])
def test_a_file_that_holds_something_else_is_told(text: str, tmp_path: Path) -> None:
    path = tmp_path / "times.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"times\.json holds no times of a beamline"):
        TimeModel.from_file(path)

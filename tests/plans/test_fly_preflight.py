"""A preflight knows of fly scans how long they take, what they write and expose, and what would be refused."""

from typing import Any

import bluesky.plan_stubs as bps
import numpy as np
import pytest
from bluesky import RunEngine
from fly_cases import fly_xanes
from fly_fakes import ACCELERATION_S, FlyBeamline

from whiteline.analysis.laws.fly_line import FlyLine
from whiteline.plans import fly_raster, fly_raster_stack, fly_tomography
from whiteline.plans.fly_paths import fly_line
from whiteline.plans.preflight import TimeModel, preflight
from whiteline.plans.preflight.times import Experience

FAST, SLOW = (0.0, 10.0, 101), (5.0, 9.0, 5)
DWELL_S = 0.01


class Gray:
    """A beam of one gray a second at all energies."""

    source = "the figure of a test"

    def dose_per_s(self, energy: float) -> float:
        """Return the dose rate [Gy/s]."""
        return 1.0


def of(line: FlyBeamline, **different: Any) -> Any:
    arguments: dict[str, Any] = {
        "capture": line.capture, "fast_range": FAST, "slow_range": SLOW, "dwell_s": DWELL_S, "snake": True,
        "energy": line.energy, "shutter": line.shutter, **different,
    }  # fmt: skip
    return fly_raster([line.fly_fluorescence], line.sample.x, line.sample.y, **arguments)


def stack(line: FlyBeamline, energies: list[float]) -> Any:
    """The same map at some energies, an odd number of lines each."""
    return fly_raster_stack(
        [line.fly_fluorescence], line.energy, energies, line.sample.x, line.sample.y, capture=line.capture,
        fast_range=FAST, slow_range=SLOW, dwell_s=DWELL_S, snake=True, shutter=line.shutter,
    )  # fmt: skip


def test_it_tells_what_the_run_does_and_moves_nothing() -> None:
    line = FlyBeamline()
    before, position = line.state(), dict(line.world.positions)
    report = preflight(of(line))
    assert line.state() == before
    assert line.world.positions == position
    assert not line.capture.flown
    assert not any(part.calls["prepare"] + part.calls["stage"] for part in line.parts)
    assert not report.violations
    assert not report.walked.unchecked
    assert report.walked.unknown_times == {"fast_shutter"}
    assert not report.walked.up_to

    events: dict[str, int] = {}
    RunEngine({}, context_managers=[])(
        of(line), lambda name, document: events.update(document["num_events"]) if name == "stop" else None
    )
    assert report.walked.events["fly"] == events["fly"] == len(line.capture.flown) == 5
    assert report.walked.events["primary"] == events["primary"] == 1
    assert report.walked.frames == line.fly_fluorescence.frames == 5 * 101
    table, frame = len(line.capture.columns) * 8, 4 * np.prod(line.fly_fluorescence.SHAPE)
    assert report.walked.bytes == 5 * 101 * (table + frame)
    assert report.walked.facts["triggers"] == "up to 100 per s"
    assert report.walked.facts["data rate"] == f"up to {100 * (table + frame) / 1e6:.3g} MB/s"
    low, high = report.walked.travel["sample_x"]
    assert (low, high) == pytest.approx((-0.05, 10.05))


def test_the_time_is_that_of_the_lines_from_rest_to_rest_and_of_what_else_a_line_takes() -> None:
    line = FlyBeamline()
    actions = {
        ("prepare", "capture"): Experience(0.3), ("kickoff", "capture"): Experience(0.2),
        ("complete", "capture"): Experience(0.4), ("complete", "fluorescence"): Experience(0.0),
        ("set", "fast_shutter"): Experience(0.5),
    }  # fmt: skip
    forth, both = (
        preflight(of(line, snake=snake), times=TimeModel(actions, messages={})).walked for snake in (False, True)
    )
    flown = fly_line("x", FAST, DWELL_S)
    for walked in (forth, both):
        assert walked.by_cause["flying"] == pytest.approx(5 * (flown.seconds(ACCELERATION_S) + 0.2 + 0.4))
        assert walked.by_cause["shutter"] == pytest.approx((2 * 5 + 1) * 0.5)
        assert walked.seconds == pytest.approx(sum(walked.by_cause.values()))
    # a way back costs a millisecond for each micrometre; lines in both directions have none, and are made ready while
    # the shutter opens
    assert forth.seconds - both.seconds == pytest.approx(4 * (10.1e-3 + 0.3), abs=1e-6)
    assert forth.by_cause["moving"] > 5 * 0.3


def test_the_dose_is_that_of_a_pixel_also_where_its_line_is_flown_both_ways() -> None:
    line = FlyBeamline()
    report = preflight(stack(line, [8330.0, 8340.0, 8350.0]), beam=Gray())
    assert report.dose is not None
    assert report.dose.gray == pytest.approx(3 * DWELL_S)
    assert len({place for place, _ in report.walked.exposed_s}) == 5
    assert report.walked.energies == {8330.0, 8340.0, 8350.0}
    beside = preflight(
        of(line, fast_range=None, slow_range=None, regions=[(FAST, SLOW), ((20.0, 30.0, 101), SLOW)]), beam=Gray()
    )
    assert beside.dose is not None
    assert beside.dose.gray == pytest.approx(DWELL_S)


def test_a_sample_that_turns_is_in_the_beam_all_the_time_and_so_is_a_spot() -> None:
    line = FlyBeamline()
    turn = fly_tomography(
        line.fly_camera, line.sample.rotation, capture=line.turning, energy=line.energy, sample=line.sample,
        shutter=line.shutter, exposure_s=0.05, velocity=12.0,
    )  # fmt: skip
    report = preflight(turn, beam=Gray())
    assert report.dose is not None
    gate_s = line.fly_camera.gate_s(0.05)
    assert report.dose.gray == pytest.approx(int(180 / (12 * gate_s)) * gate_s)
    assert report.walked.events["flat"] == 2  # ten frames each
    spot = preflight(fly_xanes(line), beam=Gray())
    assert spot.dose is not None
    assert spot.dose.gray == pytest.approx(2 * 3 * 0.1)
    # both ends, half a step beyond the first and the last point
    assert min(spot.walked.energies) == pytest.approx(8325.0, abs=0.1)
    assert max(spot.walked.energies) == pytest.approx(8355.0, abs=0.1)


@pytest.mark.parametrize(
    ("flown", "says"),
    [
        (FlyLine("x", 0.0, 100.0, 4, 0.01), "velocity of sample_x 10000 um must be at most 5000"),
        (FlyLine("x", 499.0, 0.1, 10, 0.01), "sample_x .* must lie between"),
        (FlyLine("x", 0.0, 0.1, 10, 1e-4), "rate of fluorescence 10000 1/s must be at most 2000"),
    ],
)
def test_what_the_hardware_cannot_do_is_told_of_any_plan_that_flies(flown: FlyLine, says: str) -> None:
    line = FlyBeamline()

    def own() -> Any:
        yield from bps.stage_all(line.capture, line.fly_fluorescence)
        for part in (line.fly_fluorescence, line.capture):
            yield from bps.prepare(part, flown, wait=True)
        yield from bps.kickoff(line.capture, wait=True)
        yield from bps.complete(line.capture, wait=True)

    with pytest.raises(ValueError, match=says):
        preflight(own(), strict=True)
    assert len(preflight(own()).violations) == 1


def test_a_plan_says_itself_what_cannot_be(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match="rate of fluorescence"):
        preflight(of(FlyBeamline(), dwell_s=4e-4))
    full = preflight(of(FlyBeamline()), folders=[tmp_path])
    assert full.free_bytes is not None
    assert not full.refusals

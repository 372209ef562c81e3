"""What a watch on the run engine has seen makes the next preflight right."""

import re
import time
from typing import Any

import pytest
from abort_anywhere import quiet_engine
from bluesky import RunEngine
from bluesky.utils import Msg
from fakes import FakeBeamline
from fly_cases import fly_raster, fly_raster_stack, fly_tomography, fly_xanes
from fly_fakes import FlyBeamline

from whiteline.analysis.laws.fly_line import FlyLine
from whiteline.beamline.stopwatch import RunTimes, Stopwatch, at_end_of_run, told
from whiteline.plans.preflight import TimeModel, after_preflight, preflight
from whiteline.plans.xanes import xanes
from whiteline.plans.xanes_stack import xanes_stack


class Gray:
    """A beam of one gray a second at 8300 eV and below, of two above."""

    source = "the figure of a test"

    def dose_per_s(self, energy: float) -> float:
        """Return the dose rate [Gy/s]."""
        return 1.0 if energy <= 8300 else 2.0


def scan(beamline: FakeBeamline, energies: list[float]) -> Any:
    """Return a spectrum whose moves take a while."""
    return xanes([beamline.counters], beamline.energy, energies, dwell_s=0.25, shutter=beamline.shutter)


def test_moves_that_take_longer_than_computed_are_learnt() -> None:
    # the fakes compute a millisecond for each eV besides their delay, and do not take it
    beamline = FakeBeamline(seconds=0.08)
    beamline.energy.duration = lambda start, end: 0.01  # type: ignore[method-assign]
    watch = Stopwatch()
    engine = RunEngine({}, context_managers=[])
    engine.msg_hook = watch
    engine(scan(beamline, [8300.0 + number for number in range(8)]))
    energies = [8400.0 + number for number in range(25)]
    # the fakes count in no time, whatever their dwell says
    report = preflight(scan(beamline, energies), times=watch.model())
    begun = time.monotonic()
    engine(scan(beamline, energies))
    taken = time.monotonic() - begun
    assert report.walked.by_cause["moving"] == pytest.approx(25 * 0.08, rel=0.35)
    assert abs(report.seconds - taken) < 0.6 * taken
    assert watch.last_run is not None
    assert watch.last_run.by_cause["moving"] == pytest.approx(report.walked.by_cause["moving"], rel=0.5)


def test_it_remembers_what_an_earlier_session_has_learnt(tmp_path: Any) -> None:
    beamline, path = FakeBeamline(), tmp_path / "times.json"
    for detector in (beamline.counters, beamline.fluorescence):
        watch, engine = Stopwatch(), RunEngine({}, context_managers=[])
        engine.msg_hook = watch
        engine(xanes([detector], beamline.energy, [8300.0, 8310.0], dwell_s=0.1))
        watch.save(path)
    known = TimeModel.from_file(path)
    assert known.knows("trigger", "counters")
    assert known.knows("trigger", "fluorescence")


def watched(messages: list[tuple[Msg, float]]) -> Stopwatch:
    """Return a watch that has seen messages, each of which has taken its time [s]."""
    now = [100.0]
    watch = Stopwatch(clock=lambda: now[0])
    for message, seconds in messages:
        watch(message)
        now[0] += seconds
    return watch


def test_the_time_of_a_run_is_divided_by_what_it_was_waited_for_and_its_dose_by_where_it_fell() -> None:
    line = FakeBeamline()
    line.world.energy = 8350.0

    def frames(stream: str) -> list[tuple[Msg, float]]:
        return [
            (Msg("set", line.shutter, "Open", group="open"), 0.0),
            (Msg("wait", None, group="open"), 0.5),
            (Msg("trigger", line.camera, group="count"), 0.0),
            (Msg("wait", None, group="count"), 3.0),
            (Msg("set", line.shutter, "Closed", group="close"), 0.0),
            (Msg("wait", None, group="close"), 0.5),
            (Msg("create", None, name=stream), 0.01),
            (Msg("save"), 0.02),
        ]

    def moved(x: float) -> list[tuple[Msg, float]]:
        return [(Msg("set", line.sample.x, x, group="move"), 0.0), (Msg("wait", None, group="move"), 2.0)]

    watch = watched([
        (Msg("stage", line.energy), 1.0),
        (Msg("open_run", roles={"energy": "energy"}), 0.1),
        *frames("dark"),
        *frames("primary"),
        *moved(40.0),
        *frames("primary"),
        *frames("primary"),
        (Msg("sleep", None, 7.0), 7.0),
        (Msg("close_run"), 0.1),
        (Msg("unstage", line.energy), 1.0),
    ])  # fmt: skip
    times = watch.last_run
    assert times is not None
    assert times.by_cause == pytest.approx(
        {"messages": 0.1 + 4 * 0.03, "shutter": 4.0, "counting": 12.0, "moving": 2.0, "waiting": 7.0}
    )
    assert times.seconds == pytest.approx(sum(times.by_cause.values()))
    assert times.dead_s == pytest.approx(13.22)
    # two events where the sample was moved to, of 3 s each with the shutter open, at 2 Gy/s
    start = {"preflight": {"predicted_runs_s": [22.0], "dose_runs_Gy": [11.0], "dose_source": "the last flat"}}
    assert told(times, start, Gray()) == (
        "taken 25.2 s, predicted 22.0 s; dead time 13.2 s: waiting 7.0 s, shutter 4.0 s, moving 2.0 s, messages 0.2 s; "
        "dose 12 Gy by the figure of a test, predicted 11 Gy"
    )


@pytest.mark.parametrize("case", [fly_raster, fly_raster_stack, fly_xanes, fly_tomography])
def test_what_lines_have_exposed_is_what_was_predicted_of_them(case: Any, tmp_path: Any) -> None:
    line = FlyBeamline(tmp_path)
    watch = Stopwatch(energy=line.energy)
    line.world.energy = 8350.0
    predicted = preflight(case(line), energy=line.energy).walked.exposed_s
    with quiet_engine() as engine:
        engine.msg_hook = watch
        engine(case(line))
    times = watch.last_run
    assert times is not None
    assert times.by_cause["flying"] > 0
    assert times.dead_s <= times.seconds - times.by_cause["flying"] + 1e-9
    flown = {key: seconds for key, seconds in times.exposed_s.items() if seconds > 0.02}
    assert flown == {key: pytest.approx(seconds, rel=0.1, abs=0.05) for key, seconds in predicted.items()}


def test_each_run_ends_with_its_own_line() -> None:
    line, watch = FakeBeamline(), Stopwatch()
    lines: list[str] = []
    starts: list[dict[str, Any]] = []
    with quiet_engine() as engine:
        engine.msg_hook = watch
        engine.subscribe(at_end_of_run(watch, lines.append, Gray))
        engine.subscribe(lambda _, document: starts.append(document), "start")
        engine(
            after_preflight(
                xanes_stack, line.camera, line.energy, [[8290.0, 8300.0], [8390.0]], sample=line.sample,
                shutter=line.shutter, exposure_s=30.0, flats="none", darks="none", frames=1,
                conditions={"beam": Gray(), "budget_Gy": 1.0}, accept_dose=True,
            )
        )  # fmt: skip
        engine(xanes([line.counters], line.energy, [8300.0], dwell_s=0.1))
    predicted = [one["preflight"] for one in starts[:2]]
    assert predicted[0] == predicted[1]
    first, second = predicted[0]["predicted_runs_s"]
    assert first > 60 > second > 30
    # of the fakes nothing takes its time, but each run is told what was predicted of it, and the dose that it was given
    for text, seconds, gray in ((lines[0], first, 60), (lines[1], second, 60)):
        assert re.match(rf"taken 0\.\d s, predicted {seconds:.1f} s; dead time 0\.\d s: ", text)
        assert re.search(rf"; dose [\d.e-]+ Gy by the figure of a test, predicted {gray} Gy$", text)
    assert len(lines) == 3
    assert "predicted" not in lines[2]


def test_a_run_that_nobody_predicted_says_what_it_took() -> None:
    times = RunTimes(100.0, {"counting": 60.0, "moving": 30.0, "shutter": 10.0})
    assert told(times, {}) == "taken 1 min 40 s; dead time 40.0 s: moving 30.0 s, shutter 10.0 s"
    start = {"preflight": {"predicted_runs_s": [140.0], "up_to": True, "dose_runs_Gy": [3e6], "dose_source": "a flat"}}
    assert told(times, start) == (
        "taken 1 min 40 s, predicted up to 2 min 20 s; dead time 40.0 s: moving 30.0 s, shutter 10.0 s; dose predicted "
        "3e+06 Gy by a flat"
    )


def test_a_device_that_has_gone_does_not_end_a_scan_by_being_watched(tmp_path: Any) -> None:
    line, watch = FlyBeamline(tmp_path), Stopwatch()

    def gone(*_: Any) -> Any:
        raise TimeoutError("its IOC has gone")

    for device in (line.capture, line.counters, line.camera):
        device.forecast = device.forecast_line = gone
    for axis in (line.energy, line.sample.x, line.sample.rotation):
        axis.duration = gone
    with quiet_engine() as engine:
        engine.msg_hook = watch
        engine(fly_tomography(line))
        engine(scan(line, [8300.0, 8310.0]))
    assert watch.last_run is not None


def test_a_flight_that_was_halted_exposes_nothing_in_the_next_run(tmp_path: Any) -> None:
    line = FlyBeamline(tmp_path)
    flight = FlyLine("rotation", 0.0, 180.0, 100, 0.1)

    def opened(seconds: float) -> list[tuple[Msg, float]]:
        return [
            (Msg("set", line.shutter, "Open", group="open"), 0.0),
            (Msg("wait", None, group="open"), 0.0),
            (Msg("null"), seconds),
            (Msg("set", line.shutter, "Closed", group="close"), 0.0),
        ]

    watch = watched([
        (Msg("open_run"), 0.0),
        (Msg("prepare", line.capture, flight, group="line"), 0.0),
        (Msg("complete", line.capture, group="flight"), 0.0),
        # RE.halt() ends it here, without a message
        (Msg("open_run"), 0.0),
        *opened(3.0),
        (Msg("create", None, name="primary"), 0.0),
        (Msg("close_run"), 0.0),
    ])  # fmt: skip
    assert watch.last_run is not None
    assert list(watch.last_run.exposed_s.values()) == pytest.approx([3.0])

"""What a watch on the run engine has seen makes the next preflight right."""

import time
from typing import Any

import pytest
from bluesky import RunEngine
from fakes import FakeBeamline

from whiteline.beamline.stopwatch import RunTimes, Stopwatch, told
from whiteline.plans.preflight import preflight
from whiteline.plans.xanes import xanes


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
    from whiteline.plans.preflight import TimeModel

    known = TimeModel.from_file(path)
    assert known.knows("trigger", "counters")
    assert known.knows("trigger", "fluorescence")


def test_the_last_line_of_a_run_says_where_its_time_went() -> None:
    times = RunTimes(100.0, {"counting": 60.0, "moving": 30.0, "shutter": 10.0})
    line = told(times, {"preflight": {"predicted_s": 95.0, "dose_Gy": 2.5e6, "dose_source": "the last flat"}})
    assert line == (
        "taken 1 min 40 s, predicted 95.0 s; dead time 40.0 s: moving 30.0 s, shutter 10.0 s; dose 2.5e+06 Gy by the "
        "last flat"
    )
    assert told(times, {}).startswith("taken 1 min 40 s; dead time")

"""Whatever a device would refuse in a run, its preflight has found before, in the same words, and nothing else."""

from collections.abc import Iterator
from typing import Any

import bluesky.plan_stubs as bps
from abort_anywhere import quiet_engine
from bluesky.utils import FailedStatus
from fakes import Broken, FakeBeamline
from hypothesis import given, settings
from hypothesis import strategies as st

import whiteline.plans as plans
from whiteline.analysis.checks import OutOfRange
from whiteline.plans.preflight import preflight
from whiteline.plans.xanes import xanes
from whiteline.plans.xanes_stack import xanes_stack


def steps(line: FakeBeamline) -> st.SearchStrategy[list[tuple[Any, Any]]]:
    """Return what a plan may tell devices, possible or not, one after the other."""
    sample = line.sample
    far = [(sample.x, 800.0), (sample.y, 800.0), (sample.coarse_x, 15.0), (sample.rotation, 400.0)]
    moves = st.one_of([st.tuples(st.just(axis), st.floats(-0.8 * most, most)) for axis, most in far])
    energies = st.tuples(st.just(line.energy), st.floats(4000, 13000))
    times = st.tuples(st.sampled_from([line.counters.dwell, line.camera.exposure]), st.floats(-0.2, 2.0))
    words = st.tuples(st.just(line.shutter), st.sampled_from(["Open", "Closed", "Ajar"]))
    filters = st.tuples(st.just(line.filters), st.lists(st.sampled_from(["Al 50", "Al 100", "Cu 5"]), max_size=2))
    frames = st.tuples(st.just(line.camera.frames), st.integers(-1, 9))
    # few of them impossible, so that not every list ends at its first
    return st.lists(st.one_of(moves, moves, energies, times, words, filters, frames), max_size=6)


@settings(max_examples=100)
@given(st.data(), st.booleans())
def test_whatever_a_device_would_refuse_is_found_beforehand_and_nothing_else(data: Any, staged: bool) -> None:
    line = FakeBeamline()
    told = data.draw(steps(line))

    def plan() -> Iterator[Any]:
        if staged:
            yield from bps.stage_all(line.camera, line.counters)
        for device, value in told:
            yield from bps.mv(device, value)
        if staged:
            yield from bps.unstage_all(line.camera, line.counters)

    before = line.state()
    report = preflight(plan())  # type: ignore[arg-type]
    assert line.state() == before
    refused = refusal(plan())
    assert bool(refused) == bool(report.violations)
    if refused and not isinstance(refused, Broken):  # in this the fake says less than the device does
        assert report.violations[0] == str(refused)


centres = st.floats(-600, 600)


@settings(max_examples=60)
@given(
    st.lists(st.floats(4500, 12500), min_size=1, max_size=4, unique=True),
    st.lists(st.tuples(centres, centres), min_size=1, max_size=3),
    st.floats(-0.1, 5.0),
    st.sampled_from([None, 4000.0, 8200.0]),
    st.floats(2.0, 1500.0),
)
def test_no_plan_is_refused_on_the_way_that_preflight_has_let_pass(
    energies: list[float], positions: Any, exposure_s: float, return_to: float | None, span: float
) -> None:
    def plan(line: FakeBeamline) -> Any:
        yield from xanes_stack(
            line.camera, line.energy, sorted(energies), sample=line.sample, shutter=line.shutter,
            exposure_s=exposure_s, positions=positions, return_to=return_to, darks="none",
        )  # fmt: skip
        yield from plans.tune([line.counters], line.sample.x, span=span, points=7, signal="counters_incident")

    line, sentence = FakeBeamline(), ""
    try:
        report = preflight(plan(line))
    except ValueError as error:
        sentence = str(error)
    else:
        sentence = next(iter(report.violations), "")
    assert str(refusal(plan(line)) or "") == sentence


def refusal(plan: Any) -> Exception | None:
    """Run a plan, and return what it was refused with, if it was."""
    with quiet_engine() as engine:
        try:
            engine(plan)
        except (ValueError, Broken, FailedStatus) as error:
            return error
    return None


def test_lines_that_are_not_excited_are_found_at_the_energy_of_the_scan() -> None:
    line = FakeBeamline()

    def check(energy: float) -> None:
        if energy < 8333:
            raise OutOfRange("energy", energy, "does not excite Ni_Ka, whose edge is at 8333 eV", "eV", "go above it")

    line.fluorescence.check_energy = check  # type: ignore[attr-defined]
    report = preflight(xanes([line.fluorescence], line.energy, [8300.0, 8320.0, 8400.0], dwell_s=0.1))
    assert [one.split(" eV")[0] for one in report.violations] == ["energy 8300", "energy 8320"]

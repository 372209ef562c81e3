"""Passes over a list of energies: whole ones only, as few as are needed; and exposures that differ."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from bluesky import RunEngine
from fakes import FakeBeamline
from running import taken
from test_calibration_focus import events, run

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.live.doors import Part, Quantity
from whiteline.analysis.live.fake import FakeLive
from whiteline.analysis.live.status import NotAnalysed
from whiteline.plans import xanes_stack
from whiteline.plans.preflight import preflight

ENERGIES = [8330.0, 8340.0, 8350.0]


def stack(line: FakeBeamline, **more: Any) -> Any:
    given = {"exposure_s": 0.1, "flats": "before and after", "passes": 5} | more
    return xanes_stack(line.camera, line.energy, ENERGIES, sample=line.sample, shutter=line.shutter, **given)


def dose_meter(line: FakeBeamline, per_exposure: float) -> Part:
    """Return a meter that counts exposures of the sample."""

    def tell(part: Part, status: Any) -> None:
        part.settle({"gray": per_exposure * sum(one.sample_in and one.open for one in line.world.exposures)})
        status.finish()

    return Part("dose", {"gray": Quantity("Gy")}, tell, 1.0)


def energies_of(documents: list[tuple[str, dict[str, Any]]]) -> list[float]:
    return [one["energy"] for one in events(documents, "primary")]


def test_all_passes_are_taken_where_nothing_ends_them() -> None:
    _, documents = run(stack(FakeBeamline(), passes=3))
    assert energies_of(documents) == 3 * ENERGIES
    assert not events(documents, "passes")


@pytest.mark.parametrize("reached", [1, 2, 4])
def test_no_pass_is_begun_when_the_map_is_good_enough(reached: int) -> None:
    live = FakeLive(error=[{"median": 0.05 if number + 1 < reached else 0.019, "clean": 1} for number in range(5)])
    line = FakeBeamline()
    (found,) = taken(stack(line, stop_at_error=0.02, error=live.error))
    assert len(found.points) == reached * len(ENERGIES)
    ended = [one.data for one in found.stream("passes").points]
    assert [bool(one["passes_reason"]) for one in ended] == [False] * (reached - 1) + [True]
    assert "0.019 is below 0.02" in ended[-1]["passes_reason"]
    # a scan that was good enough lacks nothing
    assert found.completeness.whole
    assert found.completeness.fraction == 1.0


@pytest.mark.parametrize("said", [{"median": 0.001, "clean": 0}, {"median": float("nan"), "clean": 1}])
def test_an_error_that_is_no_good_ends_nothing(said: dict[str, Any]) -> None:
    _, documents = run(stack(FakeBeamline(), stop_at_error=0.02, error=FakeLive(error=[said]).error))
    assert len(energies_of(documents)) == 5 * len(ENERGIES)
    assert "5 passes were asked for" in events(documents, "passes")[-1]["passes_reason"]


def test_a_live_analysis_that_fails_ends_nothing() -> None:
    live = FakeLive(failing={"error": "no references"})
    _, documents = run(stack(FakeBeamline(), stop_at_error=0.02, error=live.error))
    assert len(energies_of(documents)) == 5 * len(ENERGIES)


@pytest.mark.parametrize("budget", [0.5, 3.0, 6.5, 9.0, 100.0])
def test_a_pass_that_would_exceed_the_dose_budget_is_not_begun(budget: float) -> None:
    line = FakeBeamline()
    _, documents = run(stack(line, dose_budget_Gy=budget, dose=dose_meter(line, 1.0)))
    passes = len(energies_of(documents)) // len(ENERGIES)
    assert passes == min(5, max(1, int(budget // 3)))  # the first one is for preflight to refuse
    assert Counter(energies_of(documents)) == dict.fromkeys(ENERGIES, passes)
    assert events(documents, "passes")[-1]["passes_dose"] == 3.0 * passes


@pytest.mark.parametrize(("budget", "taken_in_all"), [(3.5, 1), (4.5, 4), (6.5, 4), (7.5, 7)])
def test_the_next_pass_is_a_whole_one_after_a_part_of_one(budget: float, taken_in_all: int) -> None:
    """A resumed run begins in the middle of a pass, and its meter at nothing."""
    line = FakeBeamline()
    only = {"primary": list(range(6, 16))}  # the last energy of the second pass, and three more passes
    _, documents = run(stack(line, dose_budget_Gy=budget, dose=dose_meter(line, 1.0), only=only))
    assert len(energies_of(documents)) == taken_in_all
    assert events(documents, "passes")[-1]["passes_dose"] == taken_in_all


def test_the_dose_of_each_edge_is_its_own() -> None:
    """The meter begins at nothing with each run."""
    line, begun, documents = FakeBeamline(), 0, list[tuple[str, dict[str, Any]]]()

    def note(name: str, document: dict[str, Any]) -> None:
        nonlocal begun
        documents.append((name, document))
        begun = len(line.world.exposures) if name == "start" else begun

    def tell(part: Part, status: Any) -> None:
        part.settle({"gray": float(len(line.world.exposures) - begun)})
        status.finish()

    plan = xanes_stack(
        line.camera, line.energy, [ENERGIES, [8400.0, 8410.0, 8420.0]], sample=line.sample, shutter=line.shutter,
        exposure_s=0.1, passes=5, flats="none", darks="none", dose_budget_Gy=4.5,
        dose=Part("dose", {"gray": Quantity("Gy")}, tell, 1.0),
    )  # fmt: skip
    RunEngine(context_managers=[])(plan, note)
    assert energies_of(documents) == [*ENERGIES, 8400.0, 8410.0, 8420.0]


def test_no_pass_is_begun_after_one_whose_dose_is_not_known() -> None:
    line = FakeBeamline()

    def tell(_: Part, status: Any) -> None:
        status.finish(NotAnalysed("name the material of the sample"))

    meter = Part("dose", {"gray": Quantity("Gy")}, tell, 1.0)
    _, documents = run(stack(line, dose_budget_Gy=9.0, dose=meter))
    assert energies_of(documents) == ENERGIES
    (ended,) = events(documents, "passes")
    assert "the dose is not known" in ended["passes_reason"]
    assert "name the material of the sample" in ended["passes_reason"]


def test_preflight_counts_all_passes_and_says_up_to() -> None:
    line = FakeBeamline()
    live = FakeLive(error=[{"median": 0.001, "clean": 1}])
    live.error.trigger().wait(1)  # what an earlier run has told is not what this one will
    report = preflight(stack(line, stop_at_error=0.02, error=live.error))
    assert report.walked.events["primary"] == 5 * len(ENERGIES)
    assert report.walked.up_to


def test_exposures_differ_from_energy_to_energy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    seconds = [float(one) for one in rng.uniform(0.05, 0.5, len(ENERGIES))]
    line = FakeBeamline()
    before = line.camera.exposure.value
    _, documents = run(stack(line, exposure_s=seconds, flats="each", darks="before", passes=2))
    of = {(one.energy, one.sample_in, one.open): set() for one in line.world.exposures}
    for one in line.world.exposures:
        of[(one.energy, one.sample_in, one.open)].add(one.seconds)
    for energy, expected in zip(ENERGIES, seconds, strict=True):
        assert of[(energy, True, True)] == {expected}
        assert of[(energy, False, True)] == {expected}
    darks = {one.seconds for one in line.world.exposures if not one.open}
    assert darks == set(seconds)
    assert line.camera.exposure.value == before
    assert len(energies_of(documents)) == 2 * len(ENERGIES)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"passes": 0}, "passes"),
        ({"stop_at_error": 0.02}, "live.error"),
        ({"dose_budget_Gy": 1e8}, "dose meter"),
        ({"stop_at_error": -1.0, "error": FakeLive().error}, "stop_at_error"),
        ({"exposure_s": [0.1, 0.2]}, "exposure_s has 2 values for 3 energies"),
        ({"exposure_s": [0.1, 0.2, -1.0]}, "exposure_s|dwell"),
        ({"look_s": 0.0, "shift": FakeLive().shift}, "exposure"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_moves(more: dict[str, Any], sentence: str) -> None:
    line = FakeBeamline()
    with pytest.raises((ValueError, OutOfRange), match=sentence):
        list(stack(line, **more))
    assert not line.world.exposures

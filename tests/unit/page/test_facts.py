"""What a page tells of a run beside its maps."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from whiteline.beamline.beam_on_sample import BeamOnSample
from whiteline.beamline.description import load
from whiteline.beamline.dose_meter import DoseMeter
from whiteline.beamline.page.facts import FactsOfRun
from whiteline.beamline.page.given import Given
from whiteline.beamline.page.view import tiles_of
from whiteline.beamline.page.words import ago, clock_time, of, with_error, with_prefix

ENERGIES = [8320.0, 8333.0, 8350.0, 8400.0]
BEGUN = 1_000_000.0
STEP_S = 30.0


def documents(*, places: int = 1, exposure: float = 0.2, stop: str = "", **start: Any) -> Iterator[tuple[str, Any]]:
    yield (
        "start",
        {
            "uid": "run", "time": BEGUN, "scan_id": 7, "plan_name": "xanes_stack", "energies": ENERGIES,
            "num_points": len(ENERGIES) * places, "sample": "particles", "material": "LiNiO2", **start,
        },
    )  # fmt: skip
    keys = {"energy": {}, "camera_exposure": {}}
    yield (
        "descriptor",
        {"uid": "b", "run_start": "run", "name": "baseline", "data_keys": {"ring_current": {"units": "mA"}}},
    )
    yield "descriptor", {"uid": "p", "run_start": "run", "name": "primary", "data_keys": keys}
    yield "event", {"descriptor": "b", "seq_num": 1, "time": BEGUN, "data": {"ring_current": 391.0}}
    number = 0
    for energy in ENERGIES:
        for place in range(places):
            number += 1
            data = {"energy": energy, "camera_exposure": exposure, "position_index": place}
            yield "event", {"descriptor": "p", "seq_num": number, "time": BEGUN + STEP_S * number, "data": data}
    if stop:
        yield "stop", {"uid": "s", "run_start": "run", "time": BEGUN + 999, "exit_status": stop, "reason": "beam lost"}


def after(events: int, **options: Any) -> Any:
    facts = FactsOfRun(Given(load("txm"), material=None).meter)
    seen = 0
    for name, document in documents(**options):
        if name == "event" and document["descriptor"] == "p":
            if seen == events:
                break
            seen += 1
        facts.document(name, document)
    return facts


def test_the_end_is_told_by_the_preflight_and_then_by_the_pace() -> None:
    predicted = {"predicted_runs_s": [500.0]}
    begun = after(0, preflight=predicted).facts
    assert (begun.ends, begun.ends_by) == (BEGUN + 500.0, "by the preflight")
    half = after(2, preflight=predicted).facts
    assert half.ends_by == "by its pace so far"
    assert half.ends == pytest.approx(BEGUN + 4 * STEP_S)
    assert np.isnan(after(1).facts.ends)
    over = after(4, stop="success").facts
    assert np.isnan(over.ends)
    assert over.ended == BEGUN + 999


def test_an_energy_counts_when_all_places_have_it() -> None:
    facts = after(5, places=2).facts
    assert (facts.energies_done, facts.energies_total, facts.done, facts.total) == (2, 4, 5, 8)
    assert facts.energy == ENERGIES[2]


def test_a_flown_stack_counts_its_lines_and_a_map_when_all_of_them_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    flown = {"plan_name": "fly_raster_stack", "num_points": 4 * 50 * 20, "planned": {"fly": 4 * 50, "primary": 4}}
    facts = after(1, **flown)
    facts.document("descriptor", {"uid": "f", "run_start": "run", "name": "fly"})
    monkeypatch.setattr("time.time", lambda: BEGUN + 120.0)
    facts.document("stream_datum", {"descriptor": "f", "seq_nums": {"start": 101, "stop": 121}})
    found = facts.facts
    assert (found.energies_done, found.energies_total, found.done, found.total) == (2, 4, 120, 200)
    assert found.unit == "energies"
    assert found.ends == pytest.approx(BEGUN + 200.0)


def test_the_dose_is_that_of_the_sessions_own_meter() -> None:
    beam = BeamOnSample.best_known(load("txm"), "LiNiO2", load("txm").energy.low)
    assert beam is not None
    meter = DoseMeter(beam, "camera")
    for name, document in documents():
        meter(name, document)
    facts = after(4).facts
    assert facts.dose_Gy == meter.gray > 1e5
    assert facts.dose_by == f"by {beam.source}"
    assert np.isnan(after(4, material=None).facts.dose_Gy)
    assert after(4, material=None).facts.dose_by == "no material is known"
    assert "Xx" in after(4, material="Xx2").facts.dose_by
    assert np.isnan(after(4, exposure=None).facts.dose_Gy)


def test_lines_that_tell_no_exposure_have_given_no_known_dose() -> None:
    facts = after(0, plan_name="fly_raster", num_points=2000, planned={"fly": 200})
    facts.document("descriptor", {"uid": "f", "run_start": "run", "name": "fly"})
    assert facts.facts.dose_Gy == 0.0
    facts.document("stream_datum", {"descriptor": "f", "seq_nums": {"start": 1, "stop": 21}})
    assert np.isnan(facts.facts.dose_Gy)
    assert facts.facts.dose_by == "what is flown tells no exposure with its events"


def test_the_newest_ring_current_counts_however_it_came() -> None:
    facts = after(1)
    assert (facts.facts.ring.value, facts.facts.ring.unit) == (391.0, "mA")
    facts.note({"name": "ring_current", "value": 402.5, "unit": "mA", "time": BEGUN + 60})
    assert facts.facts.ring.value == 402.5
    facts.document("event", {"descriptor": "b", "seq_num": 1, "time": BEGUN + 1, "data": {"ring_current": 1.0}})
    assert facts.facts.ring.value == 402.5
    assert facts.facts.ring.time == BEGUN + 60


def test_numbers_are_told_with_units_and_what_is_wrong_stands_out() -> None:
    facts = after(4, stop="abort").facts
    tiles = {one.title: one for one in tiles_of(facts, None, BEGUN + 2000)}
    assert tiles["energies"].value == "4 of 4"
    assert tiles["energies"].part == 1.0
    assert tiles["ended"].alarm
    assert tiles["ended"].beside == "abort: beam lost"
    assert tiles["ring current"].value == "391.0 mA"
    assert tiles["ring current"].beside == "read 33 min ago"
    assert tiles["dose so far"].value.endswith("Gy")
    assert tiles["drift"].value == "—"
    running = {one.title: one for one in tiles_of(after(2).facts, None, BEGUN + 2 * STEP_S)}
    assert running["predicted end"].beside == "in 60 s, by its pace so far"
    assert running["energies"].beside == "now at 8333.0 eV"


def test_words() -> None:
    assert with_prefix(3.21e9, "Gy") == "3.2 GGy"
    assert with_prefix(45e6, "Gy") == "45 MGy"
    assert with_prefix(float("nan"), "Gy") == "—"
    assert of(-0.001, "µm", 2) == "0.00 µm"
    assert of(-1.26, "px") == "−1.3 px"
    assert with_error(0.36714, 0.0123) == "0.367 ± 0.012"
    assert with_error(8333.95, float("nan")) == "8333.950"
    assert ago(100.0, 40.0) == "in 60 s"
    assert clock_time(float("nan"), 0.0) == "—"

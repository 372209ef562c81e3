"""Energy, gap, and what keeps them: right within the errors that are given, and untouched where the fit is bad."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from calibration_fakes import CalibrationLine, Hidden
from scipy.special import ndtr
from test_calibration_focus import events, run, state

from whiteline.analysis.calibration import Table
from whiteline.analysis.laws.bragg import bragg_angle
from whiteline.analysis.spectra.repeated_scans import RepeatedScan, noise_of
from whiteline.beamline.kept_calibrations import KeptCalibrations
from whiteline.plans.calibration.calibrate_energy import calibrate_energy
from whiteline.plans.calibration.calibrate_gap import calibrate_gap
from whiteline.plans.calibration.foil_scan import FoilScanned


@pytest.fixture
def line(seed: int) -> CalibrationLine:
    line = CalibrationLine(np.random.default_rng(seed))
    line.hidden.gap_mm = 0.0
    return line


def on_foils(line: CalibrationLine, *foils: str, **more: Any) -> Any:
    return calibrate_energy(line.counters, line.energy, line.mono, line.wheel, foils, shutter=line.shutter, **more)


def off(found: Any, line: CalibrationLine, energy: float) -> tuple[float, float]:
    """Return by how much a calibration is off at an energy, and how much it says that it may be [eV]."""
    reading = bragg_angle(energy, 3.1356012) - line.hidden.angle_deg
    return found.calibration.energy(reading) - energy, float(found.calibration.predicted_error(energy))


@pytest.mark.parametrize("foils", [["Ni"], ["Co", "Ni", "Cu"]])
def test_the_energy_is_right_over_the_scan(line: CalibrationLine, foils: list[str]) -> None:
    before = state(line)
    found, documents = run(on_foils(line, *foils))
    assert found.applied, found.reason
    assert line.mono.calibration.calibration == found.calibration
    for energy in (8200.0, 8333.0, 8600.0):
        error, said = off(found, line, energy)
        assert abs(error) < 6 * said
        assert said < 0.015
    assert found.calibration.source == documents[0][1]["uid"]
    assert (found.calibration.spacing == pytest.approx(3.1356012, abs=1e-12)) is (len(foils) == 1)
    assert set(foils) <= {name.split()[0] for name in found.quantities}
    (event,) = events(documents, "calibration")
    assert json.loads(event["calibration_result"])["offset"] == found.calibration.offset
    assert json.loads(event["calibration_covariance"]) == [list(row) for row in found.calibration.covariance]
    assert line.wheel.word == "None"
    assert state(line) | {"gap": 0, "zone_plate_z": 0} == before | {"gap": 0, "zone_plate_z": 0}


def test_pulls_of_the_energy_are_of_order_one(seed: int) -> None:
    pulls = []
    for child in np.random.default_rng(seed).spawn(24):
        line = CalibrationLine(child, hidden=Hidden(angle_deg=child.uniform(-0.01, 0.01), gap_mm=0.0))
        found, _ = run(on_foils(line, "Co", "Ni", "Cu"))
        assert found.applied, found.reason
        error, said = off(found, line, 8333.0)
        pulls.append(error / said)
    assert 0.4 < np.sqrt(np.mean(np.square(pulls))) < 1.8


def test_a_foil_that_is_not_in_the_beam_changes_nothing(line: CalibrationLine) -> None:
    line.foil_in_beam = False
    before, held = state(line), line.mono.calibration.calibration
    found, documents = run(on_foils(line, "Ni"))
    assert not found.applied
    assert "no edge of foil 'Ni' was found, is it in the beam?" in found.reason
    assert line.mono.calibration.calibration is held
    assert events(documents, "calibration")[0]["calibration_applied"] == 0
    assert state(line) | {"gap": 0} == before | {"gap": 0}
    assert line.wheel.word == "None"


def test_a_foil_that_is_another_than_its_name_says_is_found_out(line: CalibrationLine) -> None:
    turn = line.wheel.set

    def always_ni(value: str) -> Any:
        return turn("None" if value == "None" else "Ni")

    line.wheel.set = always_ni  # type: ignore[method-assign]
    found, _ = run(on_foils(line, "Co"))
    assert not found.applied
    assert "no edge of foil 'Co' was found" in found.reason


@pytest.mark.parametrize(
    ("foils", "says"),
    [([], "at least one"), (["Ni", "Ni"], "each once"), (["Fe"], "must be one of None, Co, Ni, Cu"), (["Xx"], "Xx")],
)
def test_foils_that_there_are_not_are_refused(line: CalibrationLine, foils: list[str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        next(on_foils(line, *foils))
    assert not line.wheel.calls["set"]


def test_the_noise_of_counts_and_of_the_energy_are_told_apart(seed: int) -> None:
    rng = np.random.default_rng(seed)
    energies = np.broadcast_to(np.linspace(-5, 5, 101), (4, 101)).copy()
    slope = 0.5 / (1 + energies[0] ** 2)
    values = np.cumsum(slope)[None] * 0.1 + slope * rng.normal(0, 0.01, (4, 101)) + rng.normal(0, 5e-4, (4, 101))
    found = noise_of([RepeatedScan(energies, values, slope, slope)])
    assert found.counts == pytest.approx(5e-4, rel=0.5)
    assert found.wobble == pytest.approx(0.01, rel=0.5)


def test_the_slope_of_an_edge_is_not_smoothed_away() -> None:
    # the wobble of the energy is multiplied by it: what it lacks where it is largest, the errors of an edge lack, too
    width, edge = 0.9, 8333.0
    coarse, fine = edge + np.arange(-25, 25.1, 2.5), edge + np.arange(-5, 5.1, 0.5)
    wide, near = ((at, ndtr((at - edge) / width)) for at in (coarse, fine))
    scanned = FoilScanned("Ni", "K", wide, (near[0][None], near[1][None]))
    slope = scanned.repeated(3.1356012).slope_per_ev
    true = np.exp(-0.5 * ((fine - edge) / width) ** 2) / width / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(slope[5:-5], true[5:-5], atol=0.1 * true.max())


def by_gap(line: CalibrationLine, energies: list[float], **more: Any) -> Any:
    return calibrate_gap(
        [line.counters], line.energy, line.undulator, energies, shutter=line.shutter, signal="counters_incident", **more
    )


def test_the_table_of_gaps_is_where_the_beam_is_brightest(line: CalibrationLine) -> None:
    line.hidden = Hidden(gap_mm=0.004, angle_deg=0.0)
    energies = [8600.0, 8400.0, 8200.0]
    found, _ = run(by_gap(line, energies))
    assert found.applied, found.reason
    table = line.undulator.gap_table.calibration
    assert isinstance(table, Table)
    assert table.harmonic == 5
    for energy in energies:
        assert table.position(energy) == pytest.approx(
            line.best_gap(energy), abs=6 * float(table.predicted_error(energy)) + 1e-5
        )
    line.hidden = Hidden(gap_mm=0.5, angle_deg=0.0)
    found, _ = run(by_gap(line, energies))
    assert not found.applied
    assert "no gap was found at 8600 eV" in found.reason
    assert line.undulator.gap_table.calibration is table
    assert line.world.shutter == "Closed"


def test_what_is_applied_is_kept_with_its_history_and_read_back(line: CalibrationLine, tmp_path: Path) -> None:
    kept = KeptCalibrations(tmp_path / "calibrations")
    assert kept.newest() == {}

    def keep(plan: Any) -> Any:
        found, documents = run(plan)
        for name, document in documents:
            kept(name, document)
            if name == "event":  # a point that is recorded anew
                kept(name, document)
        return found

    first = keep(on_foils(line, "Ni"))
    second = keep(on_foils(line, "Ni"))
    assert second.calibration.version == 2
    line.foil_in_beam = False
    assert not keep(on_foils(line, "Ni")).applied
    assert not kept.troubles
    assert kept.newest() == {"monochromator": second.calibration}
    assert [one.calibration for one in kept.history("monochromator")] == [first.calibration, second.calibration]
    assert [one.run for one in kept.history("monochromator")] == [first.run, second.run]
    assert KeptCalibrations(tmp_path / "calibrations").newest() == kept.newest()
    assert [one.name for one in (tmp_path / "calibrations").iterdir()] == ["monochromator.json"]
    (tmp_path / "calibrations" / "monochromator.json").write_text('{"form": 1}')
    with pytest.raises(ValueError, match="mend it, or move it away"):
        kept.newest()


def test_a_disk_that_is_full_does_not_end_a_scan(line: CalibrationLine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    kept = KeptCalibrations(tmp_path / "file" / "below")
    found, documents = run(on_foils(line, "Ni"))
    for name, document in documents:
        kept(name, document)
    assert found.applied
    assert "is in force, but was not kept" in kept.troubles[0]

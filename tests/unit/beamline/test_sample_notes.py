"""References are read with the unit that they were given, and are normalised unless they are."""

from pathlib import Path

import numpy as np
import pytest

from whiteline.beamline.description import load
from whiteline.beamline.sample_notes import SampleNotes, read_reference
from whiteline.beamline.simulated_references import simulated_references

ENERGY = np.arange(8200.0, 8700.0, 1.0)
EDGE = 8345.0


def write(path: Path, scale: float, offset: float, slope: float, unit: float = 1.0) -> Path:
    """Write an edge of a known height on a sloping background."""
    step = 1 / (1 + np.exp(-(ENERGY - EDGE) / 1.5))
    table = np.column_stack([ENERGY * unit, offset + slope * (ENERGY - EDGE) + scale * step])
    np.savetxt(path, table, fmt="%.9f")
    return path


def test_a_raw_spectrum_is_normalised_and_a_normalised_one_is_left(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    scale, offset = random.uniform(0.3, 2.0), random.uniform(0.2, 1.0)
    raw = read_reference("raw", f"{write(tmp_path / 'raw.txt', scale, offset, -1e-4)}:eV")
    done = read_reference("done", f"{write(tmp_path / 'done.txt', 1.0, 0.0, 0.0, 1e-3)}:keV")
    assert abs(raw.absorption - done.absorption).max() < 0.01
    assert np.array_equal(np.round(done.absorption, 9), np.round(1 / (1 + np.exp(-(ENERGY - EDGE) / 1.5)), 9))
    assert done.energy == pytest.approx(ENERGY)


@pytest.mark.parametrize("file", ["spectrum.txt", "spectrum", "spectrum:GeV"])
def test_a_unit_is_not_guessed(file: str) -> None:
    with pytest.raises(ValueError, match=f"needs the unit of its energies, {file}:eV"):
        read_reference("nickel", file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"gone\.xdi"):
        SampleNotes(references={"nickel": str(tmp_path / "gone.xdi")}).spectra()


def test_notes_come_back_from_metadata() -> None:
    notes = SampleNotes("LiNiO2", {"nickel": "nickel.xdi"})
    assert SampleNotes.from_metadata({"scan_id": 3, **notes.metadata()}) == notes
    assert SampleNotes.from_metadata({}) == SampleNotes()


@pytest.mark.parametrize("unit", [":keV", ""])
def test_files_are_found_from_another_folder_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unit: str) -> None:
    suffix = ".txt" if unit else ".xdi"
    monkeypatch.chdir(tmp_path)
    notes = SampleNotes(references={"nickel": f"nickel{suffix}{unit}"}).anywhere()
    monkeypatch.chdir("/")
    assert notes.references == {"nickel": f"{tmp_path / 'nickel'}{suffix}{unit}"}
    assert notes.anywhere() == notes


def test_a_simulated_beamline_knows_its_references_and_a_real_one_none() -> None:
    beamline = load("txm")
    assert len(simulated_references(beamline)) == 2
    assert simulated_references(beamline.model_copy(update={"simulation": None})) == ()

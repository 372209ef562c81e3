"""What a demonstration is told: measured spectra, sizes, numbers; what is refused is one sentence with a remedy."""

import os
from pathlib import Path

import numpy as np
import pytest

from whiteline.beamline.demo.choices import Choices
from whiteline.beamline.demo.references import read_references
from whiteline.beamline.demo.sample import make_sample
from whiteline.beamline.description import DescriptionError, load

EDGE = 8333.0
ENERGY = np.arange(8200.0, 8700.0, 1.0)


@pytest.fixture
def measured() -> Path:
    root = Path(__file__).resolve().parents[3]
    folder = Path(os.environ.get("WHITELINE_SPECTRA") or root.parent / "shared" / "data" / "xanes")
    if not folder.exists():
        pytest.skip(f"no measured spectra in {folder}")
    return folder


def spectrum(folder: Path, name: str, *, shift: float = 0.0, scale: float = 1.0, gain: float = 3.0) -> str:
    """Write a raw spectrum of the Ni K edge, in units of `scale` eV, and return its path."""
    off = ENERGY - EDGE - 8 - shift
    absorption = 0.4 - 1e-4 * off + gain * (0.5 + np.arctan(off / 0.8) / np.pi + 0.6 / (1 + ((off - 7) / 2.5) ** 2))
    path = folder / name
    np.savetxt(path, np.column_stack([ENERGY / scale, absorption]))
    return str(path)


def test_what_is_shown_if_nothing_is_told() -> None:
    usual, probe = Choices(), Choices(beamline="nanoprobe")
    assert (usual.beamline, usual.references, usual.seed, usual.out) == ("txm", (), 1, Path("out"))
    assert usual.side >= 256
    assert (probe.side, probe.number) == (48, 30)


def test_raw_spectra_are_normalised_and_their_unit_is_found_by_the_edge(tmp_path: Path) -> None:
    kilo, plain = spectrum(tmp_path, "nio.txt", scale=1000.0), spectrum(tmp_path, "linio2.dat", shift=1.5, gain=0.7)
    for texts in ((f"NiO={kilo}", f"LiNiO2={plain}"), (f"NiO={kilo}:keV", f"LiNiO2={plain}:eV")):
        first, second = read_references(texts)
        assert (first.element, first.edge) == (second.element, second.edge) == ("Ni", "K")
        assert first.density == 6.67
        for one in (first, second):
            np.testing.assert_allclose(one.energy, ENERGY, rtol=1e-9)
            assert abs(one.absorption[one.energy < EDGE - 40].mean()) < 0.02
            assert abs(one.absorption[one.energy > EDGE + 150].mean() - 1) < 0.02


def test_what_is_no_reference_is_refused_in_a_sentence(tmp_path: Path) -> None:
    good = f"NiO={spectrum(tmp_path, 'nio.txt')}"
    other = f"LiNiO2={spectrum(tmp_path, 'linio2.txt')}"
    words = tmp_path / "words.txt"
    words.write_text("no numbers here\n")
    cases = {
        (good,): "one reference, NiO, makes no map of chemistry; give two or more",
        (good, good): "reference NiO is there twice",
        (good, "LiNiO2"): "must be NAME=FILE",
        (good, "LiNiO2=/nowhere.txt"): "/nowhere.txt cannot be read: no such file",
        (good, f"LiNiO2={words}"): "is not a row of numbers",
        (good, f"Xy2={tmp_path / 'nio.txt'}"): "is no chemical formula",
        (good, f"Fe2O3={tmp_path / 'nio.txt'}"): "shows no edge of Fe2O3",
        (good, f"{other}:keV"): "is no energy of an X-ray microscope; is its unit",
    }
    for texts, sentence in cases.items():
        with pytest.raises(ValueError, match=sentence) as told:
            read_references(texts)
        assert "\n" not in str(told.value)


def test_measured_spectra_of_two_elements_do_not_mix(measured: Path) -> None:
    nickel, iron = f"NiO={measured}/ni_k_NiO.txt", f"FeO={measured}/fe_k_FeO.xdi"
    with pytest.raises(ValueError, match="of one edge, and these differ: NiO at the Ni K edge, FeO at the Fe K edge"):
        read_references((nickel, iron))


def test_a_sample_of_measured_spectra_is_what_the_twin_is_given(measured: Path, tmp_path: Path, seed: int) -> None:
    references = read_references((f"Fe2O3={measured}/fe_k_Fe2O3.xmu", f"FeO={measured}/fe_k_FeO.xdi"))
    made = make_sample("txm", references, 10.0, seed, tmp_path)
    beamline = load(str(made.beamline))
    assert beamline.simulation is not None
    assert [one.name for one in beamline.simulation.species] == ["Fe2O3", "FeO"]
    assert made.element == "Fe"
    hidden = beamline.simulation.hidden
    assert 0 < abs(hidden.bragg_offset_deg) <= 0.01
    assert 0 < abs(hidden.zone_plate_zero_mm) <= 0.3
    # what is fitted is what was given, but for the fall of the absorption above the edge
    given, fitted = references[0], made.references[0]
    at = np.array([7112.0, 7120.0, 7128.0, 7140.0])
    ratio = np.interp(at, fitted.energy, fitted.absorption) / np.interp(at, given.energy, given.absorption)
    assert ratio == pytest.approx(ratio[0], rel=0.015)
    # and another seed hides other errors
    other = load(str(make_sample("txm", references, 10.0, seed + 1, tmp_path / "other").beamline))
    assert other.simulation is not None
    assert other.simulation.hidden.bragg_offset_deg != hidden.bragg_offset_deg


def test_sizes_and_numbers_that_cannot_be(tmp_path: Path) -> None:
    for more, sentence in (
        ({"beamline": "aps"}, "must be txm or nanoprobe, a simulated"),
        ({"beamline": "nanoprobe", "size": 256}, "size of the map 256 px must lie between 32 and 128 px"),
        ({"size": 8}, "size of the map 8 px must lie between 128 and 1024 px"),
        ({"energies": 3}, "number of energies 3 must lie between 16 and 200"),
        ({"seed": -1}, "seed -1 must not be negative"),
    ):
        with pytest.raises(ValueError, match=sentence):
            Choices(**more)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [16, 40, 61, 100])
def test_a_list_of_any_number_covers_the_edge(number: int) -> None:
    energies = np.array(Choices(energies=number).list_of("Ni", "K"))
    assert energies.size == number
    assert (np.diff(energies) > 0).all()
    assert (energies[0], energies[-1]) == (8200.0, 8600.0)
    # half of the energies lie on edge and white line
    assert np.count_nonzero(np.abs(energies - 8343) < 20) >= number / 2


def test_an_edge_out_of_reach_is_told(tmp_path: Path) -> None:
    energy = np.arange(13300.0, 13900.0, 1.0)
    off = energy - 13474
    for name in ("KBr", "NaBr"):
        np.savetxt(tmp_path / name, np.column_stack([energy, 0.5 + np.arctan(off) / np.pi]))
    references = read_references([f"{name}={tmp_path / name}" for name in ("KBr", "NaBr")])
    with pytest.raises(DescriptionError, match="txm reaches 5000 to 12000 eV, and the Br K edge lies at 13474 eV"):
        make_sample("txm", references, 10.0, 1, tmp_path / "out")

from pathlib import Path

import numpy as np
import pytest

from whiteline.analysis.spectrum_files import read_columns, read_xdi

XDI = """# XDI/1.0 test
# Column.1: energy {unit}
# Column.2: i0
# Column.3: itrans
# Column.4: ifluor
# Sample.name: a foil
# ///
# Column.1: nonsense in the user's comments
#----
# energy i0 itrans ifluor
{a} 1000 500 10
{b} 1000 400 20
{c} 1000 300 30
"""


def write(folder: Path, text: str, name: str = "spectrum.xdi") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(("unit", "numbers"), [("eV", (8300, 8310, 8320)), ("keV", (8.30, 8.31, 8.32))])
def test_xdi_states_its_unit(tmp_path: Path, unit: str, numbers: tuple[float, float, float]) -> None:
    a, b, c = numbers
    path = write(tmp_path, XDI.format(unit=unit, a=a, b=b, c=c))
    spectrum = read_xdi(path)
    assert spectrum.name == "a foil"
    assert spectrum.energy == pytest.approx([8300, 8310, 8320])
    assert spectrum.absorption == pytest.approx(-np.log([0.5, 0.4, 0.3]))
    assert read_xdi(path, "fluorescence").absorption == pytest.approx([0.01, 0.02, 0.03])
    with pytest.raises(ValueError, match=r"has no reference signal: neither murefer nor itrans and irefer"):
        read_xdi(path, "reference")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("energy eV", "energy", "states no unit for its energy"),
        ("energy eV", "energy degrees", "unit of energy 'degrees'"),
        ("energy eV", "energy keV", "is no energy of an X-ray microscope"),
        ("Column.1: energy", "Column.1: angle", "has no column 'energy'"),
        ("# XDI/1.0", "# data", "is no XDI file"),
        ("8310 1000 400 20", "8310 1000 400", "line 12: 3 numbers where the rows above have 4"),
        ("8310 1000 400 20", "8310 1000 broken 20", "is not a row of numbers"),
        ("8310 1000 400 20", "8310 1000 0 20", "that are not positive"),
        ("8310 1000 400 20", "8310 1000 nan 20", "not positive"),
        ("# Column.3: itrans", "# Column.9: itrans", "names column 9 but has 4"),
    ],
)
def test_xdi_that_cannot_be_read_says_why(tmp_path: Path, old: str, new: str, words: str) -> None:
    text = XDI.format(unit="eV", a=8300, b=8310, c=8320)
    if new.endswith("keV"):
        text = XDI.format(unit="keV", a=8300, b=8310, c=8320)
    path = write(tmp_path, text.replace(old, new, 1))
    with pytest.raises(ValueError, match=r".") as refused:
        read_xdi(path)
    assert words in str(refused.value)
    assert str(path) in str(refused.value)


def test_columns_are_sorted_and_repeated_energies_averaged(tmp_path: Path) -> None:
    path = write(tmp_path, "8.32 3\n8.30 1\n8.31 2\n8.30 3\n", "columns.txt")
    spectrum = read_columns(path, "keV")
    assert spectrum.energy == pytest.approx([8300, 8310, 8320])
    assert spectrum.absorption == pytest.approx([2, 2, 3])
    assert spectrum.name == "columns"


def test_any_columns_may_be_the_energy_and_the_absorption(tmp_path: Path) -> None:
    path = write(tmp_path, "5 1 8300\n6 2 8310\n", "columns.txt")
    spectrum = read_columns(path, "eV", energy_column=2, absorption_column=0)
    assert spectrum.energy == pytest.approx([8300, 8310])
    assert spectrum.absorption == pytest.approx([5, 6])


def test_the_reference_channel_of_an_xdi(tmp_path: Path) -> None:
    text = (
        "# XDI/1.0\n# Column.1: energy eV\n# Column.2: itrans\n# Column.3: irefer\n#----\n8300 500 100\n8310 400 50\n"
    )
    assert read_xdi(write(tmp_path, text), "reference").absorption == pytest.approx(np.log([5, 8]))


@pytest.mark.parametrize(
    ("text", "words"), [("", "holds no numbers"), ("# only a comment\n", "holds no numbers"), ("8300\n", "no column 1")]
)
def test_columns_that_are_not_there(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_columns(write(tmp_path, text, "columns.txt"), "eV")


def test_measured_spectra(measured: Path) -> None:
    foil = read_xdi(measured / "ni_k_foil.xdi")
    assert foil.name == "Ni metal foil"
    assert foil.metadata["mono.d_spacing"] == "3.13555"
    slope = np.gradient(foil.absorption, foil.energy)
    assert foil.energy[np.argmax(slope)] == pytest.approx(8333, abs=3)
    oxide = read_columns(measured / "ni_k_NiO.txt", "keV")
    assert oxide.energy[0] == pytest.approx(8200)
    assert (np.diff(oxide.energy) > 0).all()
    iron = read_columns(measured / "fe_k_Fe2O3.xmu", "eV")
    assert iron.energy[0] == pytest.approx(6911.8277)
    with pytest.raises(ValueError, match=r"8.2 looks like keV: write 8200"):
        read_columns(measured / "ni_k_NiO.txt", "eV")

"""Spectra from files: XDI, and plain columns.

The unit of the energy is taken from the file (XDI) or from the caller (columns). It is never guessed by magnitude.
XDI is that of B. Ravel and M. Newville, XAFS Data Interchange, version 1.0.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.checks import require_energy

EnergyUnit = Literal["eV", "keV"]
Signal = Literal["transmission", "fluorescence", "reference"]

EV_PER_UNIT: Mapping[str, float] = {"eV": 1.0, "keV": 1000.0}

COLUMNS_OF_SIGNAL: Mapping[str, tuple[str, tuple[str, str], bool]] = {
    # the column that holds the signal itself; else the two whose ratio it is, and whether of that the logarithm
    "transmission": ("mutrans", ("i0", "itrans"), True),
    "fluorescence": ("mufluor", ("ifluor", "i0"), False),
    "reference": ("murefer", ("itrans", "irefer"), True),
}


@dataclass(frozen=True, eq=False)
class Spectrum:
    """An absorption spectrum as it was read.

    Parameters
    ----------
    name : str
        What it is called: the sample, if the file says so, else the name of the file.
    energy : ndarray of float64, shape (n,)
        Photon energies, ascending, each once [eV].
    absorption : ndarray of float64, shape (n,)
        Absorption, in the scale of the file.
    metadata : mapping of str to str
        What else the file says of itself.
    """

    name: str
    energy: NDArray[np.float64]
    absorption: NDArray[np.float64]
    metadata: Mapping[str, str] = field(default_factory=dict)


def read_columns(path: Path, unit: EnergyUnit, *, energy_column: int = 0, absorption_column: int = 1) -> Spectrum:
    """Read a spectrum from a file of columns; lines that begin with #, % or ; are comments.

    Energies that are repeated are averaged, and the order is made ascending.

    Parameters
    ----------
    path : Path
        The file.
    unit : {"eV", "keV"}
        Unit of its energies.
    energy_column, absorption_column : int
        Which columns, from 0.

    Raises
    ------
    ValueError
        If the file does not exist, has no numbers, lacks a column, or its energies are not in that unit.
    """
    scale = _scale(unit, path)
    numbers = read_numbers(path)
    for column in (energy_column, absorption_column):
        if not 0 <= column < numbers.shape[1]:
            raise ValueError(f"{path} has {numbers.shape[1]} columns; there is no column {column} (they count from 0)")
    return _spectrum(path, path.stem, numbers[:, energy_column] * scale, numbers[:, absorption_column], {})


def read_xdi(path: Path, signal: Signal = "transmission") -> Spectrum:
    """Read a spectrum from an XDI file.

    Parameters
    ----------
    path : Path
        The file.
    signal : {"transmission", "fluorescence", "reference"}
        Which spectrum of the file.

    Raises
    ------
    ValueError
        If the file does not exist, is no XDI, states no unit for its energy, or lacks the columns of the signal.
    """
    if signal not in get_args(Signal):
        raise ValueError(f"signal {signal!r} must be one of {', '.join(get_args(Signal))}")
    lines = _lines(path)
    if not lines or not re.match(r"[#;%]\s*XDI/\d", lines[0]):
        raise ValueError(f"{path} is no XDI file: its first line is not '# XDI/1.0'; read it as columns, with a unit")
    metadata = _xdi_header(lines)
    columns = {
        int(key.split(".")[1]) - 1: value.split()
        for key, value in metadata.items()
        if re.fullmatch(r"column\.\d+", key) and value
    }
    place = {words[0].lower(): number for number, words in columns.items()}
    if "energy" not in place:
        raise ValueError(f"{path} has no column 'energy'; it has {', '.join(place) or 'none that is named'}")
    words = columns[place["energy"]]
    if len(words) < 2:
        raise ValueError(f"{path} states no unit for its energy; write '# Column.{place['energy'] + 1}: energy eV'")
    scale = _scale(words[1], path)
    numbers = read_numbers(path)

    def column(name: str) -> NDArray[np.float64]:
        if place[name] >= numbers.shape[1]:
            raise ValueError(f"{path} names column {place[name] + 1} but has {numbers.shape[1]}")
        return numbers[:, place[name]]

    ready, (top, bottom), logarithm = COLUMNS_OF_SIGNAL[signal]
    if ready in place:
        absorption = column(ready)
    elif top in place and bottom in place:
        if not (column(bottom) > 0).all() or (logarithm and not (column(top) > 0).all()):
            raise ValueError(f"{path} has counts of {top} or {bottom} that are not positive")
        ratio = column(top) / column(bottom)
        absorption = np.log(ratio) if logarithm else ratio
    else:
        raise ValueError(
            f"{path} has no {signal} signal: neither {ready} nor {top} and {bottom}; it has {', '.join(place)}"
        )
    return _spectrum(path, metadata.get("sample.name", path.stem), column("energy") * scale, absorption, metadata)


def read_numbers(path: Path) -> NDArray[np.float64]:
    """Read the rows of numbers of a text file, shape (rows, columns); lines that begin with #, % or ; are comments.

    Raises
    ------
    ValueError
        If the file does not exist, has no numbers, or rows of unequal length; the message names the line.
    """
    rows: list[list[float]] = []
    for number, line in enumerate(_lines(path), start=1):
        words = line.replace(",", " ").split()
        if not words or words[0][0] in "#%;":
            continue
        try:
            row = [float(word) for word in words]
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {line.strip()!r} is not a row of numbers") from error
        if rows and len(row) != len(rows[0]):
            raise ValueError(f"{path}, line {number}: {len(row)} numbers where the rows above have {len(rows[0])}")
        rows.append(row)
    if not rows:
        raise ValueError(f"{path} holds no numbers")
    return np.array(rows)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from error


def _xdi_header(lines: list[str]) -> dict[str, str]:
    """Return the fields of the header, with keys in lower case (XDI ignores case), up to the user's comments."""
    metadata = {}
    for line in lines[1:]:
        if re.match(r"[#;%]\s*(///|---)", line):
            break
        if found := re.match(r"[#;%]\s*([A-Za-z_]\w*\.\w+)\s*:\s*(.*?)\s*$", line):
            metadata[found[1].lower()] = found[2]
    return metadata


def _scale(unit: str, path: Path) -> float:
    if unit not in EV_PER_UNIT:
        raise ValueError(f"unit of energy {unit!r} of {path} must be eV or keV")
    return EV_PER_UNIT[unit]


def _spectrum(
    path: Path, name: str, energy: NDArray[np.float64], absorption: NDArray[np.float64], metadata: Mapping[str, str]
) -> Spectrum:
    if not (np.isfinite(energy).all() and np.isfinite(absorption).all()):
        raise ValueError(f"{path} holds numbers that are not finite")
    require_energy(energy, f"energy in {path}")
    ascending, place = np.unique(energy, return_inverse=True)
    if ascending[-1] >= 1e6:
        raise ValueError(f"{path}: {ascending[-1]:g} eV is no energy of an X-ray microscope; is its unit eV?")
    mean = np.bincount(place, absorption) / np.bincount(place)
    return Spectrum(name, ascending, mean, dict(metadata))

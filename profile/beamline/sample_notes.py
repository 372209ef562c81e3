"""What a session knows of the sample on the stage, kept in the metadata of its runs: material and reference spectra.

    notes = SampleNotes(material="LiNiO2", references={"Ni2+": "nio.xdi", "Ni3+": "linio2.txt:keV"})
    notes.spectra()                     # normalised, for the live fit
    engine.md.update(notes.metadata())  # goes into every run, and is there in the next session

A reference file is XDI, or columns of numbers with the unit of their energy behind a colon: it is not guessed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self, cast

import numpy as np

from whiteline.analysis.spectra.normalise import normalise
from whiteline.analysis.spectrum_files import EV_PER_UNIT, EnergyUnit, Spectrum, read_columns, read_xdi
from whiteline.beamline.named_file import name_and_file

ALREADY = 0.05
"""A spectrum is normalised already if its first and last tenth are this near to 0 and 1, in units of the edge jump."""


@dataclass(frozen=True)
class SampleNotes:
    """Material and references of a sample.

    Parameters
    ----------
    material : str, optional
        Chemical formula, for the dose.
    references : mapping of str to str
        Files by the name of the species: "FILE.xdi", "FILE:eV" or "FILE:keV".
    """

    material: str | None = None
    references: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Self:
        """Return what the metadata of a session or of a run hold."""
        return cls(metadata.get("material"), dict(metadata.get("references") or {}))

    def anywhere(self) -> Self:
        """Return the same with whole paths: a session that opens in another folder reads these files too."""
        return replace(self, references={name: _whole(file) for name, file in self.references.items()})

    def metadata(self) -> dict[str, Any]:
        """Return the entries that `from_metadata` reads."""
        return {"material": self.material, "references": dict(self.references)}

    def spectra(self) -> tuple[Spectrum, ...]:
        """Return the references, normalised.

        Raises
        ------
        ValueError
            If a file cannot be read, has no unit, or cannot be normalised.
        """
        return tuple(read_reference(name, file) for name, file in self.references.items())


def read_reference(name: str, file: str) -> Spectrum:
    """Read a reference, and normalise it unless it is.

    Parameters
    ----------
    name : str
        Of the species.
    file : str
        "FILE.xdi", "FILE:eV" or "FILE:keV".

    Raises
    ------
    ValueError
        If it cannot be read, has no unit, or cannot be normalised.
    """
    path, unit = _path_and_unit(file)
    if unit:
        spectrum = read_columns(Path(path).expanduser(), cast(EnergyUnit, unit))
    elif Path(file).suffix.lower() == ".xdi":
        spectrum = read_xdi(Path(file).expanduser())
    else:
        raise ValueError(f"reference {name!r}: {file} needs the unit of its energies, {file}:eV or {file}:keV")
    absorption = spectrum.absorption
    tenth = max(1, absorption.size // 10)
    ends = np.array([absorption[:tenth].mean(), absorption[-tenth:].mean()])
    if (abs(ends - (0.0, 1.0)) > ALREADY).any():
        absorption = normalise(spectrum.energy, absorption).flattened
    return Spectrum(name, spectrum.energy, absorption, spectrum.metadata)


def _path_and_unit(file: str) -> tuple[str, str]:
    """Return a file, and the unit that stands behind its colon, if any."""
    path, _, unit = file.rpartition(":")
    return (path, unit) if unit in EV_PER_UNIT and path else (file, "")


def _whole(file: str) -> str:
    path, unit = _path_and_unit(file)
    return f"{Path(path).expanduser().absolute()}{':' if unit else ''}{unit}"


def named_reference(text: str) -> Spectrum:
    """Read a reference that is typed as NAME=FILE; errors as those of `read_reference`."""
    return read_reference(*name_and_file(text, "reference"))

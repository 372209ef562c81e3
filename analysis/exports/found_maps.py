"""What an analysis has found of a run: as it was saved when the run ended, or else made now."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.exports.request import Request
from whiteline.analysis.maps.map import Map

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Found:
    """Maps and the mean spectrum of a run.

    Parameters
    ----------
    maps : mapping of str to Map
        By name.
    spectrum : mapping of str to (str, ndarray of float64)
        Columns of the mean spectrum by name, each with its unit; empty if there is none.
    pixel_um : float or None
        Size of a pixel [µm].
    source : str
        Where it is from, a sentence.
    """

    maps: Mapping[str, Map] = field(default_factory=dict)
    spectrum: Mapping[str, tuple[str, Numbers]] = field(default_factory=dict)
    pixel_um: float | None = None
    source: str = ""


def found_of(request: Request) -> Found:
    """Return what is known: what was saved, unless something else is asked for; else what an analysis finds now.

    A stack without either has nothing, as its maps are fractions of references.

    Raises
    ------
    UnreadableRun, ValueError
        If the run cannot be analysed, or references do not fit it.
    """
    saved = None if request.results is None else request.results / f"{request.run.uid}_xanes.h5"
    # of a run that was resumed, what was saved is that of a part
    usual = request.as_usual and not request.references and not request.run.parts
    if usual and saved is not None and saved.exists():
        return _saved(saved, request.position)
    if request.kind == "stack" and not request.references:
        return Found()
    from whiteline.analysis.live.batch import analyse

    settings = request.settings
    results = analyse(
        request.run, references=request.references, flats=settings.flats, camera=settings.camera,
        signal=settings.signal, incident=settings.incident, incident_current=True,
    )  # fmt: skip
    hashes = ", ".join(f"{name} ({one[:12]})" for name, one in settings.reference_hashes().items())
    source = f"maps are fitted at the export, with the references {hashes}" if hashes else "maps are made at the export"
    spectrum: dict[str, tuple[str, Numbers]] = {}
    if results.spectrum is not None:
        one = results.spectrum
        spectrum = {"energy": ("eV", one.energy), "absorption": ("", one.absorption)}
        if one.error is not None:
            spectrum["absorption error"] = ("", one.error)
        if one.normalised is not None:
            spectrum["normalised"] = ("", one.normalised.normalised)
    return Found(results.maps, spectrum, results.pixel_um, source)


def _saved(path: Path, position: int | None) -> Found:
    """Return what lies in a file that the live analysis has saved."""
    with h5py.File(path) as file:
        name = f"entry_{position}" if f"entry_{position}" in file else str(file.attrs["default"])
        entry = file[name]
        maps = {name: _map(name, one) for name, one in entry["maps"].items()}
        spectrum: dict[str, tuple[str, Numbers]] = {}
        if "spectrum" in entry:
            group = entry["spectrum"]
            columns = {"energy": "energy", "absorption": "absorption", "absorption error": "absorption_errors"}
            for name, key in (columns | {"normalised": "normalised"}).items():
                if key in group:
                    spectrum[name] = (str(group[key].attrs["units"]), group[key][:])
        pixel = float(entry["pixel"][()]) if "pixel" in entry else None
    return Found(maps, spectrum, pixel, f"maps are those that the live analysis has saved in {path.name}")


def _map(name: str, group: Any) -> Map:
    return Map(name, str(group["value"].attrs["units"]), group["value"][:], group["error"][:], group["valid"][:])

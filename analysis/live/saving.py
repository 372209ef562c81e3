"""A result as one HDF5 file, laid out in the manner of NeXus: groups with a class, arrays with their unit.

/entry                      NXentry: run, kind, exit status, energies; of several places of a sample /entry_0, …
/entry/maps/<name>          NXdata: value, error, valid
/entry/frames               NXcollection: shift, confidence, sharpness … of each frame
/entry/spectrum             NXdata: energy, absorption, error; normalised, fits and their parameters
/entry/process              NXprocess: versions, parameters, references with their hash, as JSON
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from whiteline.analysis.live.results import FrameFound, Results
from whiteline.analysis.live.spectrum import FittedSpectrum
from whiteline.analysis.maps.map import Map
from whiteline.analysis.whole_files import written_whole

UNITS = {
    "energy": "eV",
    "sharpness": "1/px^2",
    "sharpness_error": "1/px^2",
    "stage_y": "um",
    "stage_x": "um",
    **dict.fromkeys(["shift_y", "shift_x", "shift_error_y", "shift_error_x", "used_y", "used_x"], "px"),
}


def save(results: Results, folder: str | Path) -> dict[str, Any]:
    """Save a result, and return what links it to its run.

    Parameters
    ----------
    results : Results
        Of a run that has ended, or so far.
    folder : str or Path
        Where the file goes; it is made if it is not there. A file is complete or not there.

    Returns
    -------
    dict
        Metadata for a catalog: `path`, `run` (uid), `kind`, `maps`, `positions`, `exit_status`, `settings_sha256`,
        `versions`.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    path = Path(folder) / f"{results.uid}_xanes.h5"
    with written_whole(path) as part, h5py.File(part, "w") as out:
        for name, one in _entries(results).items():
            write_entry(out.create_group(name), one)
            out.attrs["default"] = name
    return {
        "path": str(path),
        "run": results.uid,
        "kind": results.kind,
        "exit_status": results.exit_status,
        "complete": results.over,
        "maps": {name: {"unit": one.unit, "shape": list(one.value.shape)} for name, one in results.maps.items()},
        "positions": sorted(results.positions),
        "energies": int(results.energies.size),
        "error": asdict(results.error),
        "settings_sha256": results.provenance.get("settings_sha256", ""),
        "references": dict(results.provenance.get("references", {})),
        "versions": dict(results.provenance.get("versions", {})),
    }


def load_map(path: str | Path, name: str, position: int | None = None) -> Map:
    """Read a map of a file that was saved.

    Parameters
    ----------
    path : str or Path
        The file.
    name : str
        Of the map.
    position : int, optional
        Place of the sample, where there are several; that of the last frame if it is not given.

    Raises
    ------
    KeyError
        If it has no map of that name, or no such place, naming those that it has.
    """
    with h5py.File(path, "r") as held:
        entry = held.attrs["default"] if position is None else f"entry_{position}"
        if entry not in held:
            raise KeyError(f"{path} has no position {position}; it has {', '.join(held)}")
        maps = held[entry]["maps"]
        if name not in maps:
            raise KeyError(f"{path} has no map {name!r}; it has {', '.join(maps) or 'none'}")
        one = maps[name]
        unit = str(one["value"].attrs["units"])
        return Map(name, unit, one["value"][:], one["error"][:], one["valid"][:])


def _entries(results: Results) -> dict[str, Results]:
    """Return what is saved by its name; the one that leads comes last."""
    if not results.positions:
        return {"entry": results}
    ordered = sorted(results.positions, key=lambda position: (position == results.position, position))
    return {f"entry_{position}": results.positions[position] for position in ordered}


def write_entry(entry: Any, results: Results) -> None:
    """Write a result into a group of an HDF5 file that is open, as this module says."""
    entry.attrs["NX_class"] = "NXentry"
    entry["title"] = f"XANES analysis of {results.run}"
    entry["run_uid"], entry["kind"], entry["exit_status"] = results.uid, results.kind, results.exit_status
    entry["complete"] = bool(results.over)
    if results.position is not None:
        entry["position"] = results.position
    entry["troubles"] = np.array(results.troubles, h5py.string_dtype())
    _array(entry, "energies", results.energies, "eV")
    if results.pixel_um is not None:
        _array(entry, "pixel", results.pixel_um, "um")
    if results.energy_shift is not None:
        _array(entry, "energy_shift", results.energy_shift[0], "eV")
        _array(entry, "energy_shift_error", results.energy_shift[1], "eV")
    if results.channels is not None:
        _array(entry, "channels", results.channels, "counts")
    maps = entry.create_group("maps")
    maps.attrs["NX_class"] = "NXcollection"
    for name, one in results.maps.items():
        _map(maps.create_group(name), one)
    fraction = next((name for name in results.maps if name.startswith("fraction")), next(iter(results.maps), None))
    if fraction is not None:
        entry.attrs["default"] = f"maps/{fraction}"
    _frames(entry.create_group("frames"), results.frames)
    error = entry.create_group("error")
    for name, value in asdict(results.error).items():
        error[name] = value
    if results.spectrum is not None:
        _spectrum(entry.create_group("spectrum"), results.spectrum)
    process = entry.create_group("process")
    process.attrs["NX_class"] = "NXprocess"
    process["program"] = "whiteline"
    for name, value in results.provenance.items():
        process[name] = value if isinstance(value, str) else json.dumps(value, default=str)


def empty_map(maps: Any, name: str, unit: str, shape: tuple[int, ...]) -> Any:
    """Make a map of NaN, nowhere valid, in the group of the maps of an entry, and return its group, to be filled."""
    group = maps.create_group(name)
    _described(group, len(shape))
    for part, kind, empty, long_name in (
        ("value", np.float32, np.nan, name),
        ("error", np.float32, np.nan, f"standard error of the {name}"),
        ("valid", np.bool_, False, ""),
    ):
        made = group.create_dataset(part, shape, kind, fillvalue=empty)
        made.attrs["units"] = "" if part == "valid" else unit
        if long_name:
            made.attrs["long_name"] = long_name
    return group


def _described(group: Any, axes: int) -> None:
    group.attrs["NX_class"] = "NXdata"
    group.attrs["signal"], group.attrs["auxiliary_signals"] = "value", np.array(["error"], h5py.string_dtype())
    group.attrs["axes"] = np.array(["."] * axes, h5py.string_dtype())


def _map(group: Any, one: Map) -> None:
    _described(group, one.value.ndim)
    _array(group, "value", one.value, one.unit, one.name)
    _array(group, "error", one.error, one.unit, f"standard error of the {one.name}")
    _array(group, "valid", one.valid, "")


def _frames(group: Any, frames: tuple[FrameFound, ...]) -> None:
    group.attrs["NX_class"] = "NXcollection"
    for one in fields(FrameFound):
        _array(group, one.name, np.array([getattr(frame, one.name) for frame in frames]), UNITS.get(one.name, ""))


def _spectrum(group: Any, spectrum: FittedSpectrum) -> None:
    group.attrs["NX_class"], group.attrs["signal"] = "NXdata", "absorption"
    group.attrs["axes"] = np.array(["energy"], h5py.string_dtype())
    _array(group, "energy", spectrum.energy, "eV")
    _array(group, "absorption", spectrum.absorption, "")
    if spectrum.error is not None:
        _array(group, "absorption_errors", spectrum.error, "")
    group.attrs["pixels"] = spectrum.pixels
    if spectrum.e0 is not None:
        _array(group, "e0", spectrum.e0[0], "eV")
        _array(group, "e0_error", spectrum.e0[1], "eV")
    if spectrum.normalised is not None:
        _array(group, "normalised", spectrum.normalised.normalised, "")
        _array(group, "edge_step", spectrum.normalised.edge_step, "")
    if spectrum.model is not None:
        _parameters(group.create_group("model"), spectrum.model.values, spectrum.model.errors)
    if spectrum.combination is not None:
        found = spectrum.combination
        named = [dict(zip(found.names, map(float, of), strict=True)) for of in (found.fractions, found.fraction_errors)]
        _parameters(group.create_group("fractions"), *named)
        _array(group, "combination_energy", found.energy, "eV")
        _array(group, "combination", found.fitted, "")


def _parameters(group: Any, values: Mapping[str, float], errors: Mapping[str, float]) -> None:
    for name, value in values.items():
        group[name] = value
        group[name].attrs["error"] = errors.get(name, np.nan)


def _array(group: Any, name: str, values: Any, unit: str, long_name: str = "") -> None:
    array = np.asarray(values)
    large = array.ndim == 2 and array.size > 4096
    group.create_dataset(name, data=array, **({"compression": "gzip", "shuffle": True} if large else {}))
    group[name].attrs["units"] = unit
    if long_name:
        group[name].attrs["long_name"] = long_name

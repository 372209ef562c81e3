"""CSV: the points of a run as a table, its spectrum, and the maps of a raster; the unit of each column in its name.

Lines that begin with # come first and tell where the data are from; `pandas.read_csv(path, comment="#")` leaves them
out. A value that is missing is empty. Numbers have all their digits.
"""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.exports.found_maps import Found, found_of
from whiteline.analysis.exports.provenance import as_json, provenance_of
from whiteline.analysis.exports.request import Files, Request
from whiteline.analysis.exports.scanned_maps import scanned_maps
from whiteline.analysis.runs.rasters import pixels_of
from whiteline.analysis.runs.roles import energy_key
from whiteline.analysis.runs.run import Run
from whiteline.analysis.runs.unreadable import UnreadableRun

Column = NDArray[Any]

ROWS_AT_ONCE = 10_000
"""Rows that are turned into text together."""


def csv_tables(request: Request) -> Files:
    """Return the files of an export: points always; spectrum and maps where there are some."""
    run = request.run
    files: Files = {".csv": partial(_write, request, points_table(run), ("points are in the order of their numbers",))}
    if request.kind == "points":
        return files | _spectrum(request)
    if request.kind == "tomography":
        return files
    found = found_of(request)
    if found.spectrum:
        columns = {_named(name, unit): values for name, (unit, values) in found.spectrum.items()}
        how = "mean spectrum of the pixels that the analysis has taken as a sample"
        files["_spectrum.csv"] = partial(_write, request, columns, (how, found.source))
    if request.kind == "raster" and found.maps:
        files["_maps.csv"] = partial(_write, request, _maps_table(request, found), (found.source,))
    return files


def _spectrum(request: Request) -> Files:
    """Return the file of the spectrum; none if the points tell no absorption, as those of an alignment do not."""
    try:
        spectrum = request.run.spectrum(request.signal, request.incident)
    except UnreadableRun:
        if request.signal is not None or request.incident is not None:
            raise
        return {}
    what = "If / I0" if spectrum.kind == "fluorescence" else "log(I0 / It)"
    columns = {"energy [eV]": spectrum.energies, "absorption": spectrum.absorption}
    if spectrum.reference is not None:
        columns["reference"] = spectrum.reference
    how = f"absorption is {what} of {spectrum.signal}; the spectrum is by ascending energy"
    return {"_spectrum.csv": partial(_write, request, columns, (how,))}


def points_table(run: Run) -> dict[str, Column]:
    """Return what was read at each point, by the name of the column with its unit: number, time and energy first."""
    points = run.points
    # pulses of a fly scan are timed by their capture box
    clock = "time [s since 1970]" if points.points else "time of the capture box [s]"
    columns: dict[str, Column] = {"seq_num": points.seq_nums, clock: points.times}
    axis = energy_key(run.start, points)
    if axis is not None:
        columns["energy [eV]"] = points.numbers(axis)
    shape = run.raster_shape
    if shape is not None:
        pixel = pixels_of(run.start, points.seq_nums, shape)
        places = np.unravel_index(np.maximum(pixel, 0), shape)
        for name, place in zip(("map", "row", "column")[-len(shape) :], places, strict=False):
            columns[name] = np.where(pixel >= 0, place, -1)
    for key, about in points.data_keys.items():
        if key == axis or "external" in about:
            continue
        values = points.read(key)
        if values.ndim == 1:
            columns[_named(key, points.unit(key))] = values
    return columns


def _maps_table(request: Request, found: Found) -> dict[str, Column]:
    maps = scanned_maps(request)
    shape = (maps.y.size, maps.x.size)
    rows, columns = np.indices(shape)
    table: dict[str, Column] = {"row": rows.ravel(), "column": columns.ravel()}
    table[_named("y", maps.units[0])] = maps.y[rows].ravel()
    table[_named("x", maps.units[1])] = maps.x[columns].ravel()
    for name, one in found.maps.items():
        if one.value.shape == shape:
            table[_named(name, one.unit)] = np.where(one.valid, one.value, np.nan).ravel()
            table[_named(f"{name} error", one.unit)] = np.where(one.valid, one.error, np.nan).ravel()
    return table


def _named(name: str, unit: str) -> str:
    return f"{name} [{unit}]" if unit else name


def _write(request: Request, columns: Mapping[str, Column], processing: Sequence[str], path: Path) -> None:
    about = provenance_of(request, processing)
    with path.open("w", encoding="utf-8", newline="") as file:
        for key, value in about.items():
            text = value if isinstance(value, str) else as_json(value) if isinstance(value, dict) else value
            for line in value if key == "processing" else [text]:
                file.write(f"# {key}: {' '.join(str(line).split())}\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        rows = min(len(one) for one in columns.values())
        for first in range(0, rows, ROWS_AT_ONCE):
            part = [_texts(one[first : first + ROWS_AT_ONCE].tolist()) for one in columns.values()]
            writer.writerows(zip(*part, strict=True))


def _texts(values: Iterable[Any]) -> list[Any]:
    """Return values with nothing in the place of what is missing."""
    return ["" if isinstance(one, float) and math.isnan(one) else one for one in values]

"""The maps of a raster that an export takes: what was counted in each pixel per incident beam, at each energy."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.exports.request import Request, UnsuitableRun
from whiteline.analysis.live.fly_lines import FlyLines
from whiteline.analysis.runs.fly_maps import axis_columns
from whiteline.analysis.runs.pulses import require_pulses
from whiteline.analysis.runs.rasters import on_map, pixels_of
from whiteline.analysis.runs.run import FLY, Run
from whiteline.analysis.runs.spectra import INCIDENT, chambers, line_keys

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ScannedMaps:
    """Maps of a raster; NaN where a pixel is missing.

    Parameters
    ----------
    energies : ndarray of float64, shape (E,)
        That were reached [eV], by ascending energy; one of a raster at one energy, NaN if it was not recorded.
    y, x : ndarray of float64, shape (Y,), (X,)
        Where the pixels are along the slow and the fast axis.
    units : tuple of str
        Of y and x.
    signals : mapping of str to ndarray of float64, shape (E, Y, X)
        By data key.
    incident : str or None
        Data key of the beam by which they are divided; None if there is none.
    processing : tuple of str
        What was done, a sentence each.
    """

    energies: Numbers
    y: Numbers
    x: Numbers
    units: tuple[str, str]
    signals: Mapping[str, Numbers]
    incident: str | None
    processing: tuple[str, ...]


def scanned_maps(request: Request) -> ScannedMaps:
    """Return the maps of a raster.

    Raises
    ------
    UnsuitableRun
        If the run is no raster of one or several energies, or counts nothing but the incident beam.
    """
    request.require("raster")
    run = request.run
    shape = run.raster_shape
    if shape is None or len(shape) > 3:
        raise UnsuitableRun(f"{run.name} has maps of shape {shape}, not of two axes at each energy; export it as csv")
    planes = (1, *shape) if len(shape) == 2 else shape
    found = _flown(request) if FLY in run.streams else _stepped(request, shape)
    if request.signal is not None and request.signal not in found.signals:
        known = ", ".join(found.signals) or "nothing"
        raise UnsuitableRun(f"{run.name} counts no {request.signal!r} in its pixels; choose of {known}")
    if not found.signals:
        raise UnsuitableRun(f"{run.name} counts nothing in its pixels but the incident beam; export it as csv")
    energies = _energies(run, shape, planes[0])
    begun = np.isfinite(energies) if len(shape) == 3 else np.ones(1, bool)
    order = np.flatnonzero(begun)[np.argsort(energies[begun], kind="stable")]
    chosen = {key: one for key, one in found.signals.items() if request.signal in (None, key)}
    return ScannedMaps(
        energies=energies[order],
        y=found.y,
        x=found.x,
        units=found.units,
        signals={key: one[order] for key, one in chosen.items()},
        incident=found.incident,
        processing=found.processing,
    )


def _flown(request: Request) -> ScannedMaps:
    maps = FlyLines(request.incident).follow(request.run)
    pulses = require_pulses(request.run.points)
    table = pulses.table
    beam = request.incident or (f"{table.prefix}{INCIDENT}_rate" if INCIDENT in table.counters else None)
    slow, fast = (table.unit(one) or "um" for one in axis_columns(pulses))
    signals = {key: value if value.ndim == 3 else value[None] for key, (value, _) in maps.lines.items()}
    how = ["pulses are put onto a regular grid by their measured positions, and summed in its pixels"]
    how += ["maps of several energies are not moved against each other"] if (request.run.raster_shape or ())[2:] else []
    return ScannedMaps(
        np.empty(0), maps.grid.y, maps.grid.x, (slow, fast), signals, beam, (*how, _per_incident(beam), *maps.troubles)
    )


def _stepped(request: Request, shape: tuple[int, ...]) -> ScannedMaps:
    run = request.run
    planes = (1, *shape) if len(shape) == 2 else shape
    rates = chambers(run.points)
    beam = request.incident or rates.get(INCIDENT)
    incident = None if beam is None else run.map_of(beam).reshape(planes)
    signals = {}
    for key in [*line_keys(run.points), *(one for one in rates.values() if one != beam)]:
        counts = run.map_of(key).reshape(planes)
        if incident is not None:
            positive = np.where(incident > 0, incident, np.nan)
            counts = counts / (positive / np.nanmedian(positive)) if np.isfinite(positive).any() else counts * np.nan
        signals[key] = counts
    slow, fast = [str(one) for one in run.start.get("motors", ())][-2:]
    places = [run.positions(axis) for axis in (slow, fast)]
    pixels = pixels_of(run.start, run.points.seq_nums, shape)
    # where a row or a column is, on average over its points; one without any lies where it was planned
    y, x = (
        _along(on_map(one.best, pixels, shape).reshape(planes), axis, run, axis - 3)
        for one, axis in zip(places, (1, 2), strict=True)
    )
    return ScannedMaps(
        np.empty(0), y, x, (places[0].unit or "um", places[1].unit or "um"), signals, beam, (_per_incident(beam),)
    )


def _along(places: Numbers, axis: int, run: Run, extent: int) -> Numbers:
    others = tuple(one for one in range(3) if one != axis)
    known = np.isfinite(places)
    count = known.sum(axis=others)
    mean = np.where(known, places, 0).sum(axis=others) / np.where(count > 0, count, 1)
    extents = run.start.get("extents") or ()
    first, last = extents[extent] if len(extents) >= -extent else (np.nan, np.nan)
    planned = np.linspace(float(first), float(last), count.size)
    return np.asarray(np.where(count > 0, mean, planned))


def _energies(run: Run, shape: tuple[int, ...], number: int) -> Numbers:
    read = run.energies_of("primary")
    if read is None:
        return np.full(number, np.nan)
    planes = on_map(read, pixels_of(run.start, run.points.seq_nums, shape), shape).reshape(number, -1)
    known = np.isfinite(planes)
    count = known.sum(axis=1)
    return np.asarray(np.where(known, planes, 0).sum(axis=1) / np.where(count > 0, count, np.nan))


def _per_incident(beam: str | None) -> str:
    if beam is None:
        return "counts are as they are: no incident beam was counted"
    return f"counts are divided by {beam}, and brought to its median"

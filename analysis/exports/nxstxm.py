"""NXstxm: stacks of frames and of maps by the application definition of NeXus, as Mantis reads them.

https://manual.nexusformat.org/classes/applications/NXstxm.html. Mantis takes `definition` and `stxm_scan_type` only as
arrays of one text, `axes` as bytes, and asks for `count_time`. A stack of frames is one NXdata, "transmission"; of a
raster each signal is one, of which Mantis lets choose.
"""

import re
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.exports.nexus import begin, field, group, link, texts
from whiteline.analysis.exports.request import Files, Request, rotation_key
from whiteline.analysis.exports.scanned_maps import ScannedMaps, scanned_maps
from whiteline.analysis.exports.stack_frames import StackFrames, stack_frames
from whiteline.analysis.runs.run import Run

Numbers = NDArray[np.float64]

NO_DWELL = "the dwell was not recorded: count_time says that it is the same for all"


def nxstxm(request: Request) -> Files:
    """Return the file of an export.

    Raises
    ------
    UnsuitableRun
        If the run is neither a stack of frames nor a raster.
    """
    request.require("stack", "raster")
    if request.kind == "stack":
        return {".nxs": partial(_write_stack, request, stack_frames(request))}
    return {".nxs": partial(_write_raster, request, scanned_maps(request))}


def _write_stack(request: Request, frames: StackFrames, path: Path) -> None:
    known = bool(np.isfinite(frames.exposure_s).all())
    pixel = frames.pixel_um
    scale, unit = (1.0, "px") if pixel is None else (pixel, "um")
    where = "pixels are about the middle of the frame" + ("" if pixel else ", in px: their size was not recorded")
    processing = (*frames.processing, where, *(() if known else (NO_DWELL,)))
    with h5py.File(path, "w") as file:
        entry = begin(file, request, texts("NXstxm"), processing)
        y, x = (np.asarray(scale * (np.arange(size) - (size - 1) / 2), float) for size in frames.shape)
        data = _data(entry, frames.quantity, "sample image stack", frames.energies, (y, x), (unit, unit))
        times = frames.exposure_s if known else np.ones(len(frames))
        field(data, "count_time", times, "s" if known else "")
        made = data.create_dataset("data", (len(frames), *frames.shape), np.float32)
        made.attrs["units"] = "" if frames.has_flats else "counts"
        made.attrs["long_name"] = frames.quantity
        for index, image in enumerate(frames.images()):
            made[index] = image
            request.progress(index + 1, len(frames))

        instrument = entry["instrument"]
        field(group(instrument, "monochromator", "NXmonochromator"), "energy", frames.energies, "eV")
        link(group(instrument, "detector", "NXdetector"), "data", made)
        for name, key in _stage(request.run).items():
            stage = group(instrument, name, "NXdetector")
            field(stage, "data", frames.reading(key), request.run.points.unit(key))
        _angle(entry, request.run)


def _write_raster(request: Request, maps: ScannedMaps, path: Path) -> None:
    run = request.run
    several = maps.energies.size > 1
    kind = "sample image stack" if several else "sample image"
    with h5py.File(path, "w") as file:
        entry = begin(file, request, texts("NXstxm"), (*maps.processing, NO_DWELL))
        for key, values in maps.signals.items():
            data = _data(entry, plain(key), kind, maps.energies, (maps.y, maps.x), maps.units)
            field(data, "count_time", np.ones(maps.energies.size))
            field(data, "data", values if several else values[0], "counts", key)
        instrument, points = entry["instrument"], run.points
        energies = run.energies_of("primary")
        nowhere = np.full(len(points), np.nan)
        mono = group(instrument, "monochromator", "NXmonochromator")
        field(mono, "energy", nowhere if energies is None else energies, "eV")
        for key in maps.signals:
            # of a chamber that a capture box counts there are the counts, and the rate
            counted = key if key in points else f"{key}_counts"
            detector = group(instrument, plain(key), "NXdetector")
            field(detector, "data", points.numbers(counted), points.unit(counted) or "counts")
        if maps.incident is not None and maps.incident in points:
            incident = group(instrument, plain(maps.incident), "NXdetector")
            field(incident, "data", points.numbers(maps.incident), points.unit(maps.incident) or "counts")
        for name, axis in zip(("sample_y", "sample_x"), list(run.start.get("motors", ()))[-2:], strict=False):
            if axis in points:
                found = run.positions(str(axis))
                field(group(instrument, name, "NXdetector"), "data", found.best, found.unit)
        _angle(entry, run)


def _data(
    entry: Any, name: str, kind: str, energies: Numbers, places: tuple[Numbers, Numbers], units: tuple[str, str]
) -> Any:
    data = group(entry, name, "NXdata")
    axes = ("energy", "sample_y", "sample_x") if kind.endswith("stack") else ("sample_y", "sample_x")
    data.attrs["signal"], data.attrs["axes"] = "data", texts(*axes)
    field(data, "stxm_scan_type", texts(kind))
    field(data, "energy", energies, "eV")
    field(data, "sample_y", places[0], units[0])
    field(data, "sample_x", places[1], units[1])
    if "default" not in entry.attrs:
        entry.attrs["default"] = name
    return data


def _stage(run: Run) -> dict[str, str]:
    """Return data keys of the position of the sample in a stack, by the names that NXstxm has for them."""
    found = {}
    for name in ("sample_x", "sample_y", "sample_z"):
        measured = f"{name}_mean"
        if name in run.points:
            found[name] = measured if measured in run.points else name
    return found


def _angle(entry: Any, run: Run) -> None:
    """Write the angle of the sample [deg]; NaN if it was not recorded."""
    key = rotation_key(run) or next((one for one in ("sample_rotation",) if one in run.points), None)
    angles = np.array([np.nan]) if key is None else run.points.numbers(key)
    known = angles[np.isfinite(angles)]
    field(entry["sample"], "rotation_angle", float(known.mean()) if known.size else np.nan, "deg")


def plain(name: str) -> str:
    """Return a name as NeXus allows it: letters, numbers and underscores."""
    return re.sub(r"\W", "_", name, flags=re.ASCII)

"""NXtomo: the raw frames of a tomography by the application definition of NeXus: darks, flats and projections in one.

https://manual.nexusformat.org/classes/applications/NXtomo.html. `image_key` tells them apart: 0 projection, 1 flat,
2 dark. Angles are those that were measured.
"""

from functools import partial
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.exports.nexus import begin, field, group, link
from whiteline.analysis.exports.request import Files, Request, rotation_key
from whiteline.analysis.live.recipes import pixel_um
from whiteline.analysis.runs.frames import FrameStack
from whiteline.analysis.runs.projections import frames_of_points
from whiteline.analysis.runs.roles import frames_key
from whiteline.analysis.runs.run import DARK, FLAT, Run
from whiteline.analysis.runs.unreadable import UnreadableRun

PROJECTION, FLAT_FIELD, DARK_FIELD = 0, 1, 2
"""Values of `image_key`."""

PROCESSING = (
    "frames are raw; darks come first, then flats, then projections in the order in which they were taken",
    "angles are measured; that of a flat or dark is NaN, unless it was recorded",
    "the size of a pixel is that at the sample, binning included",
)


def nxtomo(request: Request) -> Files:
    """Return the file of an export.

    Raises
    ------
    UnsuitableRun
        If the run is no tomography.
    UnreadableRun
        If it has no projection with an angle, or frames cannot be read.
    """
    request.require("tomography")
    run = request.run
    frames, pulses = frames_of_points(run, request.camera)
    angles = run.points.numbers(str(rotation_key(run)))[pulses]
    known = np.isfinite(angles) & frames.readable()
    if not known.any():
        raise UnreadableRun(f"{run.name} has no projections with an angle whose frames can be read")
    parts = [(key, *part) for key, name in ((DARK_FIELD, DARK), (FLAT_FIELD, FLAT)) if (part := _still(request, name))]
    parts.append((PROJECTION, frames.select(known), angles[known]))
    left_out = int(np.count_nonzero(~known))
    processing = (*PROCESSING, f"{left_out} projections are left out: angle or frame is missing") if left_out else ()
    return {".nxs": partial(_write, request, parts, processing or PROCESSING)}


Part = tuple[int, FrameStack, NDArray[np.float64]]
"""Image key, points and the angle of each."""


def _still(request: Request, name: str) -> tuple[FrameStack, NDArray[np.float64]] | None:
    """Return the flats or the darks with their angles, those that can be read; None if there are none."""
    run = request.run
    if not len(run.streams.get(name, ())):
        return None
    stream = run.stream(name)
    stack = stream.stack(frames_key(run.start, stream, request.camera))
    key = str(rotation_key(run))
    angles = stream.numbers(key) if key in stream else np.full(len(stream), np.nan)
    there = stack.readable()
    return stack.select(there), angles[there]


def _write(request: Request, parts: list[Part], processing: tuple[str, ...], path: Path) -> None:
    run = request.run
    total = sum(int(frames.frames_per_point.sum()) for _, frames, _ in parts)
    shape, dtype = parts[-1][1].frame_shape, parts[-1][1].raw_dtype
    with h5py.File(path, "w") as file:
        entry = begin(file, request, "NXtomo", processing)
        detector = group(entry["instrument"], "detector", "NXdetector")
        data = detector.create_dataset("data", (total, *shape), dtype, chunks=(1, *shape))
        data.attrs["units"] = "counts"
        keys, angles, place = np.empty(total, np.int64), np.empty(total), 0
        for key, frames, measured in parts:
            for point, angle in enumerate(measured):
                raw = frames.raw(point)
                stop = place + len(raw)
                data[place:stop], keys[place:stop], angles[place:stop] = raw, key, angle
                place = stop
                request.progress(place, total)
        image_key = field(detector, "image_key", keys)
        size = _pixel_um(run)
        if size is not None:
            for name in ("x_pixel_size", "y_pixel_size"):
                field(detector, name, size, "um")
        rotation = field(entry["sample"], "rotation_angle", angles, "deg")
        mono = _energy(run)
        if mono is not None:
            field(group(entry["instrument"], "monochromator", "NXmonochromator"), "energy", mono, "eV")
        shown = group(entry, "data", "NXdata")
        shown.attrs["signal"] = "data"
        shown.attrs["axes"] = np.array(["rotation_angle", ".", "."], h5py.string_dtype())
        link(shown, "data", data)
        link(shown, "rotation_angle", rotation)
        link(shown, "image_key", image_key)
        entry.attrs["default"] = "data"


def _pixel_um(run: Run) -> float | None:
    streams = [run.points, *(run.streams[name] for name in (FLAT, DARK) if name in run.streams)]
    return next((found for one in streams if (found := pixel_um(run, one)) is not None), None)


def _energy(run: Run) -> float | None:
    """Return the energy that was reached [eV], on average; None if it was not recorded."""
    read = run.energies_of("primary")
    known = np.empty(0) if read is None else read[np.isfinite(read)]
    return float(known.mean()) if known.size else None

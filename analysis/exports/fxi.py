"""FXI: the flat HDF5 of the full-field microscope FXI at NSLS-II, as PyXAS and TXM_Sandbox read it.

img_xanes       (E, Y, X) float32   (I − D) / (F − D), not its logarithm
img_bkg         (E, Y, X) float32   flat of each frame, dark included [counts]
img_dark        (1, Y, X) float32   mean dark [counts]
X_eng           (E,) float64        energies reached [keV]
uid, scan_id, note, scan_time       of the run; scan_time in seconds since 1970
Magnification   float64             total: 6500 nm over it is the pixel, as these readers take it
Pixel Size      text                of a pixel of the frames, such as "40.0nm"
provenance      text                JSON; readers leave it alone
"""

from functools import partial
from pathlib import Path

import h5py
import numpy as np

from whiteline.analysis.exports.provenance import as_json, provenance_of, title_of
from whiteline.analysis.exports.request import Files, Request, UnsuitableRun
from whiteline.analysis.exports.stack_frames import StackFrames, stack_frames

CAMERA_PIXEL_NM = 6500.0
"""Pixel of the camera by which these readers turn magnification into the size of a pixel."""


def fxi(request: Request) -> Files:
    """Return the file of an export.

    Raises
    ------
    UnsuitableRun
        If the run is no stack, or has no flats or no darks.
    """
    request.require("stack")
    frames = stack_frames(request)
    for what, there in (("flats", frames.has_flats), ("darks", frames.has_darks)):
        if not there:
            raise UnsuitableRun(
                f"{request.run.name} has no {what}, and fxi holds frames that are divided by their flats, less dark; "
                "export it as tiff or nxstxm, which hold counts too"
            )
    return {".h5": partial(_write, request, frames)}


def _write(request: Request, frames: StackFrames, path: Path) -> None:
    run, shape = request.run, (len(frames), *frames.shape)
    pixel = frames.pixel_um
    with h5py.File(path, "w") as file:
        file["uid"] = run.uid
        file["scan_id"] = int(run.start.get("scan_id", -1))
        file["note"] = str(run.start.get("note") or title_of(run))
        file["scan_time"] = float(run.start["time"])
        file["X_eng"] = frames.energies / 1000
        file["X_eng"].attrs["units"] = "keV"
        transmission = file.create_dataset("img_xanes", shape, np.float32)
        flats = file.create_dataset("img_bkg", shape, np.float32)
        for index in range(len(frames)):
            transmission[index], flats[index] = frames.image(index), frames.flat(index)
            request.progress(index + 1, len(frames))
        file["img_dark"] = frames.dark(0)[None]
        for name, unit in (("img_bkg", "counts"), ("img_dark", "counts"), ("img_xanes", "")):
            file[name].attrs["units"] = unit
        file["Magnification"] = np.nan if pixel is None else CAMERA_PIXEL_NM / (1000 * pixel)
        file["Pixel Size"] = "" if pixel is None else f"{1000 * pixel:.10g}nm"
        file["provenance"] = as_json(provenance_of(request, frames.processing))

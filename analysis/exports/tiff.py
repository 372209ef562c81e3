"""TIFF as ImageJ reads it: the stack with its energies as labels, and each map with its error as a second slice.

The size of a pixel is in the resolution and the unit, so that ImageJ draws its scale bar; the unit of the values, the
energies and the provenance are in the labels and in the info of the image (Image > Show Info).
"""

import re
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from whiteline.analysis.exports.found_maps import Found, found_of
from whiteline.analysis.exports.provenance import as_json, provenance_of
from whiteline.analysis.exports.request import Files, Request, UnsuitableRun
from whiteline.analysis.exports.scanned_maps import ScannedMaps, scanned_maps
from whiteline.analysis.exports.stack_frames import StackFrames, stack_frames
from whiteline.analysis.maps.map import Map

PAGED_BYTES = 2**32 - 2**26
"""Places in a TIFF have 32 bits. Of a larger stack ImageJ takes the number of slices from its description, and reads
them one after the other."""

Image = NDArray[np.float32]


def tiff(request: Request) -> Files:
    """Return the files of an export: of a stack its frames, of all runs the maps that there are.

    Raises
    ------
    UnsuitableRun
        If the run has neither frames nor maps.
    """
    request.require("stack", "raster", "tomography")
    found = found_of(request)
    files: Files = {}
    pixel = _square(found.pixel_um)
    if request.kind == "stack":
        files[".tif"] = partial(_write_stack, request, stack_frames(request))
    elif request.kind == "raster" and (request.run.raster_shape or ())[2:]:
        maps = scanned_maps(request)
        files = {f"_{_plain(key)}_stack.tif": partial(_write_scanned, request, maps, key) for key in maps.signals}
        pixel = _steps_um(maps) or pixel
    files |= {
        f"_{_plain(name)}.tif": partial(_write_map, request, found, one, pixel) for name, one in found.maps.items()
    }
    if not files:
        raise UnsuitableRun(f"{request.run.name} has neither frames nor maps; export it as csv")
    return files


def _write_stack(request: Request, frames: StackFrames, path: Path) -> None:
    labels = [f"{energy:.3f} eV" for energy in frames.energies]
    unit = "" if frames.has_flats else "counts"
    info = _info(request, frames.quantity, unit, frames.processing, [float(one) for one in frames.energies])

    def images() -> Iterable[Image]:
        for index, image in enumerate(frames.images()):
            yield image
            request.progress(index + 1, len(frames))

    _write(path, images(), (len(frames), *frames.shape), _square(frames.pixel_um), labels, info)


def _write_scanned(request: Request, maps: ScannedMaps, key: str, path: Path) -> None:
    values = maps.signals[key].astype(np.float32)
    labels = [f"{energy:.3f} eV" for energy in maps.energies]
    info = _info(request, key, "counts", maps.processing, [float(one) for one in maps.energies])
    _write(path, values, values.shape, _steps_um(maps), labels, info)


def _steps_um(maps: ScannedMaps) -> tuple[float, float] | None:
    """Return height and width of a pixel [µm]; None if they are not known."""
    if min(maps.x.size, maps.y.size) < 2 or any(one not in ("um", "µm") for one in maps.units):
        return None
    height, width = (abs(float(np.diff(one).mean())) for one in (maps.y, maps.x))
    return height, width


def _write_map(request: Request, found: Found, one: Map, pixel: tuple[float, float] | None, path: Path) -> None:
    unit = f" [{one.unit}]" if one.unit else ""
    pages = [np.where(one.valid, part, np.nan).astype(np.float32) for part in (one.value, one.error)]
    labels = [f"{one.name}{unit}", f"standard error{unit}"]
    info = _info(request, one.name, one.unit, (found.source, "pixels that are not valid are NaN"), ())
    _write(path, pages, (2, *one.value.shape), pixel, labels, info)


def _info(request: Request, name: str, unit: str, processing: Sequence[str], energies: Sequence[float]) -> str:
    about = {"quantity": name, "unit": unit, "energies_eV": list(energies)}
    return as_json(about | provenance_of(request, processing))


def _write(
    path: Path,
    images: Iterable[Image],
    shape: tuple[int, ...],
    pixel: tuple[float, float] | None,
    labels: list[str],
    info: str,
) -> None:
    """Write slices; the pixel is its height and width [µm], None if it is not known.

    ImageJ's own byte order is big-endian; tifffile writes and tells it.
    """
    resolution = (1.0, 1.0) if pixel is None else (1 / pixel[1], 1 / pixel[0])
    about = {"axes": "ZYX", "unit": "pixel" if pixel is None else "um", "Labels": labels, "Info": info}
    with tifffile.TiffWriter(path, imagej=True) as file:
        file.write(
            iter(images), shape=shape, dtype=np.float32, photometric="minisblack", resolution=resolution,
            metadata=about, truncate=4 * int(np.prod(shape)) > PAGED_BYTES,
        )  # fmt: skip


def _square(pixel_um: float | None) -> tuple[float, float] | None:
    return None if pixel_um is None else (pixel_um, pixel_um)


def _plain(name: str) -> str:
    return re.sub(r"[^\w.+-]+", "_", name)

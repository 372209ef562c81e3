"""The copy of a slice in spectral order: optical densities and variances with all energies of a pixel side by side.

Each band of rows is a file of its own, written by one worker, there as a whole or not at all. What was interrupted goes
on where it stopped, and another fit of the same frames reads the copy instead of the frames.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.live.alignment import Place
from whiteline.analysis.live.edge_maps import PreparedRows
from whiteline.analysis.live.recipes import Recipe
from whiteline.analysis.scale.parts import tile_of
from whiteline.analysis.scale.slices import Developing
from whiteline.analysis.whole_files import written_whole

Image = NDArray[np.float32]

LEFT_BEHIND_S = 3600.0
"""A half-written file that nobody has written to for so long is nobody's."""


def path_of_part(folder: Path, rows: slice) -> Path:
    """Return the file of some rows of a slice."""
    return folder / f"rows_{rows.start:05d}_{rows.stop:05d}.h5"


def remove_left_behind(folder: Path) -> None:
    """Remove what workers that were killed have left half written; what is younger may still be written to."""
    for part in folder.glob(".*.part"):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > LEFT_BEHIND_S:
                part.unlink()


def spectra_of(
    path: Path, developing: Developing, steps: Sequence[tuple[Recipe, Place]], rows: slice
) -> tuple[Image, Image]:
    """Return optical density and variance of some rows, from the copy, or from the frames with a copy being made.

    Parameters
    ----------
    path : Path
        Of the copy of these rows.
    developing : Developing
        How frames are read.
    steps : sequence of (Recipe, Place)
        The frames, and how each is brought onto the first one.
    rows : slice
        Which rows.

    Returns
    -------
    density, variance : ndarray of float32, shape (E, rows, X)

    Raises
    ------
    UnreadableRun
        If frames cannot be read.
    OSError
        If the copy cannot be written, or not be read.
    """
    if path.exists():
        with h5py.File(path) as file:
            return _read(file["density"]), _read(file["variance"])
    density, variance = PreparedRows(developing.developer(), steps).band(rows)
    try:
        with written_whole(path) as part, h5py.File(part, "w") as file:
            for name, values in (("density", density), ("variance", variance)):
                _write(file, name, values)
    except OSError as error:
        raise OSError(
            f"the copy {path} cannot be written: {error}; make room there, or name another folder by --cache"
        ) from error
    return density, variance


def _write(file: Any, name: str, values: Image) -> None:
    """Write tile by tile, past the library's cache, which would hold a whole band once more."""
    tile = tile_of(values.shape[0], (values.shape[1], values.shape[2]))
    made = file.create_dataset(name, values.shape, np.float32, chunks=tile)
    for row in range(0, values.shape[1], tile[1]):
        for column in range(0, values.shape[2], tile[2]):
            part = values[:, row : row + tile[1], column : column + tile[2]]
            whole = part if part.shape == tile else _padded(part, tile)
            made.id.write_direct_chunk((0, row, column), np.ascontiguousarray(whole).tobytes())


def _padded(part: Image, tile: tuple[int, ...]) -> Image:
    whole = np.zeros(tile, np.float32)
    whole[tuple(slice(size) for size in part.shape)] = part
    return whole


def _read(dataset: Any) -> Image:
    """Read what `_write` has written."""
    values, tile = np.empty(dataset.shape, np.float32), dataset.chunks
    for row in range(0, values.shape[1], tile[1]):
        for column in range(0, values.shape[2], tile[2]):
            _, held = dataset.id.read_direct_chunk((0, row, column))
            part = values[:, row : row + tile[1], column : column + tile[2]]
            part[...] = np.frombuffer(held, np.float32).reshape(tile)[tuple(slice(size) for size in part.shape)]
    return values

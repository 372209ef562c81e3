"""How a slice is divided: into bands of rows that a worker holds in memory, and tiles in which they are kept."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from whiteline.analysis.checks import require

PART_BYTES = 96 * 2**20
"""Of optical densities and variances that a worker has at a time. Less, and the rows that a resampled band needs beyond
its own would cost more than the fit."""

TILE = 64
"""Pixels along each side of a tile of the copy in spectral order, which has all energies: (E, 64, 64)."""

LEAST_MEMORY = 2**30
"""Of a worker: its libraries, one whole frame several times over while it is registered, and a part."""

BYTES_OF_SPECTRUM = 8
"""Of one pixel at one energy: optical density and variance in float32."""


def bands_of(energies: int, shape: tuple[int, int]) -> list[slice]:
    """Return the rows of the parts of a slice.

    Parameters
    ----------
    energies : int
        Number of its frames.
    shape : tuple of int
        Rows and columns of a frame.

    Returns
    -------
    list of slice
        Whole tiles high, as many as fit into `PART_BYTES`, at least one.
    """
    height, width = shape
    tiles = max(1, PART_BYTES // (BYTES_OF_SPECTRUM * max(1, energies) * width * TILE))
    rows = tiles * TILE
    return [slice(start, min(height, start + rows)) for start in range(0, height, rows)]


def tile_of(energies: int, shape: tuple[int, int]) -> tuple[int, int, int]:
    """Return the chunks of a part of some rows and columns."""
    return energies, min(TILE, shape[0]), min(TILE, shape[1])


def require_memory(memory: int) -> None:
    """Raise if a worker has too little memory.

    Raises
    ------
    OutOfRange
        If it is less than `LEAST_MEMORY`.
    """
    limit = f"must be at least {LEAST_MEMORY / 1e9:.3g} GB for a part of {PART_BYTES / 1e6:.0f} MB"
    require(round(memory / 1e9, 3), memory >= LEAST_MEMORY, "memory of a worker", limit, "GB")


def require_room(folders: Sequence[tuple[Path, int, str]]) -> None:
    """Raise if there is no room for what is to be written.

    Parameters
    ----------
    folders : sequence of (Path, int, str)
        Folder, how much goes there [bytes], and what it is with the option that names another place.

    Raises
    ------
    OSError
        Naming folder, what is needed, what there is, and the remedy.
    """
    free: dict[int, int] = {}
    for folder, needed, what in folders:
        there = next(one for one in (folder, *folder.parents) if one.exists())
        device = there.stat().st_dev
        left = free.setdefault(device, shutil.disk_usage(there).free)
        if needed > left:
            raise OSError(
                f"{what} needs {needed / 1e9:.3g} GB in {folder}, and {left / 1e9:.3g} GB are free there; make room, "
                "or name a folder on another disk"
            )
        free[device] = left - needed


def bytes_of_copy(energies: int, shape: tuple[int, int]) -> int:
    """Return how large the copy of a slice in spectral order is [bytes]."""
    return BYTES_OF_SPECTRUM * energies * int(np.prod(shape))

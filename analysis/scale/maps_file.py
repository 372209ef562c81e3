"""The result as one HDF5 file, filled part by part: laid out as the live analysis saves its own, read by `load_map`.

/entry, or /entry_0, /entry_1 …     one for each slice
/entry_0/angle                      of a tomogram [deg]
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from whiteline.analysis.live.fraction_fit import Misfit, error_found
from whiteline.analysis.live.results import ErrorFound, Results, provenance_of
from whiteline.analysis.live.saving import empty_map, write_entry
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.maps.map import Map
from whiteline.analysis.scale.part_maps import Looked
from whiteline.analysis.scale.slices import Slice
from whiteline.analysis.whole_files import written_whole

ERROR_PIXELS = 65_536
"""So many pixels of a map say how well it is known."""


class MapsFile:
    """The file while it is being filled; `maps_file` opens it.

    Parameters
    ----------
    file : h5py.File
        Open for writing.
    slices : sequence of Slice
        All that will be in it.
    settings : Settings
        Of the fits.
    """

    def __init__(self, file: Any, slices: Sequence[Slice], settings: Settings) -> None:
        self._file, self._slices, self._settings = file, slices, settings

    def name(self, index: int) -> str:
        """Return the name of the entry of a slice."""
        return f"entry_{index}" if len(self._slices) > 1 else "entry"

    def begin(self, index: int, looked: Looked) -> None:
        """Write of a slice all but its maps."""
        one, survey = self._slices[index], looked.survey
        head = Results(
            kind="stack",
            uid=one.uid,
            run=one.name,
            energies=np.array(survey.energies),
            planned=one.planned,
            frames=survey.found,
            energy_shift=looked.energy_shift,
            pixel_um=one.pixel_um,
            position=index if len(self._slices) > 1 else None,
            over=one.over,
            exit_status=one.exit_status,
            troubles=(*one.troubles, *looked.troubles),
            provenance=provenance_of(self._settings, one.uid) | {"digest_of_frames": one.digest()},
        )
        entry = self._file.create_group(self.name(index))
        write_entry(entry, head)
        if one.angle is not None:
            entry["angle"] = one.angle
            entry["angle"].attrs["units"] = "deg"
        self._file.attrs["default"] = self.name(index)

    def fill(self, index: int, rows: slice, maps: dict[str, Map]) -> None:
        """Write the maps of some rows of a slice."""
        group = self._file[self.name(index)]["maps"]
        for name, one in maps.items():
            if name not in group:
                empty_map(group, name, one.unit, self._slices[index].developing.frame_shape)
            for part in ("value", "error", "valid"):
                group[name][part][rows] = getattr(one, part)

    def finish(self, index: int, misfit: Misfit, energies: int) -> ErrorFound:
        """Write how well the fractions of a slice are known, and return it."""
        entry = self._file[self.name(index)]
        fractions = [one for name, one in entry["maps"].items() if name.startswith("fraction of ")]
        some = [_thinned(one) for one in fractions]
        found = error_found(tuple(some), misfit, energies)
        found = replace(found, energies=energies if fractions else 0)
        for name, value in asdict(found).items():
            del entry["error"][name]
            entry["error"][name] = value
        if first := next(iter(entry["maps"]), None):
            entry.attrs["default"] = f"maps/{next((one for one in entry['maps'] if one.startswith('fraction')), first)}"
        return found


@contextmanager
def maps_file(path: Path, slices: Sequence[Slice], settings: Settings) -> Iterator[MapsFile]:
    """Open the file of a result; it is there under its name when all of it is.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as part, h5py.File(part, "w") as file:
        yield MapsFile(file, slices, settings)


def _thinned(group: Any) -> Map:
    """Read every so-manieth row and column of a map."""
    step = max(1, int(np.sqrt(group["value"].size / ERROR_PIXELS)))
    read = [group[part][step // 2 :: step][:, step // 2 :: step] for part in ("value", "error", "valid")]
    return Map(group.name.rpartition("/")[2], "", *read)

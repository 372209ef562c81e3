"""A file that grows by a row at a time, or several, while others read it: a table of columns, each rows × pulses."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

Attributes = Mapping[str, Any]


class LinesFile:
    """A file that is open for rows of one length; a line is one of them, or several.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    group : str
        Where the columns are, such as "entry/capture".
    columns : mapping of str to mapping
        Attributes of each column, by its name.
    pulses : int
        Of each row.
    also : callable, optional
        Writes what else is in it, before readers see it.

    Raises
    ------
    OSError
        If it cannot be written.
    """

    def __init__(
        self,
        path: Path,
        group: str,
        columns: Mapping[str, Attributes],
        pulses: int,
        also: Callable[[h5py.File], None] | None = None,
    ) -> None:
        self.path, self.pulses = path, pulses
        self.lines = 0
        self._file = h5py.File(path, "w", libver="latest")
        try:
            self._file.create_group("entry").attrs["NX_class"] = "NXentry"
            self._file.require_group(group).attrs["NX_class"] = "NXcollection"
            self._columns = {}
            for name, attributes in columns.items():
                column = self._file.create_dataset(
                    f"{group}/{name}", (0, pulses), "f8", maxshape=(None, pulses), chunks=(1, pulses)
                )
                column.attrs.update(attributes)
                self._columns[name] = column
            if also is not None:
                also(self._file)
            self._file.swmr_mode = True
        except BaseException:
            self._file.close()
            raise

    def append(self, line: Mapping[str, NDArray[np.float64]]) -> None:
        """Append the pulses of a line, or the next ones of it: whole rows, the last of them filled up with NaN.

        A column that it lacks is NaN; of no pulses there is one row of NaN.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        rows = max(1, -(-max((values.size for values in line.values()), default=0) // self.pulses))
        for name, column in self._columns.items():
            values = np.full((rows, self.pulses), np.nan)
            if name in line:
                values.ravel()[: line[name].size] = line[name]
            column.resize(self.lines + rows, axis=0)
            for number, row in enumerate(values):
                column.id.write_direct_chunk((self.lines + number, 0), row)
            column.flush()
        self.lines += rows

    def close(self) -> None:
        """Close the file."""
        self._file.close()

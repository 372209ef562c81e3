"""Metadata that lasts from one session to the next: number of the last scan, proposal, sample.

It is a dictionary that the run engine takes as its `md`. Each change is on the disk when it is made, in a file that
people can read. What another session has changed is seen at the next look, so that two of them do not give the same
number to two scans.
"""

import json
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

from whiteline.analysis.whole_files import write_whole


class LastingMetadata(MutableMapping[str, Any]):
    """A dictionary in a JSON file.

    Parameters
    ----------
    path : Path
        Of the file; it and its folder are made with the first entry.

    Raises
    ------
    ValueError
        If the file holds something else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[int, int] | None = None
        self._known: dict[str, Any] = {}
        self._values()

    def __getitem__(self, key: str) -> Any:
        return self._values()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._replace({**self._values(), key: value})

    def __delitem__(self, key: str) -> None:
        values = self._values()
        _ = values[key]  # a key that is not there is an error, as of any dictionary
        self._replace({name: value for name, value in values.items() if name != key})

    def __iter__(self) -> Iterator[str]:
        return iter(self._values())

    def __len__(self) -> int:
        return len(self._values())

    def __repr__(self) -> str:
        return repr(self._values())

    def _values(self) -> dict[str, Any]:
        """Return what the file holds, read again if it was written by somebody else."""
        try:
            state = self._path.stat()
        except FileNotFoundError:
            return self._known
        if (state.st_mtime_ns, state.st_ino) != self._read:
            try:
                self._known = dict(json.loads(self._path.read_text()))
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"{self._path} holds no metadata: {error}; mend it, or move it away to begin anew"
                ) from error
            self._read = (state.st_mtime_ns, state.st_ino)
        return self._known

    def _replace(self, values: dict[str, Any]) -> None:
        """Keep other values: on the disk first, in a file that is never half there."""
        try:
            text = json.dumps(values, indent=1)
        except TypeError as error:
            raise TypeError(f"metadata must be plain numbers, texts, lists and dictionaries: {error}") from error
        write_whole(self._path, text + "\n")
        self._known = values
        state = self._path.stat()
        self._read = (state.st_mtime_ns, state.st_ino)

"""Where a file is for this client: the IOC that wrote it may see the same disk under another path."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PathMap:
    """Folders as they are named in documents, and as this client finds them.

    Parameters
    ----------
    folders : tuple of (str, str)
        Pairs of both names, as `write` and `read` of a detector in the description of the beamline. The longest name
        that a path begins with counts.
    """

    folders: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, given: "PathMapLike") -> "PathMap":
        """Return a path map as one: from a mapping, from pairs, or from None."""
        if isinstance(given, PathMap):
            return given
        if given is None:
            return cls()
        pairs = given.items() if isinstance(given, Mapping) else given
        return cls(tuple((str(write), str(read)) for write, read in pairs))

    def find(self, path: str) -> Path:
        """Return where a file is for this client.

        A file that is where the documents say is taken from there, unless the map leads to one.
        """
        for write, read in sorted(self.folders, key=lambda pair: -len(pair[0])):
            rest = _below(path, write)
            if rest is not None:
                mapped = Path(read).expanduser() / rest
                return mapped if mapped.exists() or not Path(path).exists() else Path(path)
        return Path(path)


PathMapLike = PathMap | Mapping[str, str] | Iterable[tuple[str, str]] | None
"""What can be given as a path map."""


def _below(path: str, folder: str) -> str | None:
    """Return the part of a path below a folder, None if it is not below it; Windows' separators are as good."""
    windows = "\\" in folder or folder[1:2] == ":"
    plain, start = path.replace("\\", "/") if windows else path, folder.replace("\\", "/") if windows else folder
    start = start.rstrip("/") + "/"
    same = plain[: len(start)].lower() == start.lower() if windows else plain.startswith(start)
    return plain[len(start) :] if same else None

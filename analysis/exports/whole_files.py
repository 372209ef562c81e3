"""Files that are there as a whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a name beside a file, and move what was written there into its place at the end.

    An export that is killed leaves a hidden `.part`, and never a half file under its name.

    Parameters
    ----------
    path : Path
        Of the file.

    Yields
    ------
    Path
        Where to write it.
    """
    part = path.with_name(f".{path.name}.{uuid4().hex[:8]}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def refuse_existing(path: Path) -> None:
    """Raise if there is a file already.

    Raises
    ------
    FileExistsError
        Naming it.
    """
    if path.exists():
        raise FileExistsError(f"{path} is there already; let it be replaced by --force (force=True), or name another")

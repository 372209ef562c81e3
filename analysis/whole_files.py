"""Files that are there as a whole or not at all: whatever ends this process, there is the old one or the new."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a name beside a file, and move what was written there into its place at the end.

    A process that is killed leaves a hidden `.part`, and never a half file under the name.

    Parameters
    ----------
    path : Path
        Of the file; its folder is made if it is missing.

    Yields
    ------
    Path
        Where to write it.

    Raises
    ------
    OSError
        If it cannot be written; the old one is as it was then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid4().hex[:8]}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Replace a small file so that it outlasts a loss of power, too; parameters and errors as of `written_whole`.

    Parameters
    ----------
    path : Path
        Of the file.
    text : str
        What it shall hold.
    """
    with written_whole(path) as part, part.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def refuse_existing(path: Path) -> None:
    """Raise if there is a file already.

    Raises
    ------
    FileExistsError
        Naming it.
    """
    if path.exists():
        raise FileExistsError(f"{path} is there already; let it be replaced by --force (force=True), or name another")

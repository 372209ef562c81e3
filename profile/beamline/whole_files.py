"""Small files that are replaced as a whole: whatever ends this process, there is the old one or the new."""

import os
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a file so that there is always a whole one, the old one or the new.

    Parameters
    ----------
    path : Path
        Of the file; its folder is made if it is missing.
    text : str
        What it shall hold.

    Raises
    ------
    OSError
        If it cannot be written; the old one is as it was then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

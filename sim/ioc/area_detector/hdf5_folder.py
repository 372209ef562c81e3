"""Where the file plugin writes: folders that it may have to make, and names made by a template."""

import os
from pathlib import Path


def as_folder(path: str) -> str:
    """Return the path of a folder with a slash at its end, as areaDetector shows it."""
    return path if not path or path.endswith("/") else f"{path}/"


def ready(folder: str, create: int) -> str:
    """Make a folder ready to be written into.

    Parameters
    ----------
    folder : str
        Its path.
    create : int
        Which levels may be made, as areaDetector counts: none if 0, the last so many if negative, and if positive those
        after the first so many.

    Returns
    -------
    str
        Why it is not ready; empty if it is.
    """
    path = Path(folder)
    if not folder:
        return "no folder is set: put FilePath"
    levels = [one for one in (path, *path.parents) if one.name][::-1]
    first = len(levels) + create if create < 0 else create
    if create and all(one.is_dir() for one in levels[: max(first, 0)]):
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            return f"the folder {folder} cannot be made: {error.strerror}"
    if not path.is_dir():
        return f"the folder {folder} does not exist"
    if not os.access(path, os.W_OK | os.X_OK):
        return f"the folder {folder} cannot be written into: permission denied"
    return ""


def file_in(folder: str, name: str, number: int, template: str) -> Path:
    """Return the path of a file.

    Parameters
    ----------
    folder, name, number
        What the template is filled with.
    template : str
        As for C, such as "%s%s_%6.6d.h5"; what it does not ask for is left out.

    Raises
    ------
    ValueError
        If the template cannot be filled.
    """
    values = (folder, name, number)
    for count in (3, 2, 1):
        try:
            path = Path(template % values[:count])
        except (TypeError, ValueError):
            continue
        if path.name and not path.is_dir():
            return path
    raise ValueError(f"FileTemplate {template!r} does not make the name of a file; use %s%s_%6.6d.h5")

"""Where the frames of a point lie: in which file, from which frame on, and how many.

Two families of documents say so. Detectors of ophyd emit a Resource for each file and a Datum for each point; what
flies, and detectors of ophyd-async, emit StreamResource and StreamDatum. Both become the same `Place`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import unquote, urlsplit

from whiteline.analysis.runs.unreadable import UnreadableRun

DATASET = "entry/data/data"
"""Where areaDetector puts the frames, if the documents do not say it."""

HDF5 = "application/x-hdf5"


@dataclass(frozen=True, slots=True)
class FrameFile:
    """A file with frames, as the documents name it.

    Parameters
    ----------
    path : str
        As the documents have it; a path map says where it is for this client.
    dataset : str
        Within the file.
    frames_per_point : int or None
        How many frames a point has; None where the description of the data says it.
    kind : str
        "" for HDF5, else what it is instead, which cannot be read here.
    """

    path: str
    dataset: str = DATASET
    frames_per_point: int | None = 1
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Frames of one point.

    Parameters
    ----------
    file : FrameFile
        Where they are.
    first, count : int
        First frame in the file, and number of frames.
    """

    file: FrameFile
    first: int
    count: int


def file_of_resource(document: Mapping[str, Any]) -> FrameFile:
    """Return the file that a Resource document names."""
    options = document.get("resource_kwargs", {})
    root, rest = str(document.get("root", "")), str(document.get("resource_path", ""))
    windows = document.get("path_semantics") == "windows" or PureWindowsPath(root).drive != ""
    path = str((PureWindowsPath if windows else PurePosixPath)(root) / rest) if root else rest
    spec = str(document.get("spec", "")).upper()
    return FrameFile(
        path=path,
        dataset=str(options.get("dataset") or options.get("path") or DATASET).strip("/"),
        frames_per_point=int(options.get("frame_per_point") or options.get("multiplier") or 1),
        kind="" if "HDF5" in spec or spec.startswith("XSP") or not spec else spec,
    )


def file_of_stream_resource(document: Mapping[str, Any]) -> FrameFile:
    """Return the file that a StreamResource document names."""
    if "uri" not in document:  # of event-model before 1.20
        return file_of_resource(document)
    options = document.get("parameters", {})
    frames = options.get("multiplier") or options.get("frame_per_point")
    kind = str(document.get("mimetype", HDF5))
    return FrameFile(
        path=path_of_uri(str(document["uri"])),
        dataset=str(options.get("dataset") or options.get("path") or DATASET).strip("/"),
        frames_per_point=None if frames is None else int(frames),
        kind="" if kind == HDF5 else kind,
    )


def path_of_uri(uri: str) -> str:
    """Return the path of a file URI, as the machine that wrote the file spells it.

    Raises
    ------
    UnreadableRun
        If it is no file URI.
    """
    parts = urlsplit(uri)
    if parts.scheme not in ("file", ""):
        raise UnreadableRun(f"{uri} is no file on a disk, so its frames cannot be read; open the run where it lies")
    path = unquote(parts.path)
    return path[1:] if re.match(r"/[A-Za-z]:", path) else path


def place_of_datum(file: FrameFile, options: Mapping[str, Any], count_before: int) -> Place:
    """Return the frames of one Datum.

    Parameters
    ----------
    file : FrameFile
        Of its Resource.
    options : mapping
        Its `datum_kwargs`.
    count_before : int
        Datums of the same file before it, which number it where nothing else does.
    """
    frames = file.frames_per_point or 1
    if "point_number" in options:
        return Place(file, int(options["point_number"]) * frames, frames)
    if "indices" in options:
        start, stop = int(options["indices"]["start"]), int(options["indices"]["stop"])
        return Place(file, start * frames, (stop - start) * frames)
    if "frame" in options:
        return Place(file, int(options["frame"]), 1)
    return Place(file, count_before * frames, frames)


def frames_of(file: FrameFile, shape: object) -> int:
    """Return how many frames a point has, from its file or else from the shape of its data, frames first."""
    if file.frames_per_point is not None:
        return file.frames_per_point
    return int(shape[0]) if isinstance(shape, list | tuple) and len(shape) > 2 and shape[0] else 1

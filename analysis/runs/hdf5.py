"""Files of frames that may still be written, or that were never finished: opened in bounded time, and not believed.

Beside a writer HDF5 reads a file again until its checksums are right. It does so a hundred times, and doubles its wait
each time from one nanosecond on, so it waits for ever for a file that was cut; and of pixels behind the end of such a
file it makes zeros. So it is told to try less often, and each frame is looked for within the file.
"""

import ctypes
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from whiteline.analysis.runs.places import FrameFile
from whiteline.analysis.runs.unreadable import UnreadableRun

ATTEMPTS = 24
"""How often HDF5 reads a part of a file that is being written: for 2²⁴ ns together, longer than a writer takes."""


@contextmanager
def opened(path: Path, file: FrameFile, label: str) -> Iterator[Any]:
    """Open the dataset of a file, which may still be written.

    Parameters
    ----------
    path : Path
        Of the file.
    file : FrameFile
        As the documents name it.
    label : str
        What is read, for errors.

    Raises
    ------
    UnreadableRun
        If it is missing, damaged, no HDF5, or holds no such dataset; also if it turns out to be damaged while it is
        read.
    """
    if file.kind:
        raise UnreadableRun(f"{label}: {path} is {file.kind}, and only HDF5 is read here; read it by itself")
    if not path.exists():
        elsewhere = "" if str(path) == file.path else f", which the documents call {file.path}"
        raise UnreadableRun(
            f"{label}: there is no file {path}{elsewhere}; mount its disk, or give a path map from the folder that the "
            "documents name to the one that it is in"
        )
    try:
        with open_bounded(path) as handle:
            if file.dataset not in handle:
                raise UnreadableRun(
                    f"{label}: {path} holds no dataset {file.dataset}; it was not written to its end, or is another's"
                )
            yield handle[file.dataset]
    except (OSError, KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[0].strip("\"'")
        raise UnreadableRun(
            f"{label}: {path} cannot be read ({reason}); it is half-written, damaged, or not yours to read: look at it "
            "with h5ls; `h5clear --status` may help"
        ) from error


def is_whole(dataset: Any, frame: int, path: Path) -> bool:
    """Tell whether a frame lies within its file; one behind the end of a file that was cut would be read as zeros."""
    if frame >= dataset.shape[0]:
        return False
    if not dataset.file.swmr_mode or dataset.chunks is None:
        return True  # a file that was closed is known to have its end
    first = frame - frame % dataset.chunks[0]
    info = dataset.id.get_chunk_info_by_coord((first, *[0] * (dataset.ndim - 1)))
    return info.byte_offset is not None and info.byte_offset + info.size <= path.stat().st_size


def open_bounded(path: Path) -> Any:
    """Open a file: as one that was closed, else beside the writer that writes it, or was killed while it did.

    It is not locked, so that nobody waits for a reader. Only where this very process has it open already, HDF5 wants it
    to be opened in the same way.

    Raises
    ------
    OSError
        If it is missing, cut, or no HDF5.
    """
    import h5py

    reader = h5py.h5f.ACC_RDONLY
    first: OSError | None = None
    try:
        for beside_writer, locked in ((False, False), (True, False), (False, True), (True, True)):
            access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
            access.set_libver_bounds(h5py.h5f.LIBVER_EARLIEST, h5py.h5f.LIBVER_LATEST)
            # a frame that fits into the cache of chunks is read whole into it, were it for a single row
            access.set_cache(0, 1, 0, 0.0)
            if not locked:
                access.set_file_locking(False, True)
            if beside_writer and (set_attempts := _set_attempts()) is not None:
                set_attempts(access.id, ATTEMPTS)
            try:
                mode = reader | h5py.h5f.ACC_SWMR_READ if beside_writer else reader
                return h5py.File(h5py.h5f.open(bytes(path), mode, fapl=access))
            except OSError as error:
                first = first or error
                if "truncated" in str(error) or "signature" in str(error):
                    break  # it was closed, and then cut, or is no such file at all
        assert first is not None
        raise first
    finally:
        # An error that is kept here refers to this call, and keeps what it holds until garbage is collected: in any
        # thread, such as one of Channel Access. The lock of h5py 3.16 does not bear that beside a reader: it crashes.
        first = None


@cache
def _set_attempts() -> Any:
    """Return the function of HDF5 that says how often it tries, which h5py does not offer; None if it is not found."""
    try:
        mapped = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return None  # not Linux
    libraries = [line.split()[-1] for line in mapped if re.search(r"/libhdf5[-.][^/]*$", line)]
    if not libraries:
        return None
    function = ctypes.CDLL(libraries[0]).H5Pset_metadata_read_attempts
    function.argtypes, function.restype = (ctypes.c_int64, ctypes.c_uint), ctypes.c_int
    return function

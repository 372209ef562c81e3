"""A file of arrays in the layout of areaDetector's HDF5 plugin, that others may read while it grows."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from whiteline.sim.ioc.area_detector.arrays import Arrays

ARRAYS = "entry/data/data"
ATTRIBUTES = "entry/instrument/NDAttributes"
OWN_ATTRIBUTES = {
    "NDArrayUniqueId": "i4",
    "NDArrayTimeStamp": "f8",
    "NDArrayEpicsTSSec": "u4",
    "NDArrayEpicsTSnSec": "u4",
}
ATTRIBUTES_CHUNK = 512
"""How many values of an attribute are stored together."""

NS = 1_000_000_000


class FramesFile:
    """A file that is open for arrays of one shape.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    suffix : str
        What is appended to its name until it is closed.
    shape : sequence of int
        Of each array.
    dtype : str
        Of its elements.
    attributes : iterable of str
        Names of what is written beside each array, but for number and time.
    swmr : bool
        Whether others may read while it grows.

    Raises
    ------
    OSError
        If it cannot be written.
    """

    def __init__(
        self, path: Path, suffix: str, shape: Sequence[int], dtype: str, attributes: Iterable[str], swmr: bool
    ) -> None:
        self.path, self._partial = path, path.with_name(path.name + suffix)
        self.shape = tuple(shape)
        self.count = 0
        self._file = h5py.File(self._partial, "w", libver="latest")
        try:
            self._lay_out(dtype, attributes)
            if swmr:
                self._file.swmr_mode = True
        except BaseException:
            self._file.close()
            raise

    def append(self, arrays: Arrays) -> None:
        """Append arrays; who reads the file sees them afterwards.

        Raises
        ------
        OSError
            If they cannot be written.
        ValueError
            If they have another shape than the file.
        """
        if arrays.pixels.shape[1:] != self.shape:
            raise ValueError(
                f"an array of {_by(arrays.pixels.shape[1:])} does not fit into a file of {_by(self.shape)}: "
                "start a new capture after a change of the region"
            )
        first, after = self.count, self.count + len(arrays.pixels)
        seconds = np.floor(arrays.times_s)
        numbers = arrays.number + np.arange(len(arrays.pixels))
        own = (numbers, arrays.times_s, seconds, (arrays.times_s - seconds) * NS)
        values = {**dict(zip(OWN_ATTRIBUTES, own, strict=True)), **arrays.attributes}
        for name, dataset in self._attributes.items():
            dataset.resize(after, axis=0)
            dataset[first:after] = values.get(name, np.nan)
            dataset.flush()
        # an array is a chunk, and not filtered: its bytes go to the file as they are
        self._arrays.resize(after, axis=0)
        for place, pixels in enumerate(arrays.pixels, first):
            self._arrays.id.write_direct_chunk((place, *(0 for _ in self.shape)), pixels)
        # last, so that whoever sees the arrays finds their attributes
        self._arrays.flush()
        self.count = after

    def close(self) -> None:
        """Close the file, and give it its name."""
        self._file.close()
        if self._partial != self.path:
            self._partial.replace(self.path)

    def _lay_out(self, dtype: str, attributes: Iterable[str]) -> None:
        for name, kind in (
            ("entry", "NXentry"),
            ("entry/data", "NXdata"),
            ("entry/instrument", "NXinstrument"),
            ("entry/instrument/detector", "NXdetector"),
            (ATTRIBUTES, "NXcollection"),
        ):
            self._file.create_group(name).attrs["NX_class"] = kind
        self._file["entry/data"].attrs["signal"] = "data"
        self._file["entry/instrument/detector/data"] = h5py.SoftLink(f"/{ARRAYS}")
        self._arrays = self._file.create_dataset(
            ARRAYS, (0, *self.shape), dtype, maxshape=(None, *self.shape), chunks=(1, *self.shape)
        )
        kinds: dict[str, Any] = {**OWN_ATTRIBUTES, **dict.fromkeys(attributes, "f8")}
        self._attributes = {
            name: self._file.create_dataset(
                f"{ATTRIBUTES}/{name}", (0,), kind, maxshape=(None,), chunks=(ATTRIBUTES_CHUNK,)
            )
            for name, kind in kinds.items()
        }


def _by(shape: Sequence[int]) -> str:
    """Return a shape as people write it."""
    return " x ".join(map(str, shape))

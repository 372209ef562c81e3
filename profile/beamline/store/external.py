"""Frames as the catalog refers to them: a file, and the places in it; read chunk by chunk.

The frames of a stream need not lie together in their file, see `whiteline.beamline.store.frames`. Where they are the
first ones without a gap, the catalog says so in a way that every Tiled server understands. Where they are not, it holds
a parameter `frames`, and a server needs this module to read them.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import dask.array
from bluesky_tiled_plugins.writing.consolidators import CONSOLIDATOR_REGISTRY, HDF5Consolidator
from tiled.adapters.hdf5 import HDF5Adapter, HDF5ArrayAdapter
from tiled.utils import path_from_uri

from whiteline.beamline.store.frames import LISTED, ranges

HDF5 = "application/x-hdf5"

ADAPTERS = {HDF5: f"{__name__}:FramesAdapter"}
"""What a Tiled server is told, to read frames by their places."""


class ListedFrames(HDF5Consolidator):  # type: ignore[misc]
    """What the documents of one data key add up to: files, and the places of its frames in each.

    The class of bluesky-tiled-plugins 2.0.12 counts how many points there are, and takes the first so many of the file.
    """

    supported_mimetypes = {LISTED}  # noqa: RUF012 (as the base class has it)

    def __init__(self, stream_resource: Any, descriptor: Any) -> None:
        super().__init__(stream_resource, descriptor)
        self.mimetype = HDF5
        self._per_point = int(self._sres_parameters.get("multiplier") or 1)
        self._numbers = {stream_resource["uid"]: 0}
        self._places: dict[int, list[int]] = defaultdict(list)

    def update_from_stream_resource(self, stream_resource: Any) -> None:
        """Add a file."""
        super().update_from_stream_resource(stream_resource)
        self._numbers[stream_resource["uid"]] = len(self._numbers)

    def consume_stream_datum(self, doc: Any) -> Any:
        """Add the places of one point, or of several."""
        indices = doc["indices"]
        places = range(indices["start"] * self._per_point, indices["stop"] * self._per_point)
        self._places[self._numbers[doc["stream_resource"]]].extend(places)
        return super().consume_stream_datum(doc)

    def adapter_parameters(self) -> dict[str, Any]:
        """Return what the adapter needs to find the frames."""
        files = [ranges(self._places[number]) for number in range(len(self._numbers))]
        parameters: dict[str, Any] = super().adapter_parameters()
        # of one row of one number nothing would be left
        squeezed = bool(parameters.get("squeeze"))
        if not squeezed and len(files) == 1 and len(files[0]) <= 1 and files[0][:1] == [(0, len(self._places[0]))]:
            # of a run that is going on there may be more in the file than events have told of
            return parameters | {"slice": f"0:{len(self._places[0])}"}
        return parameters | {"frames": files}


class FramesAdapter(HDF5Adapter):  # type: ignore[misc]
    """Reads frames by their places in their files; everything else in HDF5 as Tiled does."""

    @classmethod
    def from_catalog(cls, data_source: Any, node: Any, /, **parameters: Any) -> Any:
        """Return what reads the data of a node, lazily."""
        frames = parameters.pop("frames", None)
        if frames is None:
            return super().from_catalog(data_source, node, **parameters)
        assets = sorted((one for one in data_source.assets if one.parameter == "data_uris"), key=lambda one: one.num)
        uris = [asset.data_uri for asset in assets]
        squeezed = parameters.pop("squeeze", False)
        array = _joined([path_from_uri(uri) for uri in uris], frames, parameters)
        if squeezed:
            array = array.reshape(len(array))
        return HDF5ArrayAdapter(array, data_source.structure, metadata=dict(node.metadata_), specs=node.specs)


def _joined(paths: Sequence[Any], frames: Sequence[Sequence[Sequence[int]]], parameters: dict[str, Any]) -> Any:
    parts = []
    for path, places in zip(paths, frames, strict=True):
        if not places:
            continue
        whole = HDF5ArrayAdapter.lazy_load_hdf5_array(path, **parameters)
        if (last := max(end for _, end in places)) > whole.shape[0]:
            raise ValueError(
                f"file {path} holds {whole.shape[0]} frames where {last} belong: it was cut, or is being written"
            )
        parts += [whole[start:end] for start, end in places]
    return dask.array.concatenate(parts)  # type: ignore[no-untyped-call]


CONSOLIDATOR_REGISTRY[LISTED] = ListedFrames

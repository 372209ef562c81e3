"""Frames of a run by their place in their file: which ones belong to which event, and which ones to none.

A detector of areaDetector writes one file a staging, and says of each point its number in that file. One file may hold
sample, flat and dark frames in turns, and frames of points that were taken again. So the documents of each stream name
the places of its own frames, whatever lies between them. Frames that count for nothing get a stream of their own,
`discarded`, so that they can be read as all others.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from tiled.utils import ensure_uri, path_from_uri

from whiteline.analysis.runs.hdf5 import open_bounded
from whiteline.beamline.store.held_back import NO_EVENT, Discarded, point_of

Document = tuple[str, dict[str, Any]]

LISTED = "application/x-hdf5;frames=listed"
"""What leads from the documents to `external.ListedFrames`; the catalog itself holds plain application/x-hdf5."""

DISCARDED = "discarded"
"""Stream of frames that count for nothing."""

LARGEST_CHUNK = 4_000_000
"""Numbers that are read at a time, if a frame is not more; small spectra are so read many at once."""


class FrameFile:
    """The file of one staging.

    Parameters
    ----------
    resource : mapping
        Its resource document.
    """

    def __init__(self, resource: Mapping[str, Any]) -> None:
        kwargs = resource["resource_kwargs"]
        self.uri = ensure_uri(str(Path(resource["root"]) / resource["resource_path"].lstrip("/")))
        self.dataset = str(kwargs["dataset"])
        self.swmr = bool(kwargs.get("swmr", True))
        self.per_point = int(kwargs["frame_per_point"])
        self.points: dict[int, str] = {}
        """Points that belong to an event, and their stream."""

    @staticmethod
    def is_described_by(resource: Mapping[str, Any]) -> bool:
        """Return whether a resource is a file of frames by points, in HDF5."""
        return {"frame_per_point", "dataset"} <= set(resource.get("resource_kwargs", ()))

    @property
    def path(self) -> Path:
        """Where it is, as this process sees it."""
        return Path(path_from_uri(self.uri))

    def on_disk(self) -> tuple[int, tuple[int, ...], str]:
        """Return how many frames it holds, the shape of a frame, and its type.

        Raises
        ------
        OSError
            If there is no such file, or it cannot be read; a message says which.
        """
        try:
            with open_bounded(self.path) as file:
                frames = file[self.dataset]
                return int(frames.shape[0]), tuple(frames.shape[1:]), str(frames.dtype.str)
        except (OSError, KeyError, RuntimeError) as error:
            raise OSError(f"file {self.path} cannot be read: {error}") from error


class Frames:
    """The documents of one run with its frames by their places; what it is given was held back before."""

    def __init__(self) -> None:
        self.look_at_files = False
        """Whether a file may hold more frames than documents speak of, as where a process was killed."""
        self._run = ""
        self._descriptors: dict[str, dict[str, Any]] = {}
        self._files: dict[str, FrameFile] = {}
        self._datums: dict[str, dict[str, Any]] = {}
        self._opened: set[str] = set()
        self.unreadable: list[str] = []
        """A sentence for each file whose frames could not be looked at."""

    def __call__(self, name: str, document: dict[str, Any]) -> Iterator[Document]:
        """Take a document of the run, and give those that are to be stored."""
        if name == "resource" and FrameFile.is_described_by(document):
            if document["uid"] not in self._files:
                self._files[document["uid"]] = FrameFile(document)
        elif name == "datum" and document["resource"] in self._files:
            self._datums[document["datum_id"]] = document
        elif name == "event":
            yield from self._event(document)
        elif name == "stream_resource" and document.get("mimetype") == "application/x-hdf5":
            yield name, document | {"mimetype": LISTED}
        else:
            if name == "start":
                self._run = document["uid"]
            if name == "descriptor":
                self._descriptors[document["uid"]] = document
            yield name, document

    def _event(self, event: dict[str, Any]) -> Iterator[Document]:
        keys = self._descriptors[event["descriptor"]]["data_keys"]
        # a value that is a datum of ours is not stored with the numbers, and neither is one whose datum was lost
        ours = {
            key: self._datums.get(event["data"][key])
            for key in event["data"]
            if "external" in keys[key] and str(event["data"][key]).split("/")[0] in self._files
        }
        parts = {
            part: {key: value for key, value in event.get(part, {}).items() if key not in ours}
            for part in ("data", "timestamps", "filled")
        }
        yield "event", event | parts
        for key, datum in ours.items():
            if datum is not None:
                yield from self._places(event, key, datum)

    def _places(self, event: dict[str, Any], key: str, datum: dict[str, Any]) -> Iterator[Document]:
        descriptor = self._descriptors[event["descriptor"]]
        file, point = self._files[datum["resource"]], point_of(datum)
        if point is None:
            point = event["seq_num"] - 1
        file.points[point] = descriptor["name"]
        shape = descriptor["data_keys"][key]["shape"]
        uid = f"{datum['resource']}-{descriptor['name']}-{key}"
        yield from self._resource(uid, key, file, shape, {"multiplier": file.per_point})
        yield "stream_datum", self._datum(uid, event["descriptor"], datum["datum_id"], point, event["seq_num"])

    def _resource(
        self, uid: str, key: str, file: FrameFile, shape: Sequence[int], more: dict[str, Any]
    ) -> Iterator[Document]:
        if uid in self._opened:
            return
        self._opened.add(uid)
        frame = shape[1:] if more else shape
        together = max(1, LARGEST_CHUNK // prod(frame)) if prod(frame) < LARGEST_CHUNK // 64 else 1
        parameters = {
            "dataset": file.dataset,
            "swmr": file.swmr,
            "chunk_shape": [together, *([1] if more else []), *frame],
            **more,
        }
        yield (
            "stream_resource",
            {
                "uid": uid,
                "run_start": self._run,
                "data_key": key,
                "mimetype": LISTED,
                "uri": file.uri,
                "parameters": parameters,
            },
        )

    @staticmethod
    def _datum(uid: str, descriptor: str, datum: str, place: int, number: int) -> dict[str, Any]:
        return {
            "uid": datum,
            "stream_resource": uid,
            "descriptor": descriptor,
            "indices": {"start": place, "stop": place + 1},
            "seq_nums": {"start": number, "stop": number + 1},
        }

    # what counts for nothing

    def discarded(self, listed: Sequence[Discarded], at: float) -> tuple[list[dict[str, Any]], list[Document]]:
        """Return what is said of discarded points in the stop document, and the streams with their frames.

        Parameters
        ----------
        listed : sequence of Discarded
            As `HeldBack` found them.
        at : float
            When the run ended [s since the epoch].
        """
        said = [asdict(one) | {"file": self._uri(one.file)} for one in listed]
        documents: list[Document] = []
        for uid, file in self._files.items():
            of_file = {one.index: one for one in listed if one.file == uid and one.index is not None}
            try:
                for point in self._silent(file, of_file):
                    of_file[point] = Discarded("", 0, "", uid, point, NO_EVENT)
                    said.append(asdict(of_file[point]) | {"file": file.uri})
                places = {
                    place: one
                    for point, one in sorted(of_file.items())
                    if point not in file.points
                    for place in range(point * file.per_point, (point + 1) * file.per_point)
                }
                if self.look_at_files and places:
                    total, _, _ = file.on_disk()
                    places = {place: one for place, one in places.items() if place < total}
                if places:
                    documents += self._stream(uid, file, places, at)
            except OSError as error:
                self.unreadable.append(str(error))
        return said, documents

    def _silent(self, file: FrameFile, listed: Mapping[int, Discarded]) -> list[int]:
        """Return points that no document speaks of: gaps in the numbers, and what is in the file beyond the last one.

        Where bluesky 1.15.1 is interrupted between a reading and its event, it drops the document of the frames.
        """
        known = file.points.keys() | listed.keys()
        beyond = max(known, default=-1) + 1
        if self.look_at_files:
            total, _, _ = file.on_disk()
            beyond = max(beyond, -(-total // file.per_point))
        return sorted(set(range(beyond)) - known)

    def _uri(self, uid: str) -> str:
        return self._files[uid].uri if uid in self._files else uid

    def _stream(self, uid: str, file: FrameFile, places: dict[int, Discarded], at: float) -> Iterator[Document]:
        keys = {one.data_key for one in places.values() if one.data_key} | self._keys_of(file)
        key = min(keys) if keys else "frames"
        described = next((one["data_keys"][key] for one in self._descriptors.values() if key in one["data_keys"]), None)
        if described is None:
            _, shape, dtype = file.on_disk()
        else:
            shape, dtype = tuple(described["shape"][1:]), described["dtype_numpy"]
        taken = {one["name"] for one in self._descriptors.values()}
        name = next(one for one in (DISCARDED, *(f"{DISCARDED}_{n}" for n in range(2, 1000))) if one not in taken)
        descriptor = _descriptor(self._run, name, key, shape, dtype, file.uri, at)
        self._descriptors[descriptor["uid"]] = descriptor
        yield "descriptor", descriptor
        resource = f"{uid}-{name}-{key}"
        yield from self._resource(resource, key, file, shape, {})
        for number, (place, one) in enumerate(sorted(places.items()), 1):
            data = {"of_stream": one.stream, "of_seq_num": one.seq_num, "frame": place, "reason": one.reason}
            event = {
                "uid": _uid(resource, str(place)),
                "descriptor": descriptor["uid"],
                "seq_num": number,
                "time": at,
                "data": data,
                "timestamps": dict.fromkeys(data, at),
                "filled": {},
            }
            yield "event", event
            datum = f"{resource}/{place}"
            yield "stream_datum", self._datum(resource, descriptor["uid"], datum, place, number)

    def _keys_of(self, file: FrameFile) -> set[str]:
        """Return the data keys that events gave to the frames of a file."""
        ours = {uid for uid, one in self._files.items() if one is file}
        return {
            uid.removeprefix(f"{resource}-{stream}-")
            for resource in ours
            for stream in set(file.points.values())
            for uid in self._opened
            if uid.startswith(f"{resource}-{stream}-")
        }


def ranges(places: Sequence[int]) -> list[tuple[int, int]]:
    """Return places in ascending order as ranges, start and end: [0, 1, 2, 5] is [(0, 3), (5, 6)]."""
    starts = [0, *(n + 1 for n, (one, other) in enumerate(pairwise(places)) if other != one + 1), len(places)]
    return [(places[start], places[end - 1] + 1) for start, end in pairwise(starts) if start < end]


def _uid(*parts: str) -> str:
    return str(uuid5(NAMESPACE_OID, "/".join(parts)))


def _descriptor(
    run: str, name: str, key: str, shape: Sequence[int], dtype: str, source: str, at: float
) -> dict[str, Any]:
    columns = {"of_stream": "string", "of_seq_num": "integer", "frame": "integer", "reason": "string"}
    keys: dict[str, dict[str, Any]] = {
        column: {"source": "store", "dtype": kind, "shape": []} for column, kind in columns.items()
    }
    keys[key] = {
        "source": source,
        "dtype": "array",
        "dtype_numpy": dtype,
        "shape": list(shape),
        "external": "STREAM:",
    }
    return {
        "uid": _uid(run, name),
        "run_start": run,
        "time": at,
        "name": name,
        "data_keys": keys,
        "object_keys": {"store": list(keys)},
        "configuration": {},
        "hints": {},
    }

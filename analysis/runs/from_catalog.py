"""The documents of a run out of a Tiled catalog, so that a run from there is built by the same code as a live one.

Readings come from the catalog; frames do not: it names their files, and those are read from the disk. Which frames of a
file belong to a stream it says by ranges, or as the first ones; in the order of the events. A stream without events is
that of a fly scan, in which the ranges are all there is.

A catalog that was written by TiledWriter as it comes does not say it. There, frames of several streams in one file
follow each other in time; if the file then holds another number of points, some of them belong to no event, and it
cannot be known which.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from whiteline.analysis.runs.builder import RunBuilder
from whiteline.analysis.runs.path_map import PathMapLike
from whiteline.analysis.runs.places import DATASET, HDF5, FrameFile, Place, path_of_uri
from whiteline.analysis.runs.registered import RegisteredFrames, frames_by_event
from whiteline.analysis.runs.unreadable import UnreadableRun

Document = tuple[str, dict[str, Any]]
Row = dict[str, Any]


def builder_of(run: Any, path_map: PathMapLike = None) -> RunBuilder:
    """Return the state of a run in a catalog, finished or still going.

    Parameters
    ----------
    run : tiled client of a run
        As `cat[-1]` gives it.
    path_map : PathMap, mapping or pairs, optional
        From folders as documents name them to folders of this client.

    Raises
    ------
    UnreadableRun
        If it is no run.
    """
    builder = RunBuilder(path_map)
    for name, document in documents_of(run, builder):
        builder.feed(name, document)
    return builder


def documents_of(run: Any, builder: RunBuilder) -> Iterator[Document]:
    """Yield start, descriptors, events, what says where frames lie, and stop of a run in a catalog.

    Parameters
    ----------
    run : tiled client of a run
        In question.
    builder : RunBuilder
        Whose path map finds the files, where frames must be counted.
    """
    metadata = run.metadata
    start, stop = metadata.get("start"), metadata.get("stop")
    if not isinstance(start, Mapping):
        raise UnreadableRun(f"{run!r} is no run: it has no start document; choose one, as cat[-1] or cat[uid]")
    yield "start", dict(start)
    base = getattr(run, "base", run)
    streams = {name: getattr(base[name], "base", base[name]) for name in sorted(base)}
    descriptors = {name: _descriptors(stream, name, str(start["uid"])) for name, stream in streams.items()}
    for of_stream in descriptors.values():
        yield from (("descriptor", one) for one in of_stream)
    rows = {name: _rows(stream) for name, stream in streams.items()}
    registered = {
        (name, key): _registered(stream, key) for name, stream in streams.items() for key in _external(stream)
    }
    times = {name: [float(row["time"]) for row in one] for name, one in rows.items()}
    places = frames_by_event(registered, times, builder.path_map, stopped=stop is not None)
    files = dict.fromkeys(file for one in registered.values() for file in one.files)
    for number, file in enumerate(files):
        yield "resource", _resource(number, file)
    numbers = {file: number for number, file in enumerate(files)}
    for name in streams:
        if not rows[name]:
            of_keys = {key: one for (stream, key), one in registered.items() if stream == name}
            yield from _ranges(name, descriptors[name][-1], of_keys)
            continue
        of_stream_places = {key: one for (stream, key), one in places.items() if stream == name}
        yield from _events(name, descriptors[name], rows[name], of_stream_places, numbers, going=stop is None)
    if isinstance(stop, Mapping):
        yield "stop", dict(stop) | {"discarded": _listed(stop, list(files))}


def _external(stream: Any) -> list[str]:
    parts = set(stream)
    return [key for key, about in stream.metadata.get("data_keys", {}).items() if "external" in about and key in parts]


def _descriptors(stream: Any, name: str, run_start: str) -> list[dict[str, Any]]:
    """Return the descriptors of a stream: the first one, and one for each change of a configuration."""
    metadata = dict(stream.metadata)
    updates = metadata.pop("_config_updates", None) or []
    first: dict[str, Any] = {"uid": f"{name}-0", "time": 0.0} | metadata | {"name": name, "run_start": run_start}
    found = [first]
    for update in updates:
        configuration = {key: dict(one) for key, one in found[-1].get("configuration", {}).items()}
        for key, one in update.get("configuration", {}).items():
            before = configuration.get(key, {})
            configuration[key] = before | {"data": before.get("data", {}) | one.get("data", {})}
        changed = {part: update[part] for part in ("uid", "time") if part in update}
        found.append(found[-1] | changed | {"configuration": configuration})
    return found


def _rows(stream: Any) -> list[Row]:
    """Return the readings of all events, one mapping each, from tables and from arrays that are kept by themselves."""
    rows: list[Row] = []
    parts = list(stream)
    about = stream.metadata.get("data_keys", {})
    tables = [part for part in parts if part not in about and part.partition("_")[0] == "internal"]
    for table in sorted(tables):
        records = stream[table].read().to_dict(orient="records")
        # of a run that goes on, one table may have been written already and the next one not
        rows = [a | b for a, b in zip(rows, records, strict=False)] if rows else records
    for part in parts:
        if part in about and "external" not in about[part]:
            for row, value in zip(rows, stream[part].read(), strict=False):
                row[part] = value
    return rows


def _registered(stream: Any, key: str) -> RegisteredFrames:
    """Return the files that a catalog registers for a data key, in their order, and which frames of them it names."""
    node = stream[key]
    shape: Any = stream.metadata["data_keys"][key].get("shape") or ()
    frames = int(node.metadata.get("frame_per_point") or (shape[0] if len(shape) > 2 and shape[0] else 1))
    files: list[FrameFile] = []
    ranges: list[list[tuple[int, int]]] | None = None
    for source in node.data_sources() or ():
        options = source.parameters or {}
        kind = "" if source.mimetype == HDF5 else str(source.mimetype)
        dataset = str(options.get("dataset") or options.get("path") or DATASET).strip("/")
        assets = sorted(source.assets, key=lambda one: one.num or 0)
        files += [FrameFile(path_of_uri(one.data_uri), dataset, frames, kind) for one in assets]
        if options.get("frames") is not None:
            ranges = [[(int(first), int(end)) for first, end in one] for one in options["frames"]]
        elif str(options.get("slice") or "").startswith("0:"):
            ranges = [[(0, int(str(options["slice"])[2:]))]]
    return RegisteredFrames(tuple(files), frames, ranges)


def _resource(number: int, file: FrameFile) -> dict[str, Any]:
    # frames are counted here, not points
    options = {"dataset": file.dataset, "frame_per_point": 1}
    uid = f"file-{number}"
    return {"uid": uid, "spec": file.kind, "root": "", "resource_path": file.path, "resource_kwargs": options}


def _events(
    name: str,
    descriptors: list[dict[str, Any]],
    rows: list[Row],
    places: Mapping[str, list[Place]],
    numbers: Mapping[FrameFile, int],
    *,
    going: bool,
) -> Iterator[Document]:
    if going and places:
        # what was written last may be there without its frames yet, or they without it
        rows = rows[: min(len(one) for one in places.values())]
    for index, row in enumerate(rows):
        time = float(row["time"])
        newest = next((one for one in reversed(descriptors) if one["time"] <= time), descriptors[0])
        data = {key: value for key, value in row.items() if key not in ("seq_num", "time") and key[:3] != "ts_"}
        for key, of_key in places.items():
            if index < len(of_key):
                place = of_key[index]
                data[key] = f"{name}-{key}-{index}"
                yield (
                    "datum",
                    {
                        "datum_id": data[key],
                        "resource": f"file-{numbers[place.file]}",
                        "datum_kwargs": {"indices": {"start": place.first, "stop": place.first + place.count}},
                    },
                )
        yield (
            "event",
            {
                "uid": f"{name}-{index}",
                "descriptor": newest["uid"],
                "seq_num": int(row["seq_num"]),
                "time": time,
                "data": data,
                "timestamps": {key[3:]: value for key, value in row.items() if key.startswith("ts_")},
            },
        )


def _ranges(name: str, descriptor: Mapping[str, Any], registered: Mapping[str, RegisteredFrames]) -> Iterator[Document]:
    """Yield what says where the data of a stream without events lie."""
    for key, one in registered.items():
        number = 1
        for place, (file, ranges) in enumerate(zip(one.files, one.ranges or (), strict=False)):
            uid = f"{name}-{key}-{place}"
            resource = _resource(place, file) | {"uid": uid, "data_key": key}
            yield "stream_resource", resource
            for first, end in ranges:
                yield (
                    "stream_datum",
                    {
                        "uid": f"{uid}-{number}",
                        "stream_resource": uid,
                        "descriptor": descriptor["uid"],
                        "indices": {"start": first, "stop": end},
                        "seq_nums": {"start": number, "stop": number + end - first},
                    },
                )
                number += end - first


def _listed(stop: Mapping[str, Any], files: list[FrameFile]) -> list[dict[str, Any]]:
    """Return what the stop document lists as discarded, by the names that files have here, and in frames."""
    found = []
    for one in stop.get("discarded") or ():
        uri = str(one.get("file") or "")
        path = path_of_uri(uri) if uri.startswith("file:") else uri
        number = next((number for number, file in enumerate(files) if file.path == path), None)
        place: dict[str, Any] = {"file": "" if number is None else f"file-{number}"}
        if number is not None and one.get("index") is not None:
            place["frames"] = files[number].frames_per_point or 1
        found.append(dict(one) | place)
    return found

"""From documents to points, one document at a time: what the live fit and a finished run have in common.

A `RunBuilder` is fed the documents of one run in the order in which they were emitted, from the RunEngine, from a
journal or from a catalog, and can be asked at any moment what there is. It holds no pixels, only where they lie.

A point that is measured anew after a pause comes with the same `seq_num`: the newest event survives, the one before it
is discarded. Its frames stay in their file, and are listed.

Points of a run that is a part of another one (`parts`) have the numbers that they have in the whole.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from whiteline.analysis.runs.parts import numbers_of
from whiteline.analysis.runs.path_map import PathMap, PathMapLike
from whiteline.analysis.runs.places import (
    FrameFile,
    Place,
    file_of_resource,
    file_of_stream_resource,
    frames_of,
    place_of_datum,
)
from whiteline.analysis.runs.unreadable import UnreadableRun, named

if TYPE_CHECKING:
    from whiteline.analysis.runs.run import Run

Document = Mapping[str, Any]

StreamRange = tuple[int, int, FrameFile, int]
"""What a StreamDatum says: numbers of points from and to, their file, and the index of the first of them in it."""


@dataclass(frozen=True, slots=True)
class Point:
    """One event: what was read, and where its frames lie.

    Parameters
    ----------
    stream : str
        Name of its stream, such as "primary", "flat" or "dark".
    seq_num : int
        Number within the stream, from 1.
    time : float
        When it was recorded [s since 1970].
    data : mapping of str to object
        Readings by data key; of frames, what refers to them.
    places : mapping of str to Place
        Where the frames are, by data key.
    replaces : Point or None
        The point with the same number that it replaces, which is discarded.
    """

    stream: str
    seq_num: int
    time: float
    data: Mapping[str, Any]
    places: dict[str, Place]
    replaces: "Point | None" = None


@dataclass(frozen=True, slots=True)
class Discarded:
    """Frames, or a point, that are not part of the run although they were taken.

    Parameters
    ----------
    stream : str
        Of the event; "" for frames that no event refers to, as those of a point that was interrupted.
    seq_num : int or None
        Of the event.
    time : float
        Of the event [s since 1970]; NaN where there is none.
    places : mapping of str to Place
        Where its frames are, by data key.
    """

    stream: str
    seq_num: int | None
    time: float
    places: Mapping[str, Place]


@dataclass(slots=True)
class StreamSoFar:
    """A stream as far as it has come.

    Parameters
    ----------
    name : str
        Of the stream.
    descriptors : list of mapping
        Its descriptors, the newest last: there is another one whenever a configuration has changed.
    points : dict of int to Point
        Those that survive, by `seq_num`.
    numbers : tuple of int or None
        Of a part of a whole: which numbers its points have there, in their order.
    """

    name: str
    descriptors: list[Document] = field(default_factory=list)
    points: dict[int, Point] = field(default_factory=dict)
    ranges: dict[str, list[StreamRange]] = field(default_factory=dict)
    numbers: tuple[int, ...] | None = None

    def number_of(self, seq_num: int) -> int:
        """Return which number a point has, in the whole if this is a part of one."""
        if self.numbers is None or not 1 <= seq_num <= len(self.numbers):
            return seq_num
        return self.numbers[seq_num - 1]

    @property
    def external(self) -> frozenset[str]:
        """Data keys whose data lie in files."""
        return frozenset(
            key for one in self.descriptors for key, about in one.get("data_keys", {}).items() if "external" in about
        )

    def with_ranges(self) -> dict[int, Point]:
        """Return the points with the places that StreamDatum documents gave them; the newest document counts."""
        if not self.ranges:
            return self.points
        places: dict[int, dict[str, Place]] = {}
        for key, ranges in self.ranges.items():
            shape = self.descriptors[-1].get("data_keys", {}).get(key, {}).get("shape")
            for start, stop, file, index in ranges:
                frames = frames_of(file, shape)
                for number in range(start, stop):
                    of_point = places.setdefault(self.number_of(number), {})
                    of_point[key] = Place(file, (index + number - start) * frames, frames)
        found = dict(self.points)
        for number, of_point in places.items():
            point = found.get(number)
            if point is None:
                found[number] = Point(self.name, number, float("nan"), {}, of_point)
            else:
                found[number] = Point(point.stream, number, point.time, point.data, {**point.places, **of_point})
        return found


class RunBuilder:
    """The state of one run, from its documents.

    Feed it by calling it, `builder(name, document)`, so that it can be subscribed to a RunEngine as it is; or by
    `feed`, which returns the points that came with a document.

    Parameters
    ----------
    path_map : PathMap, mapping or pairs, optional
        From folders as documents name them to folders of this client.

    Attributes
    ----------
    start, stop : mapping or None
        Those documents, when they have come.
    streams : dict of str to StreamSoFar
        By name.
    missed : int
        Events whose descriptor has not been seen, as when it was subscribed in the middle of a run: they are left out.
    """

    def __init__(self, path_map: PathMapLike = None) -> None:
        self.path_map = PathMap.of(path_map)
        self.start: Document | None = None
        self.stop: Document | None = None
        self.streams: dict[str, StreamSoFar] = {}
        self.missed = 0
        self._by_descriptor: dict[str, tuple[StreamSoFar, frozenset[str]]] = {}
        self._files: dict[str, tuple[FrameFile, str]] = {}
        self._counts: dict[str, int] = {}
        self._loose: dict[str, Place] = {}
        self._pending: dict[str, list[tuple[Point, str]]] = {}
        self._last_used: dict[FrameFile, int] = {}
        self._discarded: list[Discarded] = []
        self._actions: dict[str, Any] = {
            "start": self._start,
            "descriptor": self._descriptor,
            "event": self._event,
            "event_page": self._event_page,
            "resource": self._resource,
            "datum": self._datum,
            "datum_page": self._datum_page,
            "stream_resource": self._stream_resource,
            "stream_datum": self._stream_datum,
            "stop": self._stop,
        }

    def __call__(self, name: str, document: Document) -> None:
        """Take one document."""
        self.feed(name, document)

    def feed(self, name: str, document: Document) -> tuple[Point, ...]:
        """Take one document, and return the points that came with it.

        Parameters
        ----------
        name : str
            Kind of the document: "start", "descriptor", "event" and so on; others are left out.
        document : mapping
            Is kept, and must not be changed afterwards.

        Returns
        -------
        tuple of Point
            One for an event, several for a page of events, else none. One that is measured anew `replaces` another.

        Raises
        ------
        UnreadableRun
            If a second run begins; each run has a builder of its own.
        """
        action = self._actions.get(name)
        return action(document) or () if action is not None else ()

    def points(self, stream: str) -> Iterator[Point]:
        """Yield the surviving points of a stream by their number; none if there is no such stream yet."""
        so_far = self.streams.get(stream)
        if so_far is not None:
            found = so_far.with_ranges()
            yield from (found[number] for number in sorted(found))

    @property
    def going(self) -> bool:
        """Whether the run is not over, as far as its documents say."""
        return self.stop is None

    @property
    def discarded(self) -> tuple[Discarded, ...]:
        """Points that were measured anew, and frames that no event refers to, unless theirs may be still to come."""
        loose = [
            Discarded("", None, float("nan"), {"": place})
            for place in self._loose.values()
            if self.stop is not None or place.first < self._last_used.get(place.file, -1)
        ]
        return (*self._discarded, *loose)

    def run(self) -> "Run":
        """Return the run as it is now.

        Raises
        ------
        UnreadableRun
            If its start document has not come.
        """
        from whiteline.analysis.runs.run import run_of

        return run_of(self)

    # one kind of document each

    def _start(self, document: Document) -> None:
        if self.start is not None:
            raise UnreadableRun(
                f"the documents of {named(self.start)} go on with {named(document)}; give those of one run at a time"
            )
        self.start = document

    def _stop(self, document: Document) -> None:
        if self.start is not None and document.get("run_start") != self.start["uid"]:
            return
        self.stop = document
        known = {(one.stream, one.seq_num, _first(one.places)) for one in self._discarded}
        known |= {("", None, place.first) for place in self._loose.values()}
        # a store that holds back the newest event of a stream lists here what it has left out
        for listed in document.get("discarded") or ():
            one = self._listed(listed)
            if (one.stream, one.seq_num, _first(one.places)) not in known:
                self._discarded.append(one)

    def _listed(self, listed: Mapping[str, Any]) -> Discarded:
        index, known = listed.get("index"), self._files.get(str(listed.get("file", "")))
        places: dict[str, Place] = {}
        if index is not None and known is not None:
            frames = int(listed.get("frames") or known[0].frames_per_point or 1)
            places = {str(listed.get("data_key") or ""): Place(known[0], int(index) * frames, frames)}
        name, number = str(listed.get("stream") or ""), listed.get("seq_num") or None
        if number is not None and name in self.streams:
            number = self.streams[name].number_of(int(number))
        return Discarded(name, number, float("nan"), places)

    def _descriptor(self, document: Document) -> None:
        if self.start is not None and document.get("run_start", self.start["uid"]) != self.start["uid"]:
            return  # of a run inside this one
        name = document.get("name", "primary")
        if name not in self.streams:
            self.streams[name] = StreamSoFar(name, numbers=numbers_of(self.start or {}, name))
        stream = self.streams[name]
        stream.descriptors.append(document)
        keys = frozenset(key for key, about in document.get("data_keys", {}).items() if "external" in about)
        self._by_descriptor[document["uid"]] = stream, keys

    def _event(self, document: Document) -> tuple[Point, ...]:
        known = self._by_descriptor.get(document["descriptor"])
        if known is None:
            self.missed += 1
            return ()
        stream, external = known
        data, number = document["data"], stream.number_of(document["seq_num"])
        places: dict[str, Place] = {}
        before = stream.points.get(number)
        point = Point(stream.name, number, document["time"], data, places, before)
        for key in external:
            datum = data.get(key)
            if not isinstance(datum, str):
                continue
            place = self._loose.pop(datum, None)
            if place is None:
                self._pending.setdefault(datum, []).append((point, key))
            else:
                self._used(place)
                places[key] = place
        if before is not None:
            self._discarded.append(Discarded(stream.name, number, before.time, before.places))
            # what was discarded need not keep what it replaced itself
            stream.points[number] = Point(stream.name, number, document["time"], data, places)
        else:
            stream.points[number] = point
        return (point,)

    def _used(self, place: Place) -> None:
        if place.first > self._last_used.get(place.file, -1):
            self._last_used[place.file] = place.first

    def _event_page(self, document: Document) -> tuple[Point, ...]:
        from event_model import unpack_event_page

        return tuple(point for event in unpack_event_page(cast(Any, document)) for point in self._event(event))

    def _resource(self, document: Document) -> None:
        self._files[document["uid"]] = file_of_resource(document), ""

    def _stream_resource(self, document: Document) -> None:
        self._files[document["uid"]] = file_of_stream_resource(document), str(document.get("data_key", ""))

    def _datum(self, document: Document) -> None:
        resource = document["resource"]
        known = self._files.get(resource)
        if known is None:
            return
        count = self._counts[resource] = self._counts.get(resource, 0) + 1
        place = place_of_datum(known[0], document.get("datum_kwargs", {}), count - 1)
        waiting = self._pending.pop(document["datum_id"], None)
        if waiting is None:
            self._loose[document["datum_id"]] = place
            return
        self._used(place)
        for point, key in waiting:
            point.places[key] = place

    def _datum_page(self, document: Document) -> None:
        from event_model import unpack_datum_page

        for datum in unpack_datum_page(cast(Any, document)):
            self._datum(datum)

    def _stream_datum(self, document: Document) -> None:
        known, stream = self._files.get(document["stream_resource"]), self._by_descriptor.get(document["descriptor"])
        if known is None or stream is None:
            return
        numbers, indices = document["seq_nums"], document["indices"]
        stream[0].ranges.setdefault(known[1], []).append(
            (numbers["start"], numbers["stop"], known[0], indices["start"])
        )


def _first(places: Mapping[str, Place]) -> int | None:
    """Return the first frame of the first of some places."""
    return next((place.first for place in places.values()), None)

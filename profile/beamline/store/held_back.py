"""Hold back the newest event of each stream, until it is known that it stands.

After a pause or a suspender the RunEngine goes back to the last checkpoint and does again what came after it. A point
that was recorded already is emitted a second time, with the same `seq_num`. So an event is let through only when
another `seq_num` of its stream has arrived, or the stop document; one with the same `seq_num` replaces it. What was
replaced, and frames that no event came to speak of, are listed under `discarded` in the stop document:

======== =========================================================================================
stream   name of the stream, "" where no event was recorded
seq_num  of the point that was taken again, 0 where no event was recorded
data_key of the frames, "" where it is not known
file     uid of the resource
index    where in the file the frames of the point lie, in points
reason   "taken again", or "no event"
======== =========================================================================================
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from event_model import unpack_datum_page, unpack_event_page
from event_model.documents import DatumPage, EventPage

Document = tuple[str, dict[str, Any]]

TAKEN_AGAIN = "taken again"
NO_EVENT = "no event"


@dataclass(frozen=True)
class Discarded:
    """A point that was taken and does not count.

    Parameters
    ----------
    stream : str
        Its stream; empty if no event was recorded.
    seq_num : int
        Of the point that was taken again; 0 if no event was recorded.
    data_key : str
        Of its frames; empty if it is not known, or there are none.
    file : str
        The uid of the resource of its frames; empty if there are none.
    index : int or None
        Where in that file its frames lie, counted in points; None if it is not known.
    reason : str
        Why it does not count.
    """

    stream: str
    seq_num: int
    data_key: str
    file: str
    index: int | None
    reason: str


class HeldBack:
    """The documents of one run, without the points that were taken again.

    Parameters
    ----------
    to_the_end : bool
        Hold back all events, not the newest alone. This is needed where a plan records several events of a stream
        between two checkpoints, and the RunEngine goes back over more than one of them.
    """

    def __init__(self, *, to_the_end: bool = False) -> None:
        self._to_the_end = to_the_end
        self._streams: dict[str, str] = {}
        self._held: dict[str, dict[int, dict[str, Any]]] = {}
        self._last_released: dict[str, int] = {}
        self._external: dict[str, set[str]] = {}
        self._datums: dict[str, dict[str, Any]] = {}
        self._released_datums: set[str] = set()
        self.discarded: list[Discarded] = []
        self.too_late = False
        """Whether an event was replaced that had been let through: the run must be written again, held to the end."""
        self.orphans = 0
        """How many documents belong to others that are missing; they cannot be written."""

    def __call__(self, name: str, document: dict[str, Any]) -> Iterator[Document]:
        """Take a document, and let those through that stand now."""
        if name == "event":
            yield from self._event(document)
        elif name == "event_page":
            for event in unpack_event_page(cast(EventPage, document)):
                yield from self._event(dict(event))
        elif name == "datum":
            self._datums[document["datum_id"]] = document
        elif name == "datum_page":
            self._datums |= {datum["datum_id"]: dict(datum) for datum in unpack_datum_page(cast(DatumPage, document))}
        elif name == "stream_datum":
            yield from self._stream_datum(document)
        elif name == "stop":
            yield from self.release()
            yield name, document
        else:
            if name == "descriptor":
                self._streams[document["uid"]] = document["name"]
                keys = {key for key, one in document["data_keys"].items() if "external" in one}
                self._external[document["uid"]] = keys
            yield name, document

    def release(self) -> Iterator[Document]:
        """Let all through that is held back; what frames are left then belong to no event."""
        for held in self._held.values():
            for number in sorted(held):
                yield from self._let_through(held.pop(number))
        for datum in self._datums.values():
            self.discarded.append(Discarded("", 0, "", datum["resource"], point_of(datum), NO_EVENT))
        self._datums.clear()

    def _event(self, event: dict[str, Any]) -> Iterator[Document]:
        stream = self._streams.get(event["descriptor"])
        if stream is None:
            self.orphans += 1
            return
        yield from self._hold("event", stream, event["seq_num"], event)

    def _stream_datum(self, datum: dict[str, Any]) -> Iterator[Document]:
        if datum["descriptor"] not in self._streams:
            self.orphans += 1
            return
        yield from self._hold("stream_datum", datum["stream_resource"], datum["seq_nums"]["start"], datum)

    def _hold(self, name: str, place: str, number: int, document: dict[str, Any]) -> Iterator[Document]:
        held = self._held.setdefault(place, {})
        if number not in held and number <= self._last_released.get(place, 0):
            self.too_late = True
        # batches of rows may be longer or shorter than the first time: those behind are of then, too
        for one in [one for one in held if one == number or (one > number and name == "stream_datum")]:
            self._discard(held.pop(one), name)
        held[number] = document | {"_name": name}
        if not self._to_the_end:
            for older in sorted(held)[:-1]:
                self._last_released[place] = max(older, self._last_released.get(place, 0))
                yield from self._let_through(held.pop(older))

    def _let_through(self, document: dict[str, Any]) -> Iterator[Document]:
        name = document.pop("_name")
        if name == "event":
            for key in self._external[document["descriptor"]] & set(document["data"]):
                datum = self._datums.pop(document["data"][key], None)
                if datum is not None:
                    self._released_datums.add(datum["datum_id"])
                    yield "datum", datum
                elif not document.get("filled", {}).get(key) and document["data"][key] not in self._released_datums:
                    self.orphans += 1
        yield name, document

    def _discard(self, document: dict[str, Any], name: str) -> None:
        stream = self._streams[document["descriptor"]]
        if name == "stream_datum":
            start = document["seq_nums"]["start"]
            for index in range(document["indices"]["start"], document["indices"]["stop"]):
                self.discarded.append(Discarded(stream, start, "", document["stream_resource"], index, TAKEN_AGAIN))
            return
        number = document["seq_num"]
        frames = [
            (key, datum)
            for key in sorted(self._external[document["descriptor"]] & set(document["data"]))
            if (datum := self._datums.pop(document["data"][key], None)) is not None
        ]
        for key, datum in frames:
            self.discarded.append(Discarded(stream, number, key, datum["resource"], point_of(datum), TAKEN_AGAIN))
        if not frames:
            self.discarded.append(Discarded(stream, number, "", "", None, TAKEN_AGAIN))


def point_of(datum: dict[str, Any]) -> int | None:
    """Return where in its file the frames of a datum lie, counted in points; None if the datum does not say."""
    point = datum.get("datum_kwargs", {}).get("point_number")
    return None if point is None else int(point)

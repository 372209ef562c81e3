"""Writes the documents of runs into a Tiled catalog, in batches that can be flushed.

This is the one place that touches the inside of `bluesky_tiled_plugins` 2.0.12. Its `TiledWriter` writes a batch when
it is full or the run ends: of a slow scan, a reader sees nothing for hours. (The `TiledWriter` of bluesky 1.15.1 does
the same, and calls `append_partition` with arguments in an order that tiled 0.2.20 warns of.) `flush` writes what there
is. It is no longer needed when `TiledWriter` has one.
"""

from collections.abc import Callable
from typing import Any

from bluesky_tiled_plugins.writing.tiled_writer import RunNormalizer, _RunWriter
from event_model import RunRouter

from whiteline.beamline.store import external
from whiteline.beamline.store.frames import Frames
from whiteline.beamline.store.held_back import HeldBack

assert external.ADAPTERS, "importing it lets the writer know of listed frames"


class MustBeWrittenAnew(RuntimeError):
    """A run that cannot be written as it comes: at its end it is written from its journal, all of it.

    Either a point was taken again whose first event is in the catalog already. Or bluesky 1.15.1 has dropped the
    resource document of a file of frames, as it does where it is interrupted between the first reading of a detector
    and the event; then the file is looked for, see `whiteline.beamline.store.recovery.mend`.
    """


class RunInCatalog:
    """One run on its way into the catalog.

    Parameters
    ----------
    client : CatalogOfBlueskyRuns
        The catalog, as `include_data_sources` gives it.
    batch : int
        Events that are written together.
    to_the_end : bool
        Whether all events are held back to the end of the run.
    """

    def __init__(self, client: Any, batch: int, *, to_the_end: bool = False) -> None:
        self._to_the_end = to_the_end
        self.held_back = HeldBack(to_the_end=to_the_end)
        self.frames = Frames()
        # no array in a table: SQLite has none
        self._writer: Any = _RunWriter(client, batch_size=batch, max_array_size=0)
        self._normalizer: Any = RunNormalizer()
        self._normalizer.subscribe(self._writer)

    def __call__(self, name: str, document: dict[str, Any]) -> None:
        """Take a document of this run.

        Raises
        ------
        MustBeWrittenAnew
            Before the run is ended.
        """
        if name == "stop":
            document = self._discarded(document)
        for one in self.held_back(name, document):
            for stored in self.frames(*one):
                if stored[0] == "stream_resource":
                    self.flush()  # else the frames of a new file may come before those of the last one
                self._normalizer(*stored)

    def _discarded(self, stop: dict[str, Any]) -> dict[str, Any]:
        """Write what is held back, and the frames that count for nothing; return the stop document that lists them."""
        for one in self.held_back.release():
            for stored in self.frames(*one):
                self._normalizer(*stored)
        if self.held_back.too_late and not self._to_the_end:
            raise MustBeWrittenAnew
        self.frames.look_at_files |= stop["exit_status"] != "success"
        said, streams = self.frames.discarded(self.held_back.discarded, stop["time"])
        for document in streams:
            self._normalizer(*document)
        lost = {"unreadable": self.frames.unreadable} if self.frames.unreadable else {}
        return stop | {"discarded": said} | lost

    def flush(self) -> None:
        """Write all that is not held back."""
        writer = self._writer
        for stream, rows in writer._internal_data_cache.items():
            if rows:
                writer._write_internal_data(rows, desc_node=writer._desc_nodes[stream])
                rows.clear()
        for uid in list(writer._external_data_cache):
            writer._write_external_data(writer._external_data_cache.pop(uid))


class RunsInCatalog:
    """Runs on their way into the catalog, several at a time if need be.

    Parameters
    ----------
    client : CatalogOfBlueskyRuns
        The catalog, as `include_data_sources` gives it.
    batch : int
        Events that are written together.
    """

    def __init__(self, client: Any, batch: int, **how: bool) -> None:
        self.running: dict[str, RunInCatalog] = {}

        def begin(name: str, start: Any) -> tuple[list[Callable[[str, Any], None]], list[Any]]:
            self.running[start["uid"]] = run = RunInCatalog(client, batch, **how)
            return [run], []

        self._router: Any = RunRouter([begin])
        self._files: set[str] = set()

    def __call__(self, name: str, document: dict[str, Any]) -> None:
        """Take a document of any run.

        Raises
        ------
        MustBeWrittenAnew
            If this run cannot be written as it comes.
        """
        if name == "resource":
            self._files.add(document["uid"])
        elif name in ("datum", "datum_page") and document["resource"] not in self._files:
            raise MustBeWrittenAnew
        self._router(name, document)
        if name == "stop":
            self.running.pop(document["run_start"], None)

    def flush(self) -> None:
        """Write all that is not held back."""
        for run in self.running.values():
            run.flush()

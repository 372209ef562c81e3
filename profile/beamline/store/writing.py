"""What the RunEngine is subscribed to: the journal at once, and the catalog by a thread of its own.

    RunEngine → journal, on the disk → queue → held back → frames by their places → catalog

A document that cannot be put on the disk stops the run, once, in the RunEngine's thread, so that a plan leaves by its
own safe exit. A catalog that does not answer stops nothing: the run stands in the journal, and is written when the
catalog is back, or at the next start.
"""

import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from whiteline.beamline.description import Beamline
from whiteline.beamline.store import recovery
from whiteline.beamline.store.catalog import open_catalog, readable_folders
from whiteline.beamline.store.journal import SUFFIX, Journal, JournalError, encode, one_at_a_time
from whiteline.beamline.store.tiled_writer import MustBeWrittenAnew, RunsInCatalog

log = logging.getLogger("whiteline.store")

FLUSH_S = 0.5
"""How long the queue is to be empty before what is gathered is written [s]."""

OLDEST_S = 2.0
"""How old may be what is gathered, however full the queue is [s]."""


class Store:
    """Keeps the documents of a RunEngine: `engine.subscribe(store)`.

    Parameters
    ----------
    catalog : CatalogOfBlueskyRuns
        Where they go in the end.
    journals : Path
        Folder of the journals; it is there already.
    events_per_write : int
        Most events that are written into the catalog together.
    folders : sequence of Path
        Of the detectors' files.
    tell : callable
        Given a sentence about what went wrong with the catalog, in the thread of the store.

    Examples
    --------
    >>> store = open_store(load("txm"))
    >>> RE.subscribe(store)
    >>> RE(bp.count([devices.camera]))
    >>> store.wait()
    >>> store.catalog[-1]
    """

    def __init__(
        self,
        catalog: Any,
        journals: Path,
        *,
        events_per_write: int = 50,
        folders: Sequence[Path] = (),
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.catalog = catalog
        self._client = catalog.include_data_sources()
        self.troubles: list[str] = []
        """What went wrong, a sentence each; the documents concerned are in the journal."""
        self._journals = journals
        self._batch = events_per_write
        self._folders = tuple(folders)
        self._tell = tell or log.warning
        self._journal: Journal | None = None
        self._open_runs: set[str] = set()
        self._refused: set[str] = set()
        self._queue: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._closed = threading.Event()
        self._runs, self._failed = RunsInCatalog(self._client, events_per_write), False
        self._thread = threading.Thread(target=self._work, name="store", daemon=True)
        self._thread.start()

    # in the thread of the RunEngine

    def __call__(self, name: str, document: Mapping[str, Any]) -> None:
        """Take a document, and return when it is on the disk.

        Raises
        ------
        JournalError
            If it cannot be written there; once in a run, as the run then ends.
        TypeError
            If it holds what cannot be kept.
        """
        if self._closed.is_set():
            raise JournalError("the store was closed; open it again before the next run")
        try:
            line = self._written(name, document)
        except JournalError as error:
            # its catalog may have room yet, and the run may as well end in order
            self._queue.put(("line", encode(0, name, document)[:-1]))
            self._refuse(error)
        else:
            self._queue.put(("line", line))
        finally:
            if name == "stop":
                self._end(document["run_start"])

    def _written(self, name: str, document: Mapping[str, Any]) -> bytes:
        if name == "start":
            self._open_runs.add(document["uid"])
            if self._journal is None:
                self._journal = self._begun(document)
        if self._journal is None:
            raise JournalError(f"there is no journal for a document ({name})")
        return self._journal.append(name, document)

    def _begun(self, start: Mapping[str, Any]) -> Journal:
        stamp = time.strftime("%Y%m%dT%H%M%S", time.localtime(start["time"]))
        path = self._journals / f"{stamp}-{start['uid'][:8]}{SUFFIX}"
        try:
            return Journal(path, new=True)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise JournalError(
                error.errno, f"journal {path} cannot be begun: {reason}; no run is taken without"
            ) from error

    def _refuse(self, error: JournalError) -> None:
        """Raise, but once a run: it must be able to end in order, and each document of its end would raise again."""
        told = self._refused >= self._open_runs
        self._refused |= self._open_runs
        if not told:
            raise error

    def _end(self, run: str) -> None:
        self._open_runs.discard(run)
        self._refused.discard(run)
        if not self._open_runs:
            self._queue.put(("end", self._journal))
            self._journal = None

    def wait(self, timeout_s: float = 60.0) -> bool:
        """Wait until all that was taken is in the catalog, or was given up for now; return whether that came true."""
        done = threading.Event()
        self._queue.put(("wait", done))
        return done.wait(timeout_s)

    def close(self, timeout_s: float = 60.0) -> None:
        """Write all that was taken into the catalog, and end.

        A run that is still open stays in its journal, and the next start marks it as failed.
        """
        if self._closed.is_set():
            return
        self._closed.set()
        self._queue.put(("close", None))
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self._trouble(f"the catalog has not taken all documents in {timeout_s:g} s; they are in {self._journals}")
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # in the thread of the store

    def _work(self) -> None:
        gathered_since: float | None = None
        while True:
            try:
                what, item = self._queue.get(timeout=FLUSH_S if gathered_since is not None else None)
            except queue.Empty:
                what, item = "flush", None
            if what == "line":
                _, name, document = json.loads(item[item.index(b" ") + 1 :])
                self._guarded(f"a document ({name})", lambda: self._runs(name, document))  # noqa: B023 (called at once)
                gathered_since = gathered_since or time.monotonic()
            if what != "line" or time.monotonic() - (gathered_since or 0.0) > OLDEST_S:
                self._guarded("what was gathered", self._runs.flush)
                gathered_since = None
            if what == "end":
                self._finish(item)
            elif what == "wait":
                item.set()
            elif what == "close":
                return

    def _guarded(self, what: str, write: Callable[[], None]) -> None:
        """Write, unless it failed before in this run; whatever goes wrong must not end this thread."""
        if self._failed:
            return
        try:
            with one_at_a_time(self._journals):
                write()
        except MustBeWrittenAnew:
            self._failed = True
        except Exception as error:
            self._failed = True
            self._trouble(f"the catalog did not take {what}: {_said(error)}; the run is in the journal")

    def _finish(self, journal: Journal | None) -> None:
        """Put away the journal of runs that are in the catalog; else write them once more from it."""
        if journal is not None:
            try:
                if not self._failed:
                    recovery.put_away(journal.path)
            except OSError as error:
                self._trouble(f"journal {journal.path} cannot be put away, and stays: {_said(error)}")
            finally:
                journal.close()
        self._runs, self._failed = RunsInCatalog(self._client, self._batch), False
        self.recover()  # also what earlier runs left behind, now that the catalog may be back

    def recover(self) -> recovery.Recovered:
        """Write what others left in the journal into the catalog, and return what was done."""
        found = recovery.recover(self.catalog, self._journals, self._batch, self._folders)
        for trouble in found.troubles:
            self._trouble(trouble)
        return found

    def _trouble(self, sentence: str) -> None:
        self.troubles.append(sentence)
        self._tell(sentence)


def _said(error: BaseException) -> str:
    # the router of event-model names the callback instead, and clients their own innards
    while True:
        inner = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error.__cause__ or error.__context__
        if inner is None:
            break
        error = inner
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")


def open_store(beamline: Beamline, *, tell: Callable[[str], None] | None = None) -> Store:
    """Open the store of a beamline: its catalog, with all that earlier processes left in the journal.

    Parameters
    ----------
    beamline : Beamline
        Its description.
    tell : callable or None
        Given a sentence about what went wrong; a warning of the logger "whiteline.store" if None.

    Raises
    ------
    CatalogError
        If the catalog cannot be opened.
    """
    table = beamline.store
    store = Store(
        open_catalog(beamline),
        table.journals,
        events_per_write=table.events_per_write,
        folders=readable_folders(beamline),
        tell=tell,
    )
    store.recover()
    recovery.forget(table.journals, table.keep_journals_days)
    return store

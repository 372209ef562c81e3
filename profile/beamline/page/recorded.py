"""A run of the catalog, analysed as the running one is, frame by frame, so that its maps are seen at once."""

import threading
import time
from collections.abc import Callable
from typing import Any

from whiteline.analysis.live.edge_maps import PreparedRows
from whiteline.analysis.live.results import Results
from whiteline.analysis.live.run_analysis import RunAnalysis
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.live.threads import Background
from whiteline.analysis.runs.builder import RunBuilder
from whiteline.analysis.runs.from_catalog import documents_of
from whiteline.analysis.runs.path_map import PathMap
from whiteline.beamline.page.facts import Facts, FactsOfRun
from whiteline.beamline.page.given import Given

AGAIN_S = 2.0
"""After how long is looked again for what has come of a run that goes on [s]."""


class Recorded:
    """A run of the catalog; what it finds grows while its frames are read.

    Parameters
    ----------
    given : Given
        Description, references, material.
    find : callable
        Returns the run as the catalog has it now.
    """

    def __init__(self, given: Given, find: Callable[[], Any]) -> None:
        self._given, self._find = given, find
        self._facts = FactsOfRun(given.meter)
        self._analysis: RunAnalysis | None = None
        self._settings = Settings()
        self._troubles: list[str] = []
        self._closed = threading.Event()
        self._background = Background("page maps")
        self._thread = threading.Thread(target=self._work, name="page run", daemon=True)
        self._thread.start()

    @property
    def settings(self) -> Settings:
        """With which it is analysed."""
        return self._settings

    @property
    def results(self) -> Results | None:
        """What was found so far."""
        return None if self._analysis is None else self._analysis.results

    @property
    def facts(self) -> Facts:
        """What its documents tell."""
        return self._facts.facts

    @property
    def troubles(self) -> tuple[str, ...]:
        """What went wrong, a sentence each."""
        results = self.results
        return (*self._troubles, *(results.troubles if results is not None else ()))

    @property
    def state(self) -> str:
        """What is waited for."""
        if self._troubles:
            return self._troubles[-1]
        if self._analysis is not None and self._analysis.finished.is_set():
            return "this run has no frames to show"
        return "reading the run …"

    def rows(self, position: int | None) -> PreparedRows | None:
        """Return its frames, to be read from their files."""
        return None if self._analysis is None else self._analysis.rows(position)

    def close(self) -> None:
        """End its threads."""
        self._closed.set()
        self._background.close(2.0)
        self._thread.join(2.0)

    # in a thread of its own

    def _work(self) -> None:
        while not self._closed.is_set():
            try:
                if self._read():
                    return
            except Exception as error:  # of the catalog's client, which has many kinds
                self._troubles = [f"the run cannot be read: {error}"]
                return
            self._closed.wait(AGAIN_S)

    def _read(self) -> bool:
        """Work out what the catalog has of the run, and return whether that is all of it."""
        path_map = PathMap.of(self._given.path_map)
        documents = list(documents_of(self._find(), RunBuilder(path_map)))
        over = any(name == "stop" for name, _ in documents)
        if self._analysis is None:
            self._settings, trouble = self._given.settings(documents[0][1])
            self._troubles = [trouble] if trouble else []
            self._analysis = RunAnalysis(self._settings, path_map, self._background, lambda results: None)
        facts, known = FactsOfRun(self._given.meter), self._analysis
        for name, document in documents:
            facts.document(name, document)
        self._facts = facts
        for name, document in documents:  # what it has had already it leaves out
            known.feed(name, document)
            if self._closed.is_set():
                return True
        deadline = time.monotonic() + self._settings.wait_for_file_s
        known.refresh()
        while over and not known.finished.is_set() and known.late and time.monotonic() < deadline:
            self._closed.wait(0.1)
            known.refresh()
        return over

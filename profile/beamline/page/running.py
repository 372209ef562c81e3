"""The running scan in the page's process: its documents as the session publishes them, and an analysis of its own."""

import threading
from collections.abc import Mapping
from typing import Any

from whiteline.analysis.live.callback import LiveXanes
from whiteline.analysis.live.edge_maps import PreparedRows
from whiteline.analysis.live.results import Results
from whiteline.analysis.live.settings import Settings
from whiteline.beamline.page.facts import Facts, FactsOfRun
from whiteline.beamline.page.given import Given
from whiteline.beamline.page.receiving import Document, Receiver


class Running:
    """The running scan, or the last one of a session that is idle.

    Parameters
    ----------
    given : Given
        Description, references, material.
    address : str
        Where the session publishes.

    Raises
    ------
    ValueError
        If the address is none on loopback.
    """

    def __init__(self, given: Given, address: str) -> None:
        self._given, self._lock = given, threading.Lock()
        self._facts = FactsOfRun(given.meter)
        self._live = LiveXanes(path_map=given.path_map, name="page")
        self._trouble = ""
        self._receiver = Receiver(address, self)

    @property
    def settings(self) -> Settings:
        """With which it is analysed."""
        return self._live.settings

    @property
    def results(self) -> Results | None:
        """What was found so far."""
        results = self._live.results
        # of the run before, as long as the new one has no frame
        return results if results is not None and results.uid == self.facts.uid else None

    @property
    def facts(self) -> Facts:
        """What its documents tell."""
        with self._lock:
            return self._facts.facts

    @property
    def connected(self) -> bool:
        """Whether the session is heard."""
        return self._receiver.connected

    @property
    def troubles(self) -> tuple[str, ...]:
        """What went wrong, a sentence each."""
        return (*((self._trouble,) if self._trouble else ()), *self._live.troubles)

    @property
    def state(self) -> str:
        """What is waited for."""
        address = self._receiver.address
        if not self.connected:
            return f"no session is heard at {address}; open one with publish={address!r}"
        if not self.facts.uid:
            return "the session is there, and has not run a scan yet"
        if self.facts.exit_status != "running":
            return "the run has ended, and has no frames to show"
        return "the scan has begun; waiting for its first frames"

    def rows(self, position: int | None) -> PreparedRows | None:
        """Return its frames, to be read from their files."""
        return self._live.rows(position)

    def close(self) -> None:
        """End its threads."""
        self._receiver.close()
        self._live.close(2.0)

    # in the thread of the receiver

    def join(self, documents: list[Document]) -> None:
        """Take the documents of the newest run so far."""
        for name, document in documents:
            self._note_of(name, document)
        if documents:
            self._live.join(documents)

    def document(self, name: str, document: dict[str, Any]) -> None:
        """Take a document."""
        self._note_of(name, document)
        self._live(name, document)

    def note(self, note: Mapping[str, Any]) -> None:
        """Take a reading that no document holds."""
        with self._lock:
            self._facts.note(note)

    def _note_of(self, name: str, document: dict[str, Any]) -> None:
        if name == "start":
            self._live.settings, self._trouble = self._given.settings(document)
        with self._lock:
            self._facts.document(name, document)

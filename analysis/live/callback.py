"""The live analysis: documents of a running scan in, maps with their errors out, beside the RunEngine's thread.

    live = LiveXanes(references=[nio, linio2])
    RE.subscribe(live)
    RE(some_scan(...))
    live.results, print(live.progress)

It is subscribed to the RunEngine itself, before anything that holds documents back: a point that is measured anew
replaces the first.
"""

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whiteline.analysis.live.doors import (
    ERROR,
    ROTATION,
    SHARPNESS,
    SHIFT,
    Part,
    Values,
    error_values,
    sharpness_values,
    shift_values,
)
from whiteline.analysis.live.results import Results
from whiteline.analysis.live.run_analysis import RunAnalysis
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.live.status import NotAnalysed, Pending
from whiteline.analysis.live.threads import Background, Inbox, Item, Pace
from whiteline.analysis.runs.builder import Document
from whiteline.analysis.runs.path_map import PathMap, PathMapLike

if TYPE_CHECKING:
    from whiteline.analysis.live.edge_maps import PreparedRows

KINDS = frozenset(
    {
        "start", "descriptor", "event", "event_page", "resource", "datum", "datum_page", "stream_resource",
        "stream_datum", "stop",
    }
)  # fmt: skip

AGAIN_S = 0.03
"""After how long is looked again for a frame that is on its way into its file, unless a document comes before [s]."""


class LiveXanes:
    """The live analysis of one run after the other.

    Parameters
    ----------
    path_map : mapping of str to str, or pairs, optional
        From folders as documents name them to folders of this client.
    folder : str or Path, optional
        Where the result of each run is saved when it has ended; nowhere if it is not given.
    on_result : callable, optional
        Is given the final result of each run, and the metadata that links it to the run if it was saved, else an empty
        mapping; in the background's thread.
    timeout_s : float
        How long a trigger of `shift`, `sharpness`, `error` or `rotation` may take [s].
    name : str
        Which the data keys of these begin with.
    **options
        References and all else of `Settings`.

    Attributes
    ----------
    shift, sharpness, error, rotation : Part
        What a plan triggers and reads, see `doors`.

    Raises
    ------
    OutOfRange, ValueError, TypeError
        If a setting is not possible.
    """

    def __init__(
        self,
        *,
        path_map: PathMapLike = None,
        folder: str | Path | None = None,
        on_result: Callable[[Results, dict[str, Any]], None] | None = None,
        timeout_s: float = 60.0,
        name: str = "live",
        **options: Any,
    ) -> None:
        self.settings = Settings(**options)
        self.name = name
        self._path_map = PathMap.of(path_map)
        self._folder = None if folder is None else Path(folder)
        self._on_result = on_result
        self._analysis: RunAnalysis | None = None
        self._troubles: list[str] = []
        self._refreshed, self._pace = 0.0, Pace()
        self._put_off: list[Item] = []
        self.shift = Part(f"{name}_shift", SHIFT, self._ask(shift_values), timeout_s)
        self.sharpness = Part(f"{name}_sharpness", SHARPNESS, self._ask(sharpness_values), timeout_s)
        self.error = Part(f"{name}_error", ERROR, self._ask(error_values), timeout_s)
        self.rotation = Part(f"{name}_rotation", ROTATION, self._ask(self._rotation_values), timeout_s)
        self._background = Background(f"{name} maps")
        self._inbox = Inbox(self._take, self._idle, f"{name} frames")
        self._inbox.put(("warm up", None))

    def __call__(self, name: str, document: Document) -> None:
        """Take a document; it is only put into a queue."""
        self._inbox.put((name, document))

    def join(self, documents: Iterable[tuple[str, Document]]) -> None:
        """Take the documents of the run that is going on from before this was subscribed, as a journal has them."""
        self._inbox.put(("join", list(documents)))

    @property
    def parts(self) -> tuple[Part, ...]:
        """All that plans may be given: what they can trigger and read."""
        return self.shift, self.sharpness, self.error, self.rotation

    # what people look at

    @property
    def results(self) -> Results | None:
        """What was found so far in the newest run; None before its first frame."""
        analysis = self._analysis
        return None if analysis is None else analysis.results

    @property
    def progress(self) -> str:
        """Where the newest run is, in one line."""
        results = self.results
        parts = [results.line if results is not None else "nothing analysed yet"]
        if (behind := self._inbox.waiting) > 1:
            parts.append(f"{behind} documents wait")
        if self._inbox.lost:
            parts.append(
                f"{self._inbox.lost} documents were lost, as it was too far behind: analyse the run afterwards"
            )
        return " · ".join([*parts, *self._troubles[-1:]])

    def rows(self, position: int | None = None) -> "PreparedRows | None":
        """Return the frames of the newest run so far as rows to be read from their files, by one thread.

        Parameters
        ----------
        position : int, optional
            Place of the sample, as `Results.position`.

        Returns
        -------
        PreparedRows or None
            Optical density and variance, brought onto the first frame; None if no frame of a stack is there.
        """
        analysis = self._analysis
        return None if analysis is None else analysis.rows(position)

    def __repr__(self) -> str:
        return f"<LiveXanes: {self.progress}>"

    @property
    def troubles(self) -> tuple[str, ...]:
        """What went wrong, a sentence each."""
        results = self.results
        return (*self._troubles, *(results.troubles if results is not None else ()))

    def wait(self, timeout_s: float = 600.0) -> Results:
        """Wait until all documents so far are worked out, and a run that has ended is finished.

        Raises
        ------
        TimeoutError
            If that takes longer.
        NotAnalysed
            If there is no result.
        """
        deadline = time.monotonic() + timeout_s
        caught_up = threading.Event()
        if not self._inbox.put(("wait", caught_up)) or not caught_up.wait(timeout_s):
            raise TimeoutError(f"the live analysis was not done after {timeout_s:g} s: {self.progress}")
        analysis = self._analysis
        if analysis is not None and not analysis.builder.going:
            analysis.finished.wait(max(0.0, deadline - time.monotonic()))
            if not analysis.finished.is_set():
                raise TimeoutError(f"the last maps were not there after {timeout_s:g} s: {self.progress}")
        if not self._background.rest(deadline - time.monotonic()):
            raise TimeoutError(f"the maps were not there after {timeout_s:g} s: {self.progress}")
        results = self.results
        if results is None:
            raise NotAnalysed("; ".join(self.troubles) or "no run has come that could be analysed")
        return results

    def close(self, timeout_s: float = 10.0) -> None:
        """End the threads; documents that come later are left out."""
        self._background.close(timeout_s)
        self._inbox.close(timeout_s)

    # in the thread that works out frames

    def _take(self, item: Item) -> None:
        name, content = item
        try:
            if name in KINDS:
                self._document(name, content)
            elif name == "ask":
                self._answer(*content)
            elif name == "wait":
                self._caught_up(content)
            elif name == "join":
                self._joined(content)
            elif name == "warm up":
                from whiteline.analysis.live.warm_up import warm_up

                warm_up(self.settings)
        except Exception as error:
            sentence = f"{error}" if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            if sentence not in self._troubles:
                self._troubles = [*self._troubles, sentence][-20:]

    def _document(self, name: str, document: Document) -> None:
        if name == "start" or (name == "descriptor" and self._analysis is None):
            self._analysis = self._begun()
        if self._analysis is not None:
            self._analysis.feed(name, document)
        if time.monotonic() - self._refreshed > 1.0 and not self._pause_s:
            self._refresh()

    def _begun(self) -> RunAnalysis:
        if self._analysis is not None and not self._analysis.builder.going:
            self._analysis.conclude()
        self._troubles = []
        return RunAnalysis(self.settings, self._path_map, self._background, self._ended)

    def _joined(self, documents: list[tuple[str, Document]]) -> None:
        analysis = self._begun()
        for name, document in documents:
            if name in KINDS:
                analysis.feed(name, document)
        self._analysis = analysis
        self._refresh()

    @property
    def _pause_s(self) -> float:
        """How long the next result has to wait [s]: those of frames never do, as each frame is worked out once."""
        return self._pace.pause_s if self._analysis is not None and self._analysis.starts_anew else 0.0

    @property
    def _late(self) -> bool:
        """Whether a frame is awaited that is on its way into its file."""
        return self._analysis is not None and self._analysis.late

    def _idle(self) -> float | None:
        if pause := self._pause_s:
            return pause
        try:
            self._refresh()
        except Exception as error:
            self._troubles = [*self._troubles, f"{type(error).__name__}: {error}"][-20:]
        if not self._late:
            put_off, self._put_off = self._put_off, []
            for item in put_off:
                self._take(item)
        return AGAIN_S if self._late or self._put_off else None

    def _caught_up(self, caught_up: threading.Event) -> None:
        self._refresh()
        if self._late:
            self._put_off.append(("wait", caught_up))
        else:
            caught_up.set()

    def _refresh(self) -> None:
        if self._analysis is not None:
            with self._pace.work():
                self._analysis.refresh()
        self._refreshed = time.monotonic()

    def _ask(self, values: Callable[[Results], Values]) -> Callable[[Part, Pending], None]:
        def ask(part: Part, status: Pending) -> None:
            if not self._inbox.put(("ask", (part, status, values))):
                status.finish(NotAnalysed("the live analysis is too far behind to answer; go on without it"))

        return ask

    def _answer(self, part: Part, status: Pending, values: Callable[[Results], Values]) -> None:
        if status.done:
            return
        if self._analysis is None:
            status.finish(
                NotAnalysed("no run has begun that the live analysis knows of; subscribe it to the RunEngine")
            )
            return
        self._analysis.refresh(demanded=True)
        if self._analysis.late:
            self._put_off.append(("ask", (part, status, values)))
            return
        why_not, results = self._analysis.why_not(), self._analysis.results
        if why_not or results is None:
            status.finish(NotAnalysed(f"the newest frame could not be analysed: {why_not or 'there is no result'}"))
            return
        try:
            part.settle(values(results))
        except (OSError, ValueError) as error:
            status.finish(NotAnalysed(f"the newest frame does not tell it: {error}"))
            return
        status.finish()

    def _rotation_values(self, _: Results) -> Values:
        return {} if self._analysis is None else self._analysis.rotation_values()

    # in the background's thread

    def _ended(self, results: Results) -> None:
        link: dict[str, Any] = {}
        try:
            if self._folder is not None:
                from whiteline.analysis.live.saving import save

                link = save(results, self._folder)
            if self._on_result is not None:
                self._on_result(results, link)
        except Exception as error:
            with suppress(AttributeError):
                self._troubles = [*self._troubles, f"the result of {results.run} was not saved: {error}"][-20:]

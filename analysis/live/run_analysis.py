"""One run while it goes on: its documents, what was found so far, and what could not be."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from whiteline.analysis.live.results import Results, provenance_of
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.live.spectrum import FittedSpectrum
from whiteline.analysis.live.threads import Background
from whiteline.analysis.runs.builder import Document, RunBuilder
from whiteline.analysis.runs.path_map import PathMap
from whiteline.analysis.runs.run import DARK, FLAT, PRIMARY, Run

if TYPE_CHECKING:
    from whiteline.analysis.live.edge_maps import PreparedRows
    from whiteline.analysis.live.sample import Sample
    from whiteline.analysis.live.stack import GrowingStack
    from whiteline.analysis.maps.map import Map

MOST_TROUBLES = 50
"""Sentences that are kept of what went wrong."""


class RunAnalysis:
    """The analysis of one run; all of it but `results` belongs to the thread that works out frames.

    Parameters
    ----------
    settings : Settings
        What it was told.
    path_map : PathMap
        Where files are.
    background : Background
        Does the slow maps.
    ended : callable
        Is given the final result, in the background's thread.
    """

    def __init__(
        self, settings: Settings, path_map: PathMap, background: Background, ended: Callable[[Results], None]
    ) -> None:
        self.settings = settings
        self.builder = RunBuilder(path_map)
        self.finished = threading.Event()
        self._background, self._ended = background, ended
        self._kind = ""
        self._stack: GrowingStack | None = None
        self._seen: set[str] = set()
        self._fresh = False
        self._broken: list[str] = []
        self._failure = ""
        self._mapped = 0
        self._provenance: Mapping[str, Any] | None = None
        self._lock = threading.Lock()
        self._fast: Results | None = None
        self._spectrum: FittedSpectrum | None = None
        self._maps: dict[str, Map] = {}
        self._slow_troubles: tuple[str, ...] = ()

    @property
    def results(self) -> Results | None:
        """What was found so far; None before the first frame. From any thread."""
        with self._lock:
            if self._fast is None:
                return None
            done = self.finished.is_set()
            return replace(
                self._fast,
                maps={**self._fast.maps, **self._maps},
                spectrum=self._spectrum if self._spectrum is not None else self._fast.spectrum,
                over=done,
                troubles=(*self._fast.troubles, *self._slow_troubles),
            )

    def feed(self, name: str, document: Document) -> None:
        """Take a document; one that comes twice, as after `join`, is taken once."""
        uid = document.get("datum_id") or document.get("uid")
        if isinstance(uid, str):  # pages have lists
            if uid in self._seen:
                return
            self._seen.add(uid)
        if name == "descriptor" and self.builder.start is None:
            # It was subscribed in the middle of a run: what the start would have said is not known.
            self.builder.feed("start", {"uid": document["run_start"], "time": document["time"]})
        points = self.builder.feed(name, document)
        self._fresh |= any(point.stream in (PRIMARY, FLAT, DARK) for point in points)
        self._fresh |= name in ("stop", "stream_datum")
        if name == "stop" and self.builder.stop is not None:
            self.refresh()

    def refresh(self, *, demanded: bool = False) -> None:
        """Work out what has come; whatever a fit raises is kept as a sentence, and the next frame is tried."""
        over = not self.builder.going
        if self.builder.start is None or not (self._fresh or demanded) or self.finished.is_set():
            return
        self._fresh, self._failure = False, ""
        try:
            run = self.builder.run()
            if PRIMARY in run.streams and len(run.points):
                self._analyse(run, demanded, over)
        except Exception as error:
            self._failure = f"{error}" if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            if self._failure not in self._broken:
                self._broken = [*self._broken, self._failure][-MOST_TROUBLES:]
            self._publish_failure()
        if over:
            self._finish()

    def why_not(self) -> str:
        """Return why the newest frame is not part of the result, "" if it is."""
        if self._failure:
            return self._failure
        primary = self.builder.streams.get(PRIMARY)
        if primary is None or not primary.points:
            return "no point of a run has been recorded yet"
        if self._stack is None:
            return ""
        newest = max(primary.points)
        if newest in self._stack.followed:
            return ""
        return self._stack.trouble_of(newest) or self._stack.waiting or f"point {newest} has no frames"

    def _analyse(self, run: Run, demanded: bool, over: bool) -> None:
        if not self._kind:
            from whiteline.analysis.live.kinds import kind_of

            self._kind = kind_of(run)
        if self._kind == "points":
            from whiteline.analysis.live.points import points_of

            self._set_fast(points_of(run, self.settings))
        elif self._kind == "raster":
            from whiteline.analysis.live.raster import raster_of

            self._set_fast(raster_of(run, self.settings, spectra=over))
        else:
            self._grow(run, demanded, over)

    def _grow(self, run: Run, demanded: bool, over: bool) -> None:
        if self._stack is None:
            from whiteline.analysis.live.stack import GrowingStack

            self._stack = GrowingStack(self.settings)
        stack = self._stack
        stack.mapped = lambda: self._set_fast(self._of_stack(run, stack))
        done = stack.follow(run, demanded=demanded, over=over)
        self._set_fast(self._of_stack(run, stack))
        if not done:
            return
        stack.judge_fit()
        self._set_fast(self._of_stack(run, stack))
        number = len(stack.followed)
        with_maps = number - self._mapped >= self.settings.every
        if with_maps:
            self._mapped = number
        if not over:
            sample, rows = stack.sample, stack.rows() if with_maps else None
            self._background.submit(lambda: self._slowly(sample, rows, final=False))

    def _of_stack(self, run: Run, stack: "GrowingStack") -> Results:
        from whiteline.analysis.live.recipes import pixel_um

        followed = [stack.followed[number] for number in sorted(stack.followed)]
        newest = [stack.density] if stack.density is not None else []
        planned = run.planned_energies
        return Results(
            kind="stack",
            uid=run.uid,
            run=run.name,
            energies=np.array([one.recipe.energy for one in followed]),
            planned=None if planned is None else int(planned.size),
            maps={one.name: one for one in (*newest, *stack.fractions)},
            frames=tuple(one.found for one in followed),
            error=stack.error,
            pixel_um=pixel_um(run, run.points),
            exit_status=run.exit_status,
            troubles=(*stack.troubles, *self._missed(), *self._broken),
            provenance=self._provenance_of(run.uid),
        )

    def _provenance_of(self, uid: str) -> Mapping[str, Any]:
        if self._provenance is None:
            self._provenance = provenance_of(self.settings, uid)
        return self._provenance

    def _missed(self) -> tuple[str, ...]:
        if not self.builder.missed:
            return ()
        return (
            f"{self.builder.missed} events came whose description was not seen, as it was subscribed in the middle of "
            "the run; give the documents from before by `join`",
        )

    def _set_fast(self, results: Results) -> None:
        with self._lock:
            self._fast = results

    def _publish_failure(self) -> None:
        with self._lock:
            if self._fast is not None:
                kept = [one for one in self._fast.troubles if one not in self._broken]
                self._fast = replace(self._fast, troubles=(*kept, *self._broken))
                return
            start = self.builder.start or {}
            uid = str(start.get("uid", ""))
            self._fast = Results(
                "stack",
                uid,
                f"run {uid[:8]}",
                np.empty(0),
                troubles=tuple(self._broken),
                provenance=provenance_of(self.settings, uid),
            )

    def _finish(self) -> None:
        """Hand the rest to the background: it ends the run when the last maps are there."""
        sample: Sample | None = None
        rows: PreparedRows | None = None
        if self._stack is not None and self._fast is not None:
            jump = self._stack.jump()
            if jump is not None:
                self._set_fast(replace(self._fast, maps={**self._fast.maps, jump.name: jump}))
            sample, rows = self._stack.sample, self._stack.rows()
        self._background.submit(lambda: self._slowly(sample, rows, final=True))

    def _slowly(self, sample: "Sample | None", rows: "PreparedRows | None", *, final: bool) -> None:
        """Fit the mean spectrum and map edge and white line, in the background's thread."""
        try:
            self._slow_maps(sample, rows, final)
        except Exception as error:
            with self._lock:
                self._slow_troubles = (f"{type(error).__name__}: {error}",)
        finally:
            if final:
                self.finished.set()
                results = self.results
                if results is not None:
                    self._ended(results)

    def _slow_maps(self, sample: "Sample | None", rows: "PreparedRows | None", final: bool) -> None:
        if sample is None:
            return
        from whiteline.analysis.live.edge_maps import Stopped, edge_maps
        from whiteline.analysis.live.mean_spectrum import mean_spectrum

        spectrum = mean_spectrum(sample, self.settings)
        with self._lock:
            self._spectrum = spectrum
        if rows is None:
            return
        try:
            found: dict[str, Any] = edge_maps(rows, sample, self.settings, lambda: not self._background.closed)
        except Stopped:
            return
        except ValueError as trouble:
            if final:
                with self._lock:
                    self._maps = {}
                    self._slow_troubles = (f"edge energy and white line are not mapped: {trouble}",)
            return
        with self._lock:
            self._maps, self._slow_troubles = found, ()

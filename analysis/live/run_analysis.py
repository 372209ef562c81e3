"""One run while it goes on: its documents, what was found so far, and what could not be."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from whiteline.analysis.live.results import Results, provenance_of
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.live.threads import Background
from whiteline.analysis.runs.builder import Document, RunBuilder
from whiteline.analysis.runs.path_map import PathMap
from whiteline.analysis.runs.positions import position_of
from whiteline.analysis.runs.run import DARK, FLAT, LOOK, LOOK_FLAT, PRIMARY, Run

if TYPE_CHECKING:
    from whiteline.analysis.live.edge_maps import PreparedRows
    from whiteline.analysis.live.fly_lines import FlyLines
    from whiteline.analysis.live.stack_analysis import StackAnalysis

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
        self._stacks: dict[int | None, StackAnalysis] = {}
        self._seen: set[str] = set()
        self._fresh = self._ending = False
        self._broken: list[str] = []
        self._failure = ""
        self._provenance: Mapping[str, Any] | None = None
        self._at_once: Results | None = None
        self._fly_lines: FlyLines | None = None

    @property
    def results(self) -> Results | None:
        """What was found so far; None before the first frame. From any thread."""
        over = self.finished.is_set()
        found = [one for stack in list(self._stacks.values()) if (one := stack.results) is not None]
        if not found:
            return None if self._at_once is None else replace(self._at_once, over=over)
        found = [replace(one, over=over) for one in found]
        leads = max(found, key=lambda one: -np.inf if one.newest is None else one.newest.time)
        places = {one.position: one for one in found if one.position is not None}
        return replace(leads, positions=places) if len(places) > 1 else leads

    def rows(self, position: int | None = None) -> "PreparedRows | None":
        """Return the frames at a place so far as rows to be read from their files; None if there are none."""
        there = self._stacks.get(position)
        return None if there is None else there.rows

    @property
    def starts_anew(self) -> bool:
        """Whether each result is worked out from all points: of rasters and point scans, while they go on."""
        return self._kind in ("points", "raster", "tomography") and self.builder.going

    @property
    def late(self) -> bool:
        """Whether a frame is not in its file yet, though its event has come: `refresh` is to be called again soon."""
        return any(one.stack.late is not None or one.stack.looks.late for one in self._stacks.values())

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
        self._fresh |= any(point.stream in (PRIMARY, FLAT, DARK, LOOK, LOOK_FLAT) for point in points)
        self._fresh |= name in ("stop", "stream_datum")
        if name == "stop" and self.builder.stop is not None:
            self.refresh()

    def refresh(self, *, demanded: bool = False) -> None:
        """Work out what has come; whatever a fit raises is kept as a sentence, and the next frame is tried."""
        over = not self.builder.going
        if self.builder.start is None or not (self._fresh or demanded or self.late) or self._ending:
            return
        self._fresh, self._failure = False, ""
        try:
            run = self.builder.run()
            if run.has_points and len(run.points):
                self._analyse(run, demanded, over)
        except Exception as error:
            self._failure = f"{error}" if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            if self._failure not in self._broken:
                self._broken = [*self._broken, self._failure][-MOST_TROUBLES:]
            self._publish_failure()
        if over and not self.late:
            self._finish()

    def conclude(self) -> None:
        """End the analysis of a run that has stopped, though a frame may still be on its way: another run begins."""
        for one in self._stacks.values():
            one.stack.patient = False
            one.stack.looks.give_up()
        self.refresh(demanded=True)

    def why_not(self) -> str:
        """Return why the newest frame is not part of the result, "" if it is."""
        if self._failure:
            return self._failure
        primary = self.builder.streams.get(PRIMARY)
        if primary is None or not primary.points:
            return "no point of a run has been recorded yet"
        if not self._stacks:
            return ""
        newest = max(primary.points)
        there = self._stacks.get(position_of(primary.points[newest]))
        if there is None:
            return f"point {newest} does not say at which position of the sample it was taken, as others do"
        stack = there.stack
        if newest in stack.followed:
            return next((one.stack.looks.trouble for one in self._stacks.values() if one.stack.looks.trouble), "")
        return stack.trouble_of(newest) or stack.waiting or f"point {newest} has no frames"

    def rotation_values(self) -> dict[str, float | str]:
        """Return what the newest frame says of the axis of rotation, together with the one half a turn before it.

        Raises
        ------
        ValueError
            If it says nothing.
        """
        from whiteline.analysis.live.rotation import rotation_values

        run = self.builder.run()
        if not self._stacks:
            raise ValueError("frames of a camera are needed")
        position = max(self._stacks, key=lambda one: max(self._stacks[one].stack.followed, default=0))
        return rotation_values(run if position is None else run.at_position(position), self._stacks[position].stack)

    def _analyse(self, run: Run, demanded: bool, over: bool) -> None:
        if not self._kind:
            from whiteline.analysis.live.kinds import kind_of

            self._kind = kind_of(run)
        if self._kind == "points":
            from whiteline.analysis.live.points import points_of

            self._at_once = points_of(run, self.settings)
        elif self._kind == "raster":
            from whiteline.analysis.live.fly_lines import FlyLines
            from whiteline.analysis.live.raster import raster_of

            self._fly_lines = self._fly_lines or FlyLines(self.settings.incident)
            self._at_once = raster_of(run, self.settings, spectra=over, fly_lines=self._fly_lines)
        elif self._kind == "tomography":
            from whiteline.analysis.live.tomography import tomography_of

            self._at_once = tomography_of(run, self.settings)
        else:
            self._grow(run, demanded, over)

    def _grow(self, run: Run, demanded: bool, over: bool) -> None:
        from whiteline.analysis.live.stack_analysis import StackAnalysis

        for position in run.position_indices or (None,):
            if position not in self._stacks:
                # a new one, as others may look at what there is
                self._stacks = {**self._stacks, position: StackAnalysis(self.settings, position, self._about)}
            self._stacks[position].follow(run, demanded=demanded, over=over)
        if not over:
            self._submit(final=False)

    def _about(self) -> tuple[tuple[str, ...], Mapping[str, Any]]:
        if self._provenance is None:
            self._provenance = provenance_of(self.settings, str((self.builder.start or {}).get("uid", "")))
        return (*self._missed(), *self._broken), self._provenance

    def _missed(self) -> tuple[str, ...]:
        if not self.builder.missed:
            return ()
        return (
            f"{self.builder.missed} events came whose description was not seen, as it was subscribed in the middle of "
            "the run; give the documents from before by `join`",
        )

    def _publish_failure(self) -> None:
        for one in self._stacks.values():
            one.refresh_troubles()
        if self._at_once is not None:
            kept = [one for one in self._at_once.troubles if one not in self._broken]
            self._at_once = replace(self._at_once, troubles=(*kept, *self._broken))
        elif self.results is None:
            troubles, provenance = self._about()
            uid = str((self.builder.start or {}).get("uid", ""))
            self._at_once = Results(
                "stack", uid, f"run {uid[:8]}", np.empty(0), troubles=troubles, provenance=provenance
            )

    def _finish(self) -> None:
        """Hand the rest to the background: it ends the run when the last maps are there."""
        self._ending = True
        for one in self._stacks.values():
            one.finish()
        self._submit(final=True)

    def _submit(self, *, final: bool) -> None:
        """Have the background fit mean spectra, and map edges and white lines."""
        works = [work for one in self._stacks.values() if (work := one.slow_work(final=final)) is not None]

        def job() -> None:
            try:
                for work in works:
                    work(lambda: not self._background.closed)
            finally:
                if final:
                    self.finished.set()
                    results = self.results
                    if results is not None:
                        self._ended(results)

        if works or final:
            self._background.submit(job, at_once=final)

"""A stack at one place of the sample: its maps frame by frame, and those that take longer beside them."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from whiteline.analysis.live.edge_maps import PreparedRows, Stopped, edge_maps
from whiteline.analysis.live.fraction_fit import energy_shift_of_sample
from whiteline.analysis.live.mean_spectrum import mean_spectrum
from whiteline.analysis.live.recipes import pixel_um
from whiteline.analysis.live.results import Results
from whiteline.analysis.live.sample import Sample
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.live.spectrum import FittedSpectrum
from whiteline.analysis.live.stack import GrowingStack
from whiteline.analysis.maps.map import Map
from whiteline.analysis.runs.run import Run

About = Callable[[], tuple[tuple[str, ...], Mapping[str, Any]]]
"""Returns what else went wrong in the run, and the provenance."""


class StackAnalysis:
    """The analysis of the frames of one place.

    Parameters
    ----------
    settings : Settings
        What it was told.
    position : int or None
        Which place; None where the run has but one.
    about : callable
        What is common to all places.
    """

    def __init__(self, settings: Settings, position: int | None, about: About) -> None:
        self.settings, self.position = settings, position
        self.stack = GrowingStack(settings)
        self._about = about
        self._lock = threading.Lock()
        self._fast: Results | None = None
        self._rows: PreparedRows | None = None
        self._spectrum: FittedSpectrum | None = None
        self._energy_shift: tuple[float, float] | None = None
        self._maps: dict[str, Map] = {}
        self._slow_troubles: tuple[str, ...] = ()
        self._mapped = self._fitted = 0

    @property
    def results(self) -> Results | None:
        """What was found so far. From any thread."""
        with self._lock:
            if self._fast is None:
                return None
            return replace(
                self._fast,
                maps={**self._fast.maps, **self._maps},
                spectrum=self._spectrum,
                energy_shift=self._energy_shift,
                troubles=(*self._fast.troubles, *self._slow_troubles),
            )

    @property
    def rows(self) -> PreparedRows | None:
        """All frames so far as rows to be read from the files, by one thread. From any thread."""
        return self._rows

    def follow(self, run: Run, *, demanded: bool, over: bool) -> None:
        """Work out what is new in the run; errors as those of `GrowingStack.follow`."""
        there = run if self.position is None else run.at_position(self.position)
        self.stack.mapped = lambda: self._publish(there)
        done = self.stack.follow(there, demanded=demanded, over=over)
        if done:
            self._publish(there)
            self.stack.judge_fit()
        self._publish(there)

    def finish(self) -> None:
        """Add what is made once, from the sums of all frames."""
        jump = self.stack.jump()
        if jump is not None and self._fast is not None:
            self._set(replace(self._fast, maps={**self._fast.maps, jump.name: jump}))

    def refresh_troubles(self) -> None:
        """Say what has gone wrong in the run since."""
        if self._fast is not None:
            troubles, _ = self._about()
            self._set(replace(self._fast, troubles=(*self.stack.troubles, *troubles)))

    def _publish(self, run: Run) -> None:
        stack = self.stack
        followed = [stack.followed[number] for number in sorted(stack.followed)]
        newest = [stack.density] if stack.density is not None else []
        planned = run.planned_energies
        troubles, provenance = self._about()
        self._rows = stack.rows()
        self._set(
            Results(
                kind="stack",
                uid=run.uid,
                run=run.name,
                energies=np.array([one.recipe.energy for one in followed]),
                planned=None if planned is None else int(planned.size),
                maps={one.name: one for one in (*newest, *stack.fractions)},
                frames=tuple(one.found for one in followed),
                look=stack.looks.found,
                error=stack.error,
                pixel_um=pixel_um(run, run.points),
                position=self.position,
                exit_status=run.exit_status,
                troubles=(*stack.troubles, *troubles),
                provenance=provenance,
            )
        )

    def _set(self, results: Results) -> None:
        with self._lock:
            self._fast = results

    # what takes longer

    def slow_work(self, *, final: bool) -> Callable[[Callable[[], bool]], None] | None:
        """Return the slow work that is due, for another thread; None if there is none.

        It is given a function that says whether it is still wanted.
        """
        number = len(self.stack.followed)
        if not final and number == self._fitted:
            return None
        sample = self.stack.sample
        rows = self.stack.rows() if final or number - self._mapped >= self.settings.every else None

        def work(wanted: Callable[[], bool]) -> None:
            self._fitted, self._mapped = number, self._mapped if rows is None else number
            try:
                self._slowly(sample, rows, wanted, final)
            except Exception as error:
                with self._lock:
                    self._slow_troubles = (f"{type(error).__name__}: {error}",)

        return work

    def _slowly(
        self, sample: Sample | None, rows: PreparedRows | None, wanted: Callable[[], bool], final: bool
    ) -> None:
        if sample is None:
            return
        spectrum = mean_spectrum(sample, self.settings)
        with self._lock:
            self._spectrum = spectrum
        if rows is None:
            return
        energy_shift = energy_shift_of_sample(sample, self.settings)
        with self._lock:
            self._energy_shift = energy_shift
        try:
            found = edge_maps(rows, sample, self.settings, wanted)
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

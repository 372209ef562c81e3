"""A run that is shown, be it going on or long past: what every page looks at, whichever way it came."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

from whiteline.analysis.live.edge_maps import PreparedRows
from whiteline.analysis.live.results import Results
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.live.spectrum import FittedSpectrum
from whiteline.beamline.page.facts import Facts
from whiteline.beamline.page.region import Rectangle, RegionSpectrum


class Shown(Protocol):
    """A run with what was found in it so far; all of it from any thread."""

    @property
    def settings(self) -> Settings:
        """With which it is analysed."""

    @property
    def results(self) -> Results | None:
        """What was found so far."""

    @property
    def facts(self) -> Facts:
        """What its documents tell."""

    @property
    def troubles(self) -> tuple[str, ...]:
        """What went wrong, a sentence each."""

    @property
    def state(self) -> str:
        """What is waited for, in a sentence, where there is nothing to show; else ""."""

    def rows(self, position: int | None) -> PreparedRows | None:
        """Return its frames, to be read from their files."""


class Regions:
    """Works out spectra of rectangles in a thread of its own, one after the other; those of one run, for all viewers.

    Parameters
    ----------
    shown : Shown
        The run.
    workers : ThreadPoolExecutor
        Of one thread.
    """

    MOST = 16
    """Rectangles that are remembered."""

    def __init__(self, shown: Shown, workers: ThreadPoolExecutor) -> None:
        self._shown, self._workers = shown, workers
        self._lock = threading.Lock()
        self._known: dict[Any, tuple[RegionSpectrum, tuple[int, bool], FittedSpectrum | None, str]] = {}
        self._busy: dict[Any, Future[None]] = {}

    def spectrum(self, rectangle: Rectangle, results: Results) -> tuple[FittedSpectrum | None, str]:
        """Return the spectrum as it is known by now, and why there is none; begin to work out a newer one if need be.

        Parameters
        ----------
        rectangle : Rectangle
            Pixels of the map.
        results : Results
            Of the run, as they are shown.
        """
        key, newest = (results.uid, results.position, rectangle), _newest(results)
        with self._lock:
            known = self._known.get(key)
            if (known is None or known[1] != newest) and key not in self._busy:
                self._busy[key] = self._workers.submit(self._work, key, results, newest)
            return (None, "reading the frames …") if known is None else known[2:]

    def _work(self, key: Any, results: Results, newest: Any) -> None:
        with self._lock:
            known = self._known.get(key)
        one = known[0] if known is not None else RegionSpectrum(key[2], self._shown.settings)
        found, why = None, ""
        try:
            found, why = self._found(one, results)
        except (OSError, ValueError) as error:
            why = str(error)
        with self._lock:
            self._known[key] = one, newest, found, why
            while len(self._known) > self.MOST:
                del self._known[next(iter(self._known))]
            del self._busy[key]

    def _found(self, one: RegionSpectrum, results: Results) -> tuple[FittedSpectrum | None, str]:
        if results.kind == "raster":
            if results.planes is None:
                return None, "no spectrum, as there is no complete map at one of several energies"
            found = one.of_planes(results.planes)
        else:
            rows = self._shown.rows(results.position)
            if rows is None:
                return None, "this run has no frames"
            found = one.of(rows)
        return found, "" if found is not None else "no pixel of it is good at every energy"


def _newest(results: Results) -> tuple[int, bool]:
    """Return what changes when there is more for a spectrum: frames of a stack, or complete maps of a raster."""
    if results.kind == "raster":
        # a line that was taken again is in the last maps, without there being one more
        return 0 if results.planes is None else results.planes.energies.size, results.over
    return len(results.frames), False

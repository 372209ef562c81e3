"""The runs of the catalog, newest first, and those of them that were opened."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from whiteline.beamline.page.given import Given
from whiteline.beamline.page.recorded import Recorded

MOST_LISTED = 60
MOST_OPEN = 4
"""Runs that are kept open: each holds its maps."""

AGAIN_S = 5.0
"""After how long the catalog is asked for new runs [s]."""


@dataclass(frozen=True)
class Listed:
    """A run of the list.

    Parameters
    ----------
    uid : str
        Of the run.
    label : str
        What is shown: its number, plan, sample, when, and how it ended.
    """

    uid: str
    label: str


class PastRuns:
    """The runs of a catalog.

    Parameters
    ----------
    given : Given
        Description, references, material.
    catalog : CatalogOfBlueskyRuns
        Where they are.
    """

    def __init__(self, given: Given, catalog: Any) -> None:
        self._given, self._catalog = given, catalog
        self._lock = threading.Lock()
        self._listed: tuple[Listed, ...] = ()
        self._labels: dict[str, Listed] = {}
        self._open: dict[str, Recorded] = {}
        self.trouble = ""
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="page list", daemon=True)
        self._thread.start()

    @property
    def listed(self) -> tuple[Listed, ...]:
        """Runs, newest first."""
        return self._listed

    def open(self, uid: str) -> Recorded:
        """Return a run of the list, for all who look at it; the one that was opened longest ago is closed."""
        with self._lock:
            known = self._open.pop(uid, None)
            if known is None:
                known = Recorded(self._given, lambda: self._catalog[uid])
            self._open[uid] = known
            old = [self._open.pop(next(iter(self._open))) for _ in range(len(self._open) - MOST_OPEN)]
        for one in old:
            one.close()
        return known

    def close(self) -> None:
        """End its threads."""
        self._closed.set()
        for one in self._open.values():
            one.close()
        self._thread.join(2.0)

    def _work(self) -> None:
        while not self._closed.is_set():
            try:
                self._listed = self._read()
                self.trouble = ""
            except Exception as error:  # of the catalog's client, which has many kinds
                self.trouble = f"the catalog does not answer: {error}"
            self._closed.wait(AGAIN_S)

    def _read(self) -> tuple[Listed, ...]:
        found = []
        for uid in self._catalog.keys().tail(MOST_LISTED):
            if uid not in self._labels:
                metadata = self._catalog[uid].metadata
                one = Listed(uid, label(metadata.get("start") or {}, metadata.get("stop")))
                if metadata.get("stop"):
                    self._labels[uid] = one
            else:
                one = self._labels[uid]
            found.append(one)
        return tuple(reversed(found))


def label(start: Any, stop: Any, clock: Callable[[float], time.struct_time] = time.localtime) -> str:
    """Return what a run is called in the list."""
    number = start.get("scan_id")
    when = time.strftime("%d %b %H:%M", clock(float(start.get("time", 0.0))))
    sample = start.get("sample")
    name = sample.get("name") if isinstance(sample, dict) else sample
    how = "running" if not stop else str(stop.get("exit_status", "success"))
    parts = [f"{number}" if number is not None else str(start.get("uid", ""))[:8], str(start.get("plan_name", "run"))]
    return " · ".join([*parts, *([str(name)] if name else []), when, *([how] if how != "success" else [])])

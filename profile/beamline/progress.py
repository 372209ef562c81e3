"""How far a scan is, and how long it takes yet, in the terminal; told by its documents."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from whiteline.beamline.expected import expected_of, lines_of

AFTER_S = 3.0
"""What takes less is over before anybody has read it [s]."""


class ScanProgress:
    """Shows energies or points that are done, and the time that is left: `RE.subscribe(ScanProgress())`.

    The time that is left is taken from the documents: as long for each point yet as for those that are done. Nothing is
    shown of a scan that has taken less than three seconds, does not say how many points it will have, or is shown to no
    terminal.

    Parameters
    ----------
    console : rich.console.Console, optional
        Where to show it; that of this process if it is not given.
    note : callable
        Returns what else is said, such as how well the maps are known by now.
    """

    def __init__(self, console: Console | None = None, note: Callable[[], str] = lambda: "") -> None:
        self._console, self._note = console or Console(), note
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._run: str | None = None
        self._counted: set[str] = set()
        self._done, self._expected = 0, expected_of({})
        self._since, self._title = 0.0, ""

    def __call__(self, name: str, document: Mapping[str, Any]) -> None:
        """Take a document."""
        if name == "start" and self._run is None:
            self._start(document)
        elif (
            name == "descriptor"
            and document["run_start"] == self._run
            and document.get("name") == self._expected.stream
        ):
            self._counted.add(document["uid"])
        elif name == "event" and document["descriptor"] in self._counted:
            self._count(document["seq_num"], document["time"])
        elif name == "event_page" and document["descriptor"] in self._counted:
            self._count(max(document["seq_num"]), max(document["time"]))
        elif name == "stream_datum" and document["descriptor"] in self._counted:
            self._count(lines_of(document), time.time())
        elif name == "stop" and document["run_start"] == self._run:
            self._run = None
            self.put_away()

    def put_away(self) -> None:
        """Take the line away, as at a pause, when somebody is to type; the next point shows it again."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _start(self, document: Mapping[str, Any]) -> None:
        self._run, self._since = document["uid"], document["time"]
        self._counted, self._done, self._expected = set(), 0, expected_of(document)
        self._title = str(document.get("plan_name", "run"))
        if "group_index" in document and "group_size" in document:
            self._title += f" {document['group_index'] + 1} of {document['group_size']}"

    def _count(self, number: int, when: float) -> None:
        """Count a point; one that is taken anew counts once."""
        self._done = max(self._done, int(number))
        took = when - self._since
        if self._expected.total and took > AFTER_S and self._console.is_terminal:
            self._show(took)

    def _show(self, took: float) -> None:
        if self._progress is None:
            # drawn when a point comes, and by no thread of its own
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[done]}"),
                TextColumn("{task.fields[left]}"),
                TextColumn("{task.fields[note]}"),
                console=self._console,
                auto_refresh=False,
            )
            self._task = self._progress.add_task(self._title, total=self._expected.total, done="", left="", note="")
            self._progress.start()
        expected, per_unit = self._expected, max(1, self._expected.per_energy)
        done, left = f"{self._done // per_unit} of {expected.total // per_unit} {expected.unit}", ""
        if self._done <= expected.total:
            left = f"{duration(took / self._done * (expected.total - self._done))} left"
        else:  # it searches, and may go on as long as it has not found
            done = f"{self._done // per_unit} {expected.unit}"
        self._progress.update(self._task, completed=self._done, done=done, left=left, note=self._note(), refresh=True)


def duration(seconds: float) -> str:
    """Return a time as a scientist says it: 45 s, 12 min, 3 h 20 min."""
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"

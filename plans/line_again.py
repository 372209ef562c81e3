"""A line of a fly scan that is taken again, as it is recorded: which one, and why."""

import time
from typing import Any

from bluesky.protocols import Reading
from event_model import DataKey

STREAM = "again"
"""Of these events."""


class LineAgain:
    """A readable note that a plan writes before it takes a line again."""

    parent = None
    name = "line"

    def __init__(self) -> None:
        self._number, self._why = 0, ""

    def note(self, number: int, why: str) -> None:
        """Note which line it is, counted from 1 as its index, and what was wrong with it."""
        self._number, self._why = number, why

    def read(self) -> dict[str, Reading[Any]]:
        """Return the note."""
        now = time.time()
        return {
            "line_number": {"value": self._number, "timestamp": now},
            "line_why": {"value": self._why, "timestamp": now},
        }

    def describe(self) -> dict[str, DataKey]:
        """Say what it is."""
        return {
            "line_number": {"source": "PLAN", "dtype": "integer", "shape": []},
            "line_why": {"source": "PLAN", "dtype": "string", "shape": []},
        }

"""A number that a plan gives to its events, such as which of several places they are of."""

import time
from typing import Any

from bluesky.protocols import Reading
from event_model import DataKey


class Label:
    """A readable whole number, set by the plan itself between its points.

    Parameters
    ----------
    name : str
        Of its data key.
    """

    parent = None

    def __init__(self, name: str) -> None:
        self.name = name
        self.value = 0

    def read(self) -> dict[str, Reading[int]]:
        """Return it."""
        return {self.name: {"value": self.value, "timestamp": time.time()}}

    def describe(self) -> dict[str, DataKey]:
        """Say what it is."""
        return {self.name: {"source": "PLAN", "dtype": "integer", "shape": []}}

    @property
    def hints(self) -> dict[str, Any]:
        """Nothing to plot."""
        return {"fields": []}

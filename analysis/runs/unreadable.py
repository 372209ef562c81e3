"""What cannot be read of a run, and why."""

from collections.abc import Mapping
from typing import Any


class UnreadableRun(ValueError):
    """Something of a run that is not there, or cannot be read: one sentence with run, stream, file and remedy."""


def named(start: Mapping[str, Any]) -> str:
    """Return what a run is called in a sentence: the begin of its uid, and its number."""
    uid = str(start.get("uid", "of no name"))[:8]
    number = start.get("scan_id")
    return f"run {uid}" + ("" if number is None else f" (scan {number})")

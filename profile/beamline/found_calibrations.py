"""What a calibration has found, or why it has changed nothing, told at the end of its run."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from whiteline.beamline.kept_calibrations import STREAM


def sentence(data: Mapping[str, Any]) -> str:
    """Return what an event of the stream `calibration` says.

    Parameters
    ----------
    data : mapping of str to object
        Its data.
    """
    of, reason = data["calibration_of"], data["calibration_reason"]
    found = ", ".join(
        f"{name} {value:.6g}" + (f" ± {error:.2g}" if error else "") + f" {unit}".rstrip()
        for name, (value, error, unit) in json.loads(data["calibration_quantities"]).items()
    )
    if not found:
        return f"nothing was found of {of}, which is as before: {reason}"
    if data["calibration_applied"]:
        return f"calibrated {of}: {found}; in force from now on"
    return f"found of {of}: {found}" + (f"; not in force: {reason}" if reason else "")


def calibrations_told(tell: Callable[[str], Any]) -> Callable[[str, Mapping[str, Any]], None]:
    """Return a subscriber of a run engine that tells of calibrations.

    Parameters
    ----------
    tell : callable
        Given a line for each, when its run has ended.
    """
    streams: set[str] = set()
    found: dict[int, Mapping[str, Any]] = {}  # by number: an event that is taken anew replaces the first

    def document(name: str, doc: Mapping[str, Any]) -> None:
        if name == "start":
            streams.clear()
            found.clear()
        elif name == "descriptor" and doc.get("name") == STREAM:
            streams.add(doc["uid"])
        elif name == "event" and doc["descriptor"] in streams:
            found[int(doc["seq_num"])] = doc["data"]
        elif name == "stop":
            for data in found.values():
                tell(sentence(data))
            found.clear()

    return document

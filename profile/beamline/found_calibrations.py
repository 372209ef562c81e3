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
        f"{name} {_shown(value, 6)}" + (f" ± {_shown(error, 2)}" if error else "") + f" {unit}".rstrip()
        for name, (value, error, unit) in json.loads(data["calibration_quantities"]).items()
    )
    if not found:
        return f"nothing was found of {of}, which is as before: {reason}"
    if data["calibration_applied"] and data["calibration_result"]:
        return f"calibrated {of}: {found}; in force from now on"
    return f"found of {of}: {found}" + (f"; not in force: {reason}" if reason else "")


def _shown(value: float | None, digits: int) -> str:
    return "?" if value is None else f"{value:.{digits}g}"


def calibrations_told(tell: Callable[[str], Any]) -> Callable[[str, Mapping[str, Any]], None]:
    """Return a subscriber of a run engine that tells of calibrations.

    Parameters
    ----------
    tell : callable
        Given a line for each, when its run has ended.
    """
    run_of: dict[str, str] = {}
    found: dict[str, dict[int, Mapping[str, Any]]] = {}  # by number: an event that is taken anew replaces the first

    def document(name: str, doc: Mapping[str, Any]) -> None:
        if name == "descriptor" and doc.get("name") == STREAM:
            run_of[doc["uid"]] = doc["run_start"]
        elif name == "event" and doc["descriptor"] in run_of and "calibration_of" in doc["data"]:
            found.setdefault(run_of[doc["descriptor"]], {})[int(doc["seq_num"])] = doc["data"]
        elif name == "stop":
            for data in found.pop(doc["run_start"], {}).values():
                tell(sentence(data))
            for uid in [uid for uid, run in run_of.items() if run == doc["run_start"]]:
                del run_of[uid]

    return document

"""Where exported data come from: run, plan, sample, calibrations, versions of the software, and what was done to them.

It travels with every export, as JSON where the format has room for a text, and as lines of the header elsewhere.
"""

import json
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np

from whiteline.analysis.exports.request import Request
from whiteline.analysis.runs.run import Run

PACKAGES = ("whiteline", "numpy", "h5py", "tifffile")

NOT_RECORDED = "not recorded"
"""Where a format asks for a text that the run does not have."""


def provenance_of(request: Request, processing: Sequence[str] = ()) -> dict[str, Any]:
    """Return where exported data come from, in the words of JSON.

    Parameters
    ----------
    request : Request
        What is exported.
    processing : sequence of str
        What was done to the data, a sentence each.
    """
    run = request.run
    start = dict(run.start)
    whole = run.completeness
    found: dict[str, Any] = {
        "run": run.uid,
        "parts": [one.uid for one in run.parts] or None,
        "scan_id": start.get("scan_id"),
        "plan": start.get("plan_name"),
        "sample": start.get("sample"),
        "proposal": start.get("proposal") or start.get("proposal_id"),
        "instrument": request.instrument or None,
        "started": iso(run.start.get("time")),
        "ended": iso(None if run.stop is None else run.stop.get("time")),
        "exit_status": run.exit_status,
        "completeness": str(whole),
        "missing_energies_eV": [float(one) for one in whole.missing_energies],
        "position": request.position,
        "processing": list(processing),
        "calibrations": {key: json.loads(one.to_json()) for key, one in run.calibrations.items()},
        "versions": versions(),
        "format": request.form,
        "exported": iso(datetime.now(UTC).timestamp()),
        "start": start,
    }
    return {key: value for key, value in found.items() if value is not None}


def as_json(found: Mapping[str, Any]) -> str:
    """Return provenance as one line of JSON."""
    return json.dumps(found, default=_plain, ensure_ascii=False)


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return list(value) if isinstance(value, tuple | set) else str(value)


def versions() -> dict[str, str]:
    """Return the versions of the software that exports."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def iso(seconds: float | None) -> str | None:
    """Return a time [s since 1970] as ISO 8601 in UTC; None if it is not known."""
    return None if seconds is None else datetime.fromtimestamp(float(seconds), UTC).isoformat(timespec="milliseconds")


def sample_name(run: Run) -> str:
    """Return the name of the sample, or that it was not recorded."""
    sample = run.start.get("sample")
    if isinstance(sample, Mapping):
        sample = sample.get("name")
    return str(sample or run.start.get("sample_name") or NOT_RECORDED)


def title_of(run: Run) -> str:
    """Return a title: sample, plan, number of the scan."""
    number = run.start.get("scan_id")
    parts = (sample_name(run), str(run.start.get("plan_name", "run")), "" if number is None else f"scan {number}")
    return ", ".join(part for part in parts if part and part != NOT_RECORDED) or run.name

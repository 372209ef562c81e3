"""The calibrations that were in use: devices record theirs with their configuration, as JSON."""

import json
from collections.abc import Iterable

from whiteline.analysis.calibration import Calibration, calibration_from_json
from whiteline.analysis.runs.streams import Stream
from whiteline.analysis.runs.unreadable import UnreadableRun


def calibrations_of(streams: Iterable[Stream]) -> dict[str, Calibration]:
    """Return all calibrations in the configurations of some streams, the first stream that has one counts.

    Parameters
    ----------
    streams : iterable of Stream
        Such as "primary", "baseline".

    Returns
    -------
    dict of str to Calibration
        By the key of the configuration, such as "mono_calibration", "zone_plate_calibration".

    Raises
    ------
    UnreadableRun
        If one is damaged.
    """
    found: dict[str, Calibration] = {}
    for stream in streams:
        for key, value in stream.configuration.items():
            if key in found or not isinstance(value, str) or not _looks_so(value):
                continue
            try:
                found[key] = calibration_from_json(value)
            except ValueError as error:
                raise UnreadableRun(
                    f"{key} in the configuration of stream {stream.name!r} of {stream.run} cannot be read: {error}"
                ) from error
    return found


def _looks_so(text: str) -> bool:
    """Tell whether a text is a JSON object with the parts that all calibrations have."""
    if not text.startswith("{"):
        return False
    try:
        parts = json.loads(text)
    except json.JSONDecodeError:
        return False
    return isinstance(parts, dict) and {"kind", "version", "date", "source"} <= set(parts)

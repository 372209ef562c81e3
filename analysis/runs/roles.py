"""Which reading of a run plays which part: the energy, the frames, the spectra, the axes that were moved.

What the start document says counts: `roles`, from part to data key, such as {"energy": "energy", "frames":
"camera_image"}. Where it says nothing, the devices' own names and units do.
"""

from collections.abc import Mapping
from typing import Any

from whiteline.analysis.runs.streams import Stream
from whiteline.analysis.runs.unreadable import UnreadableRun

SETPOINTS = ("_setpoint", "_user_setpoint")
"""Endings of the data key of where an axis was sent; its readback is called as the axis."""

SPECTRA = "_spectra"
"""Ending of the data key of a fluorescence detector's spectra."""


def given_role(start: Mapping[str, Any], part: str) -> str | None:
    """Return the data key that the start document names for a part, None if it does not."""
    roles = start.get("roles")
    found = roles.get(part) if isinstance(roles, Mapping) else None
    return str(found) if found else None


def energy_key(start: Mapping[str, Any], stream: Stream) -> str | None:
    """Return the data key of the energy that was reached, None if the stream records none.

    It is what the start document says, else "energy", else the axis in eV that was moved, else the only reading in eV.
    """
    given = given_role(start, "energy")
    if given in stream:
        return given
    if "energy" in stream and _is_number(stream, "energy"):
        return "energy"
    in_eV = [key for key in stream.data_keys if stream.unit(key).lower() == "ev" and _is_number(stream, key)]
    readbacks = [key for key in in_eV if not key.endswith(SETPOINTS)]
    moved = [key for key in readbacks if key in start.get("motors", ()) or stream.object_of.get(key) == key]
    for candidates in (moved, readbacks):
        if len(candidates) == 1:
            return candidates[0]
    return None


def setpoint_key(stream: Stream, axis: str) -> str | None:
    """Return the data key of where an axis was sent, None if it was not recorded."""
    return next((axis + ending for ending in SETPOINTS if axis + ending in stream), None)


def frames_key(start: Mapping[str, Any], stream: Stream, key: str | None = None) -> str:
    """Return the data key of the camera's frames.

    Parameters
    ----------
    start : mapping
        Start document.
    stream : Stream
        In question.
    key : str, optional
        If it was chosen already.

    Raises
    ------
    UnreadableRun
        If there are none, or several and none was chosen.
    """
    chosen = key or given_role(start, "frames")
    if chosen is not None and (key is not None or chosen in stream.external):
        stream.stack(chosen)
        return chosen
    cameras = [one for one, shape in stream.external.items() if len(shape) > 1 and not is_spectra(stream, one)]
    if len(cameras) == 1:
        return cameras[0]
    if not cameras:
        raise UnreadableRun(f"stream {stream.name!r} of {stream.run} has no frames of a camera: {_what(stream)}")
    raise UnreadableRun(
        f"stream {stream.name!r} of {stream.run} has frames of several cameras, {', '.join(cameras)}; choose one, "
        f"`run.stack({cameras[0]!r})`"
    )


def spectra_key(start: Mapping[str, Any], stream: Stream) -> str | None:
    """Return the data key of the fluorescence spectra, None if there are none."""
    given = given_role(start, "spectra")
    if given in stream.external:
        return given
    found = [key for key in stream.external if is_spectra(stream, key)]
    return found[0] if len(found) == 1 else None


def is_spectra(stream: Stream, key: str) -> bool:
    """Tell whether frames are spectra of a fluorescence detector: elements and channels instead of pixels."""
    return key.endswith(SPECTRA) or f"{stream.object_of.get(key, '')}_live_fraction" in stream


def axes_of(start: Mapping[str, Any], stream: Stream) -> tuple[str, ...]:
    """Return the data keys of all axes that were recorded with each point; those that were moved first."""
    moved = [str(one) for one in start.get("motors", ()) if one in stream]
    others = [key for key in stream.data_keys if setpoint_key(stream, key) and key not in moved]
    return tuple(dict.fromkeys([*moved, *others]))


def _is_number(stream: Stream, key: str) -> bool:
    about = stream.data_keys[key]
    return about.get("dtype") in ("number", "integer") and not about.get("shape")


def _what(stream: Stream) -> str:
    return f"it records {', '.join(sorted(stream.data_keys)) or 'nothing'}"

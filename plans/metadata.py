"""What the start document of every run says: plan, arguments, edge, energies, and which reading plays which part.

The keys are the same for every plan. Those under `scan` are what PyXRF looks for: type, scan_input, shape, fast_axis,
slow_axis, dwell. Sample and proposal are the session's own and stand in the run engine's metadata; the optics and the
calibrations in use are recorded as the configuration of the devices that are read.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from whiteline.analysis.tables import ELEMENTS, edge_energy, has_edge

BEFORE_EDGE_EV, AFTER_EDGE_EV = 200.0, 1500.0
"""A list of energies is about an edge that it begins at most so far before, and ends at most so far behind [eV]."""


def start_metadata(
    plan: str,
    arguments: Mapping[str, Any],
    md: Mapping[str, Any] | None,
    *,
    roles: Mapping[str, str],
    detectors: Sequence[Any],
    motors: Sequence[Any] = (),
    energies: Sequence[float] = (),
    num_points: int,
    shape: Sequence[int] | None = None,
    scan: Mapping[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Return the metadata of a run; what the scientist gave as `md` stands above all.

    Parameters
    ----------
    plan : str
        Its name.
    arguments : mapping of str to object
        Of the plan, as they are needed to run it again.
    md : mapping or None
        Given by whoever runs the plan.
    roles : mapping of str to str
        Data key by part: energy, frames, spectra, incident, …
    detectors, motors : sequence of devices
        That are counted with, and that are moved, the slowest first.
    energies : sequence of float
        Wanted [eV].
    num_points : int
        Events in the stream "primary".
    shape : sequence of int, optional
        Points along each axis, the slowest first.
    scan : mapping, optional
        What PyXRF is told.
    **more
        Other keys.
    """
    found: dict[str, Any] = {
        "plan_name": plan,
        "plan_args": plain(arguments),
        "detectors": [one.name for one in detectors],
        "motors": [one.name for one in motors],
        "num_points": int(num_points),
        "num_intervals": int(num_points) - 1,
        "roles": {part: key for part, key in roles.items() if key},
        "hints": {"dimensions": [((one.name,), "primary") for one in motors]} if motors else {},
    }
    if len(energies):
        found["energies"] = [float(one) for one in energies]
        if (edge := edge_of(energies)) is not None:
            found["element"], found["edge"] = edge
    if shape is not None:
        found["shape"] = [int(one) for one in shape]
    if scan is not None:
        found["scan"] = plain(scan)
    return found | {key: plain(value) for key, value in more.items()} | dict(md or {})


def edge_of(energies: Sequence[float]) -> tuple[str, str] | None:
    """Return element and edge that a list of energies crosses, None if it crosses none, or cannot tell which.

    K edges come before L3 edges: in the range of these microscopes they are what is scanned, where both lie inside.

    Parameters
    ----------
    energies : sequence of float
        [eV]
    """
    low, high = float(np.min(energies)), float(np.max(energies))
    for edge in ("K", "L3"):
        inside = [
            element
            for element in ELEMENTS
            if has_edge(element, edge)
            and low < (at := edge_energy(element, edge)) < high
            and at - low <= BEFORE_EDGE_EV
            and high - at <= AFTER_EDGE_EV
        ]
        if len(inside) == 1:
            return inside[0], edge
        if inside:
            return None
    return None


def plain(value: Any) -> Any:
    """Return a value in the words of JSON; a device by its name."""
    if isinstance(value, str | bool | int | float) or value is None:
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if (name := getattr(value, "name", None)) is not None:
        return str(name)
    if isinstance(value, Sequence | set | frozenset) or hasattr(value, "__iter__"):
        return [plain(one) for one in value]
    return str(value)

"""The arguments of a plan out of the start document of its run: names of devices are devices again."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bluesky.protocols import Flyable

from whiteline.analysis.runs import Run
from whiteline.analysis.runs.positions import position_of
from whiteline.beamline.resuming.missing import CannotResume
from whiteline.plans import (
    fly_raster,
    fly_raster_stack,
    fly_tomography,
    fly_xanes,
    mosaic,
    raster,
    raster_stack,
    xanes,
    xanes_stack,
    xanes_tomography,
)
from whiteline.plans.drift import STREAM as DRIFT

PLANS: Mapping[str, Callable[..., Any]] = {
    plan.__name__: plan
    for plan in (
        xanes, xanes_stack, raster, raster_stack, mosaic, fly_raster, fly_raster_stack, fly_xanes, fly_tomography,
        xanes_tomography,
    )
}  # fmt: skip
"""Plans that can be gone on with, by their names."""

Named = Mapping[str, Sequence[Any]]
"""Devices by name; a detector, and the same one as a capture box triggers it, may be called alike."""

DEVICE_TYPES = "Readable", "Movable", "Flyable"
"""What the annotation of an argument that is a device, or a list of them, holds."""


def plan_of(start: Mapping[str, Any], run: str) -> Callable[..., Any]:
    """Return the plan of a run.

    Raises
    ------
    CannotResume
        If it is none that can be gone on with.
    """
    name = str(start.get("plan_name", "of no name"))
    if name in PLANS:
        return PLANS[name]
    if name.startswith(("calibrate", "find_", "focus_series", "knife_edge", "scan_osa", "tune")):
        reason = "searches for something, and a search that was interrupted is begun anew"
    else:
        reason = "is none that can be gone on with"
    raise CannotResume(f"{run} is of the plan {name!r}, which {reason}; those that can be resumed: {', '.join(PLANS)}")


def arguments_of(start: Mapping[str, Any], named: Named, run: str) -> dict[str, Any]:
    """Return the arguments of the plan of a run.

    Parameters
    ----------
    start : mapping
        Start document.
    named : mapping of str to sequence of object
        Devices, and parts of the live analysis, by name; see `by_name`.
    run : str
        What the run is called.

    Raises
    ------
    CannotResume
        If a device is not there, as at another beamline, or the plan has no such argument.
    """
    parameters = inspect.signature(plan_of(start, run)).parameters
    given = start.get("plan_args")
    if not isinstance(given, Mapping):
        raise CannotResume(f"{run} does not record the arguments of its plan: take it anew")
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name not in parameters:
            raise CannotResume(
                f"{run} was taken with {name} = {value!r}, which {start['plan_name']} does not have any more: take it "
                "anew"
            )
        annotation = str(parameters[name].annotation)
        if any(one in annotation for one in DEVICE_TYPES):
            value = _devices(value, name, named, "Flyable" in annotation, run)
        found[name] = value
    return found


def _devices(value: Any, argument: str, named: Named, flying: bool, run: str) -> Any:
    if isinstance(value, list | tuple):
        return [_devices(one, argument, named, flying, run) for one in value]
    if value is None:
        return None
    if value not in named:
        raise CannotResume(
            f"{run} was taken with {argument} = {value}, and there is no {value} here: if it is a run of another "
            "beamline, resume it there"
        )
    candidates = named[value]
    return next((one for one in candidates if isinstance(one, Flyable) == flying), candidates[0])


def drifted_by(run: Run) -> dict[str, Any]:
    """Return the argument `drifted` of a run that goes on with one in which the sample was held, or followed.

    Parameters
    ----------
    run : Run
        That was interrupted: its stream "drift" tells by how much the sample was moved in all, (y, x) in µm.
    """
    stream = run.streams.get(DRIFT)
    if stream is None or not len(stream):
        return {}
    newest: dict[int, tuple[float, float]] = {}
    for point in stream.points:
        y, x = (float(point.data[f"drift_corrected_{axis}"]) for axis in "yx")
        newest[position_of(point) or 0] = y, x
    if run.start["plan_name"] != "xanes_stack":
        return {"drifted": newest[0]}
    return {"drifted": [newest.get(place, (0.0, 0.0)) for place in range(max(newest) + 1)]}


def by_name(devices: Mapping[str, Any], more: Iterable[Any] = ()) -> dict[str, list[Any]]:
    """Return all devices of a beamline by the names that they have in documents, their parts included.

    Parameters
    ----------
    devices : mapping of str to device
        Of the beamline.
    more : iterable
        What else plans are given, such as the parts of the live analysis, and the dose meter.
    """
    found: dict[str, list[Any]] = {}
    for one in (*devices.values(), *more):
        for part in (one, *_parts(one)):
            found.setdefault(part.name, []).append(part)
    return found


def _parts(device: Any) -> Iterable[Any]:
    """Yield the parts of a device that are devices themselves."""
    for name in getattr(device, "_sub_devices", ()):
        part = getattr(device, name)
        yield part
        yield from _parts(part)

"""A series through focus at one energy: where the zone plate belongs, and, if it is asked for, there it goes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import bluesky.plan_stubs as bps
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from whiteline.plans.calibration.conclude import in_run, record
from whiteline.plans.calibration.emitted import Calibrated
from whiteline.plans.calibration.optic import Optic
from whiteline.plans.calibration.through_focus import ThroughFocus
from whiteline.plans.calibration.ways import way_to_look
from whiteline.plans.checks import energy_list, require_count, require_dwell
from whiteline.plans.dwell import dwells_of, remember, set_dwell
from whiteline.plans.metadata import start_metadata
from whiteline.plans.protocols import Axis, satisfying
from whiteline.plans.restoring import Step, restoring, unstaging
from whiteline.plans.shutter import closing


def focus_series(
    detectors: Sequence[Readable[Any]],
    energy: Movable[Any],
    zone_plate: Readable[Any],
    *,
    shutter: Movable[Any] | None,
    dwell_s: float,
    frames: int = 10,
    at: float | None = None,
    points: int = 15,
    span: float | None = None,
    search: float | None = None,
    sharpness: Readable[Any] | None = None,
    shift: Readable[Any] | None = None,
    sample: Readable[Any] | None = None,
    edge_axis: Movable[Any] | None = None,
    edge_range: Sequence[float] | None = None,
    signal: str | None = None,
    incident: str | None = None,
    move: bool = False,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[Calibrated]:
    """Look for the focus about where the energy axis has placed the zone plate.

    On a full-field microscope the live analysis tells the sharpness of an image at each place; on a scanning one the
    probe is scanned over an edge, and its width is fitted. The result stands in an event of the stream "calibration".

    Parameters
    ----------
    detectors : sequence of Readable
        The camera; or what is counted at each place of the edge.
    energy : Movable
        The energy axis, which places the optics.
    zone_plate : Readable
        With its axis `z` [mm] and its `calibration`.
    shutter : Movable or None
        Open only while something counts.
    dwell_s : float
        Of a frame, or of a point [s].
    frames : int
        Of a camera, that make an image; flats are of as many. Below an edge the contrast is small, and needs many.
    at : float, optional
        Energy that is gone to first [eV]; where the axis stands if it is not given.
    points : int
        Of the series; at least 7.
    span : float, optional
        Of the series [mm]; four depths of focus if it is not given.
    search : float, optional
        Range in which the focus is looked for in coarse steps first [mm].
    sharpness, shift : Readable, optional
        Parts of the live analysis, as `live.sharpness`.
    sample : Readable, optional
        The sample stage, which leaves the beam for a flat.
    edge_axis : Movable, optional
        Of the sample, scanned over an edge [µm].
    edge_range : sequence of float, optional
        Start, stop [µm] and number of its places.
    signal, incident : str, optional
        Data keys of what steps at the edge, and of what it is divided by.
    move : bool
        Whether the zone plate goes to the focus; back if not, and if there is none.
    md : mapping, optional
        Further metadata.

    Returns
    -------
    Calibrated
        With the quantities `focus` [mm] and `off` [mm], by how much that is above where the axis stood; `applied` says
        whether the zone plate stands there.

    Raises
    ------
    OutOfRange, ValueError, TypeError
        For arguments that cannot be right; nothing was moved then.
    """
    axis, optic = satisfying(energy, Axis, "energy"), Optic(zone_plate)
    z = optic.z
    looks = way_to_look(
        detectors, axis, z, sharpness=sharpness, shift=shift, sample=sample, edge_axis=edge_axis,
        edge_range=edge_range, signal=signal, incident=incident, shutter=shutter,
    )  # fmt: skip
    require_dwell(dwell_s)
    require_count(frames, "frames")
    wanted = () if at is None else energy_list([at], energy, "at")
    series = ThroughFocus(looks, optic, points=points, span=span, search=search)
    arguments = {
        "detectors": detectors, "energy": energy, "zone_plate": zone_plate, "shutter": shutter, "dwell_s": dwell_s,
        "frames": frames, "at": at, "points": points, "span": span, "search": search, "sharpness": sharpness,
        "shift": shift, "sample": sample, "edge_axis": edge_axis, "edge_range": edge_range, "signal": signal,
        "incident": incident, "move": move,
    }  # fmt: skip
    about = series_metadata("focus_series", arguments, md, axis, z, detectors, points)
    steps: list[Step] = closing(shutter)

    def body(run: str) -> MsgGenerator[Calibrated]:
        back: list[Step] = []
        stands = yield from optic.remember(back)
        steps.extend(back)
        here = float((yield from bps.rd(axis, default_value=wanted[0] if wanted else 1e4)))
        try:
            focus = yield from series.find(stands, here, search=search is not None)
        except ValueError as error:
            found = Calibrated("focus", reason=str(error), run=run)
        else:
            off = focus.best.z - stands
            quantities = {"focus": (focus.best.z, focus.error, "mm"), "off": (off, focus.error, "mm")}
            found = Calibrated("focus", None, quantities, run=run, reason="" if move else "it was not to be moved")
            if move:
                yield from series.go_from_below(focus.best.z, here)
                steps[:] = [one for one in steps if one not in back]
                found = replace(found, applied=True)
        yield from record(found)
        return found

    def scan() -> MsgGenerator[Calibrated]:
        yield from prepared(looks.steps, steps, [energy, *looks.staged], detectors, dwell_s, frames, edge_axis)
        if at is not None:
            yield from bps.mv(energy, at)
        return (yield from in_run(about, body))

    return (yield from restoring(scan(), steps))


def prepared(
    own: Sequence[Step],
    steps: list[Step],
    staged: Sequence[Any],
    detectors: Sequence[Any],
    dwell_s: float,
    frames: int,
    edge_axis: Any,
) -> MsgGenerator[None]:
    """Stage devices and set how long they count; append what puts that back."""
    steps.extend(unstaging(*staged))
    steps.extend(own)
    settings = dwells_of(detectors)
    yield from remember(settings, steps)
    numbers = [one.frames for one in detectors if hasattr(one, "frames")]
    yield from remember(numbers, steps)
    if edge_axis is not None:
        yield from remember([edge_axis], steps)
    yield from set_dwell(settings, dwell_s)
    for one in numbers:
        yield from bps.mv(one, frames)
    yield from bps.stage_all(*staged)


def series_metadata(
    plan: str,
    arguments: Mapping[str, Any],
    md: Mapping[str, Any] | None,
    energy: Axis,
    z: Axis,
    detectors: Sequence[Any],
    points: int,
) -> dict[str, Any]:
    """Return what the start document of a series through focus says."""
    camera = len(detectors) == 1 and hasattr(detectors[0], "frames")
    return start_metadata(
        plan,
        arguments,
        md,
        roles={"energy": energy.name, "frames": f"{detectors[0].name}_image" if camera else ""},
        detectors=detectors,
        motors=[energy, z],
        num_points=points,
        may_stop_early=True,
    )

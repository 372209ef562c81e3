"""Counts along any one axis: a motor is found, an aperture looked at, a foil passed through the beam."""

from collections.abc import Mapping, Sequence
from typing import Any

import bluesky.preprocessors as bpp
import numpy as np
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from whiteline.analysis.checks import require_finite
from whiteline.plans import stubs
from whiteline.plans.checks import require_count, require_detectors, require_dwell
from whiteline.plans.dwell import dwells_of, remember, set_dwell
from whiteline.plans.metadata import start_metadata
from whiteline.plans.point import take_point
from whiteline.plans.protocols import Axis, check_together, satisfying
from whiteline.plans.restoring import putting_back, restoring, unstaging
from whiteline.plans.shutter import closing


def scan_axis(
    detectors: Sequence[Readable[Any]],
    axis: Movable[Any],
    *,
    start: float,
    stop: float,
    points: int,
    relative: bool = False,
    dwell_s: float | None = None,
    shutter: Movable[Any] | None = None,
    also: Sequence[Readable[Any]] = (),
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Count at evenly spaced points along an axis, and bring it back to where it stood.

    Parameters
    ----------
    detectors : sequence of Readable
        That are counted at each point.
    axis : Movable
        Any that has limits and a position.
    start, stop : float
        First and last point, in the unit of the axis.
    points : int
        Both ends included; at least 2.
    relative : bool
        Whether they are meant from where the axis stands.
    dwell_s : float, optional
        How long to count at each point [s]; as the detectors are set if it is not given.
    shutter : Movable, optional
        Opened only while something counts.
    also : sequence of Readable
        Read at each point, too.
    md : mapping, optional
        Further metadata.

    Returns
    -------
    str
        The run.

    Raises
    ------
    OutOfRange, ValueError, TypeError
        For arguments that cannot be right; nothing was moved then. With `relative`, limits are looked at when it is
        known where the axis stands, before it is moved.
    """
    moved = satisfying(axis, Axis, "axis")
    require_finite((start, stop), "start and stop")
    require_count(points, "points", 2)
    require_detectors(detectors)
    if dwell_s is not None:
        require_dwell(dwell_s)
    if not relative:
        check_together(moved, [start, stop])
    arguments = {
        "detectors": detectors, "axis": axis, "start": start, "stop": stop, "points": points, "relative": relative,
        "dwell_s": dwell_s, "shutter": shutter, "also": also,
    }  # fmt: skip
    about = start_metadata("scan_axis", arguments, md, roles={}, detectors=detectors, motors=[axis], num_points=points)
    steps = closing(shutter)
    settings = dwells_of(detectors)

    @bpp.run_decorator(md=about)
    def line(places: Sequence[float]) -> MsgGenerator[None]:
        for place in places:
            yield from stubs.mv(axis, place)
            yield from take_point(detectors, [moved, *also], shutter=shutter)

    def scan() -> MsgGenerator[str]:
        here = yield from stubs.rd(axis, default_value=None)
        home = float(here) if here is not None and relative else 0.0
        places = home + np.linspace(start, stop, points)
        check_together(moved, [float(places[0]), float(places[-1])])
        if here is not None:
            steps.append(putting_back(axis, float(here)))
        steps.extend(unstaging(axis, *detectors))
        if dwell_s is not None:
            yield from remember(settings, steps)
            yield from set_dwell(settings, dwell_s)
        yield from stubs.stage_all(axis, *detectors)
        return (yield from line([float(one) for one in places]))

    return (yield from restoring(scan(), steps))

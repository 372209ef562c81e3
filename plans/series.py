"""A map, stack or spectrum again and again: at given times, or at steps of a voltage or a temperature."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import bluesky.plan_stubs as bps
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from whiteline.analysis.checks import OutOfRange, require, require_finite
from whiteline.plans.groups import new_group
from whiteline.plans.mosaic import mosaic
from whiteline.plans.protocols import Axis, check_together, satisfying
from whiteline.plans.raster import raster
from whiteline.plans.raster_stack import raster_stack
from whiteline.plans.restoring import Step, putting_back, restoring
from whiteline.plans.supposing import clock
from whiteline.plans.xanes import xanes
from whiteline.plans.xanes_stack import xanes_stack

Repeatable = Literal["xanes", "xanes_stack", "raster", "raster_stack", "mosaic"]

PLANS: Mapping[str, Callable[..., MsgGenerator[Any]]] = {
    "xanes": xanes,
    "xanes_stack": xanes_stack,
    "raster": raster,
    "raster_stack": raster_stack,
    "mosaic": mosaic,
}
"""What can be repeated by its name."""

SLICE_S = 5.0
"""Waiting is cut into pieces: after a pause only a piece of it is begun anew [s]."""

LONGEST_S = 30 * 86400.0
"""No series waits longer [s]."""


def time_series(
    plan: Repeatable,
    arguments: Mapping[str, Movable[Any] | Readable[Any] | Any],
    *,
    times_s: Sequence[float],
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[tuple[Any, ...]]:
    """Repeat a plan at given times.

    Parameters
    ----------
    plan : {"xanes", "xanes_stack", "raster", "raster_stack", "mosaic"}
        Its name. In a session it may also be a function that returns a plan, such as one of the beamline's own.
    arguments : mapping
        Of the plan, by their names, `md` excepted: ``{"detectors": [counters], "energy": energy, …}``. From the queue
        server devices are given by their names, as everywhere.
    times_s : sequence of float
        When each repeat begins, in seconds after the series, ascending: ``[0, 600, 1200]``. One that is not over when
        the next one is due lets it begin late, and each run says by how much.
    md : mapping, optional
        Further metadata of all runs.

    Returns
    -------
    tuple
        What each repeat returned: its run, or runs.

    Raises
    ------
    OutOfRange, ValueError, TypeError
        For arguments that cannot be right, those of the plan included; nothing was moved then.

    Notes
    -----
    All runs are one group, and `series` in their start documents says when each one was due, and how late it began.
    Between repeats the shutter is closed, as every plan closes it at its end.
    """
    due = [float(one) for one in times_s]
    require(len(due), len(due) > 0, "number of times_s", "must be at least 1", remedy="give the times in seconds")
    require_finite(due, "times_s", "s")
    if due[0] < 0 or any(after <= before for before, after in itertools.pairwise(due)):
        raise ValueError(f"times_s = {due} must ascend from 0 s or later")
    if due[-1] > LONGEST_S:
        raise OutOfRange("times_s", due[-1], f"must be at most {LONGEST_S:g} s", "s", "give it in seconds")
    again = _Again(plan, arguments, "time series", len(due), md)
    began = yield from clock()
    found = []
    for at in due:
        yield from _wait_until(began + at)
        late = max(0.0, (yield from clock()) - began - at)
        found.append((yield from again({"due_s": at, "late_s": round(late, 3)})))
    return tuple(found)


def bias_series(
    plan: Repeatable,
    arguments: Mapping[str, Movable[Any] | Readable[Any] | Any],
    *,
    axis: Movable[Any],
    values: Sequence[float],
    settle_s: float = 0.0,
    go_back: bool = True,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[tuple[Any, ...]]:
    """Repeat a plan at steps of something else, such as a voltage or a temperature.

    Parameters
    ----------
    plan, arguments
        As of `time_series`.
    axis : Movable
        That is stepped: the voltage source, a temperature controller, a rotation.
    values : sequence of float
        Of it, in its unit and in any order; a value may come again, as in a cycle.
    settle_s : float
        How long to wait when it has got there [s].
    go_back : bool
        Whether it goes back to where it was at the end, whatever the end is.
    md : mapping, optional
        Further metadata of all runs.

    Returns
    -------
    tuple
        What each repeat returned: its run, or runs.

    Raises
    ------
    OutOfRange, ValueError, TypeError
        For arguments that cannot be right, those of the plan included; nothing was moved then.
    """
    stepped = satisfying(axis, Axis, "axis")
    wanted = [float(one) for one in values]
    require(len(wanted), len(wanted) > 0, "number of values", "must be at least 1")
    require_finite(wanted, "values")
    check_together(axis, wanted)
    require(settle_s, 0 <= settle_s <= LONGEST_S, "settle_s", f"must lie between 0 and {LONGEST_S:g} s", "s")
    again = _Again(plan, arguments, f"series of {stepped.name}", len(wanted), md)
    steps: list[Step] = []

    def scan() -> MsgGenerator[tuple[Any, ...]]:
        before = yield from bps.rd(stepped, default_value=None)
        if go_back and before is not None:
            steps.append(putting_back(stepped, before))
        found = []
        for value in wanted:
            yield from bps.checkpoint()
            yield from bps.mv(stepped, value)
            yield from _wait_until((yield from clock()) + settle_s)
            reached = yield from bps.rd(stepped, default_value=value)
            found.append((yield from again({"axis": stepped.name, "value": value, "reached": float(reached)})))
        return tuple(found)

    return (yield from restoring(scan(), steps))


class _Again:
    """A plan that is run again and again, each time as the next member of one group.

    What is wrong with its arguments is told when this is made: one is begun and thrown away, which moves nothing, as a
    plan checks all before its first message.
    """

    def __init__(
        self,
        plan: str | Callable[..., MsgGenerator[Any]],
        arguments: Mapping[str, Any],
        purpose: str,
        count: int,
        md: Mapping[str, Any] | None,
    ) -> None:
        if isinstance(plan, str) and plan not in PLANS:
            raise ValueError(f"plan = {plan!r} cannot be repeated; it must be one of {', '.join(PLANS)}")
        if "md" in arguments:
            raise ValueError("arguments hold md, which is that of the whole series: give it as md of the series")
        self._plan = PLANS[plan] if isinstance(plan, str) else plan
        self._arguments, self._md = dict(arguments), {**(md or {}), **new_group(purpose), "group_size": count}
        self._number = 0
        trial = self._plan(**self._arguments, md=self._md)
        next(trial, None)
        trial.close()

    def __call__(self, series: Mapping[str, Any]) -> MsgGenerator[Any]:
        """Run it once more."""
        about = {**self._md, "group_index": self._number, "series": dict(series)}
        self._number += 1
        return (yield from self._plan(**self._arguments, md=about))


def _wait_until(moment: float) -> MsgGenerator[None]:
    """Wait until the clock shows a moment, in pieces; as many as are needed now, so that a trial run ends, too."""
    for _ in range(math.ceil(max(0.0, moment - (yield from clock())) / SLICE_S)):
        left = moment - (yield from clock())
        if left > 0:
            yield from bps.checkpoint()
            yield from bps.sleep(min(SLICE_S, left))
    yield from bps.checkpoint()

"""The end of every calibration: judge the fit, apply what is good, and record it either way.

A fit that fails, or that is too poor for the device, changes nothing; its sentence stands in the event.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky.utils import MsgGenerator, RunEngineControlException

from whiteline.analysis.calibration import Calibration, calibration_from_json
from whiteline.plans.calibration.emitted import STREAM, Calibrated, Emitted, Quantity
from whiteline.plans.point import take_point
from whiteline.plans.protocols import check_together


@dataclass(frozen=True)
class Origin:
    """What a new calibration says of itself: version, date and source run."""

    version: int
    date: str
    source: str


def in_run(md: dict[str, Any], plan: Callable[[str], MsgGenerator[Any]]) -> MsgGenerator[Any]:
    """Run a plan in a run of its own, whose identifier it is given; return what the plan returns."""
    uid = yield from bps.open_run(md)

    def failed(error: BaseException) -> MsgGenerator[None]:
        if isinstance(error, RunEngineControlException):
            yield from bps.close_run(exit_status=getattr(error, "exit_status", "abort"))
        else:
            yield from bps.close_run(exit_status="fail", reason=str(error))

    return (yield from bpp.contingency_wrapper(plan(uid or "simulated"), except_plan=failed, else_plan=bps.close_run))


def present(signal: Any) -> MsgGenerator[Calibration | None]:
    """Return the calibration that a signal holds, None if it holds none."""
    text = yield from bps.rd(signal, default_value="")
    return calibration_from_json(text) if isinstance(text, str) and text else None


def origin(before: Calibration | None, run: str) -> Origin:
    """Return what the next calibration after one says of itself, found in a run."""
    version = 1 if before is None else before.version + 1
    return Origin(version, datetime.now().astimezone().isoformat(timespec="seconds"), run)


def conclude(
    of: str,
    run: str,
    make: Callable[[], Calibration],
    *,
    signal: Any,
    apply: bool = True,
    more: Callable[[], Mapping[str, Quantity]] = dict,
    emitted: Emitted | None = None,
) -> MsgGenerator[Calibrated]:
    """Make a calibration, apply it if it is good, and record it as an event.

    Parameters
    ----------
    of : str
        What it is of.
    run : str
        In which it is found.
    make : callable
        Returns the calibration; raises ValueError, or warns, where it is bad.
    signal : Movable
        Of the device that holds it.
    apply : bool
        Whether it is applied at all.
    more : callable
        Returns what else was found, which is recorded with the parameters.
    emitted : Emitted, optional
        What records it; the same one for all that is found within one run.

    Returns
    -------
    Calibrated
    """
    try:
        with warnings.catch_warnings():
            # what is warned of is for somebody to look at, not to go on with
            warnings.simplefilter("error", UserWarning)
            calibration = make()
    except (ValueError, UserWarning) as error:
        found = Calibrated(of, reason=str(error), run=run)
    else:
        found = Calibrated.by(of, calibration)
        found = replace(found, quantities={**found.quantities, **more()})
        try:
            check_together(signal, [calibration.to_json()])
        except ValueError as error:
            found = replace(found, reason=str(error))
        else:
            found = replace(found, applied=apply, reason="" if apply else "it was not to be applied")
    if found.applied and found.calibration is not None:
        yield from bps.mv(signal, found.calibration.to_json())
    yield from record(found, emitted)
    return found


def record(found: Calibrated, emitted: Emitted | None = None) -> MsgGenerator[None]:
    """Record what was found as an event in the stream `calibration`, by the same readable if there are several."""
    emitted = emitted or Emitted()
    emitted.found = found
    yield from take_point([], [emitted], shutter=None, stream=STREAM)

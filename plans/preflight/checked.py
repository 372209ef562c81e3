"""Run a plan only if its preflight finds nothing against it."""

from collections.abc import Callable
from typing import Any

from bluesky.utils import MsgGenerator, short_uid

from whiteline.plans.preflight.report import preflight


class DoseExceeded(ValueError):
    """A plan whose dose is above the budget of its material."""


def after_preflight(
    make: Callable[..., MsgGenerator[Any]],
    *args: Any,
    conditions: dict[str, Any] | None = None,
    accept_dose: bool = False,
    **kwargs: Any,
) -> MsgGenerator[Any]:
    """Walk through a plan first; run it if it would not be refused.

    Parameters
    ----------
    make : callable
        A plan, such as `xanes_stack`.
    *args, **kwargs
        Its arguments.
    conditions : dict, optional
        What `preflight` is given: times, beam, budget and so on.
    accept_dose : bool
        Run it though its dose is above the budget; that is recorded in the run.

    Returns
    -------
    object
        What the plan returns.

    Raises
    ------
    DoseExceeded
        If the dose is above the budget, and not accepted.
    ValueError
        The first other violation; nothing was moved then.
    """
    report = preflight(make(*args, **kwargs), **(conditions or {}))
    if report.refusals:
        raise ValueError(report.refusals[0])
    if report.over_budget and not accept_dose:
        raise DoseExceeded(report.over_budget)
    expected = {
        "uid": short_uid("preflight"),
        "predicted_s": report.seconds,
        "predicted_runs_s": [run.seconds for run in report.walked.runs],
        "up_to": report.walked.up_to,
        "predicted_bytes": report.walked.bytes,
        "dose_Gy": None if report.dose is None else report.dose.gray,
        "dose_runs_Gy": [] if report.dose is None else report.run_doses_Gy,
        "dose_source": report.dose_source,
        "dose_budget_Gy": report.budget,
        "accept_dose": accept_dose,
    }
    md = {**dict(kwargs.pop("md", None) or {}), "preflight": expected}
    return (yield from make(*args, md=md, **kwargs))

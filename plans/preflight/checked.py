"""Run a plan only if its preflight finds nothing against it."""

from collections.abc import Callable
from typing import Any

from bluesky.utils import MsgGenerator

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
    refused = [one for one in report.violations if not (report.over_budget and one.startswith("dose "))]
    if refused:
        raise ValueError(refused[0])
    if report.over_budget and not accept_dose:
        raise DoseExceeded(next(one for one in report.violations if one.startswith("dose ")))
    expected = {
        "predicted_s": report.seconds,
        "predicted_bytes": report.walked.bytes,
        "dose_Gy": None if report.dose is None else report.dose.gray,
        "dose_source": report.dose_source,
        "dose_budget_Gy": report.budget,
        "accept_dose": accept_dose,
    }
    md = {**dict(kwargs.pop("md", None) or {}), "preflight": expected}
    return (yield from make(*args, md=md, **kwargs))

"""The plan that goes on with an interrupted run: what it lacks, with its own arguments, linked to it.

resumption = resumption_of(find_run(catalog, uid), devices=devices, catalog=catalog)
for one in resumption.differences: …         # what is not any more as it was
RE(resumption.plan())
whole = find_run(catalog, uid)               # all parts, read as one run
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any

from bluesky.utils import MsgGenerator

from whiteline.analysis.runs import Run, find_run
from whiteline.analysis.runs.parts import RESUMES, planned_of
from whiteline.analysis.runs.path_map import PathMapLike
from whiteline.beamline.earlier_positions import EarlierPositions, Way, positions_before
from whiteline.beamline.resuming.arguments import arguments_of, by_name, drifted_by, plan_of
from whiteline.beamline.resuming.differences import differences
from whiteline.beamline.resuming.members import Member, is_series, members_of, metadata
from whiteline.beamline.resuming.missing import CannotResume, missing_of
from whiteline.plans.restore_positions import restore_positions

Call = Callable[[], MsgGenerator[Any]]


@dataclass(frozen=True)
class Resumption:
    """How an interrupted run is gone on with.

    Parameters
    ----------
    run : str
        What it is called.
    missing : tuple of str
        What is still to be taken, a sentence for each run.
    differences : tuple of str
        What is not any more as it was, a sentence each.
    calls : tuple of callable
        Return the plans that take what is missing, in their order.
    sample : EarlierPositions or None
        Where the sample stood; None where that was not recorded.
    """

    run: str
    missing: tuple[str, ...]
    differences: tuple[str, ...]
    calls: tuple[Call, ...]
    sample: EarlierPositions | None

    def plan(self) -> MsgGenerator[tuple[Any, ...]]:
        """Return the plan: the sample back to where it stood, and then what is missing; it returns the runs."""
        return _one_after_the_other(self.calls, self.sample)


def resume(
    which: str | int,
    *,
    catalog: Any,
    devices: Mapping[str, Any],
    also: Iterable[Any] = (),
    path_map: PathMapLike = None,
    tell: Callable[[str], Any] = print,
) -> MsgGenerator[tuple[Any, ...]]:
    """Return the plan that goes on with an interrupted run, having told what it lacks and what has changed since.

    Parameters
    ----------
    which : str or int
        Its uid, the begin of it, its number, or from the end: −1 is the newest.
    catalog : catalog of runs
        With it, and with other runs of the same call.
    devices : mapping of str to device
        Of the beamline.
    also : iterable
        What else the plan was given: parts of the live analysis, the dose meter.
    path_map : PathMap, mapping or pairs, optional
        From folders as documents name them to folders of this client.
    tell : callable
        Given a sentence at a time.

    Raises
    ------
    CannotResume, OutOfRange, UnreadableRun, ValueError
        As `resumption_of`; or if there is no such run.
    """
    run = find_run(catalog, which, path_map=path_map)
    found = resumption_of(run, devices=devices, catalog=catalog, also=also)
    for one in found.missing:
        tell(f"still to be taken: {one}")
    for one in found.differences:
        tell(f"not as it was: {one}")
    return found.plan()


def resumption_of(run: Run, *, devices: Mapping[str, Any], catalog: Any = None, also: Iterable[Any] = ()) -> Resumption:
    """Find out how a run is gone on with; nothing moves.

    Parameters
    ----------
    run : Run
        That was interrupted, with those that resumed it already, as `find_run` opens them.
    devices : mapping of str to device
        Of the beamline.
    catalog : catalog of runs, optional
        Where other runs of the same call are: of a scan over several edges, regions or tomograms.
    also : iterable
        What else the plan was given: parts of the live analysis, the dose meter.

    Returns
    -------
    Resumption
        `differences` says what has changed, `plan` takes what is missing.

    Raises
    ------
    CannotResume
        If it is finished, still running, of a plan that cannot be resumed or of another beamline, or its pixels would
        not be the same.
    OutOfRange, ValueError
        If its plan refuses its arguments today.
    """
    if run.start.get(RESUMES) is not None:
        raise CannotResume(
            f"{run.name} itself resumes {str(run.start[RESUMES])[:8]}: open that one from the catalog, with all that "
            "resumed it"
        )
    if run.going:
        raise CannotResume(
            f"{run.name} is still running; end it first. If its session has died, open a new one, which marks it as "
            "failed, and resume it then"
        )
    plan = plan_of(run.start, run.name)
    arguments = arguments_of(run.start, by_name(devices, also), run.name)
    members = members_of(run, catalog)
    calls, missing = [], []
    for member in members:
        only = None if member.run is None else _missing(member.run)
        if only == {}:
            continue
        missing.append(_said(member, only))
        calls.append(_call(plan, arguments, run, member, only))
    if not calls:
        raise CannotResume(f"{run.name} is finished: nothing of it is missing; run its plan again to take it anew")
    for call in calls:  # what is wrong with the arguments is told before anything moves
        trial = call()
        next(trial, None)
        trial.close()
    said = list(differences(run, devices))
    if is_series(run.start):
        said.append(f"only this run of its {run.start['group_purpose']} is gone on with, not the series")
    sample = None
    if "baseline" in run.streams and len(run.streams["baseline"]):
        sample = _of_the_sample(positions_before(run, devices), devices)
    return Resumption(run.name, tuple(missing), tuple(said), tuple(calls), sample)


def _missing(run: Run) -> dict[str, tuple[int, ...]]:
    if run.exit_status == "success" and (not run.parts or run.start.get("may_stop_early")):
        return {}  # also one that ended early, as its map was good enough
    return missing_of(run)


def _said(member: Member, only: Mapping[str, tuple[int, ...]] | None) -> str:
    if member.run is None or only is None:
        return f"run {member.index} of its group, which never began: all of it"
    counted = ", ".join(f"{len(numbers)} of stream {stream!r}" for stream, numbers in only.items())
    return f"{member.run.name}: {counted}"


def _call(
    plan: Callable[..., MsgGenerator[Any]],
    arguments: Mapping[str, Any],
    run: Run,
    member: Member,
    only: Mapping[str, tuple[int, ...]] | None,
) -> Call:
    """Return what makes the plan of one run of the call."""
    own = dict(arguments) | _of_member(arguments, run.start, member)
    if only is not None and member.run is not None:
        own |= drifted_by(member.run) | _budget_left(arguments, member.run)
        own["only"] = {stream: list(numbers) for stream, numbers in only.items()}
    md = metadata(run, member)
    return lambda: plan(**own, md=md)


def _budget_left(arguments: Mapping[str, Any], run: Run) -> dict[str, float]:
    """Return what is left of the dose budget of repeated passes: the meter of the run that goes on begins at 0.

    Without a pass that told of its dose it is not known, and the budget stays. The rest of a pass that was begun is
    taken in any case, as it is asked only at the end of one: some energies less would bias the map.

    Raises
    ------
    CannotResume
        If nothing is left for a whole pass.
    """
    budget, passes = arguments.get("dose_budget_Gy"), arguments.get("passes")
    planned = planned_of(run.start).get("primary", 0)
    if budget is None or not passes or not planned or (found := _dose_given(run)) is None:
        return {}
    given, per_point = found
    if given >= float(budget) and len(run.points) % max(1, planned // int(passes)) == 0:
        raise CannotResume(
            f"{run.name} has given {given:.3g} Gy already, and its dose budget is {float(budget):.3g} Gy; run its plan "
            "again on another place, or with a larger budget"
        )
    return {"dose_budget_Gy": max(float(budget) - given, per_point)}


def _dose_given(run: Run) -> tuple[float, float] | None:
    """Return the dose that all parts of a run gave, and that of a point of its newest pass [Gy]; None if not known.

    Each part was metered from 0, and told at the end of its passes. Points since then count as those of the last pass.
    """
    given, untold, newest = 0.0, 0, nan
    for part in run.parts or (run,):
        dose, counted = 0.0, 0
        taken, told_of = (part.streams[name].points if name in part.streams else () for name in ("primary", "passes"))
        for told in told_of:
            by_then = sum(point.time <= told.time for point in taken)
            if isfinite(now := float(told.data["passes_dose"])) and by_then > counted:
                newest = (now - dose) / (by_then - counted)
                dose, counted = now, by_then
        given += dose
        untold += len(taken) - counted
    return (given + untold * newest, newest) if newest > 0 else None


def _of_member(arguments: Mapping[str, Any], start: Mapping[str, Any], member: Member) -> dict[str, Any]:
    """Return the arguments that one run of several has of its own."""
    if member.index is None:
        return {}
    if start.get("edges"):
        edge = start["edges"][member.index]
        return {"energies": edge["energies"], "filter_names": edge["filter_names"]}
    if regions := start.get("regions") or arguments.get("regions"):
        fast, slow = regions[member.index]
        return {"regions": None, "fast_range": fast, "slow_range": slow}
    if start["plan_name"] == "xanes_tomography":
        others = [value for number, value in enumerate(arguments["energies"]) if number != member.index]
        return {"taken": others, "group": start["group"]}
    return {}


def _one_after_the_other(calls: Iterable[Call], sample: EarlierPositions | None) -> MsgGenerator[tuple[Any, ...]]:
    if sample is not None:
        # a session that died may have left it beside the beam: into it first, then turned, as it comes back from there
        for turning in (False, True):
            ways = [one for one in sample.ways if _turns(one) == turning]
            yield from restore_positions(
                [one.axis for one in ways],
                [one.stood for one in ways],
                tolerances=[one.tolerance for one in ways],
                shutter=sample.shutter,
            )
    found: list[Any] = []
    for call in calls:
        taken = yield from call()
        found += taken if isinstance(taken, tuple) else [taken]
    return tuple(found)


def _of_the_sample(earlier: EarlierPositions, devices: Mapping[str, Any]) -> EarlierPositions | None:
    """Return where the axes of the sample stood."""
    sample = devices.get("sample")
    ways = tuple(one for one in earlier.ways if sample is not None and one.axis.name.startswith(f"{sample.name}_"))
    return EarlierPositions(earlier.run, ways, None, earlier.unknown, earlier.shutter) if ways else None


def _turns(way: Way) -> bool:
    return str(getattr(way.axis, "egu", "")).startswith("deg")

"""The runs of one call of a plan: of a single run itself; of several edges, regions or energies one for each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from whiteline.analysis.runs import Run, find_run
from whiteline.analysis.runs.group import starts_where
from whiteline.analysis.runs.parts import RESUMES

SERIES = "time series", "series of "
"""Purposes of a group begin so whose members are runs of another plan, again and again."""

LINKS = "group", "group_index", "group_size", "group_purpose"

OF_ITS_OWN = frozenset({
    "uid", "time", "scan_id", "versions", "plan_type", "plan_name", "plan_args", "detectors", "motors", "num_points",
    "num_intervals", "roles", "hints", "energies", "element", "edge", "shape", "scan", "planned", "only", "resumes",
    "passes", "may_stop_early", "frames_per_event", "frames_per_energy", "positions", "filters", "edges", "regions",
    "path", "extents", "snaking", "channels", "tile_um", "tile_centres", "preflight", *LINKS,
})  # fmt: skip
"""What plan and run engine write into a start document; all else was told by the scientist."""


@dataclass(frozen=True, eq=False)
class Member:
    """One run of a call.

    Parameters
    ----------
    index : int or None
        Which of them, from 0; None of a single one.
    run : Run or None
        With those that resumed it already; None if it never began.
    """

    index: int | None
    run: Run | None


def is_series(start: Mapping[str, Any]) -> bool:
    """Tell whether a run is one of a series in time, or in a voltage."""
    return str(start.get("group_purpose", "")).startswith(SERIES)


def members_of(run: Run, catalog: Any) -> list[Member]:
    """Return the runs of the call that a run is of, in their order, those included that never began.

    Parameters
    ----------
    run : Run
        Any of them, with those that resumed it.
    catalog : catalog of runs, mapping or None
        Where the others are; without one the run is alone.
    """
    start = run.start
    index, size, group = (start.get(key) for key in ("group_index", "group_size", "group"))
    if catalog is None or index is None or size is None or group is None or is_series(start):
        return [Member(None if index is None else int(index), run)]
    firsts: dict[int, str] = {}
    for uid, one in starts_where(catalog, "group", str(group)):
        if one.get(RESUMES) is None or one.get(RESUMES) == uid:
            firsts.setdefault(int(one["group_index"]), uid)
    found = []
    for number in range(int(size)):
        other = firsts.get(number)
        if number == int(index):
            found.append(Member(number, run))
        else:
            found.append(Member(number, find_run(catalog, other, path_map=run.path_map) if other else None))
    return found


def metadata(run: Run, member: Member) -> dict[str, Any]:
    """Return what the start document of a run that goes on says besides the plan's own: the links, and the sample."""
    told = {key: value for key, value in run.start.items() if key not in OF_ITS_OWN}
    group = {key: run.start[key] for key in LINKS if key in run.start}
    if "group" not in group:
        group |= {"group": run.uid, "group_purpose": "interrupted and resumed"}
    if member.index is not None:
        group["group_index"] = member.index
    # a run of one edge or region does not know the others by its own arguments
    regions = run.start.get("regions") or (run.start.get("plan_args") or {}).get("regions")
    group |= {key: one for key, one in (("edges", run.start.get("edges")), ("regions", regions)) if one}
    return told | group | ({} if member.run is None else {RESUMES: member.run.uid})

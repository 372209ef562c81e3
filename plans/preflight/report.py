"""What a scientist is told before a plan is run: time with its parts, disk, dose, limits, and what is not known."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bluesky.utils import MsgGenerator

from whiteline.analysis.dose import Dose
from whiteline.plans.preflight.times import TimeModel
from whiteline.plans.preflight.walk import Beam, Walked, Walker

GB = 1e9

SHOWN_S = 0.05
"""Parts of the duration that are shorter are not shown [s]."""


@dataclass(frozen=True)
class Report:
    """What a plan would do.

    Parameters
    ----------
    walked : Walked
        Time, events, frames, travel.
    dose : Dose or None
        Of the most exposed place [Gy]; None if nothing is known of the beam.
    dose_source : str
        What the dose is known from.
    budget : float or None
        That must not be exceeded [Gy].
    free_bytes : int or None
        On the disk that is written to.
    notes : tuple of str
        Further violations, found beside the messages.
    """

    walked: Walked
    dose: Dose | None = None
    dose_source: str = ""
    budget: float | None = None
    free_bytes: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """How long it takes [s]."""
        return self.walked.seconds

    @property
    def over_budget(self) -> bool:
        """Whether the dose is above its budget."""
        return self.dose is not None and self.budget is not None and self.dose.gray > self.budget

    @property
    def violations(self) -> tuple[str, ...]:
        """What would be refused, or must not be; empty if the plan can be run."""
        found = [*self.walked.violations, *self.notes]
        if self.over_budget and self.dose is not None and self.budget is not None:
            found.append(
                f"dose {self.dose} must be at most the budget of {self.budget:.2g} Gy, by {self.dose_source}; expose "
                "less, or pass accept_dose=True"
            )
        if self.free_bytes is not None and self.walked.bytes > self.free_bytes:
            found.append(
                f"{self.walked.bytes / GB:.3g} GB of frames must fit on the disk, which has {self.free_bytes / GB:.3g} "
                "GB left; make room, or bin"
            )
        return tuple(found)

    def rows(self) -> list[tuple[str, str]]:
        """Return what a table shows: what, and how much."""
        walked = self.walked
        up_to = "up to " if walked.up_to else ""
        rows = [("duration", up_to + readable(walked.seconds))]
        for cause, seconds in sorted(walked.by_cause.items(), key=lambda part: -part[1]):
            if seconds >= SHOWN_S:
                rows.append((f"  {cause}", f"{readable(seconds)}, {seconds / walked.seconds:.0%}"))
        rows.append(("events", ", ".join(f"{count} {stream}" for stream, count in walked.events.items()) or "none"))
        free = "" if self.free_bytes is None else f" of {self.free_bytes / GB:.3g} GB free"
        rows.append(("frames", f"{up_to}{walked.frames}, {walked.bytes / GB:.3g} GB{free}"))
        if self.dose is not None:
            budget = "" if self.budget is None else f", budget {self.budget:.2g} Gy"
            rows.append(("dose per pixel", f"{up_to}{self.dose} by {self.dose_source}{budget}"))
        rows += [
            (f"travel of {name}", f"{low:.6g} to {high:.6g}")
            for name, (low, high) in walked.travel.items()
            if low != high
        ]
        rows += [("refused", sentence) for sentence in self.violations]
        if walked.unchecked:
            rows.append(("not checked", ", ".join(sorted(walked.unchecked))))
        if walked.unknown_times:
            rows.append(("times not known", ", ".join(sorted(walked.unknown_times))))
        return rows

    def __str__(self) -> str:
        width = max(len(what) for what, _ in self.rows())
        return "\n".join(f"{what:<{width}}  {how_much}" for what, how_much in self.rows())


def preflight(
    plan: MsgGenerator[Any],
    *,
    energy: object = None,
    times: TimeModel | None = None,
    beam: Beam | None = None,
    budget_Gy: float | None = None,
    folders: Sequence[Path] = (),
    thickness_um: float | None = None,
    depth_of_focus_um: Mapping[float, float] | None = None,
    strict: bool = False,
) -> Report:
    """Walk through a plan without moving anything, and tell what it would do.

    Parameters
    ----------
    plan : generator of Msg
        Consumed by this; make another to run it.
    energy : object, optional
        The energy axis, for the dose and for lines that must be excited.
    times : TimeModel, optional
        What earlier runs have taught.
    beam : Beam, optional
        What is known of the beam; without it no dose is told.
    budget_Gy : float, optional
        Largest dose of the material [Gy].
    folders : sequence of Path
        Where detectors write.
    thickness_um : float, optional
        Of the sample [µm].
    depth_of_focus_um : mapping of float to float, optional
        By energy [eV, µm].
    strict : bool
        Whether the first violation is raised as an error.

    Raises
    ------
    ValueError
        What the plan itself refuses of its arguments; and, if strict, the first violation.
    """
    walked = Walker(times or TimeModel(), energy, strict).walk(plan)
    gray = None
    if beam is not None and walked.exposed_s:
        by_place: dict[tuple[float, ...], float] = {}
        for (place, at), seconds in walked.exposed_s.items():
            by_place[place] = by_place.get(place, 0.0) + beam.dose_per_s(at) * seconds
        gray = max(by_place.values())
    notes = []
    if thickness_um is not None and depth_of_focus_um:
        at, depth = min(depth_of_focus_um.items(), key=lambda one: one[1])
        if thickness_um > depth:
            notes.append(
                f"sample thickness {thickness_um:.3g} um must be at most the depth of focus, {depth:.3g} um at "
                f"{at:.6g} eV; take a thinner one, or a zone plate with wider outer zones"
            )
    free = min((shutil.disk_usage(folder).free for folder in folders if folder.exists()), default=None)
    report = Report(
        walked,
        None if gray is None else Dose(gray),
        "" if beam is None else beam.source,
        budget_Gy,
        free,
        tuple(notes),
    )
    if strict and report.violations:
        raise ValueError(report.violations[0])
    return report


def readable(seconds: float) -> str:
    """Return a time as people say it: 4.6 s, 12 min 30 s, 3 h 20 min."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 100:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"

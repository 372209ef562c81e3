"""What a scientist is told before a plan is run: time with its parts, disk, dose, limits, and what is not known."""

import math
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from bluesky.utils import MsgGenerator

from whiteline.analysis.dose import Dose
from whiteline.plans.preflight.exposure import Beam, largest_dose
from whiteline.plans.preflight.times import TimeModel
from whiteline.plans.preflight.walk import Walker
from whiteline.plans.preflight.walked import Walked
from whiteline.plans.protocols import HasDepthOfFocus

GB = 1e9

SHOWN_S = 0.05
"""Parts of the duration that are shorter are not shown [s]."""


class DepthOfFocus(NamedTuple):
    """The smallest of a scan [µm], and at which energy [eV]."""

    um: float
    energy: float

    @classmethod
    def of(cls, energy_axis: object, energies: Iterable[float]) -> "DepthOfFocus | None":
        """Return the smallest at some energies [eV], None where the axis does not know its optics."""
        if not isinstance(energy_axis, HasDepthOfFocus):
            return None
        return min((cls(float(energy_axis.depth_of_focus(one)), one) for one in energies), default=None)


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
    run_doses_Gy : list of float
        Of the most exposed place in each run [Gy], one after the other.
    thickness_um : float or None
        Of the sample [µm].
    depth_of_focus : DepthOfFocus or None
        The smallest of the scan, of the optics that follow the energy.
    """

    walked: Walked
    dose: Dose | None = None
    dose_source: str = ""
    budget: float | None = None
    free_bytes: int | None = None
    run_doses_Gy: list[float] = field(default_factory=list)
    thickness_um: float | None = None
    depth_of_focus: DepthOfFocus | None = None

    @property
    def seconds(self) -> float:
        """How long it takes [s]."""
        return self.walked.seconds

    @property
    def over_budget(self) -> str:
        """By how much the dose is above its budget, as a sentence; empty if it is not."""
        if self.dose is None or self.budget is None or self.dose.gray <= self.budget:
            return ""
        return (
            f"dose {self.dose} must be at most the budget of {self.budget:.2g} Gy, by {self.dose_source}; expose "
            "less, or pass accept_dose=True"
        )

    @property
    def refusals(self) -> tuple[str, ...]:
        """What would be refused, or cannot be, besides the dose; empty if the plan can be run."""
        found = list(self.walked.violations)
        depth = self.depth_of_focus
        if depth is not None and self.thickness_um is not None and self.thickness_um > depth.um:
            found.append(
                f"sample thickness {self.thickness_um:.3g} um must be at most the depth of focus, {depth.um:.3g} um at "
                f"{depth.energy:.6g} eV; take a thinner one, or a zone plate with wider outer zones"
            )
        if self.free_bytes is not None and self.walked.bytes > self.free_bytes:
            found.append(
                f"{self.walked.bytes / GB:.3g} GB of frames must fit on the disk, which has {self.free_bytes / GB:.3g} "
                "GB left; make room, or bin"
            )
        return tuple(found)

    @property
    def violations(self) -> tuple[str, ...]:
        """All that speaks against the plan, its dose included."""
        return (*self.refusals, self.over_budget) if self.over_budget else self.refusals

    @property
    def not_checked(self) -> tuple[str, ...]:
        """What was not checked, as nobody could tell, or it was not said what it is to be checked against."""
        found = sorted(self.walked.unchecked)
        if self.dose is None and self.walked.exposed_s:
            found.append("dose, as no beam is known" if not self.dose_source else "dose, as no energy is known")
        elif self.dose is not None and not self.walked.shuttered:
            found.append("dose while nothing counts, as the plan moves no shutter")
        if self.dose is not None and self.budget is None:
            found.append("dose against a budget, as none is given")
        if self.walked.energies and self.depth_of_focus is None:
            found.append("depth of focus, as the energy does not know its optics")
        elif self.depth_of_focus is not None and self.thickness_um is None:
            found.append("thickness against the depth of focus, as none is given")
        if self.walked.bytes and self.free_bytes is None:
            found.append("room on the disk, as no folder is given")
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
        rows += list(walked.facts.items())
        if (depth := self.depth_of_focus) is not None:
            sample = "" if self.thickness_um is None else f", sample {self.thickness_um:.3g} um"
            rows.append(("depth of focus", f"{depth.um:.3g} um at {depth.energy:.6g} eV{sample}"))
        rows += [("refused", sentence) for sentence in self.violations]
        rows += [("not checked", one) for one in self.not_checked]
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
    strict: bool = False,
) -> Report:
    """Walk through a plan without moving anything, and tell what it would do.

    Parameters
    ----------
    plan : generator of Msg
        Consumed by this; make another to run it.
    energy : object, optional
        The energy axis, for the dose, for lines that must be excited, and for the depth of focus; what the plan itself
        names as such if it is not given.
    times : TimeModel, optional
        What earlier runs have taught.
    beam : Beam, optional
        What is known of the beam; without it no dose is told.
    budget_Gy : float, optional
        Largest dose of the material [Gy].
    folders : sequence of Path
        Where detectors write.
    thickness_um : float, optional
        Of the sample [µm]; it must not exceed the depth of focus of the optics that follow the energy.
    strict : bool
        Whether the first violation is raised as an error.

    Raises
    ------
    ValueError
        What the plan itself refuses of its arguments; and, if strict, the first violation.
    """
    walker = Walker(times or TimeModel(), energy, strict)
    walked = walker.walk(plan)
    gray = math.nan if beam is None or not walked.exposed_s else largest_dose(walked.exposed_s, beam)
    report = Report(
        walked,
        None if math.isnan(gray) else Dose(gray),
        "" if beam is None else beam.source,
        budget_Gy,
        min((shutil.disk_usage(folder).free for folder in folders if folder.exists()), default=None),
        [] if beam is None or math.isnan(gray) else [largest_dose(run.exposed_s, beam) for run in walked.runs],
        thickness_um,
        DepthOfFocus.of(walker.energy, walked.energies),
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

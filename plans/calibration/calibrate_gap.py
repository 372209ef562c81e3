"""The table of an undulator's gap: where the beam is brightest at several energies."""

from collections.abc import Mapping, Sequence
from typing import Any

import bluesky.plan_stubs as bps
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from whiteline.analysis.calibration import Table
from whiteline.analysis.checks import require
from whiteline.analysis.peak import Peak
from whiteline.plans.calibration.conclude import conclude, in_run, origin, present, record
from whiteline.plans.calibration.emitted import Calibrated
from whiteline.plans.checks import energy_list, require_dwell
from whiteline.plans.dwell import dwells_of, remember, set_dwell
from whiteline.plans.metadata import start_metadata
from whiteline.plans.protocols import Axis, satisfying
from whiteline.plans.restoring import Step, putting_back, restoring, unstaging
from whiteline.plans.shutter import closing
from whiteline.plans.tuning import Tuning


def calibrate_gap(
    detectors: Sequence[Readable[Any]],
    energy: Movable[Any],
    undulator: Readable[Any],
    energies: Sequence[float],
    *,
    shutter: Movable[Any] | None,
    span: float = 0.03,
    points: int = 31,
    signal: str = "counters_incident_counts",
    dwell_s: float | None = None,
    apply: bool = True,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[Calibrated]:
    """Scan the gap at several energies, and make the table that it follows from then on.

    Parameters
    ----------
    detectors : sequence of Readable
        That are counted at each step.
    energy : Movable
        The energy axis, which takes the gap near to its place.
    undulator : Readable
        With its `gap` [mm], its `harmonic`, and its `gap_table`.
    energies : sequence of float
        At least two, ascending or descending, all on one harmonic [eV]. The table does not reach beyond them: where the
        energy stood outside, it ends at the nearest of them.
    shutter : Movable or None
        Open only while something counts.
    span : float
        Of each scan of the gap [mm].
    points : int
        Of each scan.
    signal : str
        Data key of what is to be largest.
    dwell_s : float, optional
        How long to count at each step [s]; as the detectors are set if it is not given.
    apply : bool
        Whether a good table is given to the undulator.
    md : mapping, optional
        Further metadata.

    Returns
    -------
    Calibrated
        With the gap at each energy. Where one scan shows no maximum nothing is applied, and `reason` says why.

    Raises
    ------
    OutOfRange, ValueError, TypeError
        For arguments that cannot be right; nothing was moved then.
    """
    axis = satisfying(energy, Axis, "energy")
    parts: Any = undulator
    gap, held, harmonic = parts.gap, parts.gap_table, parts.harmonic
    tuning = Tuning(
        detectors, gap, span=span, points=points, signal=signal, shutter=shutter, early_stop=0, feedback=None
    )
    if dwell_s is not None:
        require_dwell(dwell_s)
    wanted = energy_list(energies, energy)
    require(len(wanted), len(wanted) >= 2, "number of energies", "must be at least 2 for a table")
    arguments = {
        "detectors": detectors, "energy": energy, "undulator": undulator, "energies": wanted, "shutter": shutter,
        "span": span, "points": points, "signal": signal, "dwell_s": dwell_s, "apply": apply,
    }  # fmt: skip
    about = start_metadata(
        "calibrate_gap",
        arguments,
        md,
        roles={"energy": axis.name, "signal": signal},
        detectors=detectors,
        motors=[axis, tuning.axis],
        num_points=tuning.points * len(wanted),
    )
    steps: list[Step] = closing(shutter)

    def body(run: str) -> MsgGenerator[Calibrated]:
        before = yield from present(held)
        peaks: list[tuple[float, Peak]] = []
        harmonics = set()
        for value in wanted:
            yield from bps.mv(energy, value)
            harmonics.add((yield from bps.rd(harmonic, default_value=1)))
            peak = yield from tuning.maximise(axis, stream="primary")
            if peak is None:
                why = tuning.outcome.values["tuned_reason"]
                found = Calibrated("undulator.gap", reason=f"no gap was found at {value:g} eV: {why}", run=run)
                yield from record(found)
                return found
            peaks.append((value, peak))

        def make() -> Table:
            if len(harmonics) > 1:
                raise ValueError(f"the energies are on harmonics {sorted(harmonics)}; make a table for each")
            here, ascending = origin(before, run), sorted(peaks, key=lambda one: one[0])
            return Table(
                axis="undulator.gap",
                unit="mm",
                energies=tuple(value for value, _ in ascending),
                positions=tuple(peak.position for _, peak in ascending),
                errors=tuple(peak.error for _, peak in ascending),
                harmonic=int(harmonics.pop()),
                version=here.version,
                date=here.date,
                source=here.source,
            )

        # first back to where it was: a table that does not reach there would refuse it
        for step in home:
            yield from step.plan()
        found = yield from conclude("undulator.gap", run, make, signal=held, apply=apply)
        if found.applied:
            steps[:] = [one for one in steps if one not in home]
        return found

    home: list[Step] = []

    def scan() -> MsgGenerator[Calibrated]:
        steps.extend(tuning.steps())
        steps.extend(unstaging(energy, *detectors))
        here = yield from bps.rd(axis, default_value=None)
        if here is not None:
            home.append(putting_back(energy, here))
            steps.extend(home)
        settings = dwells_of(detectors)
        if dwell_s is not None:
            yield from remember(settings, steps)
            yield from set_dwell(settings, dwell_s)
        yield from bps.stage_all(energy, *detectors)
        return (yield from in_run(about, body))

    return (yield from restoring(scan(), steps))

"""The rocking curve of the second crystal, or the gap of the undulator, at one energy or at several."""

from collections.abc import Mapping, Sequence
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from whiteline.plans.checks import energy_list, require_dwell
from whiteline.plans.dwell import dwells_of, remember, set_dwell
from whiteline.plans.metadata import start_metadata
from whiteline.plans.protocols import Axis, satisfying
from whiteline.plans.restoring import restoring, unstaging
from whiteline.plans.shutter import closing
from whiteline.plans.tuning import Tuning


def tune(
    detectors: Sequence[Readable[Any]],
    axis: Movable[Any],
    *,
    span: float,
    points: int = 21,
    signal: str = "counters_incident_counts",
    dwell_s: float | None = None,
    shutter: Movable[Any] | None = None,
    early_stop: int = 3,
    feedback: Movable[Any] | None = None,
    energy: Movable[Any] | None = None,
    energies: Sequence[float] | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Bring an axis to the maximum of a signal, and back to where it stood if there is none.

    The points are the stream "primary"; what was found, with its error, is an event in the stream "tuned". With
    energies, the axis is tuned at each of them: the table of an undulator's gap is made from such a run.

    Parameters
    ----------
    detectors : sequence of Readable
        That are counted at each step.
    axis : Movable
        Such as the fine pitch of the second crystal, or the gap of the undulator.
    span : float
        Of the scan, about where the axis stands, in its unit.
    points : int
        Over the span, both ends included; at least 7.
    signal : str
        Data key of what is to be largest.
    dwell_s : float, optional
        How long to count at each step [s]; as the detectors are set if it is not given.
    shutter : Movable, optional
        Opened only while something counts.
    early_stop : int
        The scan ends when so many points in a row, behind a maximum, are below half of it; 0 for never.
    feedback : Movable, optional
        Of the second crystal: off while it is scanned, and on again afterwards if it was on.
    energy : Movable, optional
        The energy axis, with `energies`.
    energies : sequence of float, optional
        Where to tune, ascending or descending [eV]; only where the energy stands if it is not given.
    md : mapping, optional
        Further metadata.

    Returns
    -------
    str
        The run.

    Raises
    ------
    OutOfRange, ValueError, TypeError
        For arguments that cannot be right; nothing was moved then.
    """
    tuning = Tuning(
        detectors, axis, span=span, points=points, signal=signal, shutter=shutter, early_stop=early_stop,
        feedback=feedback,
    )  # fmt: skip
    if dwell_s is not None:
        require_dwell(dwell_s)
    if energies is not None and energy is None:
        raise ValueError(f"energies = {list(energies)} need the axis that goes there: give energy, too")
    follows = None if energy is None else satisfying(energy, Axis, "energy")
    wanted = () if energies is None else energy_list(energies, energy)
    arguments = {
        "detectors": detectors, "axis": axis, "span": span, "points": points, "signal": signal, "dwell_s": dwell_s,
        "shutter": shutter, "early_stop": early_stop, "feedback": feedback, "energy": energy, "energies": energies,
    }  # fmt: skip
    moved = [tuning.axis] if energy is None or not wanted else [energy, tuning.axis]
    about = start_metadata(
        "tune",
        arguments,
        md,
        roles={"energy": "" if follows is None else follows.name, "signal": signal},
        detectors=detectors,
        motors=moved,
        energies=wanted,
        num_points=tuning.points * (len(wanted) or 1),
        may_stop_early=tuning.early_stop > 0,
    )
    steps = closing(shutter)
    settings = dwells_of(detectors)
    also = [] if follows is None else [follows]

    @bpp.run_decorator(md=about)
    def curves() -> MsgGenerator[None]:
        for value in wanted or [None]:
            if value is not None:
                yield from bps.mv(energy, value)
            yield from tuning.maximise(*also, stream="primary")

    def scan() -> MsgGenerator[str]:
        here = yield from bps.rd(axis, default_value=None)
        if here is not None:
            tuning.places(here)
        steps.extend(tuning.steps())
        steps.extend(unstaging(*moved, *detectors))
        if dwell_s is not None:
            yield from remember(settings, steps)
            yield from set_dwell(settings, dwell_s)
        yield from bps.stage_all(*moved, *detectors)
        return (yield from curves())

    return (yield from restoring(scan(), steps))

"""The order-sorting aperture in the middle of the beam: across it in x and y, to where most passes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import bluesky.plan_stubs as bps
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from whiteline.plans.calibration.conclude import in_run, record
from whiteline.plans.calibration.emitted import Calibrated, Quantity
from whiteline.plans.checks import require_count, require_dwell
from whiteline.plans.dwell import dwells_of, remember, set_dwell
from whiteline.plans.groups import new_group
from whiteline.plans.metadata import start_metadata
from whiteline.plans.protocols import Axis, satisfying
from whiteline.plans.restoring import Step, putting_back, restoring, unstaging
from whiteline.plans.shutter import closing
from whiteline.plans.tuning import Tuning


def scan_osa(
    detectors: Sequence[Readable[Any]],
    aperture: Readable[Any],
    *,
    shutter: Movable[Any] | None,
    span: float = 160.0,
    points: int = 33,
    rounds: int = 2,
    signal: str = "counters_incident_counts",
    dwell_s: float | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[Calibrated]:
    """Centre the order-sorting aperture on the first order.

    Parameters
    ----------
    detectors : sequence of Readable
        That are counted at each step.
    aperture : Readable
        With its axes `x` and `y` [µm].
    shutter : Movable or None
        Open only while something counts.
    span : float
        Of each scan, about where the axis stands [µm]; wider than aperture and beam together.
    points : int
        Of each scan.
    rounds : int
        How often x and y are scanned in turn: the second time each passes the middle of the other.
    signal : str
        Data key of what is to be largest.
    dwell_s : float, optional
        How long to count at each step [s].
    md : mapping, optional
        Further metadata.

    Returns
    -------
    Calibrated
        With `x` and `y` of the middle [µm]; each scan is a run, and they are a group. Where one shows no maximum both
        axes go back to where they stood.

    Raises
    ------
    OutOfRange, ValueError, TypeError
        For arguments that cannot be right; nothing was moved then.
    """
    parts: Any = aperture
    tunings = {
        name: Tuning(
            detectors, satisfying(getattr(parts, name, None), Axis, f"aperture.{name}"), span=span, points=points,
            signal=signal, shutter=shutter, early_stop=0, feedback=None,
        )
        for name in ("x", "y")
    }  # fmt: skip
    require_count(rounds, "rounds")
    if dwell_s is not None:
        require_dwell(dwell_s)
    arguments = {
        "detectors": detectors, "aperture": aperture, "shutter": shutter, "span": span, "points": points,
        "rounds": rounds, "signal": signal, "dwell_s": dwell_s,
    }  # fmt: skip
    axes = [one.axis for one in tunings.values()]
    about = start_metadata(
        "scan_osa", arguments, md, roles={"signal": signal}, detectors=detectors, motors=axes,
        num_points=points,
    )  # fmt: skip
    steps: list[Step] = closing(shutter)

    middles: dict[str, Quantity] = {}

    def body(name: str, tuning: Tuning) -> Callable[[str], MsgGenerator[Calibrated]]:
        def scanned(run: str) -> MsgGenerator[Calibrated]:
            peak = yield from tuning.maximise(stream="primary")
            if peak is None:
                why = f"no middle was found in {name}: {tuning.outcome.values['tuned_reason']}"
                found = Calibrated("aperture", reason=why, run=run)
            else:
                middles[name] = (peak.position, peak.error, "µm")
                found = Calibrated("aperture", None, dict(middles), applied=True, run=run)
            yield from record(found)
            return found

        return scanned

    def scan() -> MsgGenerator[Calibrated]:
        for tuning in tunings.values():
            steps.extend(tuning.steps())
        steps.extend(unstaging(*detectors))
        settings = dwells_of(detectors)
        if dwell_s is not None:
            yield from remember(settings, steps)
            yield from set_dwell(settings, dwell_s)
        yield from bps.stage_all(*detectors)
        back: list[Step] = []
        for axis in axes:
            stands = yield from bps.rd(axis, default_value=None)
            back.extend([putting_back(axis, stands)] if stands is not None else [])
        steps.extend(back)
        found, group = Calibrated("aperture"), new_group("order-sorting aperture")
        for number, (name, tuning) in enumerate(list(tunings.items()) * rounds):
            place = {"group_index": number, "group_size": 2 * rounds, "motors": [tuning.axis.name]}
            found = yield from in_run({**about, **group, **place}, body(name, tuning))
            if not found.applied:
                return found
        steps[:] = [one for one in steps if one not in back]
        return found

    return (yield from restoring(scan(), steps))

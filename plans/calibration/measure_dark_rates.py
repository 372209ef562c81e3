"""What ion chambers count without beam: with the shutter closed, at each gain that is asked for."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import bluesky.plan_stubs as bps
import numpy as np
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from whiteline.analysis.calibration import DarkCalibration
from whiteline.analysis.calibration.dark import Row
from whiteline.plans.calibration.conclude import conclude, in_run, origin, present
from whiteline.plans.calibration.emitted import Calibrated
from whiteline.plans.calibration.focus_series import prepared
from whiteline.plans.calibration.readings import value_of
from whiteline.plans.checks import require_count, require_dwell
from whiteline.plans.dwell import remember
from whiteline.plans.metadata import start_metadata
from whiteline.plans.point import take_point
from whiteline.plans.protocols import satisfying
from whiteline.plans.restoring import Step, restoring
from whiteline.plans.shutter import CLOSED, closing

Reading = Mapping[str, Any]


@runtime_checkable
class Chambers(Readable[Any], Protocol):
    """A scaler with ion chambers by channel, whose gains can be set, and whose dark rates it holds."""

    chambers: Mapping[str, Any]
    gains: Any
    dark_calibration: Any

    def check(self, values: Mapping[str, Any]) -> None:
        """Refuse settings that make no sense."""


def measure_dark_rates(
    counters: Readable[Any],
    *,
    shutter: Movable[Any] | None,
    gains: Mapping[str, Sequence[float]] | None = None,
    dwell_s: float = 1.0,
    counts: int = 5,
    apply: bool = True,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[Calibrated]:
    """Measure what ion chambers count without beam; their rates and currents are less that from then on.

    Parameters
    ----------
    counters : Readable
        The scaler with its ion chambers.
    shutter : Movable or None
        Closed all the time; None where there is no beam.
    gains : mapping of str to sequence of float, optional
        At which of its gains each channel is counted [V/A], one after the other; as it is set if none are given. Those
        that are not measured stay as they are known.
    dwell_s : float
        Of a count [s].
    counts : int
        At each gain.
    apply : bool
        Whether good dark rates are given to the counters.
    md : mapping, optional
        Further metadata.

    Returns
    -------
    Calibrated
        With the rate of each channel at each gain. Where one was in overload nothing is applied, and `reason` says so.

    Raises
    ------
    OutOfRange, ValueError, TypeError
        For arguments that cannot be right; nothing was moved then.
    """
    scaler: Any = satisfying(counters, Chambers, "counters")
    require_dwell(dwell_s)
    require_count(counts, "counts")
    wanted = {channel: [float(one) for one in several] for channel, several in (gains or {}).items()}
    settings = max((len(several) for several in wanted.values()), default=1)
    for number in range(settings):
        scaler.check({"gains": _setting(wanted, number)})
    arguments = {
        "counters": counters, "shutter": shutter, "gains": wanted or None, "dwell_s": dwell_s, "counts": counts,
        "apply": apply,
    }  # fmt: skip
    about = start_metadata(
        "measure_dark_rates", arguments, md, roles={}, detectors=[scaler], num_points=settings * counts,
    )  # fmt: skip
    steps: list[Step] = closing(shutter)

    def body(run: str) -> MsgGenerator[Calibrated]:
        before = yield from present(scaler.dark_calibration)
        readings: list[Reading] = []
        for number in range(settings):
            if setting := _setting(wanted, number):
                yield from bps.mv(scaler.gains, setting)
            for _ in range(counts):
                if reading := (yield from take_point([scaler], shutter=None)):
                    readings.append(reading)

        def make() -> DarkCalibration:
            found, here = dark_rows(scaler, readings), origin(before, run)
            others = before.not_in(found) if isinstance(before, DarkCalibration) else ()
            return DarkCalibration(rows=(*others, *found), version=here.version, date=here.date, source=here.source)

        return (yield from conclude("counters", run, make, signal=scaler.dark_calibration, apply=apply))

    def scan() -> MsgGenerator[Calibrated]:
        if shutter is not None:
            yield from bps.mv(shutter, CLOSED)
        yield from remember([scaler.gains], steps)
        yield from prepared([], steps, [scaler], [scaler], dwell_s, 1, None)
        return (yield from in_run(about, body))

    return (yield from restoring(scan(), steps))


def dark_rows(scaler: Any, readings: Sequence[Reading]) -> tuple[Row, ...]:
    """Return the rate of each channel at each gain that it was counted with.

    The error of a rate is that of counting, or what the counts scatter by if that is more.

    Raises
    ------
    ValueError
        If nothing was read, a chamber was in overload, or its gain changed while it counted.
    """
    if not readings:
        raise ValueError("no chamber was read: a simulation counts nothing")
    found: list[Row] = []
    for channel, chamber in scaler.chambers.items():
        by_gain: dict[float, list[tuple[float, float]]] = {}
        for reading in readings:
            gain = value_of(reading, f"{chamber.name}_gain")
            if value_of(reading, f"{chamber.name}_overload") or not math.isfinite(gain):
                raise ValueError(
                    f"{channel} was in overload without beam, or its gain has changed: {gain:g} V/A; is the shutter "
                    "closed, and the offset of the amplifier set?"
                )
            seconds = value_of(reading, f"{scaler.name}_time")
            by_gain.setdefault(gain, []).append((value_of(reading, f"{chamber.name}_counts"), seconds))
        for gain, counted in by_gain.items():
            numbers, seconds = np.array(counted).T
            total, rates = float(numbers.sum()), numbers / seconds
            scatter = float(np.std(rates, ddof=1) / np.sqrt(rates.size)) if rates.size > 1 else 0.0
            error = max(math.sqrt(max(total, 1.0)) / float(seconds.sum()), scatter)
            found.append((channel, gain, total / float(seconds.sum()), error))
    return tuple(found)


def _setting(wanted: Mapping[str, Sequence[float]], number: int) -> dict[str, float]:
    """Return the gains of a number; a channel that has fewer stays at its last."""
    return {channel: several[min(number, len(several) - 1)] for channel, several in wanted.items() if several}

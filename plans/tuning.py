"""Bring an axis to the maximum of a signal: the rocking curve of the second crystal, a harmonic of the undulator."""

import math
import time
from collections.abc import Sequence
from typing import Any

import bluesky.plan_stubs as bps
from bluesky.protocols import Locatable, Movable, Readable
from bluesky.utils import Msg, MsgGenerator
from event_model import DataKey

from whiteline.analysis.checks import OutOfRange, require_positive
from whiteline.analysis.peak import FEWEST_POINTS, NoPeak, Peak, find_peak
from whiteline.plans import stubs
from whiteline.plans.checks import require_count, require_detectors
from whiteline.plans.label import Label
from whiteline.plans.point import take_point
from whiteline.plans.protocols import Axis, check_together, satisfying
from whiteline.plans.restoring import Step
from whiteline.plans.supposing import suppose

OFF, ON = "Off", "On"
"""Of a feedback."""


class Tuning:
    """How an axis is brought to the maximum of a signal, within the run of a plan, as often as the plan wants.

    It steps upwards over a range about the place where the axis stands, and goes to the maximum from below, too. If
    there is none inside the range, the axis goes back to where it stood. Each point is an event, and so is what was
    found, in the stream "tuned".

    Parameters
    ----------
    detectors : sequence of Readable
        That are counted at each step; the plan has staged them.
    axis : Movable
        That is tuned.
    span : float
        Of the range, in the unit of the axis.
    points : int
        Over the range, both ends included; at least 7.
    signal : str
        Data key of what is to be largest.
    shutter : Movable or None
        Opened only while something counts; None if the detectors see the beam without.
    early_stop : int
        The scan ends when so many points in a row, behind a maximum, are below half of it; 0 for never.
    feedback : Movable or None
        Switched off meanwhile, as it would work against the scan, and on again if it was on.

    Raises
    ------
    OutOfRange, TypeError, ValueError
        For arguments that cannot be right.
    """

    def __init__(
        self,
        detectors: Sequence[Readable[Any]],
        axis: Movable[Any],
        *,
        span: float,
        points: int,
        signal: str,
        shutter: Movable[Any] | None,
        early_stop: int,
        feedback: Movable[Any] | None,
    ) -> None:
        require_detectors(detectors)
        self.axis = satisfying(axis, Axis, "axis")
        require_positive(span, "span")
        self.points = require_count(points, "points", FEWEST_POINTS)
        self.early_stop = require_count(early_stop, "early_stop", 0)
        if feedback is not None:
            check_together(feedback, [OFF])
        self.detectors, self.span, self.signal = detectors, float(span), signal
        self.shutter, self.feedback = shutter, feedback
        self.step = self.span / (self.points - 1)
        self.outcome = Outcome()
        self._number = Label("tuning_index")
        self._home: float | None = None
        self._feedback_was: str | None = None

    def steps(self) -> list[Step]:
        """Return what `restoring` is to do if the plan ends while it is tuned: axis and feedback as they were."""

        def back() -> MsgGenerator[None]:
            if self._home is not None:
                yield from stubs.mv(self.axis, self._home)

        def switch_on() -> MsgGenerator[None]:
            if self._feedback_was is not None:
                yield from stubs.mv(self.feedback, self._feedback_was)

        told = Step(f"put {self.axis.name} back to where it was tuned from", back)
        return [told] if self.feedback is None else [told, Step(f"switch {_name(self.feedback)} on again", switch_on)]

    def places(self, here: float) -> list[float]:
        """Return the places of the scan about one, in the unit of the axis.

        Raises
        ------
        ValueError
            If the axis cannot go to the ends of it, or to one step before the first, from where it comes.
        """
        first = here - self.span / 2
        places = [first + number * self.step for number in range(self.points)]
        check_together(self.axis, [first - self.step, places[-1]])
        return places

    def maximise(self, *also: Readable[Any], stream: str = "tuning") -> MsgGenerator[Peak | None]:
        """Scan, and go to the maximum.

        Parameters
        ----------
        *also : Readable
            Read with each point, such as the energy.
        stream : str
            Of the points.

        Returns
        -------
        Peak or None
            None if there is no maximum; `outcome` says why, and is recorded.
        """
        here = yield from bps.rd(self.axis, default_value=None)
        read = [self.axis, *also, self._number]
        if here is None:  # a simulation that moves nothing reads nothing
            yield from take_point(self.detectors, read, shutter=self.shutter, stream=stream)
            return None
        peak: Peak | None = None
        try:
            places = self.places(float(here))
        except ValueError as error:
            # at the third of sixty energies this is no reason to lose the other fifty-seven
            self.outcome.set_nothing(str(error))
        else:
            self._home = float(here)
            yield from self._switch_feedback_off()
            peak = yield from self._scan(places, read, stream)
            if peak is None:
                peak = yield from suppose(Peak(self._home, math.nan, math.nan, math.nan, math.nan))
            yield from self._arrive(self._home if peak is None else peak.position)
        yield from take_point([self.outcome], read, shutter=None, stream="tuned")
        self._number.value += 1
        return peak

    def _scan(self, places: Sequence[float], read: Sequence[Readable[Any]], stream: str) -> MsgGenerator[Peak | None]:
        yield from stubs.mv(self.axis, places[0] - self.step)
        stood: list[float] = []
        values: list[float] = []
        for place in places:
            yield from stubs.mv(self.axis, place)
            reading = yield from take_point(self.detectors, read, shutter=self.shutter, stream=stream)
            stood.append(_value(reading, self.axis.name))
            values.append(_value(reading, self.signal))
            last = place is places[-1]
            if last or self._falls(values):
                try:
                    peak = find_peak(stood, values)
                except (NoPeak, OutOfRange) as none:
                    # what falls may be noise before the peak: it is only over when there was one
                    self.outcome.set_nothing(str(none))
                else:
                    self.outcome.set_peak(peak)
                    return peak
        return None

    def _falls(self, values: Sequence[float]) -> bool:
        """Tell whether the last points are all below half of the maximum before them."""
        if not self.early_stop or len(values) < max(FEWEST_POINTS, self.early_stop + 1):
            return False
        half = (max(values) + min(values)) / 2
        return all(one < half for one in values[-self.early_stop :]) and max(values) > half

    def _arrive(self, target: float) -> MsgGenerator[None]:
        yield from stubs.mv(self.axis, target - self.step)
        yield from stubs.mv(self.axis, target)
        self._home = None
        if self._feedback_was is not None:
            yield from stubs.mv(self.feedback, self._feedback_was)
            self._feedback_was = None
        yield from stubs.checkpoint()

    def _switch_feedback_off(self) -> MsgGenerator[None]:
        if self.feedback is None:
            return
        location = (yield Msg("locate", self.feedback)) if isinstance(self.feedback, Locatable) else None
        if location is None or location["setpoint"] != OFF:
            self._feedback_was = ON
            yield from stubs.mv(self.feedback, OFF)


class Outcome:
    """What tuning has found, as a readable: the maximum with its error, or why there is none."""

    parent = None
    name = "tuned"

    def __init__(self) -> None:
        self.set_nothing("nothing was tuned yet")

    def set_peak(self, peak: Peak) -> None:
        """Note a maximum."""
        self.values: dict[str, Any] = {
            "tuned_maximum": peak.position,
            "tuned_error": peak.error,
            "tuned_fwhm": peak.fwhm,
            "tuned_height": peak.height,
            "tuned_reason": "",
        }

    def set_nothing(self, reason: str) -> None:
        """Note that there is none, and why."""
        numbers = dict.fromkeys(("tuned_maximum", "tuned_error", "tuned_fwhm", "tuned_height"), math.nan)
        self.values = {**numbers, "tuned_reason": reason}

    def read(self) -> dict[str, Any]:
        """Return it; NaN where there is no maximum."""
        return {key: {"value": value, "timestamp": time.time()} for key, value in self.values.items()}

    def describe(self) -> dict[str, DataKey]:
        """Say what it is."""
        return {
            key: {"source": "PLAN", "dtype": "string" if isinstance(value, str) else "number", "shape": []}
            for key, value in self.values.items()
        }

    @property
    def hints(self) -> dict[str, Any]:
        """What a table shows."""
        return {"fields": ["tuned_maximum"]}


def _value(reading: dict[str, Any], key: str) -> float:
    if key not in reading:
        raise ValueError(f"nothing that is read is called {key!r}; there are {', '.join(sorted(reading))}: name one")
    return float(reading[key]["value"])


def _name(device: Any) -> str:
    return str(getattr(device, "name", device))

"""Take a whole list of energies several times, with less exposure each, until the map is good enough.

A scan that is stopped in the middle of its list biases the map, as some energies are missing; one that is stopped after
a pass only has larger errors than it could have had. So it is asked at the end of each pass, and never within one.
"""

import math
import time
from typing import Any

from bluesky.protocols import Readable
from bluesky.utils import MsgGenerator
from event_model import DataKey

from whiteline.analysis.checks import require_positive
from whiteline.plans.asking import ask
from whiteline.plans.checks import require_count
from whiteline.plans.point import take_point

STREAM = "passes"
"""Of the events of what was found at the end of each pass."""


class Passes:
    """When a scan has been repeated often enough.

    Parameters
    ----------
    most : int
        How many passes there are at most.
    stop_at_error : float or None
        Median standard error of the fraction below which no further pass is begun, if the references explain the
        spectra.
    error : Readable or None
        Part of the live analysis, as `live.error`.
    dose_budget_Gy : float or None
        A pass that would exceed it is not begun [Gy].
    dose : Readable or None
        Tells the dose of the most exposed place in this run so far: its data key ends in "gray" [Gy].

    Raises
    ------
    OutOfRange, ValueError
        For a limit that cannot be, or one without what tells whether it is reached.
    """

    def __init__(
        self,
        most: int,
        *,
        stop_at_error: float | None = None,
        error: Readable[Any] | None = None,
        dose_budget_Gy: float | None = None,
        dose: Readable[Any] | None = None,
    ) -> None:
        self.most = require_count(most, "passes")
        for limit, name, part, wanted in (
            (stop_at_error, "stop_at_error", error, "error = live.error"),
            (dose_budget_Gy, "dose_budget_Gy", dose, "dose = the dose meter of the session"),
        ):
            if limit is not None:
                require_positive(limit, name)
                if part is None:
                    raise ValueError(f"{name} = {limit:g} needs {wanted}, which tells whether it is reached")
        self._target, self._error = stop_at_error, error
        self._budget, self._dose = dose_budget_Gy, dose
        self._given = 0.0
        self._verdict = Verdict()

    @property
    def may_end_early(self) -> bool:
        """Whether there may be fewer passes."""
        return self.most > 1 and (self._target is not None or self._budget is not None)

    def begin(self) -> None:
        """Note that a run begins: its dose is counted from 0."""
        self._given = 0.0

    def enough(self, done: int, share: float = 1.0) -> MsgGenerator[bool]:
        """Tell at the end of a pass whether it was the last one, and record why.

        Parameters
        ----------
        done : int
            How many there have been.
        share : float
            What part of its energies was taken: the first pass of a resumed run may be but the rest of one.
        """
        if not self.may_end_early:
            return done >= self.most
        verdict = self._verdict
        verdict.begin(done)
        if self._error is not None and self._target is not None:
            answer = yield from ask(self._error)
            verdict.error, clean = answer.number("median"), answer.number("clean") == 1
            if verdict.error <= self._target and clean:
                verdict.reason = f"the median error {verdict.error:.3g} is below {self._target:.3g}"
        if self._dose is not None and self._budget is not None:
            answer = yield from ask(self._dose)
            verdict.dose = answer.number("gray")
            # the next pass gives what the last one has
            whole, self._given = (verdict.dose - self._given) / share, verdict.dose
            if not verdict.reason and not answer.simulated and not math.isfinite(verdict.dose):
                verdict.reason = (
                    f"the dose is not known, and another pass might exceed the budget of {self._budget:.3g} Gy"
                    f"{': ' if answer.why else ''}{answer.why}"
                )
            if not verdict.reason and verdict.dose + whole > self._budget:
                verdict.reason = (
                    f"another pass would give more than the dose budget of {self._budget:.3g} Gy, of which "
                    f"{verdict.dose:.3g} Gy are given"
                )
        if not verdict.reason and done >= self.most:
            verdict.reason = f"{done} passes were asked for"
        yield from take_point([], [verdict], shutter=None, stream=STREAM)
        return bool(verdict.reason)


class Verdict:
    """What was found at the end of a pass, as a readable.

    Attributes
    ----------
    done : int
        How many passes there have been.
    error : float
        Median standard error of the fraction; NaN if it is not known.
    dose : float
        Of the most exposed place so far [Gy]; NaN if it is not known.
    reason : str
        Why this pass was the last one; empty if it was not.
    """

    parent = None
    name = "passes"

    def __init__(self) -> None:
        self.begin(0)

    def begin(self, done: int) -> None:
        """Note that so many passes are done, and nothing else is known yet."""
        self.done = done
        self.error = self.dose = math.nan
        self.reason = ""

    def read(self) -> dict[str, Any]:
        """Return it."""
        values = {"done": self.done, "error": self.error, "dose": self.dose, "reason": self.reason}
        return {f"passes_{key}": {"value": value, "timestamp": time.time()} for key, value in values.items()}

    def describe(self) -> dict[str, DataKey]:
        """Say what it is."""
        return {
            "passes_done": {"source": "PLAN", "dtype": "integer", "shape": []},
            "passes_error": {"source": "PLAN", "dtype": "number", "shape": []},
            "passes_dose": {"source": "PLAN", "dtype": "number", "shape": [], "units": "Gy"},
            "passes_reason": {"source": "PLAN", "dtype": "string", "shape": []},
        }

    @property
    def hints(self) -> dict[str, Any]:
        """What a table shows."""
        return {"fields": ["passes_error"]}

"""A watch on the run engine: how long every move and count truly takes, for estimates, and where a run's time went.

It is a message hook: it is called with each message just before it is processed, so the time to the next call is that
of the message. What is waited for together counts for the one of the group that was computed to be the longest.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bluesky.utils import Msg

from whiteline.plans.preflight.report import readable
from whiteline.plans.preflight.times import TimeModel, Timing
from whiteline.plans.protocols import Estimates, Forecasts
from whiteline.plans.shutter import CLOSED, OPEN

MOST_KEPT = 20_000
"""Of the newest timings; older ones are forgotten."""


@dataclass
class _Action:
    action: str
    device: str
    computed: float
    begun: float
    cause: str


@dataclass
class RunTimes:
    """Where the time of one run went.

    Attributes
    ----------
    seconds : float
        From its start to its end.
    by_cause : dict of str to float
        "counting", "moving", "shutter", "messages", "waiting" [s].
    """

    seconds: float = 0.0
    by_cause: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def dead_s(self) -> float:
        """Time that was not spent counting [s]."""
        return self.seconds - self.by_cause.get("counting", 0.0)


class Stopwatch:
    """Times what the run engine does; `RE.msg_hook = stopwatch`.

    Parameters
    ----------
    before : callable, optional
        Another hook, which is called first.
    clock : callable
        Seconds, that only grow.

    Attributes
    ----------
    timings : list of Timing
        Of moves and counts, the newest last.
    last_run : RunTimes or None
        Of the run that ended last.
    """

    def __init__(
        self, before: Callable[[Msg], None] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.timings: list[Timing] = []
        self.messages: dict[str, list[float]] = defaultdict(list)
        self.last_run: RunTimes | None = None
        self._before, self._clock = before, clock
        self._groups: dict[Any, list[_Action]] = defaultdict(list)
        self._previous: tuple[Msg, float] | None = None
        self._run: RunTimes | None = None
        self._run_begun = 0.0

    def __call__(self, message: Msg) -> None:
        """Take note of a message that is about to be processed."""
        now = self._clock()
        if self._before is not None:
            self._before(message)
        if self._previous is not None:
            self._ended(*self._previous, now)
        self._previous = message, now
        if message.command in ("set", "trigger"):
            self._groups[message.kwargs.get("group")].append(_action(message, now))
        elif message.command == "open_run":
            self._run, self._run_begun = RunTimes(), now
        elif message.command == "close_run" and self._run is not None:
            self._run.seconds = now - self._run_begun
            self.last_run, self._run = self._run, None

    def model(self, known: TimeModel | None = None) -> TimeModel:
        """Return what was learnt; what was not seen stays as it is known."""
        found = TimeModel.learned(self.timings, self.messages)
        if known is None:
            return found
        return TimeModel({**known.actions, **found.actions}, {**known.messages, **found.messages})

    def save(self, path: Path) -> None:
        """Write what was learnt, beside what stands in the file already."""
        self.model(TimeModel.from_file(path) if path.exists() else None).to_file(path)

    def _ended(self, message: Msg, begun: float, now: float) -> None:
        seconds = now - begun
        if message.command == "wait":
            group = message.kwargs.get("group", message.args[0] if message.args else None)
            actions = self._groups.pop(group, [])
            if actions:
                longest = max(actions, key=lambda one: (one.computed, one.begun))
                self._keep(Timing(longest.action, longest.device, longest.computed, now - longest.begun))
                self._spent(longest.cause, seconds)
            return
        if message.command == "sleep":
            self._spent("waiting", seconds)
            return
        if len(self.messages[message.command]) < MOST_KEPT:
            self.messages[message.command].append(seconds)
        self._spent("messages", seconds)

    def _keep(self, timing: Timing) -> None:
        self.timings.append(timing)
        del self.timings[:-MOST_KEPT]

    def _spent(self, cause: str, seconds: float) -> None:
        if self._run is not None:
            self._run.by_cause[cause] += seconds


def _action(message: Msg, now: float) -> _Action:
    device = message.obj
    name = str(getattr(device, "name", device))
    if message.command == "trigger":
        computed = device.forecast({}).seconds if isinstance(device, Forecasts) else 0.0
        return _Action("trigger", name, float(computed), now, "counting")
    value = message.args[0]
    computed = 0.0
    if isinstance(device, Estimates) and isinstance(value, int | float):
        try:
            computed = device.duration(float(device.position), float(value))  # type: ignore[attr-defined]
        except (AttributeError, ValueError, RuntimeError):
            computed = 0.0  # the move itself will say why
    return _Action("set", name, computed, now, "shutter" if value in (OPEN, CLOSED) else "moving")


def told(times: RunTimes, start: Mapping[str, Any]) -> str:
    """Return the line that ends a run: time predicted and taken, dead time by cause, dose given.

    Parameters
    ----------
    times : RunTimes
        Of the run.
    start : mapping
        Its start document; `preflight` of it holds what was predicted.
    """
    predicted = dict(start.get("preflight") or {})
    text = f"taken {readable(times.seconds)}"
    if (seconds := predicted.get("predicted_s")) is not None:
        text += f", predicted {readable(float(seconds))}"
    causes = {cause: seconds for cause, seconds in times.by_cause.items() if cause != "counting"}
    parts = ", ".join(f"{cause} {readable(spent)}" for cause, spent in sorted(causes.items(), key=lambda one: -one[1]))
    text += f"; dead time {readable(times.dead_s)}" + (f": {parts}" if parts else "")
    if (gray := predicted.get("dose_Gy")) is not None:
        text += f"; dose {float(gray):.2g} Gy by {predicted.get('dose_source')}"
    return text

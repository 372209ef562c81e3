"""A watch on the run engine: how long every move and count truly takes, for estimates, and where a run's time went.

It is a message hook: it is called with each message just before it is processed, so the time to the next call is that
of the message. What is waited for together counts for the one of the group that was computed to be the longest.
"""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bluesky.utils import Msg

from whiteline.beamline.flights import Flights, computed_or_0
from whiteline.plans.preflight.exposure import Beam, Exposure, Place, largest_dose, moves_sample
from whiteline.plans.preflight.report import readable
from whiteline.plans.preflight.times import TimeModel, Timing
from whiteline.plans.protocols import Estimates, Forecasts, Rehearses
from whiteline.plans.shutter import CLOSED, OPEN

MOST_KEPT = 20_000
"""Of the newest timings; older ones are forgotten."""

ENERGY_DIGITS = 1
"""Of an energy that was read back, for the dose, behind the point [eV]."""


COUNTING = "counting", "flying"
"""Causes that are no dead time; of a line, its run-up is in."""


@dataclass
class _Action:
    action: str
    device: str
    computed: float
    begun: float
    cause: str
    opens: bool = False


@dataclass
class RunTimes:
    """Where the time of one run went.

    Attributes
    ----------
    seconds : float
        From its start to its end.
    by_cause : dict of str to float
        "counting", "flying", "moving", "shutter", "messages", "waiting" [s].
    exposed_s : dict
        How long the beam was on the sample, by place and energy [s, eV].
    """

    seconds: float = 0.0
    by_cause: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    exposed_s: dict[tuple[Place, float], float] = field(default_factory=dict)

    @property
    def dead_s(self) -> float:
        """Time that was spent neither counting nor in a line that counts [s]."""
        return self.seconds - sum(self.by_cause.get(one, 0.0) for one in COUNTING)


class Stopwatch:
    """Times what the run engine does; `RE.msg_hook = stopwatch`.

    Parameters
    ----------
    before : callable, optional
        Another hook, which is called first.
    clock : callable
        Seconds, that only grow.
    energy : object, optional
        The energy axis, for the dose; what the start document names as such if it is not given.

    Attributes
    ----------
    timings : list of Timing
        Of moves and counts, the newest last.
    last_run : RunTimes or None
        Of the run that ended last.
    """

    def __init__(
        self,
        before: Callable[[Msg], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        energy: object = None,
    ) -> None:
        self.timings: list[Timing] = []
        self.messages: dict[str, list[float]] = defaultdict(list)
        self.last_run: RunTimes | None = None
        self._before, self._clock, self._energy = before, clock, energy
        self._groups: dict[Any, list[_Action]] = defaultdict(list)
        self._previous: tuple[Msg, float] | None = None
        self._run: RunTimes | None = None
        self._run_begun = 0.0
        self._exposure = Exposure()
        self._flights = Flights(lambda: round(_position(self._energy_of_run), ENERGY_DIGITS))
        self._staged: dict[str, Any] = {}
        self._energy_of_run: Any = None

    def __call__(self, message: Msg) -> None:
        """Take note of a message that is about to be processed."""
        now = self._clock()
        if self._before is not None:
            self._before(message)
        if self._previous is not None:
            self._ended(*self._previous, now)
        self._previous = message, now
        if message.command in ("set", "trigger", "prepare", "kickoff", "complete"):
            self._groups[message.kwargs.get("group")].append(self._action(message, now))
        if (note := getattr(self, f"_on_{message.command}", None)) is not None:
            note(message, now)

    def _on_stage(self, message: Msg, _: float) -> None:
        self._staged[str(getattr(message.obj, "name", ""))] = message.obj

    def _on_open_run(self, message: Msg, now: float) -> None:
        self._flights.clear()  # a run that was halted has not ended
        self._run, self._run_begun, self._exposure = RunTimes(), now, Exposure()
        named = self._staged.get(dict(message.kwargs.get("roles") or {}).get("energy", ""))
        self._energy_of_run = named if self._energy is None else self._energy

    def _on_close_run(self, _: Msg, now: float) -> None:
        self._flights.clear()
        if self._run is not None:
            self._run.seconds, self._run.exposed_s = now - self._run_begun, self._exposure.by_place()
            self.last_run, self._run = self._run, None

    def _on_set(self, message: Msg, now: float) -> None:
        device, value = message.obj, message.args[0]
        if isinstance(value, str) and value == CLOSED:
            self._flights.land(self._exposure, now)
            self._exposure.closed(now)
        elif isinstance(value, int | float) and moves_sample(device):
            self._exposure.moved(device.name, _position(device), float(value))

    def _on_create(self, message: Msg, now: float) -> None:
        stream = str(message.kwargs.get("name") or (message.args[0] if message.args else "primary"))
        self._exposure.event(stream, round(_position(self._energy_of_run), ENERGY_DIGITS), now)

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
            # a wait with a limit comes again, until all is done
            limited = message.kwargs.get("error_on_timeout") is False
            actions = self._groups.get(group, []) if limited else self._groups.pop(group, [])
            if actions:
                longest = max(actions, key=lambda one: (one.computed, one.begun))
                if longest.action and not limited:
                    self._keep(Timing(longest.action, longest.device, longest.computed, now - longest.begun))
                self._spent(longest.cause, seconds)
                if any(one.action == "complete" for one in actions):
                    self._flights.land(self._exposure, now)
                if any(one.opens for one in actions):
                    self._exposure.opened(now)
                if longest.cause == "counting":
                    self._exposure.counted(now - longest.begun)
            return
        if message.command == "sleep":
            self._spent("waiting", seconds)
            return
        if len(self.messages[message.command]) < MOST_KEPT:
            self.messages[message.command].append(seconds)
        self._spent("messages", seconds)

    def _action(self, message: Msg, now: float) -> _Action:
        device = message.obj
        name = str(getattr(device, "name", device))
        if message.command == "prepare":
            return _Action("prepare", name, self._flights.prepare(device, message.args[0]), now, "moving")
        if message.command in ("kickoff", "complete"):
            computed = self._flights.complete(device) if message.command == "complete" else 0.0
            return _Action(message.command, name, computed, now, "flying")
        if self._flights.is_last_gate(device):
            return _Action("", name, 0.0, now, "flying")
        if message.command == "trigger":
            computed = computed_or_0(lambda: device.forecast({}).seconds) if isinstance(device, Forecasts) else 0.0
            return _Action("trigger", name, computed, now, "counting")
        value, computed = message.args[0], 0.0
        if isinstance(device, Rehearses):
            computed = computed_or_0(lambda: device.rehearsal({}).move(value))
        elif isinstance(device, Estimates) and isinstance(value, int | float):
            computed = computed_or_0(lambda: device.duration(float(device.position), float(value)))  # type: ignore[attr-defined]
        if isinstance(value, str) and value in (OPEN, CLOSED):
            return _Action("set", name, computed, now, "shutter", opens=value == OPEN)
        return _Action("set", name, computed, now, "moving")

    def _keep(self, timing: Timing) -> None:
        self.timings.append(timing)
        del self.timings[:-MOST_KEPT]

    def _spent(self, cause: str, seconds: float) -> None:
        if self._run is not None:
            self._run.by_cause[cause] += seconds


def _position(device: Any) -> float:
    """Return where something stands; NaN if it does not say."""
    try:
        position = getattr(device, "position", None)
    except RuntimeError:  # it is lost
        position = None
    return float(position) if isinstance(position, int | float) else math.nan


def told(times: RunTimes, start: Mapping[str, Any], beam: Beam | None = None, number: int = 0) -> str:
    """Return the line that ends a run: time taken and predicted, dead time by cause, dose given.

    Parameters
    ----------
    times : RunTimes
        Of the run.
    start : mapping
        Its start document; `preflight` of it holds what was predicted.
    beam : Beam, optional
        What is known of the beam; without it the dose is only told as it was predicted.
    number : int
        Which run of those that were predicted together, from 0.
    """
    predicted = dict(start.get("preflight") or {})
    text = f"taken {readable(times.seconds)}"
    if (seconds := _of_run(predicted, "predicted_runs_s", number)) is not None:
        text += f", predicted {'up to ' if predicted.get('up_to') else ''}{readable(seconds)}"
    causes = {cause: seconds for cause, seconds in times.by_cause.items() if cause not in COUNTING}
    parts = ", ".join(f"{cause} {readable(spent)}" for cause, spent in sorted(causes.items(), key=lambda one: -one[1]))
    text += f"; dead time {readable(times.dead_s)}" + (f": {parts}" if parts else "")
    before = _of_run(predicted, "dose_runs_Gy", number)
    gray = math.nan if beam is None else largest_dose(times.exposed_s, beam)
    if beam is not None and not math.isnan(gray):
        text += f"; dose {gray:.2g} Gy by {beam.source}"
        text += f", predicted {before:.2g} Gy" if before is not None else ""
    elif before is not None:
        text += f"; dose predicted {before:.2g} Gy by {predicted.get('dose_source')}"
    return text


def _of_run(predicted: Mapping[str, Any], key: str, number: int) -> float | None:
    """Return what was predicted of a run, None if nothing was."""
    values = list(predicted.get(key) or [])
    return float(values[number]) if number < len(values) else None


def at_end_of_run(
    watch: Stopwatch, tell: Callable[[str], Any], beam: Callable[[], Beam | None] = lambda: None
) -> Callable[[str, Mapping[str, Any]], None]:
    """Return a subscriber of the run engine that tells the line of each run at its end.

    Parameters
    ----------
    watch : Stopwatch
        The hook of the same run engine.
    tell : callable
        Given the line.
    beam : callable
        Returns what is known of the beam by then, if anything.
    """
    starts: list[Mapping[str, Any]] = []
    seen: dict[str, int] = {}

    def document(name: str, doc: Mapping[str, Any]) -> None:
        if name == "start":
            starts[:] = [doc]
        elif name == "stop" and starts and watch.last_run is not None:
            start = starts.pop()
            together = str(dict(start.get("preflight") or {}).get("uid", ""))
            number = seen.get(together, 0)
            seen.clear()
            seen[together] = number + 1
            tell(told(watch.last_run, start, beam(), number))

    return document

"""Walk through the messages of a plan as the run engine would, with a clock of its own, and nothing moves.

Devices are asked whether they would do what they are told, and how long it takes; where they would be by then is kept
here. Whatever a plan reads is answered by what it has set, else by what the device shows now. The live analysis is
never asked anything new, so that a loop which waits for a result goes on to its declared end: such a walk is "up to".
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from bluesky.utils import Msg, MsgGenerator

from whiteline.plans.preflight.times import TimeModel
from whiteline.plans.protocols import ChecksValue, Estimates, Forecast, Forecasts
from whiteline.plans.shutter import CLOSED, OPEN

NOT_EXPOSED = "flat", "dark"
"""Streams of events at which the sample takes no dose: it is out of the beam, or there is none."""

PLACE_DIGITS = 3
"""Places are the same if all axes agree to so many digits behind the point, in their units."""

MOST_MESSAGES = 5_000_000
"""A plan of more is taken for one without an end."""


class Beam(Protocol):
    """What is known of the beam on the sample."""

    def dose_per_s(self, energy: float) -> float:
        """Return the dose rate where the beam is on the sample [Gy/s]."""

    @property
    def source(self) -> str:
        """What it is known from, as the end of "dose by …"."""


@dataclass
class Walked:
    """What a plan would do.

    Attributes
    ----------
    seconds : float
        From beginning to end.
    by_cause : dict of str to float
        Where it goes [s]: "moving", "counting", "shutter", "messages", "waiting".
    messages : int
        How many there are.
    events : Counter
        By stream.
    frames, bytes : int
        That detectors write.
    travel : dict of str to (float, float)
        Lowest and highest position of each axis.
    exposed_s : dict
        How long the beam is on the sample, by place and energy [s]; a place is where all axes stand that were moved.
    violations : list of str
        What would be refused, each once.
    unchecked : set of str
        What could not be checked.
    unknown_times : set of str
        Whose times no device computes and no earlier run has shown.
    up_to : bool
        Whether a decision that depends on data was met: time and dose are at most these.
    """

    seconds: float = 0.0
    by_cause: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    messages: int = 0
    events: Counter[str] = field(default_factory=Counter)
    frames: int = 0
    bytes: int = 0
    travel: dict[str, tuple[float, float]] = field(default_factory=dict)
    exposed_s: dict[tuple[tuple[float, ...], float], float] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    unchecked: set[str] = field(default_factory=set)
    unknown_times: set[str] = field(default_factory=set)
    up_to: bool = False


class Walker:
    """Answers the messages of a plan.

    Parameters
    ----------
    times : TimeModel
        What earlier runs have taught.
    energy : object
        The energy axis, whose positions are those of the dose.
    strict : bool
        Whether the first violation is raised.
    """

    def __init__(self, times: TimeModel, energy: object = None, strict: bool = False) -> None:
        self.found = Walked()
        self._times, self._energy, self._strict = times, energy, strict
        self._now = 0.0
        self._satisfied: dict[tuple[str, type], bool] = {}
        self._handlers: dict[str, Callable[[Msg], Any] | None] = {}
        self._values: dict[int, Any] = {}
        self._settings: dict[int, dict[str, Any]] = defaultdict(dict)
        self._forecasts: dict[int, Forecast] = {}
        self._groups: dict[Any, list[tuple[float, str]]] = defaultdict(list)
        self._opened_at: float | None = None
        self._open_s = 0.0
        self._triggered: list[Any] = []
        self._place: dict[str, float] = {}
        self._start: dict[str, float] = {}
        self._exposed: list[tuple[dict[str, float], float, float]] = []

    def walk(self, plan: MsgGenerator[Any]) -> Walked:
        """Take all messages of a plan.

        Raises
        ------
        ValueError
            The first violation, if this is strict; or if the plan has no end.
        """
        answer: Any = None
        found = self.found
        try:
            while True:
                message = plan.send(answer)
                found.messages += 1
                if found.messages > MOST_MESSAGES:
                    raise ValueError(f"the plan goes on after {MOST_MESSAGES} messages: it has no end that shows")
                answer = self._take(message)
        except StopIteration:
            pass
        finally:
            plan.close()
        found.seconds = self._now
        for place, energy, seconds in self._exposed:
            # an axis that had not been moved by then stood where it stands now
            key = tuple(round(place.get(name, start), PLACE_DIGITS) for name, start in self._start.items()), energy
            found.exposed_s[key] = found.exposed_s.get(key, 0.0) + seconds
        return found

    def _take(self, message: Msg) -> Any:
        command = message.command
        self._spend(self._times.messages.get(command, 0.0), "messages")
        if command not in self._handlers:
            self._handlers[command] = getattr(self, f"_on_{command}", None)
        handler = self._handlers[command]
        return None if handler is None else handler(message)

    def _has(self, device: Any, protocol: type) -> bool:
        """Tell whether a device satisfies a protocol; asked once for each kind, as the question takes its time."""
        key = f"{type(device).__module__}.{type(device).__qualname__}", protocol
        if key not in self._satisfied:
            self._satisfied[key] = isinstance(device, protocol)
        return self._satisfied[key]

    def _spend(self, seconds: float, cause: str) -> None:
        self._now += seconds
        self.found.by_cause[cause] += seconds

    def _violation(self, error: Exception) -> None:
        if self._strict:
            raise error
        if (sentence := str(error)) not in self.found.violations:
            self.found.violations.append(sentence)

    # what devices are told

    def _on_set(self, message: Msg) -> None:
        device, value = message.obj, message.args[0]
        name = str(getattr(device, "name", device))
        if self._has(device, ChecksValue):
            try:
                device.check_value(value)
            except (ValueError, TypeError, RuntimeError) as error:
                self._violation(error)
        else:
            self.found.unchecked.add(name)
        computed = self._computed(device, name, value)
        cause = "shutter" if value in (OPEN, CLOSED) else "moving"
        group = message.kwargs.get("group")
        done = self._now + self._times.seconds("set", name, computed)
        self._groups[group].append((done, cause))
        self._values[id(device)] = value
        self._note(device, name, value)
        if value == OPEN and self._opened_at is None:
            self._opened_at = done
        elif value == CLOSED and self._opened_at is not None:
            self._open_s += max(0.0, self._now - self._opened_at)
            self._opened_at = None

    def _computed(self, device: Any, name: str, value: Any) -> float:
        if isinstance(value, int | float) and self._has(device, Estimates):
            start = self._values.get(id(device))
            try:
                return device.duration(float(device.position if start is None else start), float(value))
            except (ValueError, TypeError, RuntimeError, AttributeError):
                pass  # what cannot be computed was told as a violation, or stands in what could not be checked
        if not self._times.knows("set", name):
            self.found.unknown_times.add(name)
        return 0.0

    def _note(self, device: Any, name: str, value: Any) -> None:
        parent, attribute = getattr(device, "parent", None), getattr(device, "attr_name", "")
        if parent is not None and self._has(parent, Forecasts):
            self._settings[id(parent)][attribute] = value
            self._forecasts.pop(id(parent), None)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            low, high = self.found.travel.get(name, (value, value))
            self.found.travel[name] = min(low, value), max(high, value)
            if device is not self._energy:
                self._start.setdefault(name, _position(device, float(value)))
                self._place[name] = float(value)

    def _on_trigger(self, message: Msg) -> None:
        device = message.obj
        name = str(device.name)
        computed = 0.0
        if self._has(device, Forecasts):
            forecast = self._forecast(device)
            computed = forecast.seconds
            self.found.frames += forecast.frames
            self.found.bytes += forecast.bytes
        elif not self._times.knows("trigger", name):
            self.found.unknown_times.add(name)
        if str(getattr(device, "name", "")).startswith("live_"):
            self.found.up_to = True
        group = message.kwargs.get("group")
        self._groups[group].append((self._now + self._times.seconds("trigger", name, computed), "counting"))
        self._triggered.append(device)

    def _forecast(self, device: Any) -> Forecast:
        known = self._forecasts.get(id(device))
        if known is None:
            known = self._forecasts[id(device)] = device.forecast(self._settings[id(device)])
        return known

    def _on_wait(self, message: Msg) -> bool:
        group = message.kwargs.get("group", message.args[0] if message.args else None)
        pending = self._groups.pop(group, [])
        if pending:
            done, cause = max(pending)
            self._spend(max(0.0, done - self._now), cause)
        return True

    def _on_configure(self, message: Msg) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        device, values = message.obj, message.args[0]
        if callable(check := getattr(device, "check", None)):
            try:
                check(values)
            except (ValueError, TypeError, RuntimeError) as error:
                self._violation(error)
        else:
            self.found.unchecked.add(str(device.name))
        self._settings[id(device)].update(values)
        self._forecasts.pop(id(device), None)
        return {}, {}

    def _on_stage(self, message: Msg) -> list[Any]:
        name = str(getattr(message.obj, "name", message.obj))
        self._spend(self._times.seconds("stage", name, 0.0) if self._has(message.obj, Forecasts) else 0.0, "messages")
        return [message.obj]

    def _on_unstage(self, message: Msg) -> list[Any]:
        return self._on_stage(message)

    def _on_sleep(self, message: Msg) -> None:
        self._spend(float(message.args[0]), "waiting")

    # what a plan asks

    def _on_locate(self, message: Msg) -> Any:
        found = []
        for device in (message.obj, *message.args):
            if id(device) in self._values:
                found.append({"setpoint": self._values[id(device)], "readback": self._values[id(device)]})
            else:
                found.append(device.locate())
        return found[0] if len(found) == 1 else found

    def _on_read(self, message: Msg) -> Mapping[str, Any]:
        device = message.obj
        if id(device) in self._values:
            return {device.name: {"value": self._values[id(device)], "timestamp": 0.0}}
        return {} if self._has(device, Forecasts) else device.read()

    def _on_open_run(self, _: Msg) -> str:
        return "preflight"

    def _on_close_run(self, _: Msg) -> str:
        return "preflight"

    def _on_create(self, message: Msg) -> None:
        stream = str(message.kwargs.get("name") or (message.args[0] if message.args else "primary"))
        self.found.events[stream] += 1
        seconds, self._open_s = self._open_s, 0.0
        energy = self._values.get(id(self._energy), getattr(self._energy, "position", None))
        self._require_excited(energy)
        if stream not in NOT_EXPOSED and seconds:
            self._exposed.append((dict(self._place), float("nan") if energy is None else float(energy), seconds))

    def _require_excited(self, energy: Any) -> None:
        """Refuse lines that cannot be counted at an energy, where a detector knows them."""
        triggered, self._triggered = self._triggered, []
        if energy is None:
            return
        for device in triggered:
            if callable(check := getattr(device, "check_energy", None)):
                try:
                    check(float(energy))
                except (ValueError, RuntimeError) as error:
                    self._violation(error)


def _position(device: Any, otherwise: float) -> float:
    """Return where a device stands now, if it says so."""
    position = getattr(device, "position", None)
    return float(position) if isinstance(position, int | float) else otherwise

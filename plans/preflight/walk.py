"""Walk through the messages of a plan as the run engine would, with a clock of its own, and nothing moves.

Devices are asked whether they would do what they are told, and how long it takes; where they would be by then is kept
here. Whatever a plan reads is answered by what it has set, else by what the device shows now; what would be measured is
not known, and is answered by NaN. So a loop which waits for a result goes on to its declared end, and a plan that could
not go on without a result is told what to suppose: such a walk is "up to".
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from bluesky.utils import Msg, MsgGenerator

from whiteline.analysis.laws.fly_line import FlyLine
from whiteline.plans.preflight.asked import REFUSALS, Devices, is_number
from whiteline.plans.preflight.exposure import NOT_EXPOSED, Exposure
from whiteline.plans.preflight.flying import ROTATION, Lines
from whiteline.plans.preflight.times import TimeModel
from whiteline.plans.preflight.walked import Walked, WalkedRun
from whiteline.plans.protocols import FlyPart
from whiteline.plans.shutter import CLOSED, OPEN

MOST_MESSAGES = 5_000_000
"""A plan of more is taken for one without an end."""

Handler = Callable[[Msg], Any]


class Walker:
    """Answers the messages of a plan.

    Parameters
    ----------
    times : TimeModel
        What earlier runs have taught.
    energy : object, optional
        The energy axis, whose positions are those of the dose; what the start document names as energy if not given.
    strict : bool
        Whether the first violation is raised.
    """

    def __init__(self, times: TimeModel, energy: object = None, strict: bool = False) -> None:
        self.found = Walked()
        self.devices = Devices(times)
        self.energy = energy
        self._times, self._strict = times, strict
        self._now = 0.0
        self._handlers: dict[str, tuple[Handler | None, float]] = {}
        self._groups: dict[Any, tuple[float, str, float]] = {}
        self._exposure = Exposure()
        self._triggered: list[Any] = []
        self._energy_name = ""
        self._lines = Lines(self.devices, times)
        self._flown: list[tuple[Any, FlyLine]] = []

    def walk(self, plan: MsgGenerator[Any]) -> Walked:
        """Take all messages of a plan.

        Raises
        ------
        ValueError
            The first violation, if this is strict; or if the plan has no end.
        """
        answer: Any = None
        found, known, send = self.found, self._handlers, plan.send
        own = 0.0
        try:
            while True:
                message = send(answer)
                found.messages += 1
                if found.messages > MOST_MESSAGES:
                    raise ValueError(f"the plan goes on after {MOST_MESSAGES} messages: it has no end that shows")
                handler, seconds = known.get(message.command) or self._handler(message.command)
                self._now += seconds
                own += seconds
                answer = None if handler is None else handler(message)
        except StopIteration:
            pass
        finally:
            plan.close()
        if own:
            found.by_cause["messages"] += own
        found.seconds = self._now
        found.exposed_s, found.shuttered = self._exposure.by_place(), self._exposure.shuttered
        for number, run in enumerate(found.runs):
            run.exposed_s = self._exposure.by_place(number)
        for one in self.devices.values():
            if one.rehearsal is not None:
                found.travel |= {name: ends for name, ends in one.rehearsal.travel.items() if name not in found.travel}
                found.facts |= one.rehearsal.summary()
        found.facts |= self._lines.facts()
        return found

    def _handler(self, command: str) -> tuple[Handler | None, float]:
        handler = getattr(self, f"_on_{command}", None)
        found = self._handlers[command] = handler, self._times.messages.get(command, 0.0)
        return found

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
        one, value = self.devices[message.obj], message.args[0]
        if one.noted:
            return
        start, seconds = one.start() if one.on_sample else None, 0.0
        try:
            computed = one.move(value)
        except REFUSALS as error:
            self._violation(error)
        else:
            if computed is None and not self._times.knows("set", one.name):
                self.found.unknown_times.add(one.name)
            seconds = computed or 0.0
        if not one.is_checked:
            self.found.unchecked.add(one.name)
        done = self._now + one.set_takes.seconds(seconds)
        is_shutter = isinstance(value, str) and value in (OPEN, CLOSED)
        self._begin(message, done, "shutter" if is_shutter else "moving")
        if is_shutter:
            self._exposure.opened(done) if value == OPEN else self._exposure.closed(self._now)
        elif one.parent is None and is_number(value):
            low, high = self.found.travel.get(one.name, (value, value))
            self.found.travel[one.name] = min(low, value), max(high, value)
            if one.on_sample:
                self._exposure.moved(one.name, float(value if start is None else start), float(value))

    def _on_trigger(self, message: Msg) -> None:
        one = self.devices[message.obj]
        if one.noted:  # the last gate of a line
            if (seconds := self._lines.last_gate_s(one)) is not None:
                self._begin(message, self._now + seconds, "flying")
            return
        one.triggered = True
        computed = 0.0
        if one.forecasts:
            forecast = one.forecast()
            computed = forecast.seconds
            self.found.frames += forecast.frames
            self.found.bytes += forecast.bytes
        elif not self._times.knows("trigger", one.name):
            self.found.unknown_times.add(one.name)
        self.found.up_to |= one.told
        self._begin(message, self._now + one.trigger_takes.seconds(computed), "counting")
        self._triggered.append(one)

    def _begin(self, message: Msg, done: float, cause: str) -> None:
        """Note when something is done that is waited for in a group."""
        group = message.kwargs.get("group")
        before = self._groups.get(group)
        if before is None or done > before[0]:
            self._groups[group] = done, cause, self._now

    def _on_wait(self, message: Msg) -> bool:
        pending = self._groups.pop(message.kwargs.get("group", message.args[0] if message.args else None), None)
        if pending is not None:
            done, cause, begun = pending
            self._spend(max(0.0, done - self._now), cause)
            if cause == "counting":
                self._exposure.counted(done - begun)
            elif cause == "flying":
                self._expose_lines()
        return True

    # lines that are flown

    def _on_prepare(self, message: Msg) -> None:
        one, seconds = self.devices[message.obj], 0.0
        try:
            computed = self._lines.prepare(one, message.args[0])
        except REFUSALS as error:
            self._violation(error)
        else:
            if computed is None:
                self.found.unchecked.add(one.name)
            seconds = computed or 0.0
        self._begin(message, self._now + self._times.seconds("prepare", one.name, seconds), "moving")

    def _on_kickoff(self, message: Msg) -> None:
        name = self.devices[message.obj].name
        self._begin(message, self._now + self._times.seconds("kickoff", name, 0.0), "flying")

    def _on_complete(self, message: Msg) -> None:
        one = self.devices[message.obj]
        known = self._lines.complete(one)
        if known is None:
            self.found.unknown_times.add(one.name)
            self._begin(message, self._now + self._times.seconds("complete", one.name, 0.0), "flying")
            return
        line, forecast = known
        self.found.frames += forecast.frames
        self.found.bytes += forecast.bytes
        if hasattr(one.device, "line_result"):
            self.found.events["fly"] += 1
            self._flown.append((self._lines.axis_of(one, line), line))
        energy = self._energy_now()
        if not math.isnan(energy):
            self._require_excited([one], energy)
        self._begin(message, self._now + self._times.seconds("complete", one.name, forecast.seconds), "flying")

    def _expose_lines(self) -> None:
        """Note what the lines have exposed that are over, and where their axes are by then."""
        for axis, line in self._flown:
            energies = self._lines.energies.get(line) or (self._energy_now(),)
            self.found.energies.update(one for one in energies if not math.isnan(one))
            along = axis is not None and axis.on_sample and line.channel != ROTATION
            middle = (line.first + line.last) / 2
            if along:
                self._exposure.flown(line.gate_s, energies, self._now, axis.name, middle)
            else:
                self._exposure.flown(line.length_s, energies, self._now)
            if axis is not None:
                self.devices.places[axis.device] = line.last
                ends = self.found.travel.get(axis.name, (line.first, line.first))
                self.found.travel[axis.name] = min(*ends, line.first, line.last), max(*ends, line.first, line.last)
        self._flown.clear()

    def _on_configure(self, message: Msg) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        one, values = self.devices[message.obj], message.args[0]
        if not one.checks_settings:
            self.found.unchecked.add(one.name)
        try:
            one.configure(values)
        except REFUSALS as error:
            self._violation(error)
        return {}, {}

    def _on_stage(self, message: Msg) -> list[Any]:
        return self._stage(message.obj, True)

    def _on_unstage(self, message: Msg) -> list[Any]:
        return self._stage(message.obj, False)

    def _stage(self, device: Any, staged: bool) -> list[Any]:
        one = self.devices[device]
        one.staged = staged
        if one.rehearsal is not None:
            one.rehearsal.stage() if staged else one.rehearsal.unstage()
        if one.forecasts or isinstance(device, FlyPart):
            self._spend(self._times.seconds("stage" if staged else "unstage", one.name, 0.0), "messages")
        return [device]

    def _on_sleep(self, message: Msg) -> None:
        self._spend(float(message.args[0]), "waiting")

    # what a plan asks

    def _on_locate(self, message: Msg) -> Any:
        found = [self.devices[device].location() for device in (message.obj, *message.args)]
        return found[0] if len(found) == 1 else found

    def _on_read(self, message: Msg) -> Mapping[str, Any]:
        return self.devices[message.obj].reading()

    def _on_null(self, message: Msg) -> Any:
        if "clock" in message.kwargs:
            return self._now
        if "suppose" in message.kwargs:
            self.found.up_to = True
            return message.kwargs["suppose"]
        return None

    def _on_open_run(self, message: Msg) -> str:
        about = message.kwargs
        self.found.up_to |= bool(about.get("may_stop_early"))
        self._energy_name = dict(about.get("roles") or {}).get("energy", "")
        self._exposure.run(len(self.found.runs))
        self.found.runs.append(WalkedRun(self._now))
        return "preflight"

    def _on_close_run(self, _: Msg) -> str:
        if self.found.runs:
            self.found.runs[-1].seconds = self._now - self.found.runs[-1].begun
        return "preflight"

    def _on_create(self, message: Msg) -> None:
        stream = str(message.kwargs.get("name") or (message.args[0] if message.args else "primary"))
        self.found.events[stream] += 1
        energy = self._energy_now()
        triggered, self._triggered = self._triggered, []
        if stream not in NOT_EXPOSED and not math.isnan(energy) and triggered:
            self.found.energies.add(energy)
            self._require_excited(triggered, energy)
        self._exposure.event(stream, energy, self._now)

    def _energy_now(self) -> float:
        """Return where the energy axis is [eV]; NaN as long as none is known."""
        if self.energy is None:
            self.energy = self.devices.named.get(self._energy_name)
        if self.energy is None:
            return math.nan
        value = self.devices[self.energy].start()
        return float(value) if is_number(value) else math.nan

    def _require_excited(self, triggered: list[Any], energy: float) -> None:
        """Refuse lines that cannot be counted at an energy, where a detector knows them."""
        for one in triggered:
            try:
                one.require_excited(energy)
            except REFUSALS as error:
                self._violation(error)

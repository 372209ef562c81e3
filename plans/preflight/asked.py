"""What devices are asked in a preflight: would you do that, and how long would it take? Each thing is asked once.

What has been asked is remembered for one walk, in which nothing moves and nobody changes a calibration.
"""

import math
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from whiteline.plans.preflight.exposure import moves_sample
from whiteline.plans.preflight.times import Experience, TimeModel
from whiteline.plans.protocols import Forecast, Rehearsal

REFUSALS = ValueError, TypeError, RuntimeError
"""What devices raise where they refuse something."""

UNKNOWN = *REFUSALS, AttributeError, KeyError, TimeoutError
"""What a device may raise that is asked for what it cannot tell now."""


@dataclass(eq=False)
class Asked:
    """One device, as it is known in a walk.

    Attributes
    ----------
    device : object
        The device.
    name : str
        Its name.
    places : mutable mapping of object to object
        Where devices would be by then, and what settings would be, of all devices of the walk.
    rehearsal : Rehearsal or None
        Of a device that moves others.
    parent : Asked or None
        The detector whose setting this is.
    settings : dict
        That the plan has changed, by their names.
    checks, estimates, forecasts, told : bool
        What it can say beforehand: whether it would refuse, how long a move takes, what a trigger takes and leaves;
        and whether it tells what data have shown.
    on_sample : bool
        Whether it moves the sample.
    check_energy : callable or None
        Refuses an energy that excites none of the lines that it is to count.
    set_takes, trigger_takes : Experience
        How long that takes besides, or instead of, what it computes.
    staged, triggered : bool
        What has happened to it in this walk.
    noted : bool
        Whether it is a note between a plan and a capture box: it takes no time, and nobody knows what it will read.
    """

    device: Any
    name: str
    places: MutableMapping[Any, Any]
    rehearsal: Rehearsal | None
    parent: "Asked | None"
    checks: bool
    estimates: bool
    forecasts: bool
    told: bool
    on_sample: bool
    check_energy: Callable[[float], None] | None
    set_takes: Experience
    trigger_takes: Experience
    settings: dict[str, Any] = field(default_factory=dict)
    staged: bool = False
    triggered: bool = False
    noted: bool = False
    _moves: dict[Any, tuple[float | None, Exception | None]] = field(default_factory=dict)
    _forecast: Forecast | None = None
    _known: Mapping[str, Any] | None = None
    _excited_at: float | None = None

    @property
    def is_checked(self) -> bool:
        """Whether it says beforehand what it would refuse."""
        return self.checks or self.rehearsal is not None

    def move(self, value: Any) -> float | None:
        """Return how long it takes to set it to a value [s], None where nobody knows.

        Raises
        ------
        ValueError, TypeError, RuntimeError
            What it would refuse.
        """
        if self.rehearsal is not None:
            seconds = self.rehearsal.move(value)
            self.places[self.device] = value
            return seconds
        if self.parent is not None:
            self._change(value)
            return None
        start = self.places.get(self.device)
        if start is None and self.estimates:
            start = self.start()
        try:
            key = start, value
            known = self._moves.get(key)
        except TypeError:  # a list, as of filters
            key, known = None, None
        if known is None:
            known = self._ask(start, value)
            if key is not None:
                self._moves[key] = known
        self.places[self.device] = value
        if known[1] is not None:
            raise known[1]
        return known[0]

    def start(self) -> Any:
        """Return where it would be by then; None where it does not say."""
        found = self.places.get(self.device)
        return _position(self.device) if found is None else found

    def _ask(self, start: Any, value: Any) -> tuple[float | None, Exception | None]:
        if self.checks:
            try:
                self.device.check_value(value)
            except REFUSALS as error:
                return None, error
        if self.estimates and is_number(start) and is_number(value):
            try:
                return float(self.device.duration(float(start), float(value))), None
            except UNKNOWN:
                return None, None  # what cannot be computed stands in what is not known
        return None, None

    def _change(self, value: Any) -> None:
        """Change a setting of a detector, which is checked together with those that were changed before."""
        assert self.parent is not None
        self.places[self.device] = value
        if self.checks and not self.parent.checks_settings:
            self.device.check_value(value)
        self.parent.configure({str(self.device.attr_name): value})

    @property
    def checks_settings(self) -> bool:
        """Whether it says which settings it would refuse."""
        return callable(getattr(self.device, "check", None))

    def configure(self, values: Mapping[str, Any]) -> None:
        """Change settings together.

        Raises
        ------
        ValueError, TypeError, RuntimeError
            What the device would refuse, with the settings that were changed before.
        """
        self.settings, self._forecast = {**self.settings, **values}, None
        if self.checks_settings:
            self.device.check(dict(self.settings))
        fixed = sorted(set(getattr(self.device, "fixed_while_staged", ())) & set(values))
        if fixed and self.staged:
            raise ValueError(
                f"{', '.join(fixed)} of {self.name} cannot change while it is staged: the run's description names the "
                "shape of its data; change it before the run"
            )

    def forecast(self) -> Forecast:
        """Return what its next trigger takes and leaves."""
        if self._forecast is None:
            self._forecast = self.device.forecast(self.settings)
        return self._forecast

    def reading(self) -> Mapping[str, Any]:
        """Return what a plan reads of it: where it was set; NaN for what would be measured; else what it shows now."""
        if self.noted or (self.told and self.triggered):
            return {}  # what it knows is of an earlier run
        if (value := self.places.get(self.device)) is not None:
            return {self.name: {"value": value, "timestamp": 0.0}}
        if self.estimates and is_number(value := self.start()):  # an axis that stays where it is
            self.places[self.device] = value
            return {self.name: {"value": value, "timestamp": 0.0}}
        if not (self.forecasts or self.triggered):
            return self.device.read()
        if self._known is None:
            try:
                keys = list(self.device.describe())
            except UNKNOWN:
                keys = []
            self._known = {key: {"value": math.nan, "timestamp": 0.0} for key in keys}
        return self._known

    def location(self) -> Mapping[str, Any]:
        """Return where it was sent, and where it is."""
        if (value := self.places.get(self.device)) is not None:
            return {"setpoint": value, "readback": value}
        return self.device.locate()

    def require_excited(self, energy: float) -> None:
        """Raise if it is to count lines that cannot be excited at an energy [eV], where it knows its lines."""
        if self.check_energy is not None and energy != self._excited_at:
            self._excited_at = energy
            self.check_energy(energy)


class Devices(dict[Any, Asked]):
    """All devices of a walk, as they are known in it; one that is met for the first time is asked what it can say.

    Parameters
    ----------
    times : TimeModel
        What earlier runs have taught.

    Attributes
    ----------
    places : dict of object to object
        Where devices would be by then, and what settings would be.
    named : dict of str to object
        Devices that were met, by name.
    """

    def __init__(self, times: TimeModel) -> None:
        super().__init__()
        self.places: dict[Any, Any] = {}
        self.named: dict[str, Any] = {}
        self._times = times

    def __missing__(self, device: Any) -> Asked:
        found = self[device] = self._new(device)
        self.named.setdefault(found.name, device)
        return found

    def _new(self, device: Any) -> Asked:
        name, parent = str(getattr(device, "name", device)), getattr(device, "parent", None)
        is_setting = parent is not None and can(parent, "forecast") and hasattr(device, "attr_name")
        return Asked(
            device,
            name,
            self.places,
            rehearsal=device.rehearsal(self.places) if can(device, "rehearsal") else None,
            parent=self[parent] if is_setting else None,
            checks=can(device, "check_value"),
            estimates=can(device, "duration"),
            forecasts=can(device, "forecast"),
            told=bool(getattr(device, "told", False)),
            on_sample=moves_sample(device),
            check_energy=_check_energy(device),
            set_takes=self._times.experience("set", name),
            trigger_takes=self._times.experience("trigger", name),
        )


def can(device: Any, method: str) -> bool:
    """Tell whether a device has the method of a protocol; to ask for the protocol itself takes ten times as long."""
    return callable(getattr(device, method, None))


def _check_energy(device: Any) -> Callable[[float], None] | None:
    """Return what refuses an energy; of a triggered detector that of the same as it counts at a point."""
    for one in (device, getattr(device, "detector", None)):
        found: Callable[[float], None] | None = getattr(one, "check_energy", None)
        if found is not None:
            return found
    return None


def is_number(value: Any) -> bool:
    """Tell whether a value is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _position(device: Any) -> Any:
    try:
        return getattr(device, "position", None)
    except UNKNOWN:
        return None

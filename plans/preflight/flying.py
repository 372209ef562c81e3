"""Lines of fly scans in a preflight: whether they would be flown, how long they take, and what they leave.

Velocity, run-up, limits, rate of triggers and buffers are checked by the parts themselves. What is told besides is the
highest rate of triggers, and of data.
"""

from dataclasses import dataclass, field
from typing import Any

from whiteline.analysis.laws.fly_line import FlyLine
from whiteline.plans.preflight.asked import REFUSALS, UNKNOWN, Asked, Devices, is_number
from whiteline.plans.preflight.times import TimeModel
from whiteline.plans.protocols import FlyPart, LineForecast, SweepsEnergy

ROTATION = "rotation"
"""Channel of an axis that turns the sample: the beam stays on all of it."""

MB = 1e6


@dataclass(eq=False)
class Lines:
    """The lines of a walk.

    Parameters
    ----------
    devices : Devices
        Of the walk.
    times : TimeModel
        What earlier runs have taught.

    Attributes
    ----------
    energies : dict of FlyLine to (float, float)
        Of lines along which the energy goes on, at their beginning and end [eV].
    rate, bytes_per_s : float
        The highest rate of triggers [1/s], and of data while a line is flown [bytes/s].
    """

    devices: Devices
    times: TimeModel
    rate: float = 0.0
    bytes_per_s: float = 0.0
    energies: dict[FlyLine, tuple[float, float]] = field(default_factory=dict)
    _prepared: dict[Any, FlyLine] = field(default_factory=dict)
    _known: dict[Any, tuple[LineForecast | None, Exception | None]] = field(default_factory=dict)
    _flow: dict[FlyLine, dict[Any, float]] = field(default_factory=dict)
    _boxes: dict[Any, Any] = field(default_factory=dict)

    def prepare(self, one: Asked, line: Any) -> float | None:
        """Return how long it takes to get ready for a line [s]; None where nobody knows.

        Raises
        ------
        ValueError, TypeError, RuntimeError
            What one of the parts would refuse.
        """
        if not isinstance(one.device, FlyPart) or not isinstance(line, FlyLine):
            return None
        self._prepared[one.device] = line
        for part in ("line", "line_result", "last_gate"):
            if (signal := getattr(one.device, part, None)) is not None and not callable(signal):
                self.devices[signal].noted = True
                self._boxes[signal] = one.device
        if isinstance(one.device, SweepsEnergy):
            self.energies[line] = one.device.energies(line)
        _, error = self._asked(one.device, line)
        if error is not None:
            raise error
        return self._way(one, line)

    def last_gate_s(self, one: Asked) -> float | None:
        """Return how long the line of a box takes whose last gate is waited for [s]; None where nobody knows."""
        box = self._boxes.get(one.device)
        if box is None or (line := self._prepared.get(box)) is None:
            return None
        forecast, _ = self._asked(box, line)
        return None if forecast is None else self.times.seconds("complete", box.name, forecast.seconds)

    def complete(self, one: Asked) -> tuple[FlyLine, LineForecast] | None:
        """Return the line that a part has flown, and what it takes and leaves; None where nobody knows."""
        line = self._prepared.get(one.device)
        if line is None:
            return None
        forecast, _ = self._asked(one.device, line)
        if forecast is None:
            return None
        flow = self._flow.setdefault(line, {})
        flow[one.device] = forecast.bytes / line.length_s
        self.rate = max(self.rate, line.rate)
        self.bytes_per_s = max(self.bytes_per_s, sum(flow.values()))
        return line, forecast

    def axis_of(self, one: Asked, line: FlyLine) -> Asked | None:
        """Return the axis that a capture box moves along a line; None if it moves none, or does not say."""
        axis = dict(getattr(one.device, "axes", None) or {}).get(line.channel)
        return None if axis is None else self.devices[axis]

    def facts(self) -> dict[str, str]:
        """Return what is told of all lines, by what it is."""
        if not self.rate:
            return {}
        return {"triggers": f"up to {self.rate:.4g} per s", "data rate": f"up to {self.bytes_per_s / MB:.3g} MB/s"}

    def _asked(self, device: Any, line: FlyLine) -> tuple[LineForecast | None, Exception | None]:
        key = device, line
        if key not in self._known:
            try:
                device.check_value(line)
            except REFUSALS as error:
                self._known[key] = None, error
            else:
                self._known[key] = _forecast(device, line), None
        return self._known[key]

    def _way(self, one: Asked, line: FlyLine) -> float:
        """Return how long the axis takes to the beginning of a line [s]."""
        axis = self.axis_of(one, line)
        if axis is None or not axis.estimates or not is_number(here := axis.start()):
            return 0.0
        try:
            return float(axis.device.duration(float(here), float(line.first)))
        except UNKNOWN:
            return 0.0


def _forecast(device: Any, line: FlyLine) -> LineForecast | None:
    try:
        found: LineForecast = device.forecast_line(line)
    except UNKNOWN:
        return None
    return found

"""The axes that a capture box reads: along which it takes lines, how long a line takes, and where each is at 0."""

import time
from collections.abc import Mapping
from typing import Any

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.laws.fly_line import FlyLine
from whiteline.devices.flown_line import FlownLine
from whiteline.devices.fly_axis import FlyAxis
from whiteline.devices.forecast import Forecast
from whiteline.devices.triggered import TriggeredDetector

BYTES = 8
"""Of one number in the file."""


class CaptureAxes(FlownLine):
    """A capture box that knows what its channels read.

    Parameters
    ----------
    prefix : str
        Of its process variables.
    write, read : str
        Folder of its files, as the IOC sees it and as clients do.
    axes : mapping of str to SampleAxis or Motor
        The axis of each position channel along which lines go.
    most_per_s : float
        Pulses that it writes for good [1/s].
    buffer : int
        Pulses that it holds that are not written yet.
    triggered : TriggeredDetector or None
        That it triggers.

    """

    def __init__(
        self,
        prefix: str,
        *,
        name: str,
        write: str,
        read: str,
        axes: Mapping[str, Any],
        most_per_s: float,
        buffer: int,
        triggered: TriggeredDetector | None = None,
        **kwargs: Any,
    ) -> None:
        self.most_per_s, self.buffer, self.triggered = most_per_s, buffer, triggered
        self._axes = {channel: FlyAxis(axis) for channel, axis in axes.items()}
        super().__init__(prefix, name=name, write=write, read=read, **kwargs)
        for one in self._axes.values():
            if (shown := one.shown_by) is not None:
                shown.subscribe(self.wake, run=False)

    @property
    def axes(self) -> Mapping[str, Any]:
        """The axis of each position channel along which lines go."""
        return {channel: one.axis for channel, one in self._axes.items()}

    def channel_of(self, axis: Any) -> str:
        """Return the position channel of an axis.

        Raises
        ------
        ValueError
            If it reads none of it, naming those that it reads.
        """
        for channel, one in self._axes.items():
            if axis is one.axis or axis is one.motor:
                return channel
        known = ", ".join(f"{one.axis.name} ({channel})" for channel, one in self._axes.items())
        raise ValueError(f"{self.name} has no channel along {getattr(axis, 'name', axis)}; it has {known}")

    def axis_of(self, line: FlyLine) -> FlyAxis | None:
        """Return what a line moves; None by the clock. Raises `ValueError` for a channel along which it cannot fly."""
        if line.by_clock:
            return None
        if line.channel not in self._axes:
            known = ", ".join(map(repr, self._axes))
            raise ValueError(f"{self.name} cannot fly along {line.channel!r}; it can along {known}")
        return self._axes[line.channel]

    def check_value(self, line: FlyLine) -> None:
        """Refuse a line that could not be taken.

        Raises
        ------
        TypeError
            If it is no line.
        ValueError
            If its channel is unknown.
        OutOfRange
            If pulses come faster than they can be written, or the axis cannot make the line: velocity, limits.
        Lost
            If the IOC of the axis is lost.
        """
        if not isinstance(line, FlyLine):
            raise TypeError(f"{self.name} takes a FlyLine, not {line!r}")
        axis = self.axis_of(line)
        over = line.pulses * (1 - self.most_per_s / line.rate)
        if over > self.buffer:
            raise OutOfRange(
                f"pulses of a line of {self.name}",
                line.pulses,
                f"at {line.rate:.6g} per second run over its buffer of {self.buffer}: it writes {self.most_per_s:g} "
                "per second for good",
                "",
                f"dwell {1 / self.most_per_s:.3g} s or longer, or take fewer pulses",
            )
        if axis is not None:
            axis.check(line)

    def forecast_line(self, line: FlyLine) -> Forecast:
        """Return how long a line takes from rest to rest, and what it adds to the file; raises as `check_value`."""
        self.check_value(line)
        columns = self.columns.get()
        count = 1 if isinstance(columns, str) else len(columns)
        return Forecast(self.seconds(line, self.axis_of(line)), 0, count * line.pulses * BYTES)

    def read_configuration(self) -> dict[str, dict[str, Any]]:
        """Return the dwell, and what the box reads where a direction of the sample is at 0: `<name>_<channel>_zero`."""
        found: dict[str, dict[str, Any]] = dict(super().read_configuration())
        for key, axis in self._with_zero().items():
            found[key] = {"value": axis.zero, "timestamp": time.time()}
        return found

    def describe_configuration(self) -> dict[str, dict[str, Any]]:
        """Describe what `read_configuration` returns."""
        found: dict[str, dict[str, Any]] = dict(super().describe_configuration())
        for key, axis in self._with_zero().items():
            about = {"source": f"PY:{key}", "dtype": "number", "shape": [], "units": axis.motor.egu}
            found[key] = about
        return found

    def _with_zero(self) -> dict[str, FlyAxis]:
        axes = {f"{self.name}_{channel}_zero": axis for channel, axis in self._axes.items()}
        return {key: axis for key, axis in axes.items() if axis.shown_by is not None}

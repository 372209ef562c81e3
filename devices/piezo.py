"""A piezo axis whose arrival is judged by the interferometer.

The axis has its own sensor, in closed loop; its record says "done" when that one is content. What the sample does is
seen by the interferometer. So after the record is done, the readings of the interferometer must stay, for some time
and without a break, within a band around where they should be: what they were before the move, changed by the way
that the axis was told to go. Neither zero is taken for that of the other.
"""

from typing import Any

from ophyd import Component

from whiteline.analysis.checks import require_positive
from whiteline.devices.errands import Errand
from whiteline.devices.interferometer import Channel, stays_inside
from whiteline.devices.motor import Motor
from whiteline.devices.positioner import ALLOWANCE_S, MARGIN, Arrival
from whiteline.devices.shown import Parameter

BAND_UM = 0.015
"""Half width of the band: five times a vibration of 3 nm [µm]."""

QUIET_S = 0.05
"""For how long readings must stay inside: two periods of 40 Hz [s]."""


class Piezo(Motor):
    """A piezo axis [µm]; a plain motor record until `judged_by` has given it an interferometer.

    Attributes
    ----------
    band : Parameter
        How far each reading may be from where it should be [µm]; more than the vibration, less than what is resolved.
    quiet : Parameter
        For how long readings must stay within [s].
    """

    band = Component(
        Parameter, value=BAND_UM, unit="um", kind="config", check=lambda v: require_positive(v, "band", "um")
    )
    quiet = Component(
        Parameter, value=QUIET_S, unit="s", kind="config", check=lambda v: require_positive(v, "quiet", "s")
    )

    channel: Channel | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._unjudged = False
        self._seen: float | None = None
        super().__init__(*args, **kwargs)

    def judged_by(self, channel: Channel) -> None:
        """Judge arrivals by a channel of the interferometer from now on."""
        self.channel = channel
        channel.now.subscribe(self.wake, run=False)
        channel.now.subscribe(self._connection_changed, event_type=channel.now.SUB_META, run=False)

    @property
    def needed_signals(self) -> tuple[Any, ...]:
        """Without these it cannot be moved."""
        needed = tuple(super().needed_signals)
        return needed if self.channel is None else (*needed, self.channel.now)

    def duration(self, start: float, end: float) -> float:
        """Return how long a move takes, the time of quiet included [s]."""
        return super().duration(start, end) + (0.0 if self.channel is None else float(self.quiet.get()))

    def step_to(self, position: float, timeout: float | None = None) -> Arrival:
        """Go to a position, judged by the record alone: a way point, or the end of a line. Parameters as of `move`."""
        self.check_value(position)
        status = Arrival(self, float(position), call_stop_on_failure=False)

        def go(errand: Errand) -> None:
            self._unjudged = True
            try:
                self._go(errand, float(position), timeout)
            finally:
                self._unjudged = False

        self.run_errand(go, needs=super().needed_signals, status=status, on_failure=self._halt_own)
        return status

    def _travel(self, errand: Errand, target: float, timeout: float | None) -> None:
        if self.channel is None or self._unjudged:
            super()._travel(errand, target, timeout)
            return
        self.channel.parent.show_often(errand)
        expected = target + self._difference(errand, self.channel)
        super()._travel(errand, target, timeout)
        self._settle(errand, self.channel, target, expected)

    def _difference(self, errand: Errand, channel: Channel) -> float:
        """Return by how much the interferometer shows more than the axis, at rest [µm]."""
        quiet = float(self.band.get()), float(self.quiet.get())
        encoder = float(errand.ask(self.readback_signal))
        difference = channel.at_rest(errand, *quiet) - encoder
        if self._seen is None or abs(difference - self._seen) > quiet[0]:
            # something has moved, perhaps only just: what is shown may be from before
            difference = channel.at_rest(errand, *quiet, since=channel.count) - encoder
        self._seen = difference
        return difference

    def _settle(self, errand: Errand, channel: Channel, target: float, expected: float) -> None:
        band, seconds, left = float(self.band.get()), float(self.quiet.get()), channel.count

        def told() -> str:
            return (
                f"{channel.now.pvname} to stay within {band:g} um of {expected:.5f} um for {seconds:g} s, "
                f"where it should be with the axis at {target:.10g} {self.egu}; it reads {channel.recent(0.0):.5f} um; "
                "does the stage shake or drift, or does a coarse axis move?"
            )

        errand.until(lambda: stays_inside(channel.since(left), expected, band, seconds), self._patience_s, told)

    @property
    def _patience_s(self) -> float:
        return MARGIN * float(self.quiet.get()) + ALLOWANCE_S

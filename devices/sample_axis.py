"""One direction of the sample: coarse and fine stage as one axis [µm], that tells what the interferometer says.

A target within the fine range is a move of the piezo. For one beyond, the coarse stage goes there while the piezo
returns to its middle; where the coarse stage has truly landed is measured, and the piezo takes up the difference. So
the sample arrives within a few nanometres, although the coarse stage lands some 50 nm beside.
"""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from ophyd.status import MoveStatus, StatusBase

from whiteline.analysis.checks import require_between
from whiteline.devices.errands import Errand
from whiteline.devices.errors import DeviceError, Lost, MoveFailed, Stopped
from whiteline.devices.forecast import Forecast
from whiteline.devices.interferometer import Channel, Interferometer
from whiteline.devices.piezo import Piezo
from whiteline.devices.positioner import ALLOWANCE_S, MARGIN, Arrival, Positioner
from whiteline.devices.sample_place import UM_PER_MM, Here, SamplePlace

ACCURACY_UM = 0.005
"""How near to its target the sample is brought after a coarse move [µm], unless it shakes by more."""

GLANCES = 5
"""How often a witness looks whether a step has arrived, before its arrival is judged as that of any other move."""

CORRECTIONS = 5
"""How often the fine axis may correct after a coarse move."""


class SampleAxis(SamplePlace):
    """A direction of the sample [µm], of a `SampleStage`; attributes as those of `SamplePlace`.

    Triggered, it averages the interferometer over its dwell. While a capture box writes down where the sample is, that
    box is its witness: a move of the fine axis has arrived when it reads so, and need not be quiet for some time.

    Parameters
    ----------
    direction : {"x", "y", "z"}
        Names the coarse and fine axis, and the channel of the interferometer.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._under_way: dict[Positioner, StatusBase] = {}
        self._difference = 0.0
        self.witness: Callable[[Errand], float] | None = None
        super().__init__(*args, **kwargs)

    # what they tell it

    def move(
        self,
        position: float,
        wait: bool = True,
        moved_cb: Callable[..., None] | None = None,
        timeout: float | None = None,
    ) -> MoveStatus:
        """Bring the sample to a position.

        Parameters
        ----------
        position : float
            [µm]
        wait : bool
            Whether to return only when it is there.
        moved_cb : callable or None
            Called with the status and `obj` when the move has ended.
        timeout : float or None
            Of no effect: each part has its own, computed from its way.

        Returns
        -------
        MoveStatus
            Fails with one sentence that says which axis stopped where.

        Raises
        ------
        OutOfRange
            If the position is no number, or outside the limits; nothing moves then.
        """
        self.check_value(position)
        self._end_move_before()
        status = Arrival(self, float(position), call_stop_on_failure=False)
        if moved_cb is not None:
            status.add_callback(lambda ended: moved_cb(ended, obj=self))

        def go(errand: Errand) -> None:
            here = self._ready(errand)
            self.setpoint.put(float(position))
            self._go(errand, float(position), here)

        self.run_errand(go, needs=self._needed, status=status, on_failure=self._halt)
        if wait:
            try:
                status.wait()
            except KeyboardInterrupt:
                self.stop()
                raise
        return status

    def recentre(self) -> StatusBase:
        """Hand over from fine to coarse: the fine axis ends in its middle, the sample where it is.

        The coarse stage goes in steps of `step`, with half a step of the fine axis before and after each, always back
        towards its middle: so the sample never leaves its place by more than half a step and the error with which the
        coarse stage lands, and the fine axis never leaves its range. At the end the fine axis corrects what the
        interferometer shows.

        Returns
        -------
        Status
            Fails as that of `move`; called again, it goes on from there.

        Raises
        ------
        OutOfRange
            If the coarse stage would leave its limits; nothing moves then.
        """
        self.coarse_axis.check_value(self.coarse_axis.position + (self.fine_axis.position - self.middle) / UM_PER_MM)
        self._end_move_before()
        return self.run_errand(self._hand_over, needs=self._needed, on_failure=self._halt)

    def take_zero(self) -> StatusBase:
        """Let the interferometer agree with the encoders where the sample stands; after it has lost its count.

        Returns
        -------
        Status
            Done when `zero` is set; fails if it cannot be measured.

        Raises
        ------
        DeviceError
            If there is no interferometer.
        """
        if self.channel is None:
            raise DeviceError(f"{self.name} has no interferometer whose zero could be taken")
        return self.run_errand(self._take_zero, needs=self._needed)

    def trigger(self) -> StatusBase:
        """Average the interferometer over its dwell; done at once where there is none."""
        if self.interferometer is None or self.channel is None:
            return super().trigger()
        if math.isnan(float(self.zero.get())):
            return self.run_errand(self._take_zero, needs=self._needed)
        return self.interferometer.trigger()

    def forecast(self, settings: Mapping[str, Any]) -> Forecast:
        """Return how long a trigger takes: a dwell of the interferometer, where there is one."""
        return Forecast(0.0 if self.interferometer is None else float(self.interferometer.dwell.get()))

    def stop(self, *, success: bool = False) -> None:
        """Stop both axes, and let the move under way fail; `success` lets its status finish nevertheless."""
        moving = [axis for axis, status in list(self._under_way.items()) if not status.done]
        where = self._where(moving) or "none of its axes moved"
        self.end_errand(f"was stopped before it arrived: {where}", success=success)
        self._halt()

    # how it does so

    def _end_move_before(self) -> None:
        if self._errand is not None and not self._idle.is_set():
            self.stop()

    def _halt(self) -> None:
        for axis in self._both:
            if (status := self._under_way.get(axis)) is not None and not status.done:
                axis.stop()

    def _ready(self, errand: Errand) -> Here:
        """Wait until the sample rests, and return where; see that the interferometer has not lost its count."""
        coarse, fine = (float(errand.ask(axis.readback_signal)) for axis in self._both)
        encoders = UM_PER_MM * coarse + fine
        if self.channel is None:
            return encoders, coarse, fine
        if math.isnan(float(self.zero.get())):
            self._take_zero(errand)
        seconds, band = self._quiet
        self.channel.parent.show_often(errand)
        zero = float(self.zero.get())
        position = self.channel.at_rest(errand, band, seconds) - zero
        if abs(position - encoders - self._difference) > band:
            # something has moved, perhaps only just: what is shown, or was asked for, may be from before
            position = self.channel.at_rest(errand, band, seconds, since=self.channel.count) - zero
            coarse, fine = (float(errand.ask(axis.readback_signal)) for axis in self._both)
        difference, most = position - UM_PER_MM * coarse - fine, float(self.largest_difference.get())
        self._difference = difference
        if abs(difference) > most:
            raise DeviceError(
                f"{self.name}: interferometer and encoders differ by {difference:.3g} um, more than {most:g} um: "
                f"it has lost its count, or an axis moves; call {self.name}.take_zero() when all stand still"
            )
        return position, coarse, fine

    def _take_zero(self, errand: Errand) -> None:
        assert self.channel is not None
        seconds, band = self._quiet
        self.channel.parent.show_often(errand)
        self.channel.at_rest(errand, band, seconds, since=self.channel.count)
        mean, _ = self._measure(errand, self.channel)
        coarse, fine = (float(errand.ask(axis.readback_signal)) for axis in self._both)
        self.zero.put(mean - UM_PER_MM * coarse - fine)

    def _measure(self, errand: Errand, channel: Channel) -> tuple[float, float]:
        """Return mean and noise of a dwell that begins now [µm]."""
        meter: Interferometer = channel.parent
        status = meter.trigger()
        status.add_callback(self._ended)
        seconds = 2 * MARGIN * float(meter.dwell.get()) + 3 * ALLOWANCE_S  # it has a time of its own to fail in
        errand.until(lambda: bool(status.done), seconds, f"a dwell of {meter.name}")
        if (error := status.exception()) is not None:
            raise error
        return float(errand.ask(channel.mean)), float(errand.ask(channel.rms))

    def _go(self, errand: Errand, target: float, here: Here) -> None:
        coarse, fine = self._targets(target, here)
        if coarse is None:
            if self.witness is not None and self._steps(errand, self.witness, target, fine):
                return
            self._set(errand, f"arrive at {target:.10g} um", {self.fine_axis: fine})
            if abs(self.position - target) > self._quiet[1]:  # something else has moved, too
                self._correct(errand, target)
            return
        # the piezo goes to where it is to end, whatever the interferometer shows of the coarse stage meanwhile
        self._set(errand, f"arrive at {target:.10g} um", {self.coarse_axis: coarse, self.fine_axis: fine}, way=True)
        self._correct(errand, target)

    def _steps(self, errand: Errand, witness: Callable[[Errand], float], target: float, fine: float) -> bool:
        """Move the fine axis, and tell whether the witness has seen the sample arrive."""
        self._set(errand, f"arrive at {target:.10g} um", {self.fine_axis: fine}, way=True)
        zero, (_, band) = float(self.zero.get()), self._quiet
        try:
            return any(abs(witness(errand) - zero - target) <= band for _ in range(GLANCES))
        except DeviceError:  # it has its own ways to tell what it lacks
            errand.require_possible()
            return False

    def _hand_over(self, errand: Errand) -> None:
        target, coarse, fine = self._ready(errand)
        if self.channel is not None:
            target = self._measure(errand, self.channel)[0] - float(self.zero.get())
        excess = fine - self.middle
        steps = math.ceil(abs(excess) / float(self.step.get()))
        for number in range(steps):
            there = f"hand over at {target:.10g} um"
            self._set(errand, there, {self.fine_axis: fine - (number + 0.5) / steps * excess}, way=True)
            self._set(errand, there, {self.coarse_axis: coarse + (number + 1) / steps * excess / UM_PER_MM})
        if steps:
            self._set(errand, f"hand over at {target:.10g} um", {self.fine_axis: self.middle}, way=True)
        self._correct(errand, target)

    def _correct(self, errand: Errand, target: float) -> None:
        """Bring the sample to where it should be, by the fine axis, as the interferometer shows it."""
        if self.channel is None:
            return
        _, band = self._quiet
        for last in (*[False] * CORRECTIONS, True):
            mean, noise = self._measure(errand, self.channel)
            off = mean - float(self.zero.get()) - target
            if abs(off) <= max(ACCURACY_UM, noise) and noise <= band:
                return
            if not last:
                position = float(errand.ask(self.fine_axis.readback_signal)) - off
                name, remedy = f"{self.fine_axis.name} that corrects {self.name}", "look what the coarse axis does"
                require_between(position, *self.fine_axis.limits, name, self.egu, remedy)
                self._set(errand, f"arrive at {target:.10g} um", {self.fine_axis: position})
        raise MoveFailed(
            f"{self.name} did not arrive at {target:.10g} um: after {CORRECTIONS} corrections the interferometer still "
            f"shows it {1e3 * off:.3g} nm beside, with a noise of {1e3 * noise:.3g} nm; allowed are "
            f"{1e3 * ACCURACY_UM:g} nm and {1e3 * band:g} nm"
        )

    def _set(self, errand: Errand, aim: str, targets: Mapping[Positioner, float], *, way: bool = False) -> None:
        """Move axes at the same time; if one fails, stop the other and raise. A way point is judged by the record."""
        seconds = 0.0
        self._under_way = {}
        for axis, position in targets.items():
            errand.require_possible()
            seconds = max(seconds, MARGIN * axis.duration(axis.position, position) + 2 * ALLOWANCE_S)
            go = axis.step_to if way and isinstance(axis, Piezo) else axis.set
            self._under_way[axis] = go(position)
            self._under_way[axis].add_callback(self._ended)
        moving = self._under_way
        names = ", ".join(axis.name for axis in targets)

        def ended() -> bool:
            return all(one.done for one in moving.values()) or any(
                one.done and not one.success for one in moving.values()
            )

        errand.until(ended, 2 * seconds + 2 * ALLOWANCE_S, names)
        for axis, status in moving.items():
            if status.done and (error := status.exception()) is not None:
                others = [other for other in self._both if other is not axis]
                self._halt()
                with suppress(DeviceError):
                    errand.until(lambda: all(one.done for one in moving.values()), ALLOWANCE_S, names)
                kind = Lost if isinstance(error, Lost) else Stopped if isinstance(error, Stopped) else MoveFailed
                raise kind(f"{self.name} did not {aim}: {error}; besides, {self._where(others)}") from error

    def _ended(self, _: StatusBase) -> None:
        self.wake()

    def _where(self, axes: list[Positioner]) -> str:
        return ", ".join(f"{axis.name} at {axis.last_seen}" for axis in axes)

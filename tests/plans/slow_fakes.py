"""Fakes that take their time, so that a scan can be ended while they are under way."""

import threading
from collections.abc import Callable
from typing import Any

from fakes import Broken, FakeAxis, FakeBeamline, FakeCamera, FakeDetector, FakeShutter, Finished
from ophyd.status import Status

LONG_S = 10.0


class _Slow:
    """What takes its time, and can be ended before; one thing is under way at a time."""

    seconds = 0.0

    def begin(self, then: Callable[[], None] = lambda: None) -> Status:
        """Return a status that is done in a while."""
        status = Status()
        self._current = status, then
        threading.Timer(self.seconds, self._finish, [status, then]).start()
        return status

    def end(self, error: Exception | None) -> None:
        """End what is under way without doing it, well or not."""
        with _ONE_AT_A_TIME:
            status, _ = self._current
            if not status.done:
                _settle(status, error)

    def hurry(self) -> None:
        """Do what is under way at once."""
        self._finish(*self._current)

    def _finish(self, status: Status, then: Callable[[], None]) -> None:
        with _ONE_AT_A_TIME:
            if not status.done:
                then()
                _settle(status, None)

    _current: tuple[Any, Callable[[], None]] = (Finished(), lambda: None)


_ONE_AT_A_TIME = threading.Lock()
"""What is ended is not done, and what is done is not ended, whichever thread is first."""


def _settle(status: Status, error: Exception | None) -> None:
    if error is None:
        status.set_finished()
    else:
        status.set_exception(error)
    status.exception(timeout=LONG_S)  # it is done a moment later


class SlowShutter(_Slow, FakeShutter):
    """A shutter; an opening that is ended fails, or is pardoned, and a closing is done before anything else is."""

    _opening = False

    def set(self, value: str) -> Status:
        """Open or close."""
        self.note("set")
        self.check_value(value)
        if self._opening:
            self.end(Broken(f"{self.name} was told to be {value} before it was open"))
        self.hurry()
        self._opening = value == "Open"
        return self.begin(lambda: setattr(self.world, "shutter", value))

    def stop(self, *, success: bool = False) -> None:
        """End an opening."""
        if self._opening:
            self.end(None if success else Broken(f"{self.name} was stopped"))
            self._opening = False


class SlowAxis(_Slow, FakeAxis):
    """An axis; it stays where it was if its move is ended."""

    def set(self, value: float) -> Status:
        """Go there."""
        self.note("set")
        self.check_value(value)
        self.end(Broken(f"{self.name} was sent elsewhere before it had arrived"))
        self.setpoint = value
        return self.begin(lambda: self._put(value))

    def stop(self, *, success: bool = False) -> None:
        """Stop where it was."""
        self.note("stop")
        self.end(None if success else Broken(f"{self.name} was stopped"))


class _SlowDetector(_Slow, FakeDetector):
    """A detector whose count fails when it is no longer staged."""

    def trigger(self) -> Status:
        """Count."""
        super().trigger()
        return self.begin()

    def unstage(self) -> list[Any]:
        """End a count."""
        self.end(Broken(f"{self.name} was unstaged before its count was over"))
        return super().unstage()


class _SlowCamera(_SlowDetector, FakeCamera):
    """A camera."""


def slow_beamline(seconds: float) -> FakeBeamline:
    """Return a beamline of fakes on which everything takes so long [s]."""
    line = FakeBeamline()
    world = line.world
    line.camera = _slow(_SlowCamera("camera", world), seconds)
    line.counters = _slow(_SlowDetector("counters", world, line.counters.channels), seconds)
    line.fluorescence = _slow(_SlowDetector("fluorescence", world, line.fluorescence.channels), seconds)
    line.shutter = _slow(SlowShutter("fast_shutter", world), seconds)
    line.energy = _slow_axis(line.energy, seconds)
    sample = line.sample
    sample.x, sample.y = _slow_axis(sample.x, seconds), _slow_axis(sample.y, seconds)
    sample.coarse_x, sample.rotation = _slow_axis(sample.coarse_x, seconds), _slow_axis(sample.rotation, seconds)
    return line


def _slow(made: Any, seconds: float) -> Any:
    made.seconds = seconds
    return made


def _slow_axis(axis: FakeAxis, seconds: float) -> Any:
    return SlowAxis(axis.name, axis.world, axis.key, axis.limits, axis.unit, seconds)

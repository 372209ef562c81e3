"""Fakes that take their time, so that a scan can be ended while they are under way."""

import threading
from collections.abc import Sequence
from typing import Any

from fakes import Broken, FakeBeamline, FakeCamera, FakeDetector, FakeShutter, World
from ophyd.status import Status


class _Slow:
    """What takes its time, and can be ended before."""

    seconds = 0.0
    _status: Status | None = None

    def begin(self, then: Any = lambda: None) -> Status:
        """Return a status that is done in a while."""
        self._status = status = Status()

        def end() -> None:
            if not status.done:
                then()
                status.set_finished()

        threading.Timer(self.seconds, end).start()
        return status

    def end(self, error: Exception | None) -> None:
        """End what is under way, well or not."""
        if self._status is None or self._status.done:
            return
        if error is None:
            self._status.set_finished()
        else:
            self._status.set_exception(error)


class SlowShutter(_Slow, FakeShutter):
    """A shutter; an opening that is ended fails, or is pardoned, and closes again, and a closing goes on."""

    _opening = False

    def set(self, value: str) -> Status:
        """Open or close."""
        self.note("set")
        self.check_value(value)
        if self._opening:
            self.end(Broken(f"{self.name} was told to be {value} before it was open"))
        self._opening = value == "Open"
        return self.begin(lambda: setattr(self.world, "shutter", value))

    def stop(self, *, success: bool = False) -> None:
        """End an opening."""
        if self._opening:
            self.end(None if success else Broken(f"{self.name} was stopped"))
            self._opening = False


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
    line = FakeBeamline(seconds)

    def slow(kind: type[Any], name: str, world: World, *channels: Sequence[str]) -> Any:
        made = kind(name, world, *channels)
        made.seconds = seconds
        return made

    line.camera = slow(_SlowCamera, "camera", line.world)
    line.counters = slow(_SlowDetector, "counters", line.world, line.counters.channels)
    line.fluorescence = slow(_SlowDetector, "fluorescence", line.world, line.fluorescence.channels)
    line.shutter = slow(SlowShutter, "fast_shutter", line.world)
    return line

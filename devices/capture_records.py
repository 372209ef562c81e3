"""The process variables of a position-capture box, and its file: what each is told, asked, and waited for.

The box compares one of its position channels, or its clock, with where pulses should be; it triggers detectors, and
writes a table by line. It may be unplugged while its IOC runs: then nothing that it is told is ever completed.
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any
from uuid import uuid4

from ophyd import Component, EpicsSignal, EpicsSignalRO

from whiteline.devices.asking import SETTLE_S
from whiteline.devices.detector_parts import monitored
from whiteline.devices.errands import ANSWER_S, Errand, Watchful
from whiteline.devices.errors import DeviceError, Lost, Overdue
from whiteline.devices.frame_files import SUFFIX
from whiteline.devices.lost_puts import put
from whiteline.devices.settings import settle, settle_together

ASK_AGAIN_S = 2.0
"""After how long without news the box is asked for the lines in its file [s]."""

IDLE, ARMED, RUNNING, DONE, FAILED = "Idle", "Armed", "Running", "Done", "Failed"
UNDER_WAY = ARMED, RUNNING

PLUGGED = "Connected"
"""What the box says while it has its cable."""

GROUP = "/entry/capture"
"""Where the columns lie in a file."""


def _asked(suffix: str, **kwargs: Any) -> Component:
    """Return a component that is read only when it is asked for."""
    return Component(EpicsSignalRO, suffix, kind="omitted", auto_monitor=False, **kwargs)


class CaptureRecords(Watchful):
    """What a capture box is told and asked.

    Parameters
    ----------
    prefix : str
        Of its process variables, such as "NANO:capture:".
    write, read : str
        Folder of its files, as the IOC sees it and as clients do.
    """

    woken_by = ("state", "plugged", "captured", "lines", "capture")

    mode = monitored("Mode", string=True)
    compared = monitored("Axis", string=True)
    start = monitored("Start")
    step = monitored("Step")
    pulses = monitored("Pulses")
    row_count = monitored("Rows")
    gate = monitored("Gate")
    timeout = monitored("Timeout")
    file_path = monitored("FilePath", string=True)
    file_name = monitored("FileName", string=True)
    file_number = monitored("FileNumber")
    file_template = monitored("FileTemplate", string=True)
    auto_increment = monitored("AutoIncrement", string=True)
    create_directory = monitored("CreateDirectory")
    windows = monitored("Windows", string=True)
    arm = Component(EpicsSignal, "Arm", kind="omitted")
    disarm = Component(EpicsSignal, "Disarm", kind="omitted")
    open_file = Component(EpicsSignal, "Open", kind="omitted")
    close_file = Component(EpicsSignal, "Close", kind="omitted")
    state = monitored("State_RBV", EpicsSignalRO, string=True)
    plugged = monitored("Connected_RBV", EpicsSignalRO, string=True)
    captured = monitored("Captured_RBV", EpicsSignalRO)
    line_number = monitored("Line_RBV", EpicsSignalRO)
    lines = monitored("Lines_RBV", EpicsSignalRO)
    capture = monitored("Capture_RBV", EpicsSignalRO, string=True)
    # a monitor may be overtaken by the answer to a question before it, so what is asked has signals of its own
    state_now = _asked("State_RBV", string=True)
    captured_now = _asked("Captured_RBV")
    lines_now = _asked("Lines_RBV")
    message = _asked("Message_RBV", string=True)
    full_file_name = _asked("FullFileName_RBV", string=True)
    channels = _asked("Channels")
    units = _asked("Units")
    columns = _asked("Columns")
    positions = _asked("Positions_RBV")

    def __init__(self, prefix: str, *, name: str, write: str, read: str, **kwargs: Any) -> None:
        self._write, self._read = write, read
        self._looking = threading.Lock()
        self._channels_known: tuple[str, ...] = ()
        super().__init__(prefix, name=name, **kwargs)

    @property
    def needed_signals(self) -> Sequence[Any]:
        """Signals without which nothing can be captured."""
        return self.state, self.plugged, self.lines, self.captured, self.arm, self.disarm

    # to wait by

    @property
    def unplugged(self) -> bool:
        """Whether it has lost its cable, as the last monitor had it."""
        return bool(self.plugged.get() != PLUGGED)

    def require_plugged(self) -> None:
        """Raise if it has lost its cable.

        Raises
        ------
        Lost
            Naming the process variable.
        """
        if self.unplugged:
            raise Lost(
                f"{self.name} has lost its box: {self.plugged.pvname} is {self.plugged.get()}; look at its cable and "
                "its power, then repeat what failed"
            )

    def await_true(self, errand: Errand, true: Callable[[], bool], seconds: float, what: Any) -> None:
        """Wait as `Errand.until`, and raise at once if the box loses its cable.

        Raises
        ------
        Lost, Overdue
            As `require_plugged` and `Errand.until`.
        """
        errand.until(lambda: self.unplugged or true(), seconds, what)
        self.require_plugged()

    def press(self, errand: Errand, button: Any, seconds: float = SETTLE_S) -> None:
        """Do what a button says, and return when the box has; raises as `await_true`."""
        self.require_plugged()
        self.await_true(errand, errand.put(button, 1), seconds, f"{button.setpoint_pvname} to complete")

    def see_to(self, errand: Errand, signal: Any, wanted: Any) -> None:
        """Have a setting in force; raises as `settle` and `require_plugged`."""
        self.require_plugged()
        settle(errand, signal, wanted, self.wake)

    def see_to_all(self, errand: Errand, wanted: Sequence[tuple[Any, Any]]) -> None:
        """Have settings in force that do not depend on each other; raises as `see_to`."""
        self.require_plugged()
        settle_together(errand, wanted, self.wake)

    def words(self, errand: Errand, signal: Any) -> tuple[str, ...]:
        """Return a list of names that the box gives."""
        told = errand.ask(signal)
        return (told,) if isinstance(told, str) else tuple(str(one) for one in told)

    def why(self, errand: Errand) -> str:
        """Return what the box says of a line that failed."""
        return str(errand.ask(self.message)) or "it does not say why"

    def reading(self, errand: Errand, channel: str) -> float:
        """Return what a position channel reads just now.

        Raises
        ------
        DeviceError
            If the box has no such channel.
        """
        known = self._channels_known = self._channels_known or self.words(errand, self.channels)
        if channel not in known:
            raise DeviceError(
                f"{self.name} has no channel {channel!r} at its IOC, which has {', '.join(known)}; correct "
                "[capture.channels] of the description, or the IOC"
            )
        with self._looking:  # axes that move at the same time look by this, too
            return float(errand.ask(self.positions)[known.index(channel)])

    # lines

    def become_idle(self, errand: Errand, *, written: bool = False) -> None:
        """Disarm it if it is armed, and wait until all lines so far are written, unless that is known.

        Raises
        ------
        Lost, Overdue
            If it does not obey.
        """
        self.require_plugged()
        if errand.ask(self.state_now) in UNDER_WAY:
            self.press(errand, self.disarm)
        elif written:
            return
        wanted = int(errand.ask(self.line_number)) + 1
        with suppress(Overdue):  # a line that could not be written has been told, and the next one may be
            self.await_written(errand, wanted)

    def await_written(self, errand: Errand, wanted: int) -> None:
        """Wait until so many lines are in the file.

        Raises
        ------
        Lost, Overdue
            If they do not come.
        """
        deadline = time.monotonic() + SETTLE_S
        while int(errand.ask(self.lines_now)) < wanted:
            left = deadline - time.monotonic()
            what = f"line {wanted} in its file: {self.lines.pvname} is {self.lines.get()}"
            # asked again from time to time, as on a busy network a monitor may be dropped
            with suppress(Overdue) if left > ASK_AGAIN_S else nullcontext():
                self.await_true(errand, lambda: self.lines.get() >= wanted, min(left, ASK_AGAIN_S), what)

    def tell_disarm(self) -> None:
        """Tell the box to end its line, and do not wait."""
        if self.disarm.connected:
            put(self.disarm, 1, use_complete=False)

    def tell_close(self) -> None:
        """Tell the box to close its file, and do not wait: an unplugged one does it when it has its cable again."""
        if self.close_file.connected:
            put(self.close_file, 1, use_complete=False)

    # its file

    def begin_file(self, errand: Errand, pulses: int, named: Sequence[str] = ()) -> str:
        """Open a new file for lines of so many pulses, and return its path as clients read it.

        The windows of the fluorescence detector that the box counts are named, one after the other.

        Raises
        ------
        DeviceError
            If it cannot be opened, with what the box says.
        """
        if errand.ask(self.capture) == "Open":
            self.press(errand, self.close_file)
        name = str(uuid4())
        windows = PureWindowsPath(self._write).drive != ""
        folder = str(self._write).rstrip("/\\") + ("\\" if windows else "/")
        settings = [
            (self.file_template, "%s%s_%6.6d.h5"),
            (self.auto_increment, "No"),
            (self.create_directory, -3),
            (self.file_name, name),
            (self.file_number, 0),
            (self.pulses, int(pulses)),
            (self.windows, " ".join(named)),
        ]
        self.see_to_all(errand, settings)
        self.see_to(errand, self.file_path, folder)  # after the word whether folders are made
        self.press(errand, self.open_file)
        opened = errand.ask(self.capture)
        if opened != "Open":
            raise DeviceError(f"{self.name} could not open a file in {folder}: {self.why(errand)}")
        told = str(errand.ask(self.full_file_name))
        if not told.endswith(name + SUFFIX):
            raise DeviceError(f"{self.name} was to write {name}{SUFFIX}, and writes {told}; look at FileTemplate")
        return str(PurePosixPath(self._read) / f"{name}{SUFFIX}")

    def end_file(self, errand: Errand) -> None:
        """Close the file, if one is open; raises as `press`."""
        if errand.ask(self.capture) == "Open":
            self.press(errand, self.close_file, SETTLE_S + ANSWER_S)

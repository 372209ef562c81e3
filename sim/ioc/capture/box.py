"""The capture box: it follows a line from arming to its last pulse, and has it written, row by row if it has several.

`Line_RBV` is the number of the last row that was handed over to be written, and `Lines_RBV` counts those in the file.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from caproto import AlarmSeverity, AlarmStatus, SkipWrite
from caproto.server import PVGroup, PvpropertyCharRO, pvproperty

from whiteline.sim.ioc.area_detector.hdf5_folder import as_folder, file_in, ready
from whiteline.sim.ioc.area_detector.records import LONGEST_TEXT, from_record, to_record, unhindered
from whiteline.sim.ioc.capture.columns import Captured, attributes_of
from whiteline.sim.ioc.capture.files import FAILURES, Files
from whiteline.sim.ioc.capture.following import Following, Trigger
from whiteline.sim.ioc.capture.line import Line, LinePlan
from whiteline.sim.ioc.capture.records import ARMED, DONE, FAILED, IDLE, RUNNING, CaptureRecords
from whiteline.sim.ioc.capture.settings import CaptureSettings
from whiteline.sim.ioc.capture.witness import Witness
from whiteline.sim.ioc.measuring import Measuring
from whiteline.sim.noise import Stream, generator, stream

TICK_S, SHORTEST_TICK_S = 0.01, 0.001
"""Wall time between two looks at a line, and the shortest one near its end [s]."""

JUST_NOW_S = 1e-3
"""Time over which the axes are looked at for where they are [s]."""

ROWS_S = 0.2
"""Wall time between two times at which the rows of a line under way are written [s]."""

SHOW_S = 0.2
"""Wall time between two updates of what is shown all the time [s]."""


class TruthOfCapture(PVGroup):
    """The process variable of the file in which the truth of the lines is."""

    file = pvproperty(name="file", value="", dtype=PvpropertyCharRO, max_length=LONGEST_TEXT)


class Box(CaptureRecords):
    """The box.

    Parameters
    ----------
    settings : CaptureSettings
        What it is like.
    witness : Witness
        Knows where everything is and was.
    measuring : Measuring
        What the ion chambers see.
    trigger : callable
        Gives pulses to the detector.
    truth : Path
        Beside which the truth is written.
    truth_prefix : str
        How the names of the process variables of truth and faults begin.
    windows : callable
        Gives the windows of the detector that can be counted just now, by their first channel and the first one behind.
    """

    def __init__(
        self,
        settings: CaptureSettings,
        witness: Witness,
        measuring: Measuring,
        trigger: Trigger,
        truth: Path,
        truth_prefix: str,
        windows: Callable[[], Sequence[tuple[int, int]]] = tuple,
    ) -> None:
        super().__init__(settings, tuple(attributes_of(settings)), self._positions)
        self.settings = settings
        self.overrun_next = False
        self._witness, self._measuring, self._trigger, self._windows = witness, measuring, trigger, windows
        self._counted: tuple[str, ...] = ()
        self._files = Files(settings, truth)
        self._plugged = asyncio.Event()
        self._plugged.set()
        self._running: asyncio.Task[None] | None = None
        self._disarmed = asyncio.Event()
        self._written: asyncio.Queue[Captured] = asyncio.Queue()
        self._opened_s = 0.0
        self._frames = self._line_number = 0
        self.truth = TruthOfCapture(prefix=f"{truth_prefix}truth:capture:")
        self.attr_pvdb["State_RBV"].server_shutdown = self._shut_down

    # what clients put

    async def accept(self, name: str, value: Any) -> Any:
        """Take what a client has put; without its cable, the box takes nothing until it has it again."""
        await self._plugged.wait()
        match name:
            case "Arm" | "Disarm" | "Open" | "Close":
                if value == name:
                    work = {"Arm": self._arm, "Disarm": self._disarm, "Open": self._open, "Close": self._close}[name]
                    await unhindered(self._pressed(name, work))
                raise SkipWrite
            case "FilePath":
                value = as_folder(value)
            case "Pulses" | "Rows":
                value = max(value, 1)
            case "FileNumber":
                value = max(value, 0)
        value = await super().accept(name, value)
        if name in ("Axis", "Mode"):
            unit = self._channel.unit
            await self.show_units("s" if self["Mode_RBV"] == "Time" else unit, unit)
        return value

    async def _pressed(self, name: str, work: Callable[[], Any]) -> None:
        await self.show(name, name)
        try:
            await work()
        finally:
            await self.show(name, "Done")

    @property
    def _channel(self) -> Any:
        return next(one for one in self.settings.channels if one.name == self["Axis_RBV"])

    # files

    async def _open(self) -> None:
        if self._files.pulses is not None:
            await self._fail("a file is open: put Close first")
            return
        folder, name, template = (from_record(self[f"{one}_RBV"]) for one in ("FilePath", "FileName", "FileTemplate"))
        why = ready(folder, self["CreateDirectory_RBV"])
        try:
            if why:
                raise ValueError(why)
            path = file_in(folder, name, self["FileNumber_RBV"], template)
            counted = self._named_windows()
            await self._files.create(path, self["Pulses_RBV"], await self._measuring.microscope(), counted)
        except FAILURES as error:
            await self._fail(f"no file can be opened: {error}")
            return
        if self["AutoIncrement_RBV"] == "Yes":
            await self.show_both("FileNumber", self["FileNumber_RBV"] + 1)
        self._counted = counted
        await self.columns.write(list(attributes_of(self.settings, counted)))
        self._opened_s, self._frames = self._witness.now(), 0
        await self.truth.file.write(to_record(str(self._files.truth_of(path))))
        for record, value in {
            "FullFileName_RBV": to_record(str(path)),
            "Lines_RBV": 0,
            "Line_RBV": -1,
            "Captured_RBV": 0,
            "Capture_RBV": "Open",
        }.items():
            await self.show(record, value)
        await self._tell(IDLE, "")

    def _named_windows(self) -> tuple[str, ...]:
        """Return the names of the windows that are to be counted, in the order of the detector's.

        Raises
        ------
        ValueError
            If there are more than the detector has.
        """
        names = tuple(from_record(self["Windows_RBV"]).split())
        if len(names) > (there := len(self._windows())):
            raise ValueError(f"Windows names {len(names)} windows, {' '.join(names)}, and the detector has {there} set")
        return names

    async def _close(self) -> None:
        await self._end_line()
        await self._written.join()
        await self._files.close()
        await self.show("Capture_RBV", "Closed")

    async def _shut_down(self, _: object) -> None:
        """Close the files, so that they can be read without repair."""
        await self._files.close()

    async def write(self) -> None:
        """Write lines as they are over, one after the other."""
        while True:
            captured = await self._written.get()
            try:
                await self.show("Lines_RBV", await self._files.append(captured, await self._measuring.microscope()))
            except FAILURES as error:
                await self._fail(f"a line cannot be written: {error}")
            finally:
                self._written.task_done()

    # lines

    async def _arm(self) -> None:
        if self._running is not None and not self._running.done():
            await self.show("Message_RBV", to_record("a line is running: put Disarm first"))
            return
        plan = LinePlan(
            timed=self["Mode_RBV"] == "Time",
            start=float(self["Start_RBV"]),
            step=float(self["Step_RBV"]),
            pulses=int(self["Pulses_RBV"]) * int(self["Rows_RBV"]),
            gate_s=float(self["Gate_RBV"]),
            timeout_s=float(self["Timeout_RBV"]),
        )
        channel, now = self._channel, self._witness.now()
        why = plan.why_not()
        if self._files.pulses is None:
            why = "no file is open: put Open first"
        elif self._files.pulses != self["Pulses_RBV"]:
            why = f"Pulses = {self['Pulses_RBV']} must stay {self._files.pulses}, as when the file was opened"
        if why:
            await self._fail(why)
            return
        self._line_number += 1
        source = generator(stream(self._witness.errors.seed, Stream.CAPTURE, self._line_number, 0))
        noise = source.standard_normal(plan.pulses + 1)
        line = Line(plan, now, channel.noise * noise)
        self._witness.look()
        stands = self._positions()[self.settings.channels.index(channel)]
        if line.beyond(stands):
            await self._fail(
                f"{channel.name} stands at {stands:.6g} {channel.unit}, already past the first pulse at "
                f"{plan.start:.6g} {channel.unit} for steps of {plan.step:g}: go back and arm again"
            )
            return
        self._disarmed.clear()
        await self.show("Captured_RBV", 0)
        await self.show("Line_RBV", self["Line_RBV"] + 1)
        await self._tell(ARMED, "")
        self._running = asyncio.create_task(
            self._follow(Following(line, channel, self.settings.most_per_s, self._witness, self._trigger))
        )

    async def _disarm(self) -> None:
        if not await self._end_line():
            await self._tell(IDLE, "")

    async def _end_line(self) -> bool:
        """End a line that runs; False if none did."""
        if self._running is None or self._running.done():
            return False
        self._disarmed.set()
        await asyncio.wait([self._running])
        return True

    async def _follow(self, following: Following) -> None:
        """Follow a line to its end, however it ends, and have it written."""
        state, message = await self._to_its_end(following)
        await self._hand_over(following, over=True)
        await self._tell(state, message)

    async def _hand_over(self, following: Following, *, over: bool) -> None:
        """Have pulses written that were not yet: as many as make up rows, and all of a line that is over."""
        assert self._files.pulses is not None
        first = not following.given
        starts, gates, taken = following.found(1 if over else self._files.pulses)
        if not starts.size and not (over and first):
            return
        if not first:
            self._line_number += 1  # each batch has noise of its own
        further = max(1, -(-starts.size // self._files.pulses)) - first
        if further:
            await self.show("Line_RBV", self["Line_RBV"] + further)
        since = float(starts[0]) if starts.size else following.line.armed_s
        self._written.put_nowait(
            Captured(
                number=self._line_number,
                opened_s=self._opened_s,
                starts_s=starts,
                gates_s=gates,
                frames=self._frames + np.cumsum(taken).astype(float),
                taken=taken,
                scene=self._witness.scene([one.source for one in self.settings.channels], since),
                gains=self._measuring.gains(),
                foil=self._measuring.instrument.foil(),
                windows=dict(zip(self._counted, self._windows(), strict=False)),
            )
        )
        self._frames += int(taken.sum())

    async def _to_its_end(self, following: Following) -> tuple[str, str]:
        """Follow a line, and return what becomes of the box, and why."""
        line, rows_s = following.line, time.monotonic()
        while True:
            left_s = line.left_s / self._witness.speed
            disarmed = await _set_within(self._disarmed, min(max(left_s, SHORTEST_TICK_S), TICK_S))
            if not self._plugged.is_set():
                await self._plugged.wait()
                return FAILED, f"the box was unplugged: what came after {following.so_far} is lost"
            following.look()
            forced = self.overrun_next and line.over > 0
            if forced or following.held > self.settings.buffer:
                self.overrun_next = False
                most = f"it writes {self.settings.most_per_s:g} pulses per second for good"
                return FAILED, f"the buffer of the box ran over after {following.so_far}: {most}; go slower"
            await self.show("Captured_RBV", line.over)
            if line.over == line.plan.pulses:
                return DONE, ""
            if disarmed:
                return IDLE, f"disarmed after {following.so_far}"
            if line.looked_s - line.armed_s > line.plan.timeout_s:
                within = f"within {line.plan.timeout_s:g} s after arming"
                return FAILED, f"{following.so_far} came {within}: {following.where}"
            if line.come:
                await self.show("State_RBV", RUNNING)
            if line.plan.pulses != self._files.pulses and time.monotonic() - rows_s > ROWS_S:
                rows_s = time.monotonic()
                await self._hand_over(following, over=False)

    async def show_always(self) -> None:
        """Show where the channels are, until all ends."""
        while True:
            await self._plugged.wait()
            await self.positions.write(self._positions())
            await asyncio.sleep(SHOW_S)

    def _positions(self) -> list[float]:
        """Return where the channels are just now, each in its unit."""
        now = self._witness.now()
        sources = [one.source for one in self.settings.channels]
        scene = self._witness.scene(sources)
        return [float(scene.course(source, now - JUST_NOW_S, now).values[-1]) for source in sources]

    # faults, and what is told

    async def plug(self, connected: bool) -> None:
        """Take the cable away, or put it back."""
        if connected:
            self._plugged.set()
        else:
            self._plugged.clear()
        await self.show("Connected_RBV", "Connected" if connected else "Disconnected")
        state = self.attr_pvdb["State_RBV"]
        await state.write(
            state.value,
            status=AlarmStatus.NO_ALARM if connected else AlarmStatus.COMM,
            severity=AlarmSeverity.NO_ALARM if connected else AlarmSeverity.INVALID_ALARM,
        )

    async def _fail(self, why: str) -> None:
        await self._tell(FAILED, why)

    async def _tell(self, state: str, message: str) -> None:
        await self.show("Message_RBV", to_record(message))
        await self.show("State_RBV", state)


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for a wall time [s], or until an event; say whether it has come."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True

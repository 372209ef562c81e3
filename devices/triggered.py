"""A detector that takes a frame at each pulse of a capture box, into a file of its own.

It acquires from its first line to the end of the run; each pulse that it takes starts one exposure, and a column of the
capture table says which pulses these were. The detector is as it was when it is unstaged.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from ophyd import Component, EpicsSignalRO, FormattedComponent
from ophyd.status import StatusBase

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.laws.fly_line import FlyLine
from whiteline.devices.area_detector import FRAMES_S, FileDetector
from whiteline.devices.asking import SETTLE_S
from whiteline.devices.detector_parts import CONTINUOUS
from whiteline.devices.errands import Errand, Watchful
from whiteline.devices.errors import Lost, Overdue, Refused
from whiteline.devices.fly_documents import Document, StreamFile, Telling, stream_key
from whiteline.devices.forecast import Forecast
from whiteline.devices.frame_files import DATASET, FramesLost
from whiteline.devices.lost_puts import put
from whiteline.devices.settings import settle, settle_together
from whiteline.devices.shown import Parameter

GATE, EXTERNAL = "Gate", "External"
"""Words for a detector that exposes as long as the gate of a pulse lasts, and for one that a pulse only starts."""

SHARE = 0.9
"""Part of a gate that an exposure takes with the readout: a stage that shakes makes gates of different length."""

QUIET_S = 1.0
"""After so long without a frame no more are on their way [s]."""

WAITING = "Waiting"
"""What a driver of areaDetector says while it waits for a trigger."""


class TriggeredDetector(Watchful):
    """A detector that is triggered by pulses.

    Parameters
    ----------
    prefix : str
        Of the process variables of its driver.
    detector : Camera or Fluorescence
        What is triggered; it is staged and unstaged with this.
    name : str or None
        That of the detector if None: streams and columns of its frames are called so.
    readout_s : float
        In which it is blind after an exposure [s].
    most_per_s : float
        Frames that it hands on for good [1/s].
    buffer : int
        Frames that it holds that were not handed on yet.

    Attributes
    ----------
    exposures_before : Parameter
        Number of the last exposure before those of the run: the file counts them on (NDArrayUniqueId), while the
        capture table begins with 1.
    missed : float
        Pulses of the newest line that have no frame in the file; NaN if it is not known.
    """

    detector_state = FormattedComponent(
        EpicsSignalRO, "{prefix}DetectorState_RBV", string=True, auto_monitor=True, kind="omitted"
    )

    # a monitor could be of the frame before the last
    unique_id = FormattedComponent(EpicsSignalRO, "{prefix}UniqueId_RBV", auto_monitor=False, kind="omitted")
    exposures_before = Component(Parameter, value=0, kind="config")

    woken_by = ("detector_state",)

    def __init__(
        self,
        prefix: str,
        *,
        detector: FileDetector,
        name: str | None = None,
        readout_s: float,
        most_per_s: float,
        buffer: int,
        **kwargs: Any,
    ) -> None:
        self.detector, self.readout_s, self.most_per_s, self.buffer = detector, readout_s, most_per_s, buffer
        self._begun = False
        self._forget()
        super().__init__(prefix, name=name or detector.name, **kwargs)
        file = detector.hdf1
        for signal in (file.num_captured, file.capture, file.write_status, file.full_file_name, detector.cam.acquire):
            signal.subscribe(self.wake, run=False)

    def _forget(self) -> None:
        self._before: list[tuple[Any, Any]] = []
        self._in_force: list[tuple[Any, Any]] = []
        self._file: StreamFile | None = None
        self._line: FlyLine | None = None
        self._frames = 0
        self._telling = Telling()
        self.missed = float("nan")

    # what plans and preflight ask

    def check_value(self, line: FlyLine) -> None:
        """Refuse a line whose pulses come faster than it takes frames.

        Raises
        ------
        OutOfRange
            If its readout leaves no time to expose, or its buffer would run over, with the shortest dwell.
        """
        if self.readout_s and line.gate_s * SHARE <= self.readout_s:
            raise OutOfRange(
                f"dwell of {self.name}",
                line.gate_s,
                f"must be longer than its readout, {self.readout_s:g} s, by a tenth at least",
                "s",
                f"dwell {2 * self.readout_s:.3g} s or longer",
            )
        over = line.pulses * (1 - self.most_per_s / line.rate)
        if over > self.buffer:
            raise OutOfRange(
                f"pulses of a line of {self.name}",
                line.pulses,
                f"at {line.rate:.6g} per second run over its buffer of {self.buffer}: it hands {self.most_per_s:g} "
                "frames per second on for good",
                "",
                f"dwell {1 / self.most_per_s:.3g} s or longer, or take fewer pulses",
            )

    def forecast_line(self, line: FlyLine) -> Forecast:
        """Return what a line adds to its file; raises as `check_value`."""
        self.check_value(line)
        _, *shape = self.detector.point_shape
        return Forecast(0.0, line.pulses, line.pulses * math.prod(shape) * self.detector.itemsize)

    def exposure_s(self, line: FlyLine) -> float:
        """Return how long each exposure of a line is [s]: a gate, or what the readout leaves of it."""
        return line.gate_s if not self.readout_s else SHARE * line.gate_s - self.readout_s

    def gate_s(self, exposure_s: float) -> float:
        """Return the shortest gate in which an exposure and its readout fit [s]."""
        return exposure_s if not self.readout_s else (exposure_s + self.readout_s) / SHARE

    @property
    def is_staged(self) -> bool:
        """Whether a run is under way."""
        return self._begun

    @property
    def needed_signals(self) -> tuple[Any, ...]:
        """Signals without which nothing can be acquired."""
        return *self.detector.needed_signals, self.detector_state

    # staging

    def stage(self) -> list[object]:
        """Stage the detector; raises as that."""
        staged = self.detector.stage()
        self._forget()
        self._begun = True
        return [self, *staged]

    def unstage(self) -> list[object]:
        """End the acquisition, put its settings back, and unstage the detector; raises as that."""
        if not self._begun:
            return [self]
        self.end_errand("was unstaged", success=True)
        try:
            self.run_errand(self._put_back, needs=self.needed_signals).wait()
        except Lost as error:
            self.log.warning("%s was unstaged without its IOC: %s", self.name, error)
        finally:
            self._begun = False
            unstaged = self.detector.unstage()
        return [self, *unstaged]

    def _put_back(self, errand: Errand) -> None:
        self._end_acquisition(errand)
        while self._before:
            settle(errand, *self._before.pop(), self.wake)

    def _end_acquisition(self, errand: Errand) -> None:
        acquire = self.detector.cam.acquire
        if errand.ask(acquire) != 0:
            put(acquire, 0, force=True)
        seconds = float(self.detector.cam.acquire_time.get()) + FRAMES_S
        errand.until(lambda: acquire.get() == 0, seconds, f"{acquire.pvname} to end")

    # a line

    def prepare(self, line: FlyLine) -> StatusBase:
        """Make ready for the pulses of a line: it waits for triggers when this is done.

        Raises
        ------
        Refused
            If it is not staged.
        OutOfRange
            If its readout leaves no time to expose.
        """
        if not self._begun:
            raise Refused(f"{self.name} is not staged, so it has no file to write into; stage it first")
        if self.exposure_s(line) <= 0:
            self.check_value(line)
        self._line, self.missed = line, float("nan")
        self._telling.begin()
        return self._run(lambda errand: self._prepare(errand, line))

    def kickoff(self) -> StatusBase:
        """See that it still waits for triggers; raises `Refused` if no line was prepared."""
        self._require_line()
        return self._run(self._await_waiting)

    def complete(self) -> StatusBase:
        """Wait for the frames of a line that is over.

        Returns
        -------
        Status
            Done when there is a frame for each pulse in the file, or no more come: `missed` says how many lack. Fails
            with `FramesLost` if its file takes no more, with `Lost` if its IOC is lost.
        """
        line = self._require_line()
        return self._run(lambda errand: self._await_frames(errand, line))

    def _require_line(self) -> FlyLine:
        if self._line is None:
            raise Refused(f"{self.name} has no line to take; prepare one first")
        return self._line

    def _run(self, work: Callable[[Errand], None]) -> StatusBase:
        return self.run_errand(work, needs=self.needed_signals)

    def _prepare(self, errand: Errand, line: FlyLine) -> None:
        cam, file = self.detector.cam, self.detector.hdf1
        wanted = self._settings(line)
        if wanted != self._in_force or errand.ask(cam.acquire) == 0:
            if self._file is not None:
                self._await_quiet(errand)
            self._end_acquisition(errand)
            if not self._before:
                self._before.extend((signal, signal.get()) for signal, _ in wanted)
            settle_together(errand, wanted, self.wake, 1e-3)
            if self._file is None:
                self.exposures_before.put(int(errand.ask(self.unique_id)))
            put(cam.acquire, 1, force=True)
            errand.until(lambda: cam.acquire.get() == 1, SETTLE_S, f"{cam.acquire.pvname} to begin")
            self._in_force = wanted
        self._await_waiting(errand)
        self._frames = int(errand.ask(file.num_captured))
        if self._file is None:
            shape = self.detector.staged_point[0][1:]
            key = self.detector.image_key
            self._file = StreamFile(file.path, {key: (f"/{DATASET}", (1, *shape))})

    def _settings(self, line: FlyLine) -> list[tuple[Any, Any]]:
        cam = self.detector.cam
        modes = tuple(cam.trigger_mode.enum_strs or ())
        mode = GATE if not self.readout_s and GATE in modes else EXTERNAL
        # put in this order, and put back in the opposite one: killed in between, it is recognised by the next staging
        return [
            (cam.image_mode, CONTINUOUS),
            (cam.acquire_time, float(self.exposure_s(line))),
            (cam.trigger_mode, mode),
        ]

    def _await_waiting(self, errand: Errand) -> None:
        errand.until(
            lambda: self.detector_state.get() == WAITING or self.detector.hdf1.ended,
            SETTLE_S,
            lambda: f"{self.detector_state.pvname} to be {WAITING}; it is {self.detector_state.get()}",
        )
        self._require_file()

    def _require_file(self) -> None:
        file = self.detector.hdf1
        if file.ended:
            why = file.trouble() if file.failed else "its capture has ended"
            raise FramesLost(f"{self.name} takes no more frames: {why}; look at its disk, then stage it again")

    def _await_frames(self, errand: Errand, line: FlyLine) -> None:
        file, wanted = self.detector.hdf1, self._frames + line.pulses
        if int(errand.ask(file.num_captured)) < wanted:
            self._await_quiet(errand, wanted)
        self._require_file()
        arrived = int(errand.ask(file.num_captured))
        if arrived:
            file.require_opened(errand)
        self.missed = float(wanted - arrived)

    def _await_quiet(self, errand: Errand, wanted: float = math.inf) -> None:
        """Wait until so many frames are in the file, or no more come."""
        file, seen = self.detector.hdf1, -1
        while (now := int(errand.ask(file.num_captured))) < wanted and now != seen:
            seen = now
            with suppress(Overdue):
                errand.until(
                    lambda: file.num_captured.get() >= wanted or file.ended,
                    QUIET_S + float(self.detector.cam.acquire_time.get()),
                    "frames on their way",
                )

    def stop(self, *, success: bool = False) -> None:
        """Wait no longer for frames; `success` lets the status finish. It goes on to acquire until it is unstaged."""
        self.end_errand("was stopped before its frames had come", success=success)

    def pause(self) -> None:
        """End what is waited for, as the RunEngine does when it pauses: the line is taken anew."""
        self.stop(success=True)

    # what is told

    def get_index(self) -> int:
        """Return how many frames are in the file, as the last monitor had it."""
        return int(self.detector.hdf1.num_captured.get())

    def collect_asset_docs(self, index: int | None = None) -> Iterator[Document]:
        """Yield the documents of frames that were not told of yet, or of those told last.

        Frames of lines that do not count are among them.
        """
        if self._file is None:
            return
        stop = int(Errand(self, self.needed_signals).ask(self.detector.hdf1.num_captured))
        yield from self._file.told(*self._telling.next(stop if index is None else min(stop, index)))

    def describe_collect(self) -> dict[str, dict[str, Any]]:
        """Describe one frame."""
        shape, dtype = self.detector.staged_point
        return {self.detector.image_key: stream_key(self.detector.prefix, shape[1:], dtype)}

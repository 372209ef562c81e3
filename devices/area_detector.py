"""A detector of areaDetector that writes its frames into files: what cameras and fluorescence detectors have in common.

Driver and plugin are the stock classes of ophyd, so that the IOC of a real detector works unmodified. Staging,
triggering and unstaging are errands. A trigger is done when as many frames lie in the file as were asked for; it fails
at once when the IOC is lost or cannot write, and otherwise within a time computed from frames, exposure and readout.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from ophyd.areadetector.detectors import DetectorBase
from ophyd.areadetector.trigger_mixins import SingleTrigger
from ophyd.device import Staged
from ophyd.status import StatusBase
from ophyd.utils import RedundantStaging

from whiteline.devices.asking import SETTLE_S
from whiteline.devices.detector_parts import CONTINUOUS, INTERNAL, MULTIPLE, TriggerStatus
from whiteline.devices.errands import Errand, Watchful
from whiteline.devices.errors import DeviceError, Lost, Overdue, Refused
from whiteline.devices.frame_files import FramesLost
from whiteline.devices.lost_puts import put
from whiteline.devices.positioner import MARGIN
from whiteline.devices.settings import settle

FRAMES_S = 10.0
"""What a point may take longer than computed [s]: a detector's first frame, or a slow disk, takes seconds."""


class FileDetector(Watchful, SingleTrigger, DetectorBase):
    """A detector that writes frames into files.

    A subclass has a driver `cam` and a file plugin `hdf1`, says what its settings are, and how long a point takes.

    Parameters
    ----------
    prefix : str
        Of its process variables.
    write, read : str
        Folder of its files, as the IOC sees it and as clients do.
    image_name : str
        Name of the frames in the events.

    Attributes
    ----------
    chosen_trigger_mode : str
        By which this client has chosen that frames start, outside of fly scans.
    """

    # the components say themselves of which kind they are
    _default_configuration_attrs = None
    _default_read_attrs = None

    _staged: Staged

    def __init__(self, prefix: str, *, name: str, write: str, read: str, image_name: str, **kwargs: Any) -> None:
        super().__init__(prefix, name=name, image_name=image_name, **kwargs)
        self.hdf1.place(str(write), str(read))
        self.configuration_names.kind = "omitted"
        self.stage_sigs.clear()
        self.stage_sigs["cam.image_mode"] = MULTIPLE
        self.stage_sigs["cam.array_callbacks"] = "Enable"
        self._before: list[tuple[Any, Any]] = []
        self._point: tuple[tuple[int, ...], str] | None = None
        self._taken = 0
        self._acquiring = False
        self.chosen_trigger_mode = INTERNAL

    # what a subclass provides

    @property
    def point_shape(self) -> tuple[int, ...]:
        """Shape of the data of one point with the settings as they are: frames first."""
        raise NotImplementedError

    @property
    def image_key(self) -> str:
        """Data key of its frames."""
        return str(self._image_name)

    @property
    def duration_per_point(self) -> float:
        """How long a trigger takes [s], readout included."""
        raise NotImplementedError

    @property
    def fixed_while_staged(self) -> frozenset[str]:
        """Settings that change the shape of the data, or its names."""
        raise NotImplementedError

    def check(self, values: Mapping[str, Any]) -> None:
        """Refuse settings that make no sense, together with the others as they are; nothing is put."""
        raise NotImplementedError

    def _apply(self, errand: Errand, values: Mapping[str, Any]) -> None:
        """Put settings in force."""
        raise NotImplementedError

    def _finish(self, errand: Errand) -> None:
        """Do what is left to do for a point whose frames are in the file."""

    # settings

    def change(self, values: Mapping[str, Any]) -> StatusBase:
        """Put settings in force.

        Parameters
        ----------
        values : mapping of str to object
            By their names.

        Returns
        -------
        Status
            Done when the IOC shows them; fails with `Lost` or `Overdue`.

        Raises
        ------
        ValueError
            If one makes no sense, or they do not go together; nothing is put then.
        Refused
            While it acquires, or if one is fixed while the detector is staged.
        """
        self.check(values)
        fixed = sorted(self.fixed_while_staged & set(values))
        if fixed and self.is_staged:
            raise Refused(
                f"{', '.join(fixed)} of {self.name} cannot change while it is staged: the run's description names the "
                "shape of its data; change it before the run"
            )
        if self._acquiring:
            raise Refused(f"{', '.join(values)} of {self.name} cannot change while it acquires: wait for its trigger")
        return self.run_errand(lambda errand: self._apply(errand, values), needs=self.needed_signals)

    def configure(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Put settings in force, and return the configurations before and after; raises as `change`."""
        old = self.read_configuration()
        self.change(values).wait()
        return old, self.read_configuration()

    def _require_known(self, values: Mapping[str, Any], known: Sequence[str]) -> None:
        for name in values:
            if name not in known:
                raise ValueError(f"{self.name} has no setting {name!r}; it has {', '.join(known)}")

    def _settle(self, errand: Errand, signal: Any, wanted: Any, rtol: float = 1e-6) -> None:
        settle(errand, signal, wanted, self.wake, rtol)

    def run_errand(self, work: Callable[[Errand], None], **how: Any) -> StatusBase:
        """Carry something out as `Watchful` does; a library's error on a circuit that broke is told as its loss."""

        def guarded(errand: Errand) -> None:
            try:
                work(errand)
            except Exception:
                errand.require_possible()
                raise

        return super().run_errand(guarded, **how)

    # staging

    @property
    def needed_signals(self) -> Sequence[Any]:
        """Signals without which nothing can be acquired."""
        return self.cam.acquire, *self.hdf1.needed_signals

    @property
    def itemsize(self) -> int:
        """Bytes of one number in its file."""
        return int(np.dtype(str(self.cam.data_type.get()).lower()).itemsize)

    @property
    def staged_point(self) -> tuple[tuple[int, ...], str]:
        """Shape and type of the data of one point: of the staging, else of the settings as they are."""
        return self._point or (self.point_shape, np.dtype(str(self.cam.data_type.get()).lower()).str)

    @property
    def is_staged(self) -> bool:
        """Whether it is staged, or partly."""
        return bool(self._staged is not Staged.no)

    def stage(self) -> list[object]:
        """Make it ready: idle, with a new file that waits for frames.

        Raises
        ------
        DeviceError
            If the folder does not exist, the IOC is lost, or a setting does not come into force.
        """
        if self.is_staged:
            raise RedundantStaging(f"{self.name} is staged already; unstage it first")
        self._staged = Staged.partially
        try:
            self.run_errand(self._prepare, needs=self.needed_signals).wait()
        except Exception:
            self.unstage()
            raise
        self._staged = Staged.yes
        return [self, self.hdf1]

    def unstage(self) -> list[object]:
        """Leave it idle with its file closed, whatever it was doing; it can be staged again at once.

        Raises
        ------
        Lost, Overdue
            If its IOC is there and does not obey. If it has gone there is nothing to be put back: it starts anew.
        """
        if not self.is_staged:
            return [self, self.hdf1]
        # a run that fails for another reason must not be told of this trigger, or its own reason would be lost
        self.end_errand("was unstaged", success=True)
        try:
            self.run_errand(self._put_back, needs=self.needed_signals).wait()
        except Lost as error:
            if all(signal.connected for signal in self.needed_signals):
                raise
            self.log.warning("%s was unstaged without its IOC: %s", self.name, error)
        finally:
            self._before.clear()
            self._point = None
            self.hdf1.forget()
            self._staged = Staged.no
        return [self, self.hdf1]

    def _prepare(self, errand: Errand) -> None:
        self._become_idle(errand)
        if self._is_in_flight(errand):
            self.log.warning(
                "%s was set to wait for pulses without end, and is set to %s again: was a fly scan killed?",
                self.cam.prefix,
                self.chosen_trigger_mode,
            )
            self._settle(errand, self.cam.trigger_mode, self.chosen_trigger_mode)
            self._settle(errand, self.cam.image_mode, MULTIPLE)
        self.hdf1.close(errand)
        for owner in (self, self.hdf1):
            for key, wanted in owner.stage_sigs.items():
                signal = getattr(owner, key) if isinstance(key, str) else key
                self._before.append((signal, signal.get()))
                self._settle(errand, signal, wanted)
        port = self.cam.port_name.get()
        if self.hdf1.nd_array_port.get() != port:
            raise DeviceError(
                f"{self.hdf1.name} takes its frames from {self.hdf1.nd_array_port.get()!r}, not from {port!r}: set "
                f"{self.hdf1.nd_array_port.setpoint_pvname}"
            )
        point = self.staged_point
        self.hdf1.open(errand, point[0])
        self._point, self._taken = point, 0

    def _is_in_flight(self, errand: Errand) -> bool:
        """Tell whether a session that was killed in a fly scan has left it set for pulses without end.

        It may acquire or not: the session may have died before it let it, or after it had ended it. Nobody else sets
        it so: `trigger_mode` is set with a number of frames.
        """
        mode, number = (str(errand.ask(signal, SETTLE_S)) for signal in (self.cam.trigger_mode, self.cam.image_mode))
        return mode != INTERNAL and number == CONTINUOUS

    def _put_back(self, errand: Errand) -> None:
        self._become_idle(errand)
        self.hdf1.close(errand)
        while self._before:
            self._settle(errand, *self._before.pop())

    def _become_idle(self, errand: Errand) -> None:
        acquire = self.cam.acquire
        if errand.ask(acquire, SETTLE_S) != 0:
            self._halt()
        seconds = float(self.cam.acquire_time.get()) + SETTLE_S
        errand.until(lambda: acquire.get() == 0, seconds, f"{acquire.pvname} to end")

    # triggering

    def trigger(self) -> StatusBase:
        """Acquire one point.

        Returns
        -------
        Status
            Done when all frames are in the file. Fails with `FramesLost`, `Lost`, `Overdue` or `Stopped`.

        Raises
        ------
        Lost
            If the IOC is lost already.
        Refused
            If it is not staged.
        """
        if self._staged is not Staged.yes:
            raise Refused(f"{self.name} is not staged, so it has no file to write into; stage it first")
        for signal in (*self.needed_signals, self.cam.array_counter, self.cam.num_images):
            if not signal.connected:
                raise Lost(f"{self.name} has lost {signal.pvname}: its IOC has gone; start it again, then stage anew")
        status = TriggerStatus(self, call_stop_on_failure=False)
        self.hdf1.generate_datum(self._image_name, time.time(), {})
        self.run_errand(self._acquire, needs=self.needed_signals, status=status, on_failure=self._halt)
        return status

    def stop(self, *, success: bool = False) -> None:
        """Stop acquiring, and let the trigger under way fail; `success` is of no effect."""
        self._halt()
        self.end_errand()

    def _halt(self) -> None:
        if self.cam.acquire.connected:
            put(self.cam.acquire, 0, force=True)

    def _acquire(self, errand: Errand) -> None:
        self._acquiring = True
        try:
            self._take(errand)
            self._finish(errand)
        finally:
            self._acquiring = False

    def _take(self, errand: Errand) -> None:
        assert self._point is not None
        file, (shape, _) = self.hdf1, self._point
        if self.point_shape != shape:
            raise Refused(
                f"{self.name} was staged for data of the shape {shape}, and its IOC is now set to {self.point_shape}: "
                "somebody has changed it; unstage and stage it again"
            )
        held = int(errand.ask(file.num_captured, SETTLE_S))
        if file.capture.get() != 1 or held != self._taken:
            raise Refused(
                f"{self.name} cannot add to its file, which holds {held} frames where {self._taken} belong"
                f"{'' if file.capture.get() == 1 else ' and is closed'}; unstage and stage it again for a new one"
            )
        wanted, dropped = held + shape[0], int(errand.ask(file.dropped_arrays, SETTLE_S))
        seconds = MARGIN * self.duration_per_point + FRAMES_S
        completed = errand.put(self.cam.acquire, 1)
        errand.until(
            lambda: completed() or file.ended,
            seconds,
            lambda: f"{shape[0]} frames; {file.num_captured.get() - held} are in the file; it says {self._message()!r}",
        )
        # the completion may come before the monitors, and a plugin that does not block may still be writing
        if int(errand.ask(file.num_captured, SETTLE_S)) != wanted:
            self._await_frames(errand, held, wanted, dropped)
        if self._taken == 0:
            self._require_description(errand)
        self._taken = wanted

    def _await_frames(self, errand: Errand, held: int, wanted: int, dropped: int) -> None:
        """Give frames that are on their way the time that a point takes, and raise if they do not come."""
        file = self.hdf1

        def over() -> bool:
            return file.ended or file.dropped_arrays.get() > dropped or file.num_captured.get() >= wanted

        with suppress(Overdue):
            errand.until(over, self.duration_per_point + FRAMES_S, "the frames on their way")
        arrived, lost = (
            int(errand.ask(file.num_captured, SETTLE_S)) - held,
            int(errand.ask(file.dropped_arrays, SETTLE_S)) - dropped,
        )
        if arrived == wanted - held and not file.failed:
            return
        reason = f"; {lost} were dropped before the file plugin" if lost else ""
        if file.failed:
            reason += f"; the file plugin says: {file.trouble()}"
        raise FramesLost(
            f"{self.name} was to write {wanted - held} frames, and {arrived} arrived in its file{reason}; the "
            f"driver says {self._message()!r}; look at disk and network, then unstage and stage it again"
        )

    def _require_description(self, errand: Errand) -> None:
        """Raise unless the first frames are what the documents say."""
        assert self._point is not None
        self.hdf1.require_opened(errand)
        wanted = self._point[0][1:]
        shape = int(errand.ask(self.hdf1.height, SETTLE_S)), int(errand.ask(self.hdf1.width, SETTLE_S))
        if shape != wanted:
            raise DeviceError(
                f"{self.name} wrote frames of the shape {shape}, but its settings make {wanted}: correct region and "
                "binning at its IOC, or do not bin"
            )

    def _message(self) -> str:
        return str(self.cam.status_message.get())

    def make_data_key(self) -> dict[str, Any]:
        """Say what the data of one point are."""
        shape, dtype = self.staged_point
        return {
            "shape": list(shape),
            "source": f"PV:{self.prefix}",
            "dtype": "array",
            "dtype_numpy": dtype,
            "external": "FILESTORE:",
        }

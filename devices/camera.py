"""The camera of a microscope: a stock areaDetector camera that is set by messages and verifies its files."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ophyd import Component, Signal

from whiteline.devices.area_detector import FileDetector
from whiteline.devices.camera_settings import CameraSettings
from whiteline.devices.detector_parts import INTERNAL, MULTIPLE, Driver
from whiteline.devices.errands import Errand
from whiteline.devices.forecast import Forecast
from whiteline.devices.frame_files import FramesFile
from whiteline.devices.settings import Setting

QUANTISED = 0.01
"""By how much the exposure in force may differ from the wanted one, relative: cameras count it in lines."""

SOFT = {"readout": "readout_s", "pulse_wait": "pulse_wait_s"}
"""Settings that only this client knows."""


class Camera(FileDetector):
    """A camera.

    Parameters
    ----------
    prefix : str
        Of its process variables, such as "TXM:camera:".
    readout_s : float
        Dead time after each frame [s], for estimates and limits of time.
    write, read : str or Path
        Folder of its files, as the IOC sees it and as clients do.
    pulse_wait_s : float
        How long each frame waits for its pulse at most, if it does not start its frames itself [s].
    """

    cam = Component(Driver, "cam1:", kind="omitted")
    hdf1 = Component(FramesFile, "HDF1:", write_path_template="/", kind="normal")

    exposure = Component(Setting, shown=lambda camera: camera.settings.exposure, unit="s", kind="normal")
    readout = Component(Setting, shown=lambda camera: camera.settings.readout, unit="s", kind="config")
    frames = Component(Setting, shown=lambda camera: camera.settings.frames, kind="config")
    roi = Component(Setting, shown=lambda camera: camera.settings.roi, unit="pixels", kind="config")
    binning = Component(Setting, shown=lambda camera: camera.settings.binning, kind="config")
    trigger_mode = Component(Setting, shown=lambda camera: camera.settings.trigger_mode, kind="config")
    pulse_wait = Component(Setting, shown=lambda camera: camera.settings.pulse_wait, unit="s", kind="config")
    readout_s = Component(Signal, kind="omitted")
    pulse_wait_s = Component(Signal, kind="omitted")

    def __init__(
        self,
        prefix: str,
        *,
        name: str,
        readout_s: float,
        write: str | Path,
        read: str | Path,
        pulse_wait_s: float = 10.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(prefix, name=name, write=str(write), read=str(read), image_name=f"{name}_image", **kwargs)
        self.readout_s.put(float(readout_s))
        self.pulse_wait_s.put(float(pulse_wait_s))

    @property
    def settings(self) -> CameraSettings:
        """What is in force, as the monitors have it."""
        cam = self.cam
        corner_and_size = (cam.min_x, cam.min_y, cam.size_x, cam.size_y)
        x, y, width, height = (int(signal.get()) for signal in corner_and_size)
        return CameraSettings(
            exposure=float(cam.acquire_time.get()),
            readout=float(self.readout_s.get()),
            frames=int(cam.num_images.get()),
            roi=(x, y, width, height),
            binning=int(cam.bin_x.get()),
            trigger_mode=str(cam.trigger_mode.get()),
            pulse_wait=float(self.pulse_wait_s.get()),
        )

    @property
    def sensor(self) -> tuple[int, int]:
        """Rows and columns of the whole sensor."""
        return int(self.cam.max_size_y.get()), int(self.cam.max_size_x.get())

    @property
    def whole_sensor(self) -> tuple[int, int, int, int]:
        """The region that is the whole sensor, as `roi` takes it."""
        rows, columns = self.sensor
        return 0, 0, columns, rows

    @property
    def trigger_modes(self) -> tuple[str, ...]:
        """By what a frame can be started, in the words of the IOC."""
        return tuple(self.cam.trigger_mode.enum_strs or ())

    @property
    def point_shape(self) -> tuple[int, ...]:
        """Frames, rows and columns of one trigger."""
        return self.settings.shape

    @property
    def duration_per_point(self) -> float:
        """How long a trigger takes [s]: frames times exposure and readout, and the wait for pulses from outside."""
        settings = self.settings
        internal = settings.trigger_mode == INTERNAL
        return settings.duration(internal, float(self.cam.acquire_period.get()))

    def forecast(self, settings: Mapping[str, Any]) -> Forecast:
        """Return what a trigger would be with some settings changed, and the others as they are.

        Parameters
        ----------
        settings : mapping of str to object
            By their names; refused as by `check`.
        """
        wanted = self._with(settings)
        seconds = wanted.duration(wanted.trigger_mode == INTERNAL, float(self.cam.acquire_period.get()))
        return Forecast(seconds, wanted.frames, math.prod(wanted.shape) * self.itemsize)

    @property
    def fixed_while_staged(self) -> frozenset[str]:
        """Settings that change the shape of the data; exposure may change from point to point."""
        return frozenset({"frames", "roi", "binning"})

    def check(self, values: Mapping[str, Any]) -> None:
        """Refuse settings that are not possible, together with the others as they are; nothing is put.

        Raises
        ------
        OutOfRange, ValueError
            With name, value, limit, unit and remedy.
        """
        self._with(values)

    def _with(self, values: Mapping[str, Any]) -> CameraSettings:
        self._require_known(values, CameraSettings.names())
        given = dict(values)
        if "roi" in given:
            given["roi"] = tuple(given["roi"])
        wanted = self.settings.changed(given)
        wanted.require(self.name, self.sensor, self.trigger_modes)
        return wanted

    def _apply(self, errand: Errand, values: Mapping[str, Any]) -> None:
        # what is in force may have changed since the check: the region of an errand before this one
        wanted, cam = self._with(values), self.cam
        for name, keeper in SOFT.items():
            if name in values:
                getattr(self, keeper).put(float(values[name]))
        if "exposure" in values:
            self._settle(errand, cam.acquire_time, float(wanted.exposure), QUANTISED)
        if "frames" in values:
            self._settle(errand, cam.num_images, int(wanted.frames))
        if "trigger_mode" in values:
            # left continuous by a live view, it would look as a fly scan that was killed leaves it
            self._settle(errand, cam.image_mode, MULTIPLE)
            self._settle(errand, cam.trigger_mode, wanted.trigger_mode)
            self.chosen_trigger_mode = wanted.trigger_mode
        # a client that was killed between two steps may have left it binned one way only
        unequal = int(cam.bin_x.get()) != int(cam.bin_y.get())
        if {"roi", "binning"} & set(values) and (unequal or wanted.shape_on_sensor != self.settings.shape_on_sensor):
            self._set_region(errand, wanted)

    def _set_region(self, errand: Errand, wanted: CameraSettings) -> None:
        """Set region and binning in an order in which no step leaves the sensor, where drivers clip."""
        cam = self.cam
        x, y, width, height = wanted.roi
        for signal in (cam.bin_x, cam.bin_y):
            self._settle(errand, signal, 1)
        for first, size, start, count in ((cam.min_x, cam.size_x, x, width), (cam.min_y, cam.size_y, y, height)):
            self._settle(errand, first, 0)
            self._settle(errand, size, int(count))
            self._settle(errand, first, int(start))
        for signal in (cam.bin_x, cam.bin_y):
            self._settle(errand, signal, int(wanted.binning))

"""A client of the simulated beamline, by pyepics, for tests and for processes that they start."""

import threading
from collections.abc import Callable, Iterable
from typing import Any

import h5py

from whiteline.beamline.simulation import Simulated


class Channels:
    """Process variables as a client sees them, by pyepics; their names begin with a tag that is left out here."""

    def __init__(self, tag: str = "") -> None:
        import epics

        self._tag = tag
        self._epics = epics
        self._made: dict[str, Any] = {}

    def __call__(self, name: str) -> Any:
        """Return a connected channel."""
        channel = self._channel(name)
        assert channel.wait_for_connection(timeout=90), f"{name} is not there"
        return channel

    def together(self, values: dict[str, Any], timeout: float = 60) -> None:
        """Put several values at once, and wait for all completions."""
        done = {name: threading.Event() for name in values}
        for name, value in values.items():
            self(name).put(value, wait=False, callback=lambda done=done[name], **_: done.set())
        for name, completed in done.items():
            assert completed.wait(timeout), f"{name} = {values[name]} did not complete"

    def _channel(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = self._epics.PV(self._tag + name, auto_monitor=True)
        return self._made[name]

    def connect(self, names: Iterable[str]) -> None:
        """Connect many channels at once."""
        for channel in [self._channel(name) for name in names]:
            assert channel.wait_for_connection(timeout=90), f"{channel.pvname} is not there"

    def get(self, name: str, **how: Any) -> Any:
        """Return a fresh value, not one that a monitor brought."""
        value = self(name).get(use_monitor=False, timeout=30, **how)
        assert value is not None, f"{name} does not answer"
        return value

    def put(self, name: str, value: Any, timeout: float = 60) -> None:
        """Put, and wait for the completion."""
        assert self(name).put(value, wait=True, timeout=timeout) == 1, f"{name} = {value} did not complete"

    def start(self, name: str, value: Any) -> None:
        """Put, and do not wait."""
        self(name).put(value, wait=False)

    def wait(self, name: str, wanted: Callable[[Any], bool], timeout: float = 30, as_string: bool = False) -> Any:
        """Wait until a monitor brings a value that is wanted."""
        channel, found = self(name), threading.Event()
        values: list[Any] = []

        def look(value: Any = None, char_value: Any = None, **rest: Any) -> None:
            values.append(char_value if as_string else value)
            if wanted(values[-1]):
                found.set()

        index = channel.add_callback(look, run_now=True)
        try:
            assert found.wait(timeout), f"{name} was {values[-5:]} at last"
        finally:
            channel.remove_callback(index)
        return values[-1]

    def severity(self, name: str) -> int:
        """Return the severity of the alarm of a channel, just now."""
        channel = self(name)
        channel.get_timevars(timeout=30)
        return int(channel.severity)


class Camera:
    """The camera of the simulated TXM, by plain puts."""

    prefix = "TXM:camera:"

    def __init__(self, ca: Channels, twin: Simulated) -> None:
        self._ca, self._twin, self._files = ca, twin, 0

    def frames(self, count: int, side: int = 64, exposure_s: float = 0.2, expected: int | None = None) -> Any:
        """Take frames of the middle of the sensor with one trigger, and return what the file then holds."""
        self._files += 1
        settings = {
            "cam1:AcquireTime": exposure_s,
            "cam1:AcquirePeriod": 0.0,
            "cam1:NumImages": count,
            "cam1:ImageMode": 1,
            "cam1:MinX": 1024 - side // 2,
            "cam1:MinY": 1024 - side // 2,
            "cam1:SizeX": side,
            "cam1:SizeY": side,
            "HDF1:FilePath": f"{self._twin.folder}/",
            "HDF1:FileName": f"frames{self._files}",
            "HDF1:FileTemplate": "%s%s_%6.6d.h5",
            "HDF1:FileWriteMode": 2,
            "HDF1:NumCapture": 0,
            "HDF1:EnableCallbacks": 1,
        }
        for name, value in settings.items():
            self._ca.put(f"{self.prefix}{name}", value)
        self._ca.start(f"{self.prefix}HDF1:Capture", 1)
        self._ca.wait(f"{self.prefix}HDF1:Capture_RBV", lambda value: value == 1)
        self._ca.put(f"{self.prefix}cam1:Acquire", 1, timeout=300)
        self._ca.put(f"{self.prefix}HDF1:Capture", 0)
        with h5py.File(self._ca.get(f"{self.prefix}HDF1:FullFileName_RBV", as_string=True)) as file:
            found = file["entry/data/data"][:]
        assert found.shape == (count if expected is None else expected, side, side)
        return found

    def open(self) -> None:
        """Open both shutters."""
        for prefix in ("FE:shutter:", "TXM:shutter:"):
            self._ca.put(f"{prefix}command", "Open")
            assert self._ca.get(f"{prefix}status", as_string=True) == "Open"

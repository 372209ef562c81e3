"""A client of the capture box of a simulated beamline, by plain puts."""

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
from ca_client import Channels

from whiteline.beamline.simulation import Simulated

ENDED = ("Idle", "Done", "Failed")


class Box:
    """The box, and the detector that it triggers."""

    def __init__(self, ca: Channels, twin: Simulated, prefix: str, detector: str, driver: str) -> None:
        self._ca, self._twin = ca, twin
        self.prefix, self.detector, self.driver = prefix, detector, f"{detector}{driver}"
        self._files = 0

    def put(self, name: str, value: Any) -> None:
        self._ca.put(f"{self.prefix}{name}", value)

    def get(self, name: str) -> Any:
        text = name in ("State_RBV", "Connected_RBV", "Capture_RBV")
        return self._ca.get(f"{self.prefix}{name}", as_string=text)

    def tells(self, part: str) -> str:
        """Wait for a message with a part; a get could be cut to the length of the message before."""
        return str(self._ca.wait(f"{self.prefix}Message_RBV", lambda text: part in text, as_string=True))

    def open(self, axis: str, pulses: int, **settings: Any) -> None:
        """Open a file for lines along an axis."""
        self._files += 1
        chosen = {"Mode": "Position", "Gate": 0.0, "Timeout": 30.0, "Axis": axis, "Pulses": pulses}
        chosen |= {"FilePath": f"{self._twin.folder}/", "FileName": f"capture{self._files}"} | settings
        for name, value in chosen.items():
            self.put(name, value)
        self.put("Open", 1)
        assert self.get("Capture_RBV") == "Open"

    def arm(self, **settings: Any) -> str:
        """Arm, and return the state that follows."""
        for name, value in settings.items():
            self.put(name, value)
        self.put("Arm", 1)
        return str(self.get("State_RBV"))

    def ended(self, timeout: float = 30) -> str:
        """Wait until a line that was armed has ended and is written, and return how it ended."""
        state = self._ca.wait(f"{self.prefix}State_RBV", lambda state: state in ENDED, timeout, as_string=True)
        lines = self.get("Line_RBV") + 1
        self._ca.wait(f"{self.prefix}Lines_RBV", lambda written: written == lines, timeout)
        return str(state)

    def line(self, motor: str, to: float, velocity: float | None = None, **settings: Any) -> str:
        """Arm, move an axis to its end, and return how the line ended."""
        assert self.arm(**settings) == "Armed"
        self._ca.wait(f"{self.prefix}State_RBV", lambda state: state not in ENDED, as_string=True)
        if velocity is not None:
            self._ca.put(f"{motor}.VELO", velocity)
        self._ca.put(motor, to)
        return self.ended()

    def close(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Close the file, and return what it holds, and the truth."""
        self.put("Close", 1)
        return self.read()

    def read(self, **how: Any) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Return what the file holds, and the truth; `swmr=True` while it grows."""
        names = f"{self.prefix}FullFileName_RBV", "SIM:truth:capture:file"
        end = f"capture{self._files}_{self.get('FileNumber_RBV') - 1:06d}.h5"
        files = [self._ca.wait(name, lambda text: text.endswith(end), as_string=True) for name in names]
        found = []
        for file, group in zip(files, ("capture", "truth"), strict=True):
            with h5py.File(file, "r", **how) as opened:
                found.append({name: column[:] for name, column in opened[f"entry/{group}"].items()})
        return found[0], found[1]

    def acquire(self, mode: str, exposure_s: float, **settings: Any) -> None:
        """Let the detector wait for triggers, and write what they start."""
        chosen = {"TriggerMode": mode, "AcquireTime": exposure_s, "ImageMode": "Continuous"} | settings
        for name, value in chosen.items():
            self._ca.put(f"{self.driver}{name}", value)
        for name, value in {
            "FilePath": f"{self._twin.folder}/",
            "FileName": f"triggered{self._files}",
            "FileTemplate": "%s%s_%6.6d.h5",
            "FileWriteMode": 2,
            "NumCapture": 0,
            "EnableCallbacks": 1,
        }.items():
            self._ca.put(f"{self.detector}HDF1:{name}", value)
        self._ca.start(f"{self.detector}HDF1:Capture", 1)
        self._ca.wait(f"{self.detector}HDF1:Capture_RBV", lambda value: value == 1)
        self._ca.start(f"{self.driver}Acquire", 1)
        self._ca.wait(f"{self.driver}DetectorState_RBV", lambda state: state == "Waiting", as_string=True)

    def acquired(self) -> Any:
        """End the acquisition, and return what the detector wrote."""
        self._ca.put(f"{self.driver}Acquire", 0)
        self._ca.put(f"{self.detector}HDF1:Capture", 0)
        self._ca.put(f"{self.driver}TriggerMode", "Internal")
        with h5py.File(self._ca.get(f"{self.detector}HDF1:FullFileName_RBV", as_string=True)) as file:
            return np.asarray(file["entry/data/data"][:])

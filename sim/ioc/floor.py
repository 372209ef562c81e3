"""What the two IOCs share: the machine's shutters and dumps, and the beamline's time.

A small file mapped into both processes: what one has written, the other sees before any client can have heard of it. So
a frame that is taken after a shutter has closed is dark, however the processes are scheduled.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

MOST_DUMPS = 32
STARTED, FRAMES_TIME, PHOTON, FAST, DUMPS, FIRST_DUMP = range(6)
"""Places in the file."""


class Floor:
    """The shared state of a simulated beamline.

    Each number has one writer: the machine writes shutters and dumps, the beamline its time. An aligned double is
    written at once, so no lock is needed.

    Parameters
    ----------
    file : Path
        Made by `Floor.create`.
    """

    def __init__(self, file: Path) -> None:
        self._shared = np.memmap(file, np.float64, "r+", shape=(FIRST_DUMP + 2 * MOST_DUMPS,))

    @classmethod
    def create(cls, file: Path, started: float) -> "Floor":
        """Make the file; `started` is the reading of `time.monotonic` at time 0 [s]."""
        np.zeros(FIRST_DUMP + 2 * MOST_DUMPS).tofile(file)
        floor = cls(file)
        floor._shared[STARTED] = started
        return floor

    @property
    def started(self) -> float:
        """Reading of `time.monotonic` at time 0 [s]."""
        return float(self._shared[STARTED])

    @property
    def frames_time_s(self) -> float:
        """Time of a clock that goes by frames [s]."""
        return float(self._shared[FRAMES_TIME])

    @frames_time_s.setter
    def frames_time_s(self, value: float) -> None:
        self._shared[FRAMES_TIME] = value

    @property
    def open(self) -> bool:
        """Whether both shutters are."""
        return bool(self._shared[PHOTON] and self._shared[FAST])

    def set_shutter(self, name: str, is_open: bool) -> None:
        """Tell where a shutter stands: "photon" or "fast"."""
        self._shared[{"photon": PHOTON, "fast": FAST}[name]] = is_open

    @property
    def dumps_s(self) -> Sequence[tuple[float, float]]:
        """When beam was lost, and when it was back, full [s]."""
        count = int(self._shared[DUMPS])
        pairs = self._shared[FIRST_DUMP : FIRST_DUMP + 2 * count].reshape(count, 2)
        return tuple((float(lost), float(back)) for lost, back in pairs)

    def dump(self, lost_s: float, back_s: float) -> None:
        """Lose the beam at a time, until another [s]; of many dumps the oldest are forgotten."""
        kept = [*self.dumps_s, (lost_s, back_s)][-MOST_DUMPS:]
        self._shared[FIRST_DUMP : FIRST_DUMP + 2 * len(kept)] = np.ravel(kept)
        self._shared[DUMPS] = len(kept)

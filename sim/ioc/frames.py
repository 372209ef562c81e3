"""The camera: what it gives its driver."""

from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whiteline.sim.camera import Region
from whiteline.sim.gates import Gates
from whiteline.sim.ioc.capture.witness import Witness
from whiteline.sim.ioc.measuring import Measuring


@dataclass(frozen=True)
class CameraSettings:
    """A camera.

    Parameters
    ----------
    prefix : str
        Of its process variables.
    sensor : tuple of int
        Rows and columns.
    readout_s : float
        Time to read a frame [s].
    buffer : int
        Frames that it holds, when it is triggered faster than it hands them on.
    most_per_s : float
        Frames that it can hand on for good [1/s].
    """

    prefix: str
    sensor: tuple[int, int]
    readout_s: float
    buffer: int
    most_per_s: float


class CameraSource:
    """What a camera gives its driver: frames.

    Parameters
    ----------
    settings : CameraSettings
        The camera.
    measuring : Measuring
        What it sees.
    witness : Witness or None
        Knows where everything was at trigger pulses, if there are any.
    """

    dtype = "uint16"

    def __init__(self, settings: CameraSettings, measuring: Measuring, witness: Witness | None) -> None:
        self.shape, self.readout_s = settings.sensor, settings.readout_s
        self._measuring, self._witness = measuring, witness

    def expose(self, exposure_s: float, number: int, region: Region) -> Awaitable[NDArray[np.uint16]]:
        """Start to expose; the frame comes later."""
        return self._measuring.frame(exposure_s, number, region)

    def expose_many(
        self, starts_s: NDArray[np.float64], lengths_s: NDArray[np.float64], number: int, region: Region
    ) -> AsyncIterator[NDArray[np.uint16]]:
        """Return the frames of exposures that are over, one by one: each as things were on average during it."""
        assert self._witness is not None
        self._witness.look()
        gates = self._witness.scene(since_s=float(starts_s[0])).gates(starts_s, lengths_s)
        return self._made(gates, number, region)

    async def _made(self, gates: Gates, number: int, region: Region) -> AsyncIterator[NDArray[np.uint16]]:
        for place, exposure_s in enumerate(gates.length_s.tolist()):
            readings, turn_deg = gates.readings(place), float(gates.turn_deg[place])
            frame = await self._measuring.frame_at(readings, exposure_s, number + place, region, turn_deg)
            yield frame[np.newaxis]

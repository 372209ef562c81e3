"""The camera: what it gives its driver."""

from collections.abc import Awaitable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whiteline.sim.camera import Region
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
    """

    prefix: str
    sensor: tuple[int, int]
    readout_s: float


class CameraSource:
    """What a camera gives its driver: frames.

    Parameters
    ----------
    settings : CameraSettings
        The camera.
    measuring : Measuring
        What it sees.
    """

    dtype = "uint16"

    def __init__(self, settings: CameraSettings, measuring: Measuring) -> None:
        self.shape, self.readout_s = settings.sensor, settings.readout_s
        self._measuring = measuring

    def expose(self, exposure_s: float, number: int, region: Region) -> Awaitable[NDArray[np.uint16]]:
        """Start to expose; the frame comes later."""
        return self._measuring.frame(exposure_s, number, region)

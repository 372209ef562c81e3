"""What a capture box is told."""

from dataclasses import dataclass

from whiteline.sim.servo import Servo

INTERFEROMETER = "sample.interferometer."
"""How the sources of the channels begin that read the sample's position; x, y or z follows."""


@dataclass(frozen=True)
class ChannelSettings:
    """A position that the box reads.

    Parameters
    ----------
    name : str
        What it is called, and its columns.
    source : str
        What it reads: an axis, by its path in the description, or "sample.interferometer.x".
    unit : str
        Of its positions.
    noise : float
        Of a reading, root mean square at a bandwidth of 1 kHz [unit].
    """

    name: str
    source: str
    unit: str
    noise: float


@dataclass(frozen=True, kw_only=True)
class CaptureSettings:
    """A capture box.

    Parameters
    ----------
    prefix : str
        Of its process variables.
    channels : tuple of ChannelSettings
        Positions that it reads.
    counters : tuple of str
        What the ion chambers are called that it counts: incident, reference, and transmitted if there is one.
    detector : str
        Name of the detector that it triggers.
    most_per_s : float
        Pulses that it can write for good [1/s].
    buffer : int
        Pulses that it holds that are not written yet.
    servo : Servo
        How the fine stage follows.
    """

    prefix: str
    channels: tuple[ChannelSettings, ...]
    counters: tuple[str, ...]
    detector: str
    most_per_s: float
    buffer: int
    servo: Servo

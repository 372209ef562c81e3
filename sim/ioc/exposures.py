"""What was exposed, and where everything stood then: what the truth is told from."""

from dataclasses import dataclass, field

from whiteline.sim.camera import Region
from whiteline.sim.ioc.instrument import Readings

LONGEST = 100_000
"""Exposures that are remembered."""

IN_BEAM_UM = 1000.0
"""A sample farther than this from where it started counts as out of the beam [µm]."""


@dataclass(frozen=True)
class Exposure:
    """One exposure of the detector that the truth is told for.

    Parameters
    ----------
    number : int
        Of the frame, since the IOC started.
    readings : Readings
        Where everything stood.
    exposure_s : float
        How long it was [s].
    region : Region or None
        The part of the camera's sensor that was read; None for a detector that is no camera.
    """

    number: int
    readings: Readings
    exposure_s: float
    region: Region | None


@dataclass
class Exposures:
    """The exposures so far, in order."""

    taken: list[Exposure] = field(default_factory=list)

    def add(self, exposure: Exposure) -> None:
        """Remember one; of very many the oldest are forgotten."""
        self.taken.append(exposure)
        if len(self.taken) > LONGEST:
            del self.taken[: LONGEST // 10]

    def reference(self, number: int = -1) -> Exposure | None:
        """Return the exposure with a number, with -1 the first one with beam and sample; None if there is none."""
        for one in self.taken:
            if number < 0 and one.readings.open and max(map(abs, one.readings.sample_um)) < IN_BEAM_UM:
                return one
            if one.number == number:
                return one
        return None

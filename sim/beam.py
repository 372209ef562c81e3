"""The beam that reaches the microscope: ring, undulator, monochromator and filters together."""

from collections.abc import Mapping
from dataclasses import dataclass

from whiteline.sim.foils import Filter, transmission
from whiteline.sim.monochromator import Monochromator
from whiteline.sim.noise import Stream, generator, stream
from whiteline.sim.readings import BeamReadings
from whiteline.sim.ring import Ring
from whiteline.sim.undulator import Undulator


@dataclass(frozen=True)
class Beam:
    """Ring, undulator, monochromator and filters.

    Parameters
    ----------
    ring, undulator, monochromator
        The parts.
    filters : mapping of str to Filter
        What may be put in, by name.
    seed : int
        Of the beamline.
    """

    ring: Ring
    undulator: Undulator
    monochromator: Monochromator
    filters: Mapping[str, Filter]
    seed: int

    def energy(self, readings: BeamReadings, detector: int, frame: int) -> float:
        """Return the true photon energy [eV] during a frame of a detector: the jitter differs from frame to frame.

        Raises
        ------
        ValueError
            If no beam is reflected.
        """
        jitter = self.monochromator.jitter(generator(stream(self.seed, Stream.JITTER, detector, frame)))
        return self.monochromator.energy(readings.bragg, readings.time_s, readings.thermal_jump_urad + jitter)

    def strength(self, readings: BeamReadings, energy: float) -> float:
        """Return the flux at an energy [eV] relative to full current with everything tuned, from 0 to 1."""
        if not readings.open:
            return 0.0
        tilt = readings.pitch_urad + readings.fine_pitch_urad
        return (
            self.ring.current(readings.time_s, readings.dumps_s)
            / self.ring.current_mA
            * self.undulator.brightness(readings.undulator_gap, energy)
            * self.monochromator.reflectivity(tilt, readings.bragg)
            * transmission((self.filters[name] for name in readings.filters), energy)
        )

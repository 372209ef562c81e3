"""Run the simulated beamline that a description has: its two IOCs, in processes of their own."""

from whiteline.beamline.simulation.running import Simulated, simulated

__all__ = ["Simulated", "simulated"]

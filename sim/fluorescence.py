"""The fluorescence detector: from the lines that a sample emits to the spectra that are counted.

Each element of the detector sees its share of the photons, folded with its width, and loses counts while it is busy.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.constants import ELECTRON_MASS_EV, FWHM_PER_SIGMA
from whiteline.sim.noise import generator, stream

EV_PER_PAIR = 3.66
"""Energy to make an electron and a hole in silicon [eV]."""

FANO = 0.115
"""Fano factor of silicon."""


@dataclass(frozen=True)
class FluorescenceDetector:
    """A silicon drift detector of several elements, at 90° to the beam.

    Parameters
    ----------
    elements : int
        How many.
    bins : int
        Channels of a spectrum.
    bin_eV : float
        Width of a channel [eV].
    electronic_eV : float
        Electronic part of the width of a line, full width at half maximum [eV].
    dead_time_s : float
        Dead time of each element, paralyzable [s].
    solid_angle : float
        Share of the full sphere that all elements together see.
    scattered : float
        Photons scattered into the full sphere per incident photon, by sample support and air.
    seed, number : int
        Seed of the beamline, and which of its detectors this is.
    """

    elements: int
    bins: int
    bin_eV: float
    electronic_eV: float
    dead_time_s: float
    solid_angle: float
    scattered: float
    seed: int
    number: int

    def line_fwhm(self, energy: float) -> float:
        """Return the width of a line at an energy [eV]: statistics of the charge and electronics in quadrature."""
        charge = FWHM_PER_SIGMA * np.sqrt(FANO * EV_PER_PAIR * energy)
        return float(np.hypot(charge, self.electronic_eV))

    def line_shape(self, energy: float) -> NDArray[np.float64]:
        """Return the share of a line [eV] that falls into each channel, shape (bins,)."""
        sigma = self.line_fwhm(energy) / FWHM_PER_SIGMA
        centres = (np.arange(self.bins) + 0.5) * self.bin_eV
        shape = np.exp(-0.5 * ((centres - energy) / sigma) ** 2)
        return np.asarray(shape * (self.bin_eV / (sigma * np.sqrt(2 * np.pi))))

    def arriving(self, lines: Sequence[tuple[float, float]], photons: float, energy: float) -> NDArray[np.float64]:
        """Return the photons that arrive in each channel of one element, shape (bins,), before any are lost.

        Parameters
        ----------
        lines : sequence of (float, float)
            Energy [eV] of each line, and photons emitted per incident photon.
        photons : float
            Incident photons.
        energy : float
            Their energy, for the scattered ones [eV].
        """
        share = self.solid_angle / self.elements
        compton = energy / (1 + energy / ELECTRON_MASS_EV)
        scattered = [(energy, 0.7 * self.scattered), (compton, 0.3 * self.scattered)]
        spectrum = np.zeros(self.bins)
        for line, emitted in (*lines, *scattered):
            spectrum += photons * share * emitted * self.line_shape(line)
        return spectrum

    def counts(self, arriving: NDArray[np.float64], dwell_s: float, frame: int) -> NDArray[np.uint32]:
        """Return the spectra that are counted.

        Parameters
        ----------
        arriving : ndarray of float64, shape (bins,)
            Expected photons in each channel of one element.
        dwell_s : float
            Counting time [s].
        frame : int
            Number of the frame; with the seed and the number of the detector it settles the noise.

        Returns
        -------
        ndarray of uint32, shape (elements, bins)
        """
        rate = arriving.sum() / dwell_s
        alive = np.exp(-rate * self.dead_time_s)
        source = generator(stream(self.seed, self.number, frame))
        return source.poisson(arriving * alive, (self.elements, self.bins)).astype(np.uint32)


def escape(attenuation_in: float, attenuation_out: float, thickness_um: float, take_off_deg: float) -> float:
    """Return the share of the fluorescence of a layer that is neither shaded nor absorbed on its way out.

    The beam falls normally on the layer. (1 − e⁻ᵃ)/a with a = (μ_in + μ_out / sin ψ) t, and 1 for a thin layer.

    Parameters
    ----------
    attenuation_in, attenuation_out : float
        Of the layer, for the beam and for the line [1/µm].
    thickness_um : float
        [µm].
    take_off_deg : float
        Angle ψ between the surface and the direction of the detector [deg].
    """
    a = (attenuation_in + attenuation_out / np.sin(np.deg2rad(take_off_deg))) * thickness_um
    return float(-np.expm1(-a) / a) if a else 1.0

"""Counters: an ion chamber with its amplifier, and the optical spectrometer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.constants import ELEMENTARY_CHARGE_C
from whiteline.sim.foils import Foil
from whiteline.sim.noise import detected, generator, stream

EV_PER_ION_PAIR = 34.8
"""Energy to make an ion pair in nitrogen [eV]."""


@dataclass(frozen=True)
class IonChamber:
    """An ion chamber, a current amplifier, and a converter of voltage into frequency, counted by a scaler.

    Parameters
    ----------
    absorbed : float
        Share of the photons that the gas absorbs.
    dark_A : float
        Current without beam [A].
    hz_per_V : float
        Frequency per volt [1/s/V].
    largest_V : float
        Where amplifier and converter saturate [V].
    seed, number : int
        Seed of the beamline, and which of its detectors this is.
    """

    absorbed: float
    dark_A: float
    hz_per_V: float
    largest_V: float
    seed: int
    number: int

    def current(self, photons_per_s: float, energy: float) -> float:
        """Return the current [A] of a flux of photons of an energy [eV]."""
        return photons_per_s * self.absorbed * energy / EV_PER_ION_PAIR * ELEMENTARY_CHARGE_C + self.dark_A

    def counts(self, photons_per_s: float, energy: float, gain: float, dwell_s: float, frame: int) -> int:
        """Count.

        Parameters
        ----------
        photons_per_s : float
            Flux into the chamber [1/s].
        energy : float
            Photon energy [eV].
        gain : float
            Of the amplifier [V/A].
        dwell_s : float
            Counting time [s].
        frame : int
            Number of the count; with the seed and the number of the chamber it settles the noise.

        Raises
        ------
        ValueError
            If the dwell is not positive.
        """
        if not dwell_s > 0:
            raise ValueError(f"dwell {dwell_s:g} s must be above 0")
        source = generator(stream(self.seed, self.number, frame))
        photons = source.poisson(photons_per_s * self.absorbed * dwell_s) / self.absorbed
        voltage = min(gain * self.current(photons / dwell_s, energy), self.largest_V)
        return int(np.floor(max(voltage, 0.0) * self.hz_per_V * dwell_s + source.uniform()))

    def gated_counts(
        self,
        photons_per_s: NDArray[np.float64],
        energies: NDArray[np.float64],
        gain: float,
        dwells_s: NDArray[np.float64],
        source: np.random.Generator,
    ) -> NDArray[np.int64]:
        """Count during many gates; parameters as in `counts`, one of each for a gate, and the noise from a generator.

        Returns
        -------
        ndarray of int64, shape (gates,)
        """
        photons = source.poisson(photons_per_s * self.absorbed * dwells_s) / self.absorbed
        charge = photons * self.absorbed * energies / EV_PER_ION_PAIR * ELEMENTARY_CHARGE_C
        voltage = np.clip(gain * (charge / dwells_s + self.dark_A), 0.0, self.largest_V)
        return np.asarray(np.floor(voltage * self.hz_per_V * dwells_s + source.uniform(size=dwells_s.size)), np.int64)


@dataclass(frozen=True)
class Monitored:
    """Counts of the ion chambers that watch the beam: before the sample, and behind the foil wheel."""

    incident: int
    reference: int


@dataclass(frozen=True, eq=False)
class Monitors:
    """The ion chambers that watch the beam, and the foil wheel before the second of them.

    Parameters
    ----------
    incident, reference : IonChamber
        Before the sample, and behind the foil wheel, which takes its light from the beam before the sample.
    foils : mapping of str to Foil
        What the wheel may put into the beam, by name.
    """

    incident: IonChamber
    reference: IonChamber
    foils: Mapping[str, Foil]

    def count(
        self, photons_per_s: float, energy: float, dwell_s: float, frame: int, gains: tuple[float, float], foil: str
    ) -> Monitored:
        """Count both.

        Parameters
        ----------
        photons_per_s : float
            Flux [1/s].
        energy : float
            Photon energy [eV].
        dwell_s : float
            Counting time [s].
        frame : int
            Number of the count.
        gains : tuple of float
            Of the amplifiers, incident and reference [V/A].
        foil : str
            Name of the foil in the beam; empty for none.

        Raises
        ------
        ValueError
            If the wheel has no such foil.
        """
        if foil and foil not in self.foils:
            raise ValueError(f"the foil wheel has no {foil!r}; it has {', '.join(self.foils)}")
        passed = photons_per_s * (self.foils[foil].transmission(energy) if foil else 1.0)
        return Monitored(
            incident=self.incident.counts(photons_per_s, energy, gains[0], dwell_s, frame),
            reference=self.reference.counts(passed, energy, gains[1], dwell_s, frame),
        )


@dataclass(frozen=True)
class OpticalSpectrometer:
    """A grating spectrometer for the light that a sample gives under X-rays.

    Parameters
    ----------
    pixels : int
        Of its line of detectors.
    range_nm : tuple of float
        Wavelengths at the middle of the first and the last pixel [nm].
    resolution_nm : float
        Standard deviation of a sharp line [nm].
    efficiency : float
        Share of the emitted photons that are detected.
    dark : float
        Dark level [counts].
    read_noise : float
        Standard deviation [counts].
    seed, number : int
        Seed of the beamline, and which of its detectors this is.
    """

    pixels: int
    range_nm: tuple[float, float]
    resolution_nm: float
    efficiency: float
    dark: float
    read_noise: float
    seed: int
    number: int

    @property
    def wavelengths(self) -> NDArray[np.float64]:
        """Wavelength of each pixel [nm]."""
        return np.linspace(*self.range_nm, self.pixels)

    def spectrum(self, bands: Sequence[tuple[float, float, float]], frame: int) -> NDArray[np.uint16]:
        """Take a spectrum.

        Parameters
        ----------
        bands : sequence of (float, float, float)
            Wavelength and standard deviation [nm] of each band, and photons that it emits in all directions.
        frame : int
            Number of the spectrum; with the seed and the number of the spectrometer it settles the noise.

        Returns
        -------
        ndarray of uint16, shape (pixels,)
        """
        step = (self.range_nm[1] - self.range_nm[0]) / (self.pixels - 1)
        expected = np.zeros(self.pixels)
        for wavelength, width, photons in bands:
            sigma = np.hypot(width, self.resolution_nm)
            shape = np.exp(-0.5 * ((self.wavelengths - wavelength) / sigma) ** 2) * step / (sigma * np.sqrt(2 * np.pi))
            expected += photons * self.efficiency * shape
        source = generator(stream(self.seed, self.number, frame))
        counts = detected(expected.astype(np.float32), self.read_noise, source) + self.dark
        return np.asarray(np.clip(np.rint(counts), 0, 65_535), np.uint16)

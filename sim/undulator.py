"""The undulator as hardware: a gap goes in, photons of certain energies come out."""

from dataclasses import dataclass

import numpy as np

from whiteline.analysis.constants import ELECTRON_MASS_EV, HC_EV_ANGSTROM, UNDULATOR_K_PER_TESLA_MM

HIGHEST_HARMONIC = 15
"""Harmonics above are washed out by the errors of any real device."""


@dataclass(frozen=True)
class Undulator:
    """A planar undulator.

    Parameters
    ----------
    ring_energy : float
        Energy of the electrons [GeV].
    period : float
        Period of the magnets [mm].
    periods : int
        How many.
    field : tuple of float
        Peak field at no gap [T], and the two coefficients of its fall with gap over period.
    smallest_gap : float
        To which it closes [mm].
    gap_error : float
        True gap minus the reading of its axis [mm].
    """

    ring_energy: float
    period: float
    periods: int
    field: tuple[float, float, float]
    smallest_gap: float
    gap_error: float = 0.0

    def deflection(self, gap: float) -> float:
        """Return the deflection parameter at a gap [mm]."""
        peak, linear, quadratic = self.field
        ratio = (gap + self.gap_error) / self.period
        if quadratic > 0:
            ratio = min(ratio, linear / (2 * quadratic))  # further out the formula would grow again
        tesla = peak * np.exp(quadratic * ratio**2 - linear * ratio)
        return float(tesla * self.period * UNDULATOR_K_PER_TESLA_MM)

    def fundamental(self, gap: float) -> float:
        """Return the photon energy of the first harmonic on the axis [eV] at a gap [mm]."""
        return self._first / (1 + self.deflection(gap) ** 2 / 2)

    @property
    def _first(self) -> float:
        """Energy of the first harmonic of a very weak field [eV]."""
        gamma_squared = (1e9 * self.ring_energy / ELECTRON_MASS_EV) ** 2
        return 2 * gamma_squared * HC_EV_ANGSTROM / (1e7 * self.period)

    def brightness(self, gap: float, energy: float) -> float:
        """Return the flux at an energy [eV] relative to that of the best gap and harmonic for it, from 0 to 1.

        The line of a harmonic n of N periods is sinc²(n N (E − Eₙ) / Eₙ): its first zero lies E/(nN) beside the peak.
        """
        first = self.fundamental(gap)
        harmonic = max(1, 2 * round((energy / first - 1) / 2) + 1)
        peak = harmonic * first
        line = float(np.sinc(harmonic * self.periods * (energy - peak) / peak) ** 2)
        strength = self._strength(harmonic, self.deflection(gap))
        return line * strength / max(self._best(energy), strength) if strength else 0.0

    def _best(self, energy: float) -> float:
        """Return the strength of the strongest harmonic that some gap brings to an energy [eV]."""
        best = 0.0
        for harmonic in range(1, HIGHEST_HARMONIC + 1, 2):
            square = 2 * (harmonic * self._first / energy - 1)
            if 0 < square <= self.deflection(self.smallest_gap) ** 2:
                best = max(best, self._strength(harmonic, float(np.sqrt(square))))
        return best

    @staticmethod
    def _strength(harmonic: int, deflection: float) -> float:
        """Return the flux on the axis, up to a constant: the harmonic's part of the light of one period of the motion.

        Sideways the electron moves as cos x. It falls behind where it does, which adds Z sin 2x to the phase.
        """
        x = np.linspace(0, 2 * np.pi, 256, endpoint=False)
        bent = 1 + deflection**2 / 2
        phase = harmonic * x + harmonic * deflection**2 / (4 * bent) * np.sin(2 * x)
        amplitude = np.mean(np.cos(x) * np.exp(1j * phase))
        return float(harmonic * deflection**2 / bent * abs(amplitude) ** 2)

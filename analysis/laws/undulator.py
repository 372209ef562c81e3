"""The undulator: which gap gives which photon energy, on which harmonic.

On the axis, λ_n = λ_u / (2 n γ²) · (1 + K²/2), K = 0.09337 B[T] λ_u[mm] and B = a exp(−(g/λ_u)(b − c g/λ_u)) (Halbach's
form). Formulas and the flux function F_n: X-ray Data Booklet, section 2.1.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import jv

from whiteline.analysis.checks import (
    Numbers,
    OutOfRange,
    as_given,
    first_where,
    require,
    require_between,
    require_energy,
)
from whiteline.analysis.constants import ELECTRON_MASS_EV, HC_EV_ANGSTROM, UNDULATOR_K_PER_TESLA_MM
from whiteline.analysis.laws.bragg import wavelength

HIGHEST_HARMONIC = 15
"""Harmonics above are too weak and too sensitive to the errors of a real device to be chosen."""


@dataclass(frozen=True)
class Undulator:
    """A planar undulator on a storage ring.

    Parameters
    ----------
    ring_energy : float
        Energy of the electrons [GeV].
    period : float
        Period of the magnets [mm].
    periods : int
        How many periods it has.
    field : tuple of float
        Coefficients (a [T], b, c) of the peak field against gap.
    lowest_gap, highest_gap : float
        The travel that is allowed [mm].
    """

    ring_energy: float
    period: float
    periods: int
    field: tuple[float, float, float]
    lowest_gap: float
    highest_gap: float

    def deflection(self, energy: Numbers, harmonic: int) -> Numbers:
        """Return the deflection parameter K that puts a harmonic at an energy [eV].

        Raises
        ------
        OutOfRange
            If the energy is no energy in eV, or above what the harmonic reaches at any gap.
        """
        if harmonic < 1 or harmonic % 2 == 0:
            raise OutOfRange("harmonic", harmonic, "must be odd: on the axis only odd harmonics shine")
        half_square = self._half_square(energy, harmonic)
        value = first_where(energy, np.less_equal(half_square, 0))
        if value is not None:
            raise OutOfRange("energy", value, f"is above harmonic {harmonic} at any gap", "eV", self._remedy(value))
        deflection: Numbers = np.sqrt(2 * half_square)
        return deflection

    def _half_square(self, energy: Numbers, harmonic: int) -> Numbers:
        """Return K²/2, which is negative where a harmonic cannot reach so high."""
        return wavelength(energy) * 1e-7 * 2 * harmonic * self._gamma**2 / self.period - 1

    @property
    def _gamma(self) -> float:
        return self.ring_energy * 1e9 / ELECTRON_MASS_EV

    def gap(self, energy: Numbers, harmonic: int) -> Numbers:
        """Return the gap [mm] that puts a harmonic at an energy.

        Parameters
        ----------
        energy : float or ndarray
            Photon energy [eV].
        harmonic : int
            Which one; odd.

        Raises
        ------
        OutOfRange
            If the gap lies outside its travel; the message names the harmonics that would do.
        """
        gap = self._free_gap(energy, harmonic)
        outside = ~self._in_travel(gap)
        value, wanted = first_where(energy, outside), first_where(gap, outside)
        if value is not None and wanted is not None:
            limit = (
                f"needs a gap of {wanted:.3f} mm on harmonic {harmonic}, outside {self.lowest_gap:g} to "
                f"{self.highest_gap:g} mm"
            )
            raise OutOfRange("energy", value, limit, "eV", self._remedy(value))
        return gap

    def _in_travel(self, gap: ArrayLike) -> NDArray[np.bool_]:
        return (np.asarray(gap) >= self.lowest_gap) & (np.asarray(gap) <= self.highest_gap)

    def _free_gap(self, energy: Numbers, harmonic: int) -> Numbers:
        a, b, c = self.field
        field = self.deflection(energy, harmonic) / (UNDULATOR_K_PER_TESLA_MM * self.period)
        # c x² − b x − ln(B/a) = 0 in x = gap/period; the smaller root is the one where the field falls with the gap.
        discriminant = b * b + 4 * c * np.log(field / a)
        x = (b - np.sqrt(np.maximum(discriminant, 0))) / (2 * c) if c else -np.log(field / a) / b
        return as_given(energy, np.where(discriminant >= 0, x * self.period, np.inf))

    def energy(self, gap: Numbers, harmonic: int) -> Numbers:
        """Return the photon energy [eV] of a harmonic at a gap [mm].

        Raises
        ------
        OutOfRange
            If the gap is outside its travel.
        """
        require_between(gap, self.lowest_gap, self.highest_gap, "undulator gap", "mm")
        a, b, c = self.field
        x = gap / self.period
        deflection = UNDULATOR_K_PER_TESLA_MM * self.period * a * np.exp(-x * (b - c * x))
        length: Numbers = self.period * 1e7 / (2 * harmonic * self._gamma**2) * (1 + deflection**2 / 2)
        return HC_EV_ANGSTROM / length

    def harmonic_width(self, energy: Numbers, harmonic: int) -> Numbers:
        """Return the width of a harmonic, E / (n N) [eV]."""
        require_energy(energy)
        return energy / (harmonic * self.periods)

    def relative_flux(self, energy: Numbers, harmonic: int) -> Numbers:
        """Return the flux function Q_n = (1 + K²/2) F_n / n at the energy, which harmonics are compared by."""
        k = self.deflection(energy, harmonic)
        z = harmonic * k**2 / (4 * (1 + k**2 / 2))
        bessel = jv((harmonic - 1) // 2, z) - jv((harmonic + 1) // 2, z)
        return as_given(energy, harmonic * k**2 / (1 + k**2 / 2) * bessel**2)

    def harmonics(self, energies: Iterable[float]) -> tuple[int, ...]:
        """Return the harmonics that reach all of the energies [eV] within the travel of the gap, brightest first.

        The brightest is the one whose weakest energy is strongest.
        """
        wanted = np.array(list(energies), float)
        require_energy(wanted)
        require(wanted.size, wanted.size > 0, "number of energies", "must be at least 1")
        reached = {}
        for harmonic in range(1, HIGHEST_HARMONIC + 1, 2):
            if np.all(self._half_square(wanted, harmonic) > 0) and np.all(
                self._in_travel(self._free_gap(wanted, harmonic))
            ):
                reached[harmonic] = float(np.min(self.relative_flux(wanted, harmonic)))
        return tuple(sorted(reached, key=lambda harmonic: -reached[harmonic]))

    def choose_harmonic(self, energies: Iterable[float]) -> int:
        """Return the brightest harmonic that reaches all of the energies: one for a whole scan.

        Raises
        ------
        OutOfRange
            If none does; the message says which of the energies is out of reach, or where to divide them.
        """
        wanted = sorted(energies)
        best = self.harmonics(wanted)
        if best:
            return best[0]
        for energy in wanted:
            if not self.harmonics([energy]):
                raise OutOfRange("energy", energy, "is reached by no harmonic within the travel of the gap", "eV")
        last = max(energy for energy in wanted if self.harmonics([wanted[0], energy]))
        limit = f"is too far from {wanted[0]:g} eV: no one harmonic reaches both"
        raise OutOfRange("energy", wanted[-1], limit, "eV", f"divide the list above {last:g} eV")

    def _remedy(self, energy: float) -> str:
        would_do = self.harmonics([energy]) if energy > 0 else ()
        if not would_do:
            return "no harmonic reaches it within the travel of the gap"
        return f"harmonic {' or '.join(map(str, sorted(would_do)))} would do"

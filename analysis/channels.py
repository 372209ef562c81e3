"""Channels of a silicon detector of fluorescence: which photon energies they hold, and how wide a line is in them.

The width of a line has two parts in quadrature: the statistics of the charge that a photon makes, whose square grows
linearly with its energy (U. Fano, Phys. Rev. 72, 26 (1947)), and that of the electronics, which is the same everywhere.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from whiteline.analysis.checks import OutOfRange, require_positive
from whiteline.analysis.constants import FWHM_PER_SIGMA

REFERENCE_EV = 5895.0
"""The line Mn Kα, at which makers give the resolution of a detector [eV]."""

PER_PAIR_EV = 3.66
"""Energy for a pair of charges in silicon [eV]."""

FANO = 0.115
"""Fano factor of silicon: spread of the number of pairs, relative to that of chance."""


@dataclass(frozen=True)
class Channels:
    """The channels of a spectrum; channel n holds the energies from n to n + 1 times its width.

    Parameters
    ----------
    bins : int
        How many.
    bin_eV : float
        Width of one [eV].
    resolution : float
        Full width at half maximum of Mn Kα, at 5895 eV [eV].

    Raises
    ------
    OutOfRange
        If a number is not positive, or the resolution better than silicon can be.
    """

    bins: int
    bin_eV: float
    resolution: float

    def __post_init__(self) -> None:
        require_positive(self.bins, "number of channels")
        require_positive(self.bin_eV, "width of a channel", "eV")
        require_positive(self.resolution, "resolution of the detector", "eV")
        least = _charge_eV2(REFERENCE_EV) ** 0.5
        if self.resolution < least:
            limit = f"is better than silicon can be, {least:.4g} eV at {REFERENCE_EV:g} eV"
            raise OutOfRange("resolution of the detector", self.resolution, limit, "eV", "give the width of Mn Kα")

    @classmethod
    def of_electronics(cls, bins: int, bin_eV: float, electronic_eV: float) -> "Channels":
        """Return channels of a detector whose electronics alone widen a line to `electronic_eV` [eV]."""
        require_positive(electronic_eV, "electronic width", "eV")
        return cls(bins, bin_eV, float(np.sqrt(electronic_eV**2 + _charge_eV2(REFERENCE_EV))))

    @property
    def centres(self) -> NDArray[np.float64]:
        """Photon energy at the middle of each channel, shape (bins,) [eV]."""
        return np.asarray((np.arange(self.bins) + 0.5) * self.bin_eV, float)

    @property
    def end(self) -> float:
        """Energy at which the spectrum ends [eV]."""
        return self.bins * self.bin_eV

    def fwhm(self, energy: float) -> float:
        """Return the full width at half maximum of a line at an energy [eV]."""
        return float(np.sqrt(self.resolution**2 + _charge_eV2(energy) - _charge_eV2(REFERENCE_EV)))

    def shape(self, energy: float) -> NDArray[np.float64]:
        """Return the share of the photons of a line that each channel holds, shape (bins,): a Gaussian, integrated."""
        sigma = self.fwhm(energy) / FWHM_PER_SIGMA
        edges = np.arange(self.bins + 1) * self.bin_eV
        return np.asarray(np.diff(ndtr((edges - energy) / sigma)), float)

    def slice_of(self, low: float, high: float) -> slice:
        """Return the channels that lie between two energies [eV], cut off where the spectrum ends.

        Raises
        ------
        ValueError
            If there is no such channel.
        """
        first = max(0, int(np.floor(low / self.bin_eV)))
        beyond = min(self.bins, int(np.ceil(high / self.bin_eV)))
        if beyond <= first:
            raise ValueError(f"no channel lies between {low:g} and {high:g} eV; the spectrum ends at {self.end:g} eV")
        return slice(first, beyond)


def _charge_eV2(energy: float) -> float:
    return FWHM_PER_SIGMA**2 * FANO * PER_PAIR_EV * energy

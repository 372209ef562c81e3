"""The dose that a sample takes.

D = F E μ/ρ: photons per area, times the energy of each, times the share that a thin layer of the material absorbs per
mass. The energy that fluorescence and photoelectrons carry out of a small particle is not subtracted, so a dose holds
within a factor of about two, and is reported with that band.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.checks import require, require_energy, require_positive
from whiteline.analysis.constants import ELEMENTARY_CHARGE_C
from whiteline.analysis.tables import mass_absorption

BAND = 2.0
"""A dose is right within this factor, up or down."""


@dataclass(frozen=True)
class Dose:
    """A dose [Gy], right within a factor `BAND`."""

    gray: float

    @property
    def band(self) -> tuple[float, float]:
        """The lowest and the highest that it may be [Gy]."""
        return self.gray / BAND, self.gray * BAND

    def __str__(self) -> str:
        low, high = self.band
        return f"{self.gray:.2g} Gy ({low:.2g} to {high:.2g})"


def dose_per_fluence(energy: ArrayLike, formula: str) -> NDArray[np.float64]:
    """Return the dose per photon on a square micrometre [Gy µm²].

    Parameters
    ----------
    energy : array_like
        Photon energies [eV].
    formula : str
        Chemical formula of the material, such as "LiFePO4".

    Raises
    ------
    OutOfRange
        If an energy is no energy in eV.
    ValueError
        If the formula cannot be read.
    """
    require_energy(energy)
    # photons/µm² = 10¹² /m²; cm²/g = 0.1 m²/kg
    return 1e12 * ELEMENTARY_CHARGE_C * np.asarray(energy, float) * 0.1 * mass_absorption(formula, energy)


def dose(fluence: ArrayLike, energy: ArrayLike, formula: str) -> Dose:
    """Return the dose of exposures, added up.

    Parameters
    ----------
    fluence : array_like
        Photons per square micrometre on the sample at each energy [1/µm²].
    energy : array_like
        Photon energies [eV], of the same shape.
    formula : str
        Chemical formula of the material.

    Raises
    ------
    OutOfRange
        If a fluence is negative or not finite, or an energy is no energy in eV.
    ValueError
        If fluences and energies differ in shape.
    """
    photons = np.asarray(fluence, float)
    if photons.shape != np.shape(energy):
        raise ValueError(f"fluences of shape {photons.shape} need energies of the same, not {np.shape(energy)}")
    require(photons, np.isfinite(photons) & (photons >= 0), "fluence", "must be finite and not negative", "1/µm²")
    return Dose(float(np.sum(photons * dose_per_fluence(energy, formula))))


def fluence_of_counts(counts: float, pixel_nm: float, efficiency: float, transmission: float = 1.0) -> float:
    """Return the photons per area on the sample that gave a pixel its counts [1/µm²].

    Parameters
    ----------
    counts : float
        Counts in one pixel.
    pixel_nm : float
        Size of the pixel at the sample [nm].
    efficiency : float
        Share of the photons behind the sample that are counted: zone plate, times quantum efficiency of the camera.
    transmission : float
        Share of the photons that pass the sample; 1 for counts beside it.

    Raises
    ------
    OutOfRange
        If a number is not positive, or a share is above 1.
    """
    require(counts, np.isfinite(counts) and counts >= 0, "counts", "must be finite and not negative")
    require_positive(pixel_nm, "pixel", "nm")
    for share, name in ((efficiency, "efficiency"), (transmission, "transmission")):
        require(share, 0 < share <= 1, name, "must lie above 0 and up to 1")
    return counts / (efficiency * transmission * (1e-3 * pixel_nm) ** 2)

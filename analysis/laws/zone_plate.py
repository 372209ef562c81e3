"""The zone plate: focal length, aperture, depth of focus, and what a defocus blurs.

A zone plate is chromatic: f = D Δr E / hc grows in proportion to the energy. Formulas: D. Attwood, Soft X-Rays and
Extreme Ultraviolet Radiation, chapter 9. The same laws serve the objective of a full-field microscope, the probe of a
scanning one, and a zone-plate condenser.
"""

from dataclasses import dataclass

import numpy as np

from whiteline.analysis.checks import Numbers, require_positive
from whiteline.analysis.constants import HC_EV_ANGSTROM, IN_FOCUS_WIDTH
from whiteline.analysis.laws.bragg import wavelength


@dataclass(frozen=True)
class ZonePlate:
    """A Fresnel zone plate.

    Parameters
    ----------
    diameter_um : float
        Diameter D [µm].
    outer_zone_width_nm : float
        Width Δr of the outermost zone [nm].

    Raises
    ------
    OutOfRange
        If either is not positive.
    """

    diameter_um: float
    outer_zone_width_nm: float

    def __post_init__(self) -> None:
        require_positive(self.diameter_um, "zone-plate diameter", "µm")
        require_positive(self.outer_zone_width_nm, "outer zone width", "nm")

    @property
    def chromaticity(self) -> float:
        """Change of the focal length with energy, df/dE = f/E = DΔr/hc [mm/eV]."""
        # µm · nm / (eV Å) = 10⁻⁵ m/eV
        return 1e-2 * self.diameter_um * self.outer_zone_width_nm / HC_EV_ANGSTROM

    @property
    def zones(self) -> float:
        """Number of zones, D / (4 Δr)."""
        return 1e3 * self.diameter_um / (4 * self.outer_zone_width_nm)

    @property
    def rayleigh_resolution_nm(self) -> float:
        """Smallest distance of two points that are seen apart, 1.22 Δr [nm]."""
        return 1.22 * self.outer_zone_width_nm

    def focal_length(self, energy: Numbers) -> Numbers:
        """Return the focal length of the first order, f = D Δr E / hc [mm]."""
        # µm · nm / Å = 10⁻² mm
        return 1e-2 * self.diameter_um * self.outer_zone_width_nm / wavelength(energy)

    def numerical_aperture(self, energy: Numbers) -> Numbers:
        """Return the numerical aperture, NA = λ / (2 Δr)."""
        return wavelength(energy) * 0.1 / (2 * self.outer_zone_width_nm)

    def depth_of_focus(self, energy: Numbers) -> Numbers:
        """Return the full depth of focus, 4 Δr² / λ = λ / NA² [µm]."""
        return 1e-3 * 4 * self.outer_zone_width_nm**2 / (wavelength(energy) * 0.1)

    def focus_energy_range(self, energy: Numbers) -> Numbers:
        """Return by how many eV the energy may be off with the image still in focus, ± E / (2N)."""
        wavelength(energy)  # refuses what is no energy
        return energy / (2 * self.zones)

    def in_focus_blur(self) -> float:
        """Return the Gaussian σ of an image, or of the probe, in focus [nm]: 0.437 Δr."""
        return IN_FOCUS_WIDTH * self.outer_zone_width_nm

    def defocus_blur(self, defocus: Numbers, energy: Numbers) -> Numbers:
        """Return the Gaussian σ that a defocus adds, |δ| NA / 2 [nm], for a defocus δ [mm]."""
        blur: Numbers = 1e6 * np.abs(defocus) * self.numerical_aperture(energy) / 2
        return blur

    def blur(self, defocus: Numbers, energy: Numbers) -> Numbers:
        """Return the Gaussian σ of an image, or of the probe, at a defocus δ [mm]: both parts in quadrature [nm]."""
        blur: Numbers = np.hypot(self.in_focus_blur(), self.defocus_blur(defocus, energy))
        return blur

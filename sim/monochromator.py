"""The double-crystal monochromator as hardware: the reading of its Bragg axis goes in, a photon energy comes out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.constants import FWHM_PER_SIGMA, HC_EV_ANGSTROM


@dataclass(frozen=True)
class Monochromator:
    """Two crystals, their errors, and how they wander.

    Parameters
    ----------
    spacing : float
        True distance of the lattice planes [Å].
    offset_deg : float
        True Bragg angle minus the reading of the axis [deg].
    intrinsic : float
        Relative energy width of the reflection, full width at half maximum.
    divergence_urad : float
        Angular spread of the beam, full width at half maximum [µrad].
    drift_urad_per_h : float
        Thermal drift of the Bragg angle [µrad/h].
    jitter_urad : float
        Angular jitter, root mean square [µrad].
    beam_offset : float
        Height of the exit beam over the incoming one when the crystals stand right [mm].
    best_pitch_urad : float
        Tilt of the second crystal at which it is parallel to the first [µrad].
    """

    spacing: float
    offset_deg: float
    intrinsic: float
    divergence_urad: float
    drift_urad_per_h: float
    jitter_urad: float
    beam_offset: float
    best_pitch_urad: float = 0.0

    def angle(self, reading: float, time_s: float = 0.0, wobble_urad: float = 0.0) -> float:
        """Return the true Bragg angle [rad].

        Parameters
        ----------
        reading : float
            Reading of the Bragg axis [deg].
        time_s : float
            Time since the start, for the drift [s].
        wobble_urad : float
            What the angle is off by just now: jitter, or a thermal jump [µrad].
        """
        drift = self.drift_urad_per_h * time_s / 3600
        return float(np.deg2rad(reading + self.offset_deg) + 1e-6 * (drift + wobble_urad))

    def energy(self, reading: float, time_s: float = 0.0, wobble_urad: float = 0.0) -> float:
        """Return the true photon energy [eV]; parameters as in `angle`.

        Raises
        ------
        ValueError
            If no beam is reflected: the true angle does not lie between 0 and 90 degrees.
        """
        angle = self.angle(reading, time_s, wobble_urad)
        if not 0 < angle <= np.pi / 2:
            raise ValueError(
                f"Bragg angle {np.rad2deg(angle):.6g} deg reflects nothing: it must lie between 0 and 90 deg"
            )
        return float(HC_EV_ANGSTROM / (2 * self.spacing * np.sin(angle)))

    def energies(
        self, readings: NDArray[np.float64], time_s: float, wobbles_urad: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the true photon energies [eV] of many readings of the Bragg axis [deg], shape of the readings.

        Other parameters as in `angle`. Where nothing is reflected the energy is NaN.
        """
        angles = np.deg2rad(readings + self.offset_deg)
        angles = angles + 1e-6 * (self.drift_urad_per_h * time_s / 3600 + wobbles_urad)
        reflected = np.where((angles > 0) & (angles <= np.pi / 2), np.sin(angles), np.nan)
        return np.asarray(HC_EV_ANGSTROM / (2 * self.spacing * reflected))

    def jitter(self, source: np.random.Generator) -> float:
        """Return one draw of the angular jitter [µrad]."""
        return float(self.jitter_urad * source.standard_normal())

    def exit_height(self, gap: float, reading: float) -> float:
        """Return the height of the exit beam, 2 g cos θ [mm], for a gap of the crystals [mm]."""
        return float(2 * gap * np.cos(self.angle(reading)))

    def walk_um(self, gap: float, reading: float) -> float:
        """Return how far the exit beam stands above where it should [µm]."""
        return 1e3 * (self.exit_height(gap, reading) - self.beam_offset)

    def darwin_urad(self, reading: float) -> float:
        """Return the angular width of the reflection, full width at half maximum [µrad]."""
        return float(1e6 * self.intrinsic * np.tan(self.angle(reading)))

    def reflectivity(self, pitch_urad: float, reading: float) -> float:
        """Return the share of the flux that the second crystal passes at a tilt [µrad], from 0 to 1.

        The rocking curve is that of two equal reflections folded with each other: √2 wider than one.
        """
        sigma = np.sqrt(2) * self.darwin_urad(reading) / FWHM_PER_SIGMA
        return float(np.exp(-0.5 * ((pitch_urad - self.best_pitch_urad) / sigma) ** 2))

    def bandwidth(self, reading: float) -> float:
        """Return the width of the beam in energy, full width at half maximum [eV]."""
        angle = self.angle(reading)
        spread = 1e-6 * self.divergence_urad / np.tan(angle)
        return float(self.energy(reading) * np.sqrt(self.intrinsic**2 + spread**2))

"""The double-crystal monochromator: photon energy and Bragg angle, fixed exit, energy resolution.

Bragg's law, n = 1: E = hc / (2 d sin θ). Angles are in degrees, d-spacings in Å, energies in eV.
"""

import numpy as np

from whiteline.analysis.checks import Numbers, OutOfRange, first_where, require, require_energy, require_positive
from whiteline.analysis.constants import HC_EV_ANGSTROM, SI_LATTICE_ANGSTROM


def d_spacing(reflection: tuple[int, int, int], lattice: float = SI_LATTICE_ANGSTROM) -> float:
    """Return the distance of the lattice planes of a cubic crystal [Å].

    Parameters
    ----------
    reflection : tuple of int
        Miller indices (h, k, l).
    lattice : float
        Lattice parameter [Å]; silicon, unless another is given.

    Raises
    ------
    OutOfRange
        If the lattice parameter is not positive, or all three indices are zero.
    """
    require_positive(lattice, "lattice parameter", "Å")
    order = sum(index * index for index in reflection)
    require_positive(order, "sum of the squared Miller indices")
    return float(lattice / np.sqrt(order))


def wavelength(energy: Numbers) -> Numbers:
    """Return the wavelength [Å] of photons of an energy [eV].

    Raises
    ------
    OutOfRange
        If an energy is no absolute energy in eV.
    """
    require_energy(energy)
    return HC_EV_ANGSTROM / energy


def bragg_angle(energy: Numbers, spacing: float) -> Numbers:
    """Return the Bragg angle [deg] at which a crystal reflects an energy.

    Parameters
    ----------
    energy : float or ndarray
        Photon energy [eV].
    spacing : float
        Distance of the lattice planes [Å].

    Raises
    ------
    OutOfRange
        If an energy is no absolute energy in eV, or so low that the crystal cannot reflect it at any angle.
    """
    require_positive(spacing, "d-spacing", "Å")
    sine = wavelength(energy) / (2 * spacing)
    value = first_where(energy, np.greater(sine, 1))
    if value is not None:
        lowest = HC_EV_ANGSTROM / (2 * spacing)
        limit = f"cannot be reflected: the lowest is {lowest:.1f} eV for d = {spacing:.6f} Å"
        raise OutOfRange("energy", value, limit, "eV", "choose a crystal of larger spacing")
    angle: Numbers = np.degrees(np.arcsin(sine))
    return angle


def bragg_energy(angle: Numbers, spacing: float) -> Numbers:
    """Return the energy [eV] that a crystal reflects at a Bragg angle [deg].

    Raises
    ------
    OutOfRange
        If an angle does not lie above 0 and up to 90 degrees, or the d-spacing [Å] is not positive.
    """
    require_positive(spacing, "d-spacing", "Å")
    require(
        angle,
        np.greater(angle, 0) & np.less_equal(angle, 90),
        "Bragg angle",
        "must lie above 0 and up to 90 deg",
        "deg",
    )
    energy: Numbers = HC_EV_ANGSTROM / (2 * spacing * np.sin(np.radians(angle)))
    return energy


def dispersion(energy: Numbers, spacing: float) -> Numbers:
    """Return by how much the energy changes with the Bragg angle, E cot θ [eV/µrad].

    The sign is left out: the energy falls as the angle grows. Raises as `bragg_angle` does.
    """
    change: Numbers = 1e-6 * energy / np.tan(np.radians(bragg_angle(energy, spacing)))
    return change


def crystal_gap(energy: Numbers, spacing: float, offset: float) -> Numbers:
    """Return the gap of the two crystals, g = h / (2 cos θ) [mm], that keeps the exit beam where it is.

    Parameters
    ----------
    energy : float or ndarray
        Photon energy [eV].
    spacing : float
        Distance of the lattice planes [Å].
    offset : float
        Height h of the exit beam above the incoming one [mm].

    Raises
    ------
    OutOfRange
        As `bragg_angle`, or if the offset is not positive.
    """
    require_positive(offset, "beam offset", "mm")
    gap: Numbers = offset / (2 * np.cos(np.radians(bragg_angle(energy, spacing))))
    return gap


def energy_resolution(energy: Numbers, spacing: float, intrinsic: float, divergence: float) -> Numbers:
    """Return the width of the monochromatic beam, full width at half maximum [eV].

    (δE/E)² = ω² + (δψ cot θ)²: the intrinsic width of the reflection and the spread of angles in the beam.

    Parameters
    ----------
    energy : float or ndarray
        Photon energy [eV].
    spacing : float
        Distance of the lattice planes [Å].
    intrinsic : float
        Relative width of the reflection ω, full width at half maximum; `tables.darwin_width` over the energy.
    divergence : float
        Angular spread δψ of the beam on the crystal, full width at half maximum [µrad].

    Raises
    ------
    OutOfRange
        As `bragg_angle`, or if the intrinsic width is not positive or the divergence negative.
    """
    require_positive(intrinsic, "intrinsic relative width")
    require(divergence, 0 <= divergence < np.inf, "divergence", "must be finite and not negative", "µrad")
    width: Numbers = np.hypot(intrinsic * energy, divergence * dispersion(energy, spacing))
    return width

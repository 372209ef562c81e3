"""Reference spectra at the energies of a scan."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline

from whiteline.analysis.checks import require_energy
from whiteline.analysis.spectra.checks import require_spectrum
from whiteline.analysis.spectrum_files import Spectrum


def on_energies(spectrum: Spectrum, energies: ArrayLike) -> NDArray[np.float64]:
    """Return a reference at some energies, by a cubic spline through its points.

    Parameters
    ----------
    spectrum : Spectrum
        The reference; at least 4 points.
    energies : array_like, shape (E,)
        Photon energies [eV], in any order.

    Returns
    -------
    ndarray of float64, shape (E,)
        Its absorption, in the scale of the reference.

    Raises
    ------
    OutOfRange
        If an energy is no energy in eV.
    ValueError
        If the reference does not cover an energy, naming reference, range and energy; or it is no sound spectrum.
    """
    wanted = np.asarray(energies, float)
    require_energy(wanted)
    try:
        energy, absorption, _ = require_spectrum(spectrum.energy, spectrum.absorption, fewest=4)
    except ValueError as error:
        raise ValueError(f"reference {spectrum.name}: {error}") from error
    outside = np.ravel((wanted < energy[0]) | (wanted > energy[-1]))
    if outside.any():
        first = float(np.ravel(wanted)[np.argmax(outside)])
        raise ValueError(
            f"reference {spectrum.name} covers {energy[0]:.8g} to {energy[-1]:.8g} eV, and not {first:.8g} eV "
            f"({np.count_nonzero(outside)} of {wanted.size} energies lie outside); leave these energies out, or take a "
            f"reference that reaches further"
        )
    return np.asarray(CubicSpline(energy, absorption)(wanted))

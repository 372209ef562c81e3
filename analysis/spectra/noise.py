"""The noise of a spectrum, read from the spectrum itself.

Each point is compared with what its two neighbours on either side predict by a cubic through them. Where the spectrum
is smooth over five points what remains is noise, in units of √(1 + Σ w²) for the weights w of the prediction: the
pseudo-residuals of Gasser, Sroka and Jennen-Steinmetz, Biometrika 73 (1986) 625, to third order. Their median absolute
value is taken, so that a glitch does not count.
"""

import numpy as np
from numpy.typing import ArrayLike

from whiteline.analysis.spectra.checks import Floats, require_range, require_spectrum

SIGMA_PER_MEDIAN = 1.482_602_218_505_602
"""Standard deviation of a normal distribution over its median absolute value."""

NEIGHBOURS = (-2, -1, 1, 2)
FEWEST = 5


def pseudo_residuals(energy: ArrayLike, absorption: ArrayLike) -> Floats:
    """Return how far each point lies from the cubic through its four neighbours, in units that noise alone has.

    Parameters
    ----------
    energy : array_like, shape (n,)
        Photon energies, ascending [eV].
    absorption : array_like, shape (n,)
        Absorption.

    Returns
    -------
    ndarray of float64, shape (n − 4,)
        For all points but the two at each end.

    Raises
    ------
    ValueError
        If this is no spectrum, or one of fewer than 5 points.
    """
    energies, values, _ = require_spectrum(energy, absorption, fewest=FEWEST)
    centre = np.arange(2, energies.size - 2)
    places = np.stack([energies[centre + step] for step in NEIGHBOURS])
    at = energies[centre]
    residual, squares = values[centre].copy(), np.ones(centre.size)
    for row, step in enumerate(NEIGHBOURS):
        others = np.delete(places, row, axis=0)
        weight = np.prod((at - others) / (places[row] - others), axis=0)  # Lagrange
        residual -= weight * values[centre + step]
        squares += weight**2
    return np.asarray(residual / np.sqrt(squares))


def estimated_noise(energy: ArrayLike, absorption: ArrayLike, *, below: float = np.inf) -> float:
    """Return the standard deviation of the noise of a spectrum, taken as the same at each point.

    Parameters
    ----------
    energy : array_like, shape (n,)
        Photon energies, ascending [eV].
    absorption : array_like, shape (n,)
        Absorption.
    below : float
        Only points below this energy are looked at [eV]: before an edge a spectrum is smooth however coarse its steps.

    Raises
    ------
    ValueError
        If this is no spectrum, or has fewer than 5 points below.
    """
    energies, values, _ = require_spectrum(energy, absorption, fewest=FEWEST)
    inside = energies < below
    require_range(energies, inside, energies[0], min(below, energies[-1]), "range that noise is read from", FEWEST)
    return float(SIGMA_PER_MEDIAN * np.median(np.abs(pseudo_residuals(energies[inside], values[inside]))))

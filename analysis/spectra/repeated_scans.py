"""The noise of a spectrum from scans of it that were repeated: that of the counts, and that of the energy.

Where the spectrum is level, scans differ by their counts alone; where it is steep, the wobble of the monochromator adds
to that, as it moves the energy under the point. Both are found together, as the variances that make the differences of
the scans most likely: v = s₀² + (slope · s_E)².
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Floats = NDArray[np.float64]

LEAST_SHARE = 1e-9
"""Smallest noise that is told from none, relative to the range of the values."""


@dataclass(frozen=True, eq=False)
class RepeatedScan:
    """Scans over the same energies.

    Parameters
    ----------
    energies, values : ndarray of float64, shape (scans, n)
        Energies as they were read back [eV], and the spectrum.
    slope : ndarray of float64, shape (n,)
        How steep the spectrum is, per unit of what wobbles: per eV, or per radian of the Bragg angle.
    slope_per_ev : ndarray of float64, shape (n,)
        The same per eV, by which the values are brought to one energy.
    """

    energies: Floats
    values: Floats
    slope: Floats
    slope_per_ev: Floats

    @property
    def residuals(self) -> Floats:
        """What each scan has more than the mean of all at its energy, shape (scans, n)."""
        level = self.values - self.slope_per_ev * (self.energies - self.energies.mean(axis=0))
        return np.asarray(level - level.mean(axis=0))


@dataclass(frozen=True)
class Noise:
    """Standard deviations of a point.

    Parameters
    ----------
    counts : float
        Where the spectrum is level, in its unit.
    wobble : float
        Of the energy, in the unit of the slopes that it was found with.
    """

    counts: float
    wobble: float

    def of(self, slope: Floats) -> Floats:
        """Return the standard deviation of single points where the spectrum has these slopes."""
        return np.asarray(np.hypot(self.counts, slope * self.wobble))


def noise_of(scans: Sequence[RepeatedScan]) -> Noise:
    """Return the noise that several repeated scans have in common.

    Parameters
    ----------
    scans : sequence of RepeatedScan
        Such as one for each foil.

    Raises
    ------
    ValueError
        If nothing was repeated.
    """
    squares, freedoms, slopes = [], [], []
    for one in scans:
        repeats = one.values.shape[0] - 1
        squares.append((one.residuals**2).sum(axis=0))
        freedoms.append(np.full(one.slope.size, float(repeats)))
        slopes.append(one.slope**2)
    square, free, steep = (np.concatenate(parts) for parts in (squares, freedoms, slopes))
    good = np.isfinite(square) & (free > 0)
    if good.sum() < 3:
        raise ValueError("the noise of a scan is found from scans that were repeated: repeat them at least once")
    square, free, steep = square[good], free[good], steep[good]
    least = (LEAST_SHARE * max(float(np.ptp(one.values)) for one in scans)) ** 2
    size, top = max(float(square.sum() / free.sum()), least), max(float(steep.max()), 1e-300)

    def unlikely(logs: Floats) -> float:
        variance = np.exp(logs[0]) + np.exp(logs[1]) * steep / top + least
        return float((free * np.log(variance) + square / variance).sum())

    starts = [np.log([size, size]), np.log([size / 30, 3 * size]), np.log([size, size / 30])]
    found = min((minimize(unlikely, start, method="Nelder-Mead") for start in starts), key=lambda one: float(one.fun))
    level, wobble = np.exp(found.x)
    return Noise(float(np.sqrt(level + least)), float(np.sqrt(wobble / top)))

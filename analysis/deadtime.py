"""Counts that a detector loses while it is busy with the last one.

A paralyzable detector at true rate n counts m = n exp(−n τ). Below the rate of most counts, n = 1/τ, this is inverted
exactly by the Lambert W function: n = −W₀(−m τ) / τ.
"""

import numpy as np
from scipy.special import lambertw

from whiteline.analysis.checks import Numbers, as_given, require, require_positive


def counted_rate(true_rate: Numbers, dead_time: float) -> Numbers:
    """Return the rate that a paralyzable detector counts, n exp(−n τ) [1/s].

    Parameters
    ----------
    true_rate : float or ndarray
        Rate n of the photons that arrive [1/s].
    dead_time : float
        Dead time τ after each [s].

    Raises
    ------
    OutOfRange
        If a rate is negative or not finite, or the dead time not positive.
    """
    _require_rates(true_rate, dead_time)
    rate: Numbers = true_rate * np.exp(-np.multiply(true_rate, dead_time))
    return rate


def true_rate(counted: Numbers, dead_time: float) -> Numbers:
    """Return the rate of the photons that arrived, −W₀(−m τ) / τ [1/s].

    Each counted rate belongs to two true ones; this is the lower, below 1/τ.

    Parameters
    ----------
    counted : float or ndarray
        Rate m that was counted [1/s].
    dead_time : float
        Dead time τ [s].

    Raises
    ------
    OutOfRange
        If a rate is above 1 / (e τ): a paralyzable detector never counts so fast, so rate or dead time is wrong.
    """
    _require_rates(counted, dead_time)
    highest = 1 / (np.e * dead_time)
    # The last digits of 1/(e τ) are rounded; a rate within them is the highest itself.
    possible = np.less_equal(counted, highest * (1 + 4 * np.finfo(float).eps))
    limit = (
        f"is above {highest:.6g} 1/s, the most that a dead time of {dead_time:g} s lets a paralyzable detector count"
    )
    require(counted, possible, "counted rate", limit, "1/s", "check the dead time, or reduce the flux")
    # scipy 1.17 gives NaN at the branch point itself, W(−1/e) = −1, so stay one digit away from it.
    busy = np.minimum(np.multiply(counted, dead_time), np.nextafter(1 / np.e, 0))
    return as_given(counted, -np.real(lambertw(-np.atleast_1d(busy))).reshape(np.shape(counted)) / dead_time)


def live_fraction(counted: Numbers, dead_time: float) -> Numbers:
    """Return the share of the photons that were counted, m / n; 1 where nothing arrived. Raises as `true_rate`."""
    fraction: Numbers = np.exp(-true_rate(counted, dead_time) * dead_time)
    return fraction


def _require_rates(rates: Numbers, dead_time: float) -> None:
    require_positive(dead_time, "dead time", "s")
    require(rates, np.isfinite(rates) & np.greater_equal(rates, 0), "rate", "must be finite and not negative", "1/s")

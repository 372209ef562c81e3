"""Correct a map of counts for what its detector lost while it was busy.

All photons that an element of the detector counts keep it busy, not those of one line only, so the share that it lost
follows from all of its counts. The law is that of `whiteline.analysis.deadtime`, for a paralyzable detector.

The counts of a busy detector scatter less than those of chance, because it spaces them: the variance of M counts in a
time long against τ is M (1 − 2 m τ), at the counted rate m (J. W. Müller, Nucl. Instrum. Methods 112, 47 (1973)).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.checks import require_positive
from whiteline.analysis.deadtime import true_rate
from whiteline.analysis.maps.map import Map

Array = NDArray[Any]


def correct_dead_time(counts: Map, total: Array, dwell_s: float | Array, dead_time: float) -> Map:
    """Return the counts that a detector without dead time would have had, with their standard error.

    Parameters
    ----------
    counts : Map
        Counts of a line or region in one element of the detector. Those of several are corrected one by one and added.
    total : ndarray, shape (Y, X)
        All counts of that element; those of the map are part of them.
    dwell_s : float or ndarray, shape (Y, X)
        Counting time of each pixel [s].
    dead_time : float
        Dead time τ [s].

    Returns
    -------
    Map
        Not valid where the map is not, or where the element counted more than its dead time allows, 1/(e τ). The error
        is infinite, and the pixel not valid, at that limit itself.

    Raises
    ------
    OutOfRange
        If a dwell or the dead time is not positive.
    ValueError
        If map and totals differ in pixels.

    Notes
    -----
    With g = n/m, the corrected counts are N g(T), and to first order

        var = g² var(N) + 2 g N g' cov(N, T) + (N g')² var(T),    g' = dg/dT = τ g² / ((1 − n τ) t).

    Of the T counts a share p = N/T falls by chance into the region, so with var(T) = T v, var(N) = N (1 − p + p v) and
    cov(N, T) = N v.
    """
    all_counts, dwell = np.asarray(total, float), np.asarray(dwell_s, float)
    require_positive(dwell, "dwell", "s")
    require_positive(dead_time, "dead time", "s")
    if all_counts.shape != counts.value.shape:
        raise ValueError(f"totals of shape {all_counts.shape} must have the pixels of the map, {counts.value.shape}")
    rate = all_counts / dwell
    good = counts.valid & np.isfinite(rate) & (rate >= 0) & (rate * dead_time < 1 / np.e)
    good &= counts.value <= all_counts
    arrived = true_rate(np.where(good, rate, 0.0), dead_time)
    busy = arrived * dead_time
    gain = np.exp(busy)
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = np.where(busy < 1, dead_time * gain**2 / ((1 - busy) * dwell), np.inf)
        spaced = 1 - 2 * rate * dead_time
        number = np.where(good, counts.value, 0.0)
        share = number / np.maximum(all_counts, 1)
        # The error that came with the map stands for chance: √N, or that of a lone count where there was none.
        chance = np.where(good, counts.error, 0.0) ** 2
        own = chance * (1 - share + share * spaced)
        variance = (
            gain**2 * own + 2 * gain * number * slope * number * spaced + (number * slope) ** 2 * all_counts * spaced
        )
        error = np.sqrt(variance)
    return Map.masked(f"{counts.name}, dead time corrected", counts.unit, number * gain, error, good)

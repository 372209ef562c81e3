"""The beam before the sample at each pulse, as well as two chambers know it.

A thin chamber counts little in a short gate: divided by it, pulse by pulse, a map has its noise. But a beam flickers
less than that, and how much it does shows in a second chamber: noise is a chamber's own, flicker is common to both. So
the variance of what is common over all variance of the first is the share of a departure that is to be believed (the
filter of N. Wiener, Extrapolation, Interpolation, and Smoothing of Stationary Time Series, 1949); what is slow is kept.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

Numbers = NDArray[np.float64]

SLOW_PULSES = 25
"""What changes over more pulses than these is kept as it is; in a short line, over more than half of its pulses."""

FEWEST_PULSES = 16
"""Of a line in which flicker can be told from noise."""


def steadied(incident: Numbers, witness: Numbers, gate_s: Numbers) -> tuple[Numbers, Numbers]:
    """Return the incident counts as they are known best, and how well.

    Parameters
    ----------
    incident, witness : ndarray of float64, shape (lines, pulses)
        Counts of the chamber before the sample, and of another one in the same beam.
    gate_s : ndarray of float64, of the same shape
        Over which they were counted [s].

    Returns
    -------
    counts : ndarray of float64, shape (lines, pulses)
        As `incident` in lines with too few pulses, with a missing one, or without beam.
    variance : ndarray of float64, shape (lines,)
        Of these counts, over that of as many single photons; NaN in lines that are as they were.
    """
    counts, over = incident.copy(), np.full(len(incident), np.nan)
    for line, (mine, other, gate) in enumerate(zip(incident, witness, gate_s, strict=True)):
        if mine.size < FEWEST_PULSES or not (np.isfinite(mine + other).all() and (gate > 0).all()):
            continue
        rate, second = mine / gate, other / gate
        if not (rate.mean() > 0 and second.mean() > 0):
            continue
        apart, apart_second = np.diff(rate) / rate.mean(), np.diff(second) / second.mean()
        variance = float(np.mean(apart**2)) / 2
        common = min(max(float(np.mean(apart * apart_second)) / 2, 0.0), variance)
        believed = common / variance if variance > 0 else 1.0
        half = min(SLOW_PULSES // 2, rate.size // 4)
        slow = uniform_filter1d(rate, 2 * half + 1, mode="reflect")
        # a pulse in which nothing was counted had no beam, as far as is known: no neighbour lends it any
        counts[line] = np.where(mine > 0, gate * (slow + believed * (rate - slow)), 0.0)
        # a mean over the width of the filter; at the ends of a line pulses count twice
        share = 1 / (2 * half + 1) + 2 * half * (half + 1) / (rate.size * (2 * half + 1) ** 2)
        left = (1 - believed) ** 2 * (common + variance * share)
        over[line] = (left + believed**2 * (variance - common)) * mine.mean()
    return counts, over

"""Fluorescence of many gates at once: whole spectra, and the counts in windows of them.

Photons of spectra are drawn, not bins, so that a short gate costs little.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from whiteline.analysis.constants import ELECTRON_MASS_EV, FWHM_PER_SIGMA
from whiteline.sim.fluorescence import EV_PER_PAIR, FANO, FluorescenceDetector, escape
from whiteline.sim.gated_counts import Lit, at_energies
from whiteline.sim.nanoprobe import Nanoprobe

GATES_AT_ONCE = 256
"""Spectra that are made together."""

Line = tuple[float | NDArray[np.float64], NDArray[np.float64]]
"""Energy of a line [eV], for all gates or for each; and its photons per second and element, shape (gates,)."""


def lines_of(nanoprobe: Nanoprobe, light: Lit) -> list[Line]:
    """Return the lines that arrive at each element of the detector in gates, the scattered beam among them."""
    detector = nanoprobe.fluorescence
    arriving = light.photons_per_s * detector.solid_angle / detector.elements
    found: list[Line] = []
    for number, species in enumerate(nanoprobe.sample.species):
        depth = light.thickness_um[:, number]
        if depth.any():
            found += [(line, arriving * depth * per_um) for line, per_um in species.emissions(light.energy)]
    if nanoprobe.take_off_deg is not None:
        found = [(line, rate * _escaping(nanoprobe, light, float(line))) for line, rate in found]
    compton = light.energy / (1 + light.energy / ELECTRON_MASS_EV)
    scattered = arriving * detector.scattered
    return [*found, (light.energy, 0.7 * scattered), (compton, 0.3 * scattered)]


def gated_spectra(
    detector: FluorescenceDetector, lines: list[Line], dwells_s: NDArray[np.float64], source: np.random.Generator
) -> Iterator[NDArray[np.uint32]]:
    """Yield the spectra of gates, some at a time.

    Parameters
    ----------
    detector : FluorescenceDetector
        What counts.
    lines : list of Line
        What arrives.
    dwells_s : ndarray of float64, shape (gates,)
        How long each gate was [s].
    source : Generator
        For the noise.

    Yields
    ------
    ndarray of uint32, shape (n, elements, bins)
        Of the next n gates.
    """
    alive = np.exp(-np.sum([rate for _, rate in lines], axis=0) * detector.dead_time_s)
    for first in range(0, dwells_s.size, GATES_AT_ONCE):
        part = slice(first, first + GATES_AT_ONCE)
        count = dwells_s[part].size
        spectra = np.zeros((count, detector.elements, detector.bins), np.uint32)
        flat = spectra.reshape(-1)
        for line, rate in lines:
            expected = rate[part] * alive[part] * dwells_s[part]
            photons = source.poisson(expected[:, None], (count, detector.elements)).ravel()
            centre = np.broadcast_to(np.atleast_1d(line)[part] if np.ndim(line) else line, count)
            sigma = np.hypot(*_widths(detector, centre))
            seen = np.repeat(np.arange(photons.size), photons)
            gate = seen // detector.elements
            energy = centre[gate] + sigma[gate] * source.standard_normal(seen.size)
            place = np.floor(energy / detector.bin_eV).astype(np.int64)
            inside = (place >= 0) & (place < detector.bins)
            np.add.at(flat, seen[inside] * detector.bins + place[inside], 1)
        yield spectra


def gated_windows(
    detector: FluorescenceDetector,
    lines: list[Line],
    dwells_s: NDArray[np.float64],
    windows: Sequence[tuple[int, int]],
    source: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count the photons in windows of the spectra, summed over the elements.

    Parameters
    ----------
    detector, lines, dwells_s, source
        As in `gated_spectra`.
    windows : sequence of (int, int)
        First channel of each, and the first one behind it.

    Returns
    -------
    windows : ndarray of int64, shape (windows, gates)
        Counts in each.
    events : ndarray of int64, shape (gates,)
        All counts; those in the windows are part of them.
    """
    alive = np.exp(-np.sum([rate for _, rate in lines], axis=0) * detector.dead_time_s)
    # photons are drawn for the pieces between all ends, so that windows that overlap share them
    ends = np.unique([0, detector.bins, *(end for window in windows for end in window)])
    expected = np.zeros((ends.size - 1, dwells_s.size))
    for line, rate in lines:
        centre = np.broadcast_to(np.asarray(line, float), dwells_s.shape)
        below = ndtr((ends[:, None] * detector.bin_eV - centre) / np.hypot(*_widths(detector, centre)))
        expected += np.diff(below, axis=0) * (rate * alive * dwells_s * detector.elements)
    events = _spaced(expected.sum(axis=0), detector.dead_time_s, dwells_s * detector.elements, source)
    shares = expected / np.maximum(expected.sum(axis=0), np.finfo(float).tiny)
    counts = source.multinomial(events, np.ascontiguousarray(shares.T)).T
    inside = [(ends[:-1] >= first) & (ends[1:] <= beyond) for first, beyond in windows]
    found = np.array([counts[one].sum(axis=0) for one in inside], np.int64).reshape(len(windows), dwells_s.size)
    return found, counts.sum(axis=0)


def _spaced(
    expected: NDArray[np.float64],
    dead_time_s: float,
    times_s: NDArray[np.float64],
    source: np.random.Generator,
) -> NDArray[np.int64]:
    """Draw the counts of a busy detector, which its dead time spaces: of variance M (1 − 2 m τ) for M counts expected.

    J. W. Müller, Nucl. Instrum. Methods 112, 47 (1973), for the counted rate m; a binomial distribution has just that.
    """
    share = np.clip(2 * expected / times_s * dead_time_s, 0.0, 0.9)
    few = share * expected < 1e-6
    tries = np.rint(expected / np.where(few, 1.0, share)).astype(np.int64)
    return np.where(few, source.poisson(expected), source.binomial(tries, np.where(few, 0.0, share)))


def _widths(
    detector: FluorescenceDetector, energy: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return σ of the statistics of the charge and of the electronics at energies [eV]."""
    return np.sqrt(FANO * EV_PER_PAIR * energy), np.full(energy.shape, detector.electronic_eV / FWHM_PER_SIGMA)


def _escaping(nanoprobe: Nanoprobe, light: Lit, line: float) -> NDArray[np.float64]:
    """Return the share of a line [eV] that leaves the sample in each gate."""
    outward = np.array(nanoprobe.sample.attenuations(line))
    inward = np.stack([at_energies(one.absorptions, light.energy) for one in nanoprobe.sample.species], axis=1)
    shares = np.ones(light.energy.size)
    for gate in np.flatnonzero(light.thickness_um.any(axis=1)):
        depths = light.thickness_um[gate]
        total = float(depths.sum())
        means = float(inward[gate] @ depths) / total, float(outward @ depths) / total
        shares[gate] = escape(*means, total, nanoprobe.take_off_deg or 90.0)
    return shares

"""Fluorescence spectra of many gates at once: photons are drawn, not bins, so that a short gate costs little."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

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

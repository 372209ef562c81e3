"""What the ion chambers count in gates, many at once: of a scanning microscope, and of a full-field one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from whiteline.sim.bodies import Shadow
from whiteline.sim.counters import IonChamber, Monitors
from whiteline.sim.full_field import FullFieldMicroscope
from whiteline.sim.full_field import Readings as FullFieldReadings
from whiteline.sim.gates import DARK_EV, Gates
from whiteline.sim.nanoprobe import PATH, PROBE_POINTS, Nanoprobe, Readings
from whiteline.sim.sample import Sample

FINE_EV = 0.05
"""Spectra are straight over this much [eV]."""

SPOT_REACHES = 4.0
"""A spot lights nothing that is farther than this times its σ."""


@dataclass(frozen=True, eq=False)
class Lit:
    """What light there was in each gate, and where on the sample.

    Parameters
    ----------
    energy : ndarray of float64, shape (gates,)
        True photon energy; some energy where there was no beam [eV].
    photons_per_s : ndarray of float64, shape (gates,)
        Flux in the spot [1/s].
    sigma_nm : ndarray of float64, shape (gates, 2)
        Gaussian σ of the spot (x, y) [nm].
    place_um : ndarray of float64, shape (gates, 2)
        Where it fell on average, in the frame of the sample (x, y) [µm].
    thickness_um : ndarray of float64, shape (gates, species)
        Of each species under the spot, averaged along its path [µm].
    defocus_mm : ndarray of float64, shape (gates,)
        How far downstream of the sample the focus was [mm].
    passing : ndarray of float64, shape (gates,)
        Share of the spot that a knife beside the sample has let pass.
    """

    energy: NDArray[np.float64]
    photons_per_s: NDArray[np.float64]
    sigma_nm: NDArray[np.float64]
    place_um: NDArray[np.float64]
    thickness_um: NDArray[np.float64]
    defocus_mm: NDArray[np.float64]
    passing: NDArray[np.float64]


def lit(nanoprobe: Nanoprobe, gates: Gates, energy: NDArray[np.float64]) -> Lit:
    """Return what light there was in gates.

    Parameters
    ----------
    nanoprobe : Nanoprobe
        The instrument with its sample.
    gates : Gates
        What its axes did.
    energy : ndarray of float64, shape (gates,)
        True photon energy in each, as `Gates.energies` gives it [eV].
    """
    spots = np.array([_spot(nanoprobe, one) for one in gates.moments])
    found = gates.between(spots)
    photons = np.where(np.isfinite(energy), found[:, 0], 0.0)
    energy = np.where(np.isfinite(energy), energy, DARK_EV)
    place = found[:, 3:5] - gates.sample_um
    sigma = found[:, 1:3]
    # the shadows of the sample are those of one angle: a raster does not turn it
    rotation = float(gates.moments[len(gates.moments) // 2].rotation_deg)
    thickness = thickness_along(nanoprobe.sample, place, sigma, gates.path_um, rotation)
    knife = nanoprobe.knife
    passing = np.ones(energy.size) if knife is None else knife.passing(place[:, 0], sigma[:, 0], gates.path_um[:, 0])
    return Lit(energy, photons, sigma, place, thickness, found[:, 5], passing)


def _spot(nanoprobe: Nanoprobe, readings: Readings) -> tuple[float, ...]:
    """Return flux, σ (x, y), place (x, y) and defocus of the spot over a stage that stands at 0."""
    mono = nanoprobe.beam.monochromator
    try:
        energy = mono.energy(readings.bragg, readings.time_s, readings.thermal_jump_urad)
        spot = nanoprobe.spot(replace(readings, sample_um=(0.0, 0.0)), energy)
    except ValueError:
        # nothing is reflected
        return 0.0, 1.0, 1.0, 0.0, 0.0, 0.0
    return spot.photons_per_s, *spot.sigma_nm, *spot.place_um, spot.defocus


def at_energies(
    spectrum: Callable[[NDArray[np.float64]], NDArray[np.float64]], energies: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return a spectrum at many energies [eV]; where they lie close together it is asked for few of them."""
    low, high = float(energies.min()), float(energies.max())
    count = int(np.ceil((high - low) / FINE_EV)) + 2
    if count >= energies.size:
        return spectrum(energies)
    places = np.linspace(low, high, count)
    return np.interp(energies, places, spectrum(places))


def thickness_along(
    sample: Sample,
    place_um: NDArray[np.float64],
    sigma_nm: NDArray[np.float64],
    path_um: NDArray[np.float64],
    rotation_deg: float = 0.0,
) -> NDArray[np.float64]:
    """Return the thickness of each species under many spots, as `Nanoprobe.thickness` does under one.

    Parameters
    ----------
    sample : Sample
        With its species.
    place_um, sigma_nm, path_um : ndarray of float64, shape (spots, 2)
        Middle of each (x, y) [µm], its σ [nm], and how far the sample moves meanwhile [µm].
    rotation_deg : float
        Turn of the sample [deg].

    Returns
    -------
    ndarray of float64, shape (spots, species)
        [µm]
    """
    names = [one.name for one in sample.species]
    total = np.zeros((place_um.shape[0], len(names)))
    sigma_um = 1e-3 * sigma_nm
    margin = SPOT_REACHES * sigma_um + np.abs(path_um) / 2
    for body, shadow in sample.shadows(rotation_deg):
        away = np.abs(place_um - (shadow.x, shadow.y))
        (near,) = np.nonzero((away <= margin + np.array([shadow.half_width, shadow.half_height])).all(axis=1))
        if not near.size:
            continue
        spots = place_um[near], sigma_um[near], path_um[near]
        whole = _chord(shadow, *spots)
        core = _chord(shadow.scaled(body.core_size), *spots) if body.core_size else np.zeros(near.size)
        for number, name in enumerate(names):
            shell_share, core_share = body.shell.get(name, 0.0), body.core.get(name, 0.0)
            total[near, number] += shell_share * whole + (core_share - shell_share) * core
    return total


def _chord(
    shadow: Shadow, place_um: NDArray[np.float64], sigma_um: NDArray[np.float64], path_um: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the thickness of an ellipsoid under spots, shape (spots,) [µm]."""
    nodes, weights = np.polynomial.hermite.hermgauss(PROBE_POINTS)
    total = np.zeros(place_um.shape[0])
    for where, share in zip(*PATH, strict=True):
        middle = place_um - where * path_um / 2 - (shadow.x, shadow.y)
        dx = middle[:, :1] + np.sqrt(2) * sigma_um[:, :1] * nodes
        dy = middle[:, 1:] + np.sqrt(2) * sigma_um[:, 1:] * nodes
        square = 1 - shadow.qxx * dx[:, None, :] ** 2 - shadow.qyy * dy[:, :, None] ** 2
        square -= 2 * shadow.qxy * dx[:, None, :] * dy[:, :, None]
        np.sqrt(np.maximum(square, 0, out=square), out=square)
        total += share * (square @ weights @ weights)
    return shadow.depth / np.pi * total


def gated_points(
    nanoprobe: Nanoprobe,
    light: Lit,
    dwells_s: NDArray[np.float64],
    gains: Sequence[float],
    foil: str,
    source: np.random.Generator,
) -> tuple[NDArray[np.int64], ...]:
    """Count the ion chambers of a scanning microscope in gates.

    Parameters
    ----------
    nanoprobe : Nanoprobe
        The instrument.
    light : Lit
        What light there was.
    dwells_s : ndarray of float64, shape (gates,)
        How long each gate was [s].
    gains : sequence of float
        Of the amplifiers: incident, reference, transmitted [V/A].
    foil : str
        Name of the foil in the beam of the reference chamber; empty for none.
    source : Generator
        For the noise.

    Returns
    -------
    tuple of ndarray of int64, shape (gates,)
        Incident, reference, transmitted.
    """
    attenuations = np.stack([at_energies(one.absorptions, light.energy) for one in nanoprobe.sample.species], axis=1)
    passed = light.passing * np.exp(-(attenuations * light.thickness_um).sum(axis=1))
    watched = _monitored(nanoprobe.monitors, light.photons_per_s, light.energy, dwells_s, gains, foil, source)
    behind = nanoprobe.transmitted.gated_counts(light.photons_per_s * passed, light.energy, gains[2], dwells_s, source)
    return *watched, behind


def gated_monitors(
    microscope: FullFieldMicroscope,
    gates: Gates,
    energy: NDArray[np.float64],
    gains: Sequence[float],
    foil: str,
    source: np.random.Generator,
) -> tuple[NDArray[np.int64], ...]:
    """Count the ion chambers of a full-field microscope in gates; parameters as in `lit` and `gated_points`."""

    mono = microscope.beam.monochromator

    def flux(readings: FullFieldReadings) -> float:
        try:
            energy = mono.energy(readings.bragg, readings.time_s, readings.thermal_jump_urad)
            return microscope.flux(readings, energy) * 2 * np.pi * microscope.illuminated_um**2
        except ValueError:
            return 0.0

    photons = gates.between(np.array([flux(one) for one in gates.moments]))
    photons = np.where(np.isfinite(energy), photons, 0.0)
    energy = np.where(np.isfinite(energy), energy, DARK_EV)
    return _monitored(microscope.monitors, photons, energy, gates.length_s, gains, foil, source)


def _monitored(
    monitors: Monitors,
    photons_per_s: NDArray[np.float64],
    energies: NDArray[np.float64],
    dwells_s: NDArray[np.float64],
    gains: Sequence[float],
    foil: str,
    source: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    share = at_energies(monitors.foils[foil].transmissions, energies) if foil else 1.0

    def counted(chamber: IonChamber, photons: NDArray[np.float64], gain: float) -> NDArray[np.int64]:
        return chamber.gated_counts(photons, energies, gain, dwells_s, source)

    return counted(monitors.incident, photons_per_s, gains[0]), counted(
        monitors.reference, photons_per_s * share, gains[1]
    )

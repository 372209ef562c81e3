"""The scanning microscope: from the readings of its axes to what its detectors count at one point."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.constants import FWHM_PER_SIGMA
from whiteline.sim.beam import Beam
from whiteline.sim.bodies import projected
from whiteline.sim.counters import IonChamber, Monitors, OpticalSpectrometer
from whiteline.sim.drift import Drift
from whiteline.sim.fluorescence import FluorescenceDetector, escape
from whiteline.sim.knife import Knife
from whiteline.sim.optics import Mirrors, OrderSortingAperture, ZonePlate
from whiteline.sim.readings import MicroscopeReadings
from whiteline.sim.sample import Sample

PROBE_POINTS = 7
"""Points along each side at which the sample is looked at under the probe (Gauss–Hermite)."""

PATH = (np.polynomial.legendre.leggauss(5)[0], np.polynomial.legendre.leggauss(5)[1] / 2)
"""Places along a path, from −1 to 1, and their weights (Gauss–Legendre)."""


@dataclass(frozen=True, kw_only=True)
class Readings(MicroscopeReadings):
    """What the axes of a scanning microscope read; the others as in `MicroscopeReadings`.

    Parameters
    ----------
    zone_plate, aperture : float
        Axes of zone plate and order-sorting aperture along the beam [mm]; not used with mirrors.
    aperture_xy_um : tuple of float
        Sideways axes of the aperture [µm].
    mirror_pitch_urad : tuple of float
        Tilt of the vertical and the horizontal mirror [µrad].
    """

    zone_plate: float = 0.0
    aperture: float = 0.0
    aperture_xy_um: tuple[float, float] = (0.0, 0.0)
    mirror_pitch_urad: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Probe:
    """The spot of light on the sample.

    Parameters
    ----------
    energy : float
        True photon energy [eV].
    defocus : float
        How far downstream of the sample the focus lies [mm].
    sigma_nm : tuple of float
        Gaussian σ of the spot in x and y [nm].
    place_um : tuple of float
        Where it falls, in the frame of the sample (x, y) [µm].
    photons_per_s : float
        Flux in it [1/s].
    """

    energy: float
    defocus: float
    sigma_nm: tuple[float, float]
    place_um: tuple[float, float]
    photons_per_s: float


@dataclass(frozen=True)
class Point:
    """What the detectors counted at one point.

    Parameters
    ----------
    incident, reference, transmitted : int
        Counts of the ion chambers before the sample, behind the foil wheel, and behind the sample.
    fluorescence : ndarray of uint32, shape (elements, bins)
        Spectra of the fluorescence detector.
    light : ndarray of uint16, shape (pixels,)
        Spectrum of the optical spectrometer.
    """

    incident: int
    reference: int
    transmitted: int
    fluorescence: NDArray[np.uint32]
    light: NDArray[np.uint16]


@dataclass(frozen=True)
class Lens:
    """A zone plate with its order-sorting aperture, as the optic of a scanning microscope.

    Parameters
    ----------
    zone_plate : ZonePlate
        The zone plate.
    aperture : OrderSortingAperture
        The pinhole, which with the central stop leaves the first order only.
    aperture_zero : float
        Reading of the axis of the pinhole when it stands in the plane of the sample [mm].
    source_um : tuple of float
        Full width at half maximum of the source, vertical and horizontal [µm].
    source_distance : float
        From the source to the zone plate [mm].
    """

    zone_plate: ZonePlate
    aperture: OrderSortingAperture
    aperture_zero: float
    source_um: tuple[float, float]
    source_distance: float

    def spot_nm(self, defocus: float, energy: float) -> tuple[float, float]:
        """Return the Gaussian σ of the spot in x and y [nm]: image of a point, and of the source, in quadrature."""
        shrunk = 1e3 * self.zone_plate.focal_length(energy) / self.source_distance / FWHM_PER_SIGMA
        blur = self.zone_plate.blur_nm(defocus, energy)
        vertical, horizontal = (float(np.hypot(blur, shrunk * size)) for size in self.source_um)
        return horizontal, vertical


@dataclass(frozen=True, eq=False)
class Nanoprobe:
    """A scanning X-ray microscope.

    Parameters
    ----------
    beam, optic, sample, drift
        Its parts; the optic is a zone plate with its pinhole, or a pair of mirrors.
    photons_per_s : float
        Flux in the spot at full current, tuned [1/s].
    monitors : Monitors
        Ion chambers before the sample, and behind the foil wheel.
    transmitted : IonChamber
        Behind the sample.
    fluorescence : FluorescenceDetector
        Beside the sample.
    spectrometer : OpticalSpectrometer
        For the light of the sample.
    take_off_deg : float or None
        Angle between the sample's surface and the fluorescence detector, for self-absorption [deg]; None leaves it out.
    knife : Knife or None
        Beside the sample; what it takes of the spot is lacking behind the sample only.
    """

    beam: Beam
    optic: Lens | Mirrors
    sample: Sample
    drift: Drift
    photons_per_s: float
    monitors: Monitors
    transmitted: IonChamber
    fluorescence: FluorescenceDetector
    spectrometer: OpticalSpectrometer
    take_off_deg: float | None = None
    knife: Knife | None = None

    def probe(self, readings: Readings, frame: int = 0) -> Probe:
        """Return the spot at these readings, during a point: the jitter differs from point to point."""
        return self.spot(readings, self.beam.energy(readings, self.monitors.incident.number, frame))

    def spot(self, readings: Readings, energy: float) -> Probe:
        """Return the spot at these readings, for a true photon energy [eV]."""
        drifted = self.drift.position(readings.time_s, readings.moves_s)
        flux = self.photons_per_s * self.beam.strength(readings, energy)
        if isinstance(self.optic, Mirrors):
            sigma = self.sharp_spot_nm(energy)
            walked = self.optic.walk_um(readings.mirror_pitch_urad)
            offset, defocus = (walked[1], walked[0]), 0.0
            flux *= self.optic.reflectivity
        else:
            lens = self.optic.zone_plate
            stands, focal_length = lens.position(readings.zone_plate), lens.focal_length(energy)
            focus = stands + focal_length
            defocus = focus - readings.sample_z
            sigma = self.optic.spot_nm(defocus, energy)
            wander_x, wander_y = lens.wander(readings.zone_plate)
            offset = readings.zone_plate_xy_um[0] + wander_x, readings.zone_plate_xy_um[1] + wander_y
            pinhole = readings.aperture - self.optic.aperture_zero
            beside = readings.aperture_xy_um[0] - offset[0], readings.aperture_xy_um[1] - offset[1]
            flux *= self.optic.aperture.transmission(focus - pinhole, focal_length, lens.diameter_um, beside)
        x, y = (
            beam - stage - 1e-3 * drift for beam, stage, drift in zip(offset, readings.sample_um, drifted, strict=True)
        )
        return Probe(energy, defocus, sigma, (x, y), flux)

    def sharp_spot_nm(self, energy: float) -> tuple[float, float]:
        """Return the Gaussian σ of the spot in focus, in x and y [nm], at an energy [eV]."""
        if isinstance(self.optic, Lens):
            return self.optic.spot_nm(0.0, energy)
        vertical, horizontal = self.optic.spot_nm(energy)
        return horizontal / FWHM_PER_SIGMA, vertical / FWHM_PER_SIGMA

    def thickness(
        self, probe: Probe, rotation_deg: float = 0.0, path_um: tuple[float, float] = (0.0, 0.0)
    ) -> NDArray[np.float64]:
        """Return the thickness of each species under the spot, weighted by it and averaged along a path.

        Parameters
        ----------
        probe : Probe
            The spot, in the middle of the path.
        rotation_deg : float
            Turn of the sample about the vertical axis [deg].
        path_um : tuple of float
            How far the sample moves during the dwell (x, y) [µm].

        Returns
        -------
        ndarray of float64, shape (species,)
            [µm]
        """
        nodes, weights = np.polynomial.hermite.hermgauss(PROBE_POINTS)
        along, shares = (np.zeros(1), np.ones(1)) if path_um == (0.0, 0.0) else PATH
        one_each = np.eye(len(self.sample.species)).tolist()
        layers = [self.sample.layers(one, rotation_deg) for one in one_each]
        total = np.zeros(len(layers))
        for where, share in zip(along, shares, strict=True):
            x, y = (
                (place - where * path / 2 + np.sqrt(2) * 1e-3 * sigma * nodes).astype(np.float32)
                for place, path, sigma in zip(probe.place_um, path_um, probe.sigma_nm, strict=True)
            )
            maps = np.stack([projected(one, x, y) for one in layers])
            total += share * np.einsum("syx,y,x->s", maps, weights, weights) / np.pi
        return total

    def count(
        self,
        readings: Readings,
        dwell_s: float,
        frame: int,
        gains: tuple[float, float, float],
        foil: str = "",
        path_um: tuple[float, float] = (0.0, 0.0),
    ) -> Point:
        """Count at one point, or while the stage moves on.

        Parameters
        ----------
        readings : Readings
            Where the axes stand, in the middle of the dwell.
        dwell_s : float
            Counting time [s].
        frame : int
            Number of the point; the noise and the jitter depend on it.
        gains : tuple of float
            Of the amplifiers of the ion chambers: incident, reference, transmitted [V/A].
        foil : str
            Name of the foil in the beam of the reference chamber; empty for none.
        path_um : tuple of float
            How far the sample moves during the dwell (x, y) [µm].

        Raises
        ------
        ValueError
            If the dwell is not positive.
        """
        if not dwell_s > 0:
            raise ValueError(f"dwell {dwell_s:g} s must be above 0")
        probe = self.probe(readings, frame)
        thickness = self.thickness(probe, readings.rotation_deg, path_um)
        photons = probe.photons_per_s * dwell_s
        attenuations = self.sample.attenuations(probe.energy)
        passed = float(np.exp(-np.dot(attenuations, thickness)))
        if self.knife is not None:
            passed *= float(self.knife.passing(probe.place_um[0], probe.sigma_nm[0], path_um[0]))
        lines, bands = [], []
        for species, depth, attenuation in zip(self.sample.species, thickness, attenuations, strict=True):
            if depth > 0:
                lines += [(line, per_um * depth) for line, per_um in species.fluorescence(probe.energy)]
                absorbed = photons * attenuation * depth
                bands += [(place, width, absorbed * share) for place, width, share in species.luminescence]
        if self.take_off_deg is not None:
            lines = [(line, emitted * self._escaping(probe.energy, line, thickness)) for line, emitted in lines]
        arriving = self.fluorescence.arriving(lines, photons, probe.energy)
        watched = self.monitors.count(probe.photons_per_s, probe.energy, dwell_s, frame, gains[:2], foil)
        return Point(
            incident=watched.incident,
            reference=watched.reference,
            transmitted=self.transmitted.counts(probe.photons_per_s * passed, probe.energy, gains[2], dwell_s, frame),
            fluorescence=self.fluorescence.counts(arriving, dwell_s, frame),
            light=self.spectrometer.spectrum(bands, frame),
        )

    def _escaping(self, energy: float, line: float, thickness: NDArray[np.float64]) -> float:
        """Return the share of a line [eV] that leaves the sample, taken as a layer of its thickness and composition."""
        total = float(thickness.sum())
        inward, outward = (
            float(np.dot(self.sample.attenuations(value), thickness)) / total for value in (energy, line)
        )
        return escape(inward, outward, total, self.take_off_deg or 90.0)

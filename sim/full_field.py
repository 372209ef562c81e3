"""The full-field microscope: from the readings of its axes to a frame of its camera."""

from concurrent.futures import Executor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from whiteline.sim.beam import Beam
from whiteline.sim.blur import blurred_image
from whiteline.sim.bodies import projected
from whiteline.sim.camera import Camera, Expected, Region
from whiteline.sim.counters import Monitored, Monitors
from whiteline.sim.drift import Drift
from whiteline.sim.optics import ZonePlate, sharp_energy, sharp_plane
from whiteline.sim.readings import MicroscopeReadings
from whiteline.sim.sample import Sample


@dataclass(frozen=True, kw_only=True)
class Readings(MicroscopeReadings):
    """What the axes of a full-field microscope read; the others as in `MicroscopeReadings`.

    Parameters
    ----------
    zone_plate, detector : float
        Axes along the beam [mm].
    condenser_um : tuple of float
        How far the condenser stands beside the optical axis (x, y) [µm].
    """

    zone_plate: float
    detector: float
    condenser_um: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Optics:
    """What the optics do just now.

    Parameters
    ----------
    energy : float
        True photon energy [eV].
    sharp_energy : float
        Energy at which this zone plate and this detector would be in focus [eV].
    defocus : float
        How far downstream of focus the zone plate stands [mm].
    depth_of_focus : float
        Full depth of focus [mm].
    blur_nm : float
        Gaussian σ of the image, at the sample [nm].
    magnification : float
        Of the zone plate.
    pixel_nm : float
        Pixel of the camera, at the sample [nm].
    lens_um : tuple of float
        Where beside the optical axis the middle of the sensor looks (x, y), in the plane of the sample [µm].
    shift_um : tuple of float
        Where in the frame of the sample it looks (x, y) [µm].
    """

    energy: float
    sharp_energy: float
    defocus: float
    depth_of_focus: float
    blur_nm: float
    magnification: float
    pixel_nm: float
    lens_um: tuple[float, float]
    shift_um: tuple[float, float]


@dataclass(frozen=True, eq=False)
class FullFieldMicroscope:
    """A transmission X-ray microscope.

    Parameters
    ----------
    beam, zone_plate, camera, sample, drift, monitors
        Its parts.
    detector_zero : float
        Reading of the detector axis when the detector stands in the plane of the sample [mm].
    objective : float
        Magnification of the visible-light objective behind the scintillator.
    photons_per_um2_s : float
        Photons on the sample at full current, tuned [1/(µm² s)].
    illuminated_um : float
        Distance from the middle at which the illumination has fallen to 60 % (σ of a Gaussian) [µm].
    """

    beam: Beam
    zone_plate: ZonePlate
    camera: Camera
    sample: Sample
    drift: Drift
    monitors: Monitors
    detector_zero: float
    objective: float
    photons_per_um2_s: float
    illuminated_um: float

    def optics(self, readings: Readings, frame: int = 0) -> Optics:
        """Return what the optics do at these readings, during a frame: the jitter differs from frame to frame.

        Raises
        ------
        ValueError
            If no beam is reflected, or the detector is so near that no image forms.
        """
        energy = self.beam.energy(readings, self.camera.number, frame)
        stands = self.zone_plate.position(readings.zone_plate)
        p = stands - readings.sample_z
        q = readings.detector - self.detector_zero - stands
        defocus = p - sharp_plane(self.zone_plate.focal_length(energy), q)
        magnification = q / p
        wandered = self.zone_plate.wander(readings.zone_plate)
        drifted = self.drift.position(readings.time_s, readings.moves_s)
        # moving the lens by one moves the image by M + 1; moving the sample moves it by M
        lens_x, lens_y = (
            (axis + wander) * (magnification + 1) / magnification
            for axis, wander in zip(readings.zone_plate_xy_um, wandered, strict=True)
        )
        stage_x, stage_y = (stage + 1e-3 * drift for stage, drift in zip(readings.sample_um, drifted, strict=True))
        return Optics(
            energy=energy,
            sharp_energy=sharp_energy(self.zone_plate, p, q),
            defocus=defocus,
            depth_of_focus=self.zone_plate.depth_of_focus(energy),
            blur_nm=self.zone_plate.blur_nm(defocus, energy),
            magnification=magnification,
            pixel_nm=1e3 * self.camera.pixel_um / (self.objective * magnification),
            lens_um=(lens_x, lens_y),
            shift_um=(lens_x - stage_x, lens_y - stage_y),
        )

    def flux(self, readings: Readings, energy: float) -> float:
        """Return the photons on the sample, in the middle of the illumination [1/(µm² s)]."""
        return self.photons_per_um2_s * self.beam.strength(readings, energy)

    def counts_without_sample(self, readings: Readings, exposure_s: float, frame: int = 0) -> float:
        """Return the counts of a pixel of the sensor in the middle of the illumination, without sample, above dark."""
        optics = self.optics(readings, frame)
        area_um2 = (1e-3 * optics.pixel_nm) ** 2
        detected = self.zone_plate.efficiency * self.camera.efficiency
        return self.flux(readings, optics.energy) * area_um2 * detected * exposure_s

    def frame(
        self,
        readings: Readings,
        exposure_s: float,
        frame: int,
        region: Region | None = None,
        executor: Executor | None = None,
        turn_deg: float = 0.0,
    ) -> NDArray[np.uint16]:
        """Take a frame.

        Parameters
        ----------
        readings : Readings
            Where the axes stand.
        exposure_s : float
            Exposure time [s].
        frame : int
            Number of the frame; the noise and the jitter depend on it.
        region : Region or None
            What is read; the whole sensor if None.
        executor : Executor or None
            Threads that share the work; the frame does not depend on it.
        turn_deg : float
            How far the sample turns meanwhile, about the angle of the readings [deg].

        Returns
        -------
        ndarray of uint16, shape `region.shape`
            Row 0 is the lowest.
        """
        region = region or Region(0, 0, *self.camera.sensor)
        if not turn_deg:
            return self.camera.frame(self.expected(readings, exposure_s, frame), exposure_s, frame, region, executor)
        # two angles stand for all of them: they have the same mean, and the same spread about it
        aside = turn_deg / np.sqrt(12)
        first, second = (
            self.expected(replace(readings, rotation_deg=readings.rotation_deg + way), exposure_s, frame)
            for way in (-aside, aside)
        )

        def on_average(rows: slice, columns: slice) -> NDArray[np.float32]:
            return (first(rows, columns) + second(rows, columns)) * np.float32(0.5)

        return self.camera.frame(on_average, exposure_s, frame, region, executor)

    def dark_frame(
        self, exposure_s: float, frame: int, region: Region | None = None, executor: Executor | None = None
    ) -> NDArray[np.uint16]:
        """Take a frame without light, whatever the axes read; parameters as in `frame`."""
        region = region or Region(0, 0, *self.camera.sensor)
        return self.camera.frame(_no_photons, exposure_s, frame, region, executor)

    def expected(self, readings: Readings, exposure_s: float, frame: int) -> Expected:
        """Return the photons on each pixel of the sensor during a frame, without noise, as a function of its parts."""
        optics = self.optics(readings, frame)
        area_um2 = (1e-3 * optics.pixel_nm) ** 2
        photons = self.flux(readings, optics.energy) * area_um2 * self.zone_plate.efficiency * exposure_s
        if not photons:
            return _no_photons
        layers = self.sample.layers(self.sample.attenuations(optics.energy), readings.rotation_deg)
        beam_x, beam_y = readings.condenser_um
        beam_y += self.beam.monochromator.walk_um(readings.crystal_gap, readings.bragg)

        def passed(rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float32]:
            x, y = self.places(optics, rows, columns)
            image = projected(layers, x, y)
            np.negative(image, out=image)
            return np.exp(image, out=image)

        def photons_on(rows: slice, columns: slice) -> NDArray[np.float32]:
            image = blurred_image(passed, optics.blur_nm / optics.pixel_nm, rows, columns)
            x, y = self.lit_places(optics, rows, columns)
            image *= self._illumination(y - beam_y)[:, None]
            image *= self._illumination(x - beam_x) * np.float32(photons)
            return image

        return photons_on

    def places(
        self, optics: Optics, rows: NDArray[np.float64], columns: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return where columns and rows of the sensor look, in the frame of the sample: x and y [µm]."""
        x, y = (
            ((part - (size - 1) / 2) * 1e-3 * optics.pixel_nm + shift).astype(np.float32)
            for part, size, shift in zip((columns, rows), self.camera.sensor[::-1], optics.shift_um, strict=True)
        )
        return x, y

    def lit_places(
        self, optics: Optics, rows: slice, columns: slice
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return where columns and rows of the sensor look beside the optical axis: x and y [µm]."""
        x, y = (
            (np.arange(part.start, part.stop) - (size - 1) / 2) * 1e-3 * optics.pixel_nm + lens
            for part, size, lens in zip((columns, rows), self.camera.sensor[::-1], optics.lens_um, strict=True)
        )
        return x, y

    def _illumination(self, place_um: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the illumination along one direction, at distances from its middle [µm]: a Gaussian."""
        return np.asarray(np.exp(-0.5 * (place_um / self.illuminated_um) ** 2), np.float32)

    def monitor(
        self, readings: Readings, dwell_s: float, frame: int, gains: tuple[float, float], foil: str = ""
    ) -> Monitored:
        """Count the ion chambers before the sample, and behind a foil of the wheel.

        Parameters
        ----------
        readings : Readings
            Where the axes stand.
        dwell_s : float
            Counting time [s].
        frame : int
            Number of the count.
        gains : tuple of float
            Of the amplifiers, incident and reference [V/A].
        foil : str
            Name of the foil in the beam of the reference chamber; empty for none.
        """
        energy = self.beam.energy(readings, self.monitors.incident.number, frame)
        # a Gaussian of this σ holds 2πσ² times the flux in its middle
        photons_per_s = self.flux(readings, energy) * 2 * np.pi * self.illuminated_um**2
        return self.monitors.count(photons_per_s, energy, dwell_s, frame, gains, foil)


def _no_photons(rows: slice, columns: slice) -> NDArray[np.float32]:
    return np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.float32)

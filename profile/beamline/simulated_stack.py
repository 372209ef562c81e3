"""A 2D XANES stack on the physics of the twin, without hardware and without IOCs."""

import dataclasses
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.energies import EnergyList
from whiteline.analysis.laws.bragg import bragg_angle, crystal_gap
from whiteline.analysis.laws.full_field import detector_distance, zone_plate_distance
from whiteline.analysis.laws.motion import move_duration
from whiteline.beamline.description import Beamline, DescriptionError
from whiteline.sim.camera import Region
from whiteline.sim.full_field import FullFieldMicroscope, Readings
from whiteline.sim.truth import Truth, truth_of_image

MOVE_AND_SETTLE_S = 0.8
"""Time from one energy to the next: 0.6 s of motion and 0.2 s to settle."""

MOST_SATURATED = 0.005
"""Share of the pixels that may be saturated: a camera always has some hot ones."""

REST_S = 60.0
"""How long the sample rests after it was moved in, until its creep has died away."""


@dataclass(frozen=True, eq=False)
class Stack:
    """Frames with their roles, and the truth about them.

    Parameters
    ----------
    energies : ndarray of float64, shape (n,)
        As asked for [eV].
    frames, flats : ndarray of float32, shape (n, rows, columns)
        Mean of the frames at each energy, with and without the sample [counts].
    dark : ndarray of float32, shape (rows, columns)
        Mean of the dark frames [counts].
    pixel_nm : float
        Size of a binned pixel at the sample [nm].
    counts : float
        Counts of a pixel in one flat, without its dark level; the median.
    frames_per_energy : int
        How many frames a mean is of.
    defocus_dof : ndarray of float64, shape (n,)
        True defocus, in depths of focus.
    drift_nm : ndarray of float64, shape (n, 2)
        True drift since the first frame (x, y) [nm].
    truth : Truth
        In the frame of the first image.
    """

    energies: NDArray[np.float64]
    frames: NDArray[np.float32]
    flats: NDArray[np.float32]
    dark: NDArray[np.float32]
    pixel_nm: float
    counts: float
    frames_per_energy: int
    defocus_dof: NDArray[np.float64]
    drift_nm: NDArray[np.float64]
    truth: Truth


def readings_in_focus(beamline: Beamline, energy: float, harmonic: int) -> Readings:
    """Return where the axes of a full-field microscope stand at an energy, by the laws and the description.

    Parameters
    ----------
    beamline : Beamline
        Of a full-field microscope.
    energy : float
        [eV].
    harmonic : int
        Of the undulator.

    Raises
    ------
    DescriptionError
        If the beamline is no full-field microscope.
    OutOfRange
        If an axis cannot follow to this energy.
    """
    if beamline.zone_plate is None or beamline.energy.magnification is None:
        raise DescriptionError(f"{beamline.name} is a {beamline.kind} microscope; a stack needs a full-field one")
    mono = beamline.monochromator
    focal_length = beamline.zone_plate.law.focal_length(energy)
    detector = detector_distance(focal_length, beamline.energy.magnification)
    zone_plate = beamline.zone_plate.a0_mm + zone_plate_distance(focal_length, detector)
    # the zone plate wanders as it moves along the beam; its sideways axes take that back
    along = zone_plate - beamline.zone_plate.run_out_from_mm
    wander_x, wander_y = (run_out * along for run_out in beamline.zone_plate.run_out_um_per_mm)
    return Readings(
        bragg=bragg_angle(energy, mono.spacing) - mono.offset_deg,
        crystal_gap=crystal_gap(energy, mono.spacing, mono.beam_offset_mm),
        undulator_gap=beamline.undulator.law(beamline.ring).gap(energy, harmonic),
        zone_plate=zone_plate,
        detector=detector,
        zone_plate_xy_um=(-wander_x, -wander_y),
    )


def simulate_stack(
    beamline: Beamline,
    microscope: FullFieldMicroscope,
    energies: EnergyList,
    *,
    size: int = 256,
    binning: int = 2,
    exposure_s: float = 0.2,
    frames_per_energy: int = 5,
    progress: Callable[[], None] = lambda: None,
) -> Stack:
    """Simulate a stack: darks, flats at every energy with the sample out, then the sample at every energy.

    Parameters
    ----------
    beamline : Beamline
        The description.
    microscope : FullFieldMicroscope
        Its twin.
    energies : EnergyList
        Every one must lie within the spectra of the species.
    size : int
        Rows and columns of a frame.
    binning : int
        Pixels of the camera added along each side.
    exposure_s : float
        Of one frame [s].
    frames_per_energy : int
        How many are averaged.
    progress : callable
        Called after each energy, of flats and of sample alike.

    Raises
    ------
    ValueError
        If an energy is outside the spectrum of a species, the frame does not fit on the sensor, or it is saturated.
    """
    for species in microscope.sample.species:
        species.near_edge.require_inside(energies)
    if size < 16 or size * binning > min(microscope.camera.sensor):
        largest = min(microscope.camera.sensor) // binning
        raise ValueError(f"frame of {size} × {size} pixels must be 16 to {largest} a side with binning {binning}")
    region = Region.centred(microscope.camera.sensor, (size, size), binning)
    harmonic = beamline.undulator.law(beamline.ring).choose_harmonic(energies)
    where = [readings_in_focus(beamline, energy, harmonic) for energy in energies]
    out_mm = beamline.sample.out_mm
    coarse = beamline.sample.coarse.x
    per_frame = exposure_s + microscope.camera.readout_s

    time_s, number = 0.0, 0
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as executor:

        def mean_frame(readings: Readings) -> NDArray[np.float32]:
            nonlocal time_s, number
            total = np.zeros(region.shape, np.float32)
            for _ in range(frames_per_energy):
                now = dataclasses.replace(readings, time_s=time_s)
                frame = microscope.frame(now, exposure_s, number, region, executor)
                if np.mean(frame >= microscope.camera.saturated) > MOST_SATURATED:
                    raise ValueError(
                        f"frame is saturated at {microscope.camera.saturated} counts with an exposure of "
                        f"{exposure_s:g} s and binning {binning}; shorten the exposure or bin less"
                    )
                total += frame
                time_s, number = time_s + per_frame, number + 1
            return total / np.float32(frames_per_energy)

        dark = mean_frame(dataclasses.replace(where[0], open=False))
        flats = []
        for readings in where:
            time_s += MOVE_AND_SETTLE_S
            flats.append(mean_frame(dataclasses.replace(readings, sample_um=(1e3 * out_mm, 0.0))))
            progress()
        moved = time_s
        time_s += move_duration(out_mm, coarse.velocity, coarse.acceleration_s) + REST_S
        frames: list[NDArray[np.float32]] = []
        optics, drift = [], []
        for readings in where:
            time_s += MOVE_AND_SETTLE_S
            placed = dataclasses.replace(readings, moves_s=(moved,))
            optics.append(microscope.optics(dataclasses.replace(placed, time_s=time_s), number))
            drift.append(microscope.drift.position(time_s, (moved,)))
            if not frames:
                truth = truth_of_image(microscope, dataclasses.replace(placed, time_s=time_s), number, region)
            frames.append(mean_frame(placed))
            progress()
    stack, bright = np.stack(frames), np.stack(flats)
    return Stack(
        energies=np.array(energies.energies),
        frames=stack,
        flats=bright,
        dark=dark,
        pixel_nm=optics[0].pixel_nm * binning,
        counts=float(np.median(bright - dark)),
        frames_per_energy=frames_per_energy,
        defocus_dof=np.array([one.defocus / one.depth_of_focus for one in optics]),
        drift_nm=np.array(drift) - drift[0],
        truth=truth,
    )

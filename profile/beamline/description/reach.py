"""What must hold between tables: the axes can follow the energy over its whole range."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.laws.bragg import bragg_angle, crystal_gap
from whiteline.analysis.laws.full_field import detector_distance, zone_plate_distance
from whiteline.beamline.description.optics import OrderSortingAperture, ZonePlate
from whiteline.beamline.description.stages import DetectorStage

if TYPE_CHECKING:
    from whiteline.beamline.description.beamline import Beamline, EnergyAxis

ENERGIES = 101
"""How many energies of the range are tried."""


def check_reach(beamline: "Beamline") -> None:
    """Refuse a range of energies that some axis cannot follow.

    Raises
    ------
    ValueError
        Naming the axis, what it should reach, and its limits.
    """
    energies = np.linspace(beamline.energy.low, beamline.energy.high, ENERGIES)
    _monochromator(beamline, energies)
    law = beamline.undulator.law(beamline.ring)
    for energy in energies:
        if not law.harmonics([float(energy)]):
            raise ValueError(f"[undulator] reaches {energy:g} eV on no harmonic; narrow [energy] or widen the gap")
    if beamline.optic == "zone-plate" and beamline.zone_plate is not None:
        if beamline.kind == "scanning" and beamline.order_sorting_aperture is not None:
            _scanning(beamline.zone_plate, beamline.order_sorting_aperture, energies)
        elif beamline.detector is not None:
            _full_field(beamline.energy, beamline.zone_plate, beamline.detector, energies)


def _monochromator(beamline: "Beamline", energies: NDArray[np.float64]) -> None:
    mono = beamline.monochromator
    angles = bragg_angle(energies, mono.spacing) - mono.offset_deg
    mono.bragg.require_reach(angles, "[monochromator.bragg]", _range(energies))
    gaps = crystal_gap(energies, mono.spacing, mono.beam_offset_mm)
    mono.crystal_gap.require_reach(gaps, "[monochromator.crystal_gap]", _range(energies))


def _scanning(lens: ZonePlate, aperture: OrderSortingAperture, energies: NDArray[np.float64]) -> None:
    focal_lengths = lens.law.focal_length(energies)
    lens.z.require_reach(lens.a0_mm - focal_lengths, "[zone_plate.z]", _range(energies))
    distances = np.full(energies.shape, aperture.distance_mm)
    try:
        aperture.law(lens).check(distances, focal_lengths)
    except ValueError as error:
        raise ValueError(f"[order_sorting_aperture] {error}") from error
    aperture.z.require_reach(-distances, "[order_sorting_aperture.z]", "to stand upstream of the sample")
    apart = aperture.z.low - (lens.z.high - lens.a0_mm)
    if apart < aperture.clearance_mm:
        raise ValueError(
            f"[order_sorting_aperture.z] low = {aperture.z.low:g} mm and [zone_plate.z] high = {lens.z.high:g} mm let "
            f"the two come within {apart:g} mm of each other; leave the clearance between, {aperture.clearance_mm:g} mm"
        )
    if aperture.z.high > -aperture.clearance_mm:
        raise ValueError(
            f"[order_sorting_aperture.z] high = {aperture.z.high:g} mm lets it come nearer to the sample than its "
            f"clearance; set it to {-aperture.clearance_mm:g} or lower"
        )


def _full_field(axis: "EnergyAxis", lens: ZonePlate, detector: DetectorStage, energies: NDArray[np.float64]) -> None:
    focal_lengths = lens.law.focal_length(energies)
    if axis.detector == "constant-magnification" and axis.magnification is not None:
        distances = detector_distance(focal_lengths, axis.magnification)
        detector.z.require_reach(
            distances, "[detector.z]", f"for magnification {axis.magnification:g} {_range(energies)}"
        )
    else:
        distances = np.full(energies.shape, axis.detector_mm or detector.z.high)
        detector.z.require_reach(distances, "[detector.z]", "where the detector stands")
    positions = lens.a0_mm + zone_plate_distance(focal_lengths, distances)
    lens.z.require_reach(positions, "[zone_plate.z]", _range(energies))


def _range(energies: NDArray[np.float64]) -> str:
    return f"for {energies[0]:g} to {energies[-1]:g} eV"

"""Where the axes of a full-field microscope stand in focus, by the laws and the description."""

from whiteline.analysis.laws.bragg import bragg_angle, crystal_gap
from whiteline.analysis.laws.full_field import detector_distance, zone_plate_distance
from whiteline.beamline.description import Beamline, DescriptionError
from whiteline.sim.full_field import Readings


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

"""Build the simulated beamline from its description: the one place where numbers become parts."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from whiteline.analysis.laws.scanning import mirror_aperture
from whiteline.beamline.description import Beamline, DescriptionError
from whiteline.beamline.description.simulation import Simulation
from whiteline.beamline.species_of import resolution_of, species_of
from whiteline.sim.beam import Beam
from whiteline.sim.camera import Camera
from whiteline.sim.counters import IonChamber, Monitors, OpticalSpectrometer
from whiteline.sim.drift import Drift
from whiteline.sim.fluorescence import FluorescenceDetector
from whiteline.sim.foils import Filter, metal_foil
from whiteline.sim.full_field import FullFieldMicroscope
from whiteline.sim.knife import Knife
from whiteline.sim.monochromator import Monochromator
from whiteline.sim.nanoprobe import Lens, Nanoprobe
from whiteline.sim.optics import Mirrors, OrderSortingAperture, ZonePlate
from whiteline.sim.ring import Ring
from whiteline.sim.sample import Sample, particles
from whiteline.sim.servo import Servo
from whiteline.sim.species import Species
from whiteline.sim.stages import StageErrors
from whiteline.sim.undulator import Undulator

Part = TypeVar("Part")

CAMERA, INCIDENT, REFERENCE, TRANSMITTED, FLUORESCENCE, SPECTROMETER = range(1, 7)
"""Numbers of the detectors, which their noise depends on."""


def full_field(beamline: Beamline, *, seed: int | None = None, species: Iterable[Species] = ()) -> FullFieldMicroscope:
    """Build the twin of a full-field microscope.

    Parameters
    ----------
    beamline : Beamline
        With a table `simulation`.
    seed : int or None
        Instead of that of the description.
    species : iterable of Species
        Instead of those of the description.

    Raises
    ------
    DescriptionError
        If the description is that of another microscope, or lacks what a twin needs.
    """
    simulation = _simulation(beamline, "full-field")
    seed = simulation.seed if seed is None else seed
    light, errors = simulation.illumination, needed(simulation.camera, "[simulation] camera")
    camera = needed(beamline.camera, "[camera]")
    return FullFieldMicroscope(
        beam=_beam(beamline, simulation, seed),
        zone_plate=_zone_plate(beamline, simulation),
        camera=Camera(
            sensor=camera.sensor,
            pixel_um=camera.pixel_um,
            efficiency=camera.efficiency,
            read_noise=errors.read_noise,
            dark=camera.dark,
            readout_s=camera.readout_s,
            hot_share=errors.hot_share,
            pattern=errors.pattern,
            seed=seed,
            number=CAMERA,
            bits=camera.bits,
        ),
        sample=_sample(simulation, beamline.monochromator.spacing, seed, species),
        drift=_drift(simulation, seed),
        monitors=_monitors(beamline, simulation, seed),
        detector_zero=simulation.hidden.detector_zero_mm,
        objective=camera.objective * (1 + 1e-6 * simulation.hidden.objective_ppm),
        photons_per_um2_s=needed(light.photons_per_um2_s, "[simulation.illumination] photons_per_um2_s"),
        illuminated_um=needed(light.illuminated_um, "[simulation.illumination] illuminated_um"),
    )


def nanoprobe(beamline: Beamline, *, seed: int | None = None, species: Iterable[Species] = ()) -> Nanoprobe:
    """Build the twin of a scanning microscope; parameters and errors as in `full_field`."""
    simulation = _simulation(beamline, "scanning")
    seed = simulation.seed if seed is None else seed
    fluorescence = needed(beamline.fluorescence, "[fluorescence]")
    lines = needed(simulation.fluorescence, "[simulation] fluorescence")
    grating, light = (
        needed(beamline.spectrometer, "[spectrometer]"),
        needed(simulation.spectrometer, "[simulation] spectrometer"),
    )
    return Nanoprobe(
        beam=_beam(beamline, simulation, seed),
        optic=_mirrors(beamline, simulation) if beamline.optic == "mirrors" else _lens(beamline, simulation),
        sample=_sample(simulation, beamline.monochromator.spacing, seed, species),
        drift=_drift(simulation, seed),
        photons_per_s=needed(simulation.illumination.photons_per_s, "[simulation.illumination] photons_per_s"),
        monitors=_monitors(beamline, simulation, seed),
        transmitted=_ion_chamber(beamline, simulation, "transmitted", TRANSMITTED, seed),
        fluorescence=FluorescenceDetector(
            elements=fluorescence.elements,
            bins=fluorescence.bins,
            bin_eV=fluorescence.bin_eV,
            electronic_eV=lines.electronic_eV,
            dead_time_s=fluorescence.dead_time_s,
            solid_angle=fluorescence.solid_angle,
            scattered=lines.scattered,
            seed=seed,
            number=FLUORESCENCE,
        ),
        spectrometer=OpticalSpectrometer(
            pixels=grating.pixels,
            range_nm=grating.range_nm,
            resolution_nm=light.resolution_nm,
            efficiency=light.efficiency,
            dark=light.dark,
            read_noise=light.read_noise,
            seed=seed,
            number=SPECTROMETER,
        ),
        take_off_deg=lines.take_off_deg if lines.self_absorption else None,
        knife=None if simulation.knife is None else Knife(simulation.knife.x_um, simulation.knife.width_um),
    )


def ring(beamline: Beamline) -> Ring:
    """Return the storage ring of a simulated beamline."""
    decay = needed(beamline.simulation, "[simulation]").ring
    return Ring(beamline.ring.current_mA, decay.lifetime_h, decay.top_up_s)


def believed_monochromator(beamline: Beamline) -> Monochromator:
    """Return the monochromator as the description has it: without the errors that are hidden from the devices."""
    mono, wander = beamline.monochromator, needed(beamline.simulation, "[simulation]").wander
    return Monochromator(
        spacing=mono.spacing,
        offset_deg=mono.offset_deg,
        intrinsic=wander.intrinsic_resolution,
        divergence_urad=wander.divergence_urad,
        drift_urad_per_h=wander.drift_urad_per_h,
        jitter_urad=wander.jitter_urad,
        beam_offset=mono.beam_offset_mm,
    )


def true_monochromator(beamline: Beamline) -> Monochromator:
    """Return the monochromator of a simulated beamline, with its hidden errors."""
    hidden, believed = needed(beamline.simulation, "[simulation]").hidden, believed_monochromator(beamline)
    return replace(
        believed,
        spacing=believed.spacing * (1 + 1e-6 * hidden.spacing_ppm),
        offset_deg=believed.offset_deg + hidden.bragg_offset_deg,
        best_pitch_urad=hidden.fine_pitch_urad,
    )


def _simulation(beamline: Beamline, kind: str) -> Simulation:
    if beamline.kind != kind:
        raise DescriptionError(f"{beamline.name} is a {beamline.kind} microscope; this needs a {kind} one")
    return needed(beamline.simulation, "[simulation]")


def needed(part: Part | None, name: str) -> Part:
    """Return a part of the description that a simulated beamline needs.

    Raises
    ------
    DescriptionError
        If the description has none.
    """
    if part is None:
        raise DescriptionError(f"the description lacks {name}, which a simulated beamline needs")
    return part


def _beam(beamline: Beamline, simulation: Simulation, seed: int) -> Beam:
    field = beamline.undulator.field
    return Beam(
        ring=ring(beamline),
        undulator=Undulator(
            ring_energy=beamline.ring.energy_GeV,
            period=beamline.undulator.period_mm,
            periods=beamline.undulator.periods,
            field=(field.a_T, field.b, field.c),
            smallest_gap=beamline.undulator.gap.low,
            gap_error=simulation.hidden.undulator_gap_mm,
        ),
        monochromator=true_monochromator(beamline),
        filters={
            one.name: Filter(one.name, one.formula, one.density, one.thickness_um) for one in beamline.filters.foils
        },
        seed=seed,
    )


def _zone_plate(beamline: Beamline, simulation: Simulation) -> ZonePlate:
    plate, hidden = needed(beamline.zone_plate, "[zone_plate]"), simulation.hidden
    return ZonePlate(
        diameter_um=plate.diameter_um * (1 + 1e-6 * hidden.zone_plate_ppm),
        outer_zone_width_nm=plate.outer_zone_width_nm,
        zero=plate.a0_mm + hidden.zone_plate_zero_mm,
        run_out=simulation.wander.run_out_um_per_mm,
        straight_at=simulation.wander.run_out_from_mm,
        efficiency=plate.efficiency,
    )


def _lens(beamline: Beamline, simulation: Simulation) -> Lens:
    aperture = needed(beamline.order_sorting_aperture, "[order_sorting_aperture]")
    plate, light = needed(beamline.zone_plate, "[zone_plate]"), simulation.illumination
    return Lens(
        zone_plate=_zone_plate(beamline, simulation),
        aperture=OrderSortingAperture(aperture.aperture_um, plate.central_stop_um),
        aperture_zero=simulation.hidden.aperture_zero_mm,
        source_um=needed(light.source_um, "[simulation.illumination] source_um"),
        source_distance=needed(light.source_distance_mm, "[simulation.illumination] source_distance_mm"),
    )


def _mirrors(beamline: Beamline, simulation: Simulation) -> Mirrors:
    mirrors, light = needed(beamline.mirrors, "[mirrors]"), simulation.illumination
    pair = mirrors.vertical, mirrors.horizontal
    vertical, horizontal = (mirror_aperture(one.length_mm, one.angle_mrad, one.focal_length_mm) for one in pair)
    return Mirrors(
        focal_lengths=(mirrors.vertical.focal_length_mm, mirrors.horizontal.focal_length_mm),
        apertures=(vertical, horizontal),
        source_um=needed(light.source_um, "[simulation.illumination] source_um"),
        source_distance=needed(light.source_distance_mm, "[simulation.illumination] source_distance_mm"),
        reflectivity=mirrors.reflectivity,
        best_pitch_urad=simulation.hidden.mirror_pitch_urad,
    )


def _monitors(beamline: Beamline, simulation: Simulation, seed: int) -> Monitors:
    return Monitors(
        incident=_ion_chamber(beamline, simulation, "incident", INCIDENT, seed),
        reference=_ion_chamber(beamline, simulation, beamline.foil_wheel.channel, REFERENCE, seed),
        foils={
            foil.name: metal_foil(
                foil.formula,
                foil.density,
                foil.thickness_um,
                resolution_of(simulation, beamline.monochromator.spacing, foil.formula, "K"),
            )
            for foil in beamline.foil_wheel.foils
        },
    )


def stage_errors(beamline: Beamline, *, seed: int | None = None) -> StageErrors:
    """Return how the stages of a simulated beamline miss, shake and wobble.

    Raises
    ------
    DescriptionError
        If the description lacks what a twin needs.
    """
    simulation = needed(beamline.simulation, "[simulation]")
    interferometer = needed(beamline.sample.interferometer, "[sample.interferometer]")
    errors = simulation.stages
    return StageErrors(
        repeatability_nm=errors.coarse_repeatability_nm,
        wobble_nm=errors.rotation_wobble_nm,
        vibration_nm=errors.vibration_nm,
        vibration_Hz=errors.vibration_Hz,
        interferometer_nm=errors.interferometer_noise_nm,
        interferometer_Hz=interferometer.rate_Hz,
        encoder_urad=simulation.wander.encoder_noise_urad,
        seed=simulation.seed if seed is None else seed,
    )


def servo(beamline: Beamline) -> Servo:
    """Return how the fine stage of a simulated beamline follows its commands."""
    errors = needed(beamline.simulation, "[simulation]").stages
    return Servo(errors.piezo_lag_s, errors.piezo_ripple_nm, errors.piezo_ripple_Hz)


def _ion_chamber(beamline: Beamline, simulation: Simulation, name: str, number: int, seed: int) -> IonChamber:
    channel = needed(beamline.counters.channels.get(name), f"[counters.channels.{name}]")
    return IonChamber(
        absorbed=channel.absorbed,
        dark_A=needed(simulation.counters, "[simulation] counters").dark_A,
        hz_per_V=beamline.counters.hz_per_V,
        largest_V=beamline.counters.largest_V,
        seed=seed,
        number=number,
    )


def _sample(simulation: Simulation, spacing: float, seed: int, species: Iterable[Species]) -> Sample:
    layout = simulation.particles
    return particles(
        tuple(species) or species_of(simulation, spacing),
        count=layout.count,
        field_um=layout.field_um,
        radius_um=layout.radius_um,
        core_size=layout.core_size,
        seed=seed,
    )


def _drift(simulation: Simulation, seed: int) -> Drift:
    drift = simulation.drift
    return Drift(drift.walk_nm, drift.creep_nm_per_s, drift.creep_s, seed)

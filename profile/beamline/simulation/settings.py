"""What the IOCs of a simulated beamline are told: the numbers of its description."""

from pathlib import Path

from whiteline.analysis.laws.bragg import bragg_angle, crystal_gap
from whiteline.analysis.laws.scanning import zone_plate_reading
from whiteline.beamline import twin
from whiteline.beamline.description import Beamline
from whiteline.beamline.description.axes import Axis
from whiteline.beamline.description.capture import Capture
from whiteline.beamline.description.source import Shutter
from whiteline.beamline.in_focus import readings_in_focus
from whiteline.sim.full_field import FullFieldMicroscope
from whiteline.sim.ioc.beamline_settings import BeamlineSettings
from whiteline.sim.ioc.bias import BiasSettings
from whiteline.sim.ioc.busy import GapSettings
from whiteline.sim.ioc.capture.settings import CaptureSettings, ChannelSettings
from whiteline.sim.ioc.frames import CameraSettings
from whiteline.sim.ioc.interferometer import InterferometerSettings
from whiteline.sim.ioc.machine import MachineSettings
from whiteline.sim.ioc.motor_record.motor import AxisSettings
from whiteline.sim.ioc.scaler import ScalerSettings
from whiteline.sim.ioc.shutter import ShutterSettings
from whiteline.sim.ioc.spectra import FluorescenceSettings
from whiteline.sim.ioc.spectrometer import SpectrometerSettings
from whiteline.sim.nanoprobe import Nanoprobe

GAP = "undulator.gap"


def microscope(beamline: Beamline) -> FullFieldMicroscope | Nanoprobe:
    """Build the physics behind the IOCs."""
    return twin.full_field(beamline) if beamline.kind == "full-field" else twin.nanoprobe(beamline)


def machine_settings(beamline: Beamline) -> MachineSettings:
    """Return what the IOC of the machine is told."""
    return MachineSettings(
        ring=twin.ring(beamline),
        ring_prefix=beamline.ring.prefix,
        ring_GeV=beamline.ring.energy_GeV,
        prefix=_prefix(beamline),
        photon=_shutter("photon", beamline.shutters.photon),
        fast=_shutter("fast", beamline.shutters.fast),
    )


def _prefix(beamline: Beamline) -> str:
    assert beamline.simulation is not None
    return beamline.simulation.prefix


def _shutter(name: str, shutter: Shutter) -> ShutterSettings:
    return ShutterSettings(name, shutter.prefix, shutter.move_s)


def beamline_settings(beamline: Beamline, truth: Path) -> BeamlineSettings:
    """Return what the IOC of the beamline is told; the truth is written into a file of this name.

    Raises
    ------
    DescriptionError
        If the description lacks what a simulated beamline needs.
    """
    start = start_positions(beamline)
    undulator, counters, interferometer = beamline.undulator, beamline.counters, beamline.sample.interferometer
    camera, fluorescence = beamline.camera, beamline.fluorescence
    spectrometer, bias = beamline.spectrometer, beamline.bias
    names = ["incident", beamline.foil_wheel.channel, *(["transmitted"] if beamline.kind == "scanning" else [])]
    chambers = [twin.needed(counters.channels.get(name), f"[counters.channels.{name}]") for name in names]
    return BeamlineSettings(
        scanning=beamline.kind == "scanning",
        axes=tuple(_axis(path, axis, start.get(path, 0.0)) for path, axis in beamline.axes().items() if path != GAP),
        gap=GapSettings(
            name=GAP,
            prefix=undulator.gap.pv,
            low=undulator.gap.low,
            high=undulator.gap.high,
            velocity=undulator.gap.velocity,
            latency_s=undulator.busy_latency_s,
            precision=undulator.gap.precision,
            start=start[GAP],
        ),
        errors=twin.stage_errors(beamline),
        believed=twin.believed_monochromator(beamline),
        best_pitch_urad=twin.true_monochromator(beamline).best_pitch_urad,
        feedback=beamline.monochromator.feedback,
        temperature=beamline.monochromator.temperature,
        filters=beamline.filters.prefix,
        filter_names=tuple(one.name for one in beamline.filters.foils),
        foil_wheel=beamline.foil_wheel.pv,
        foil_names=tuple(one.name for one in beamline.foil_wheel.foils),
        scaler=ScalerSettings(counters.prefix, {one.number: name for name, one in counters.channels.items()}),
        chambers=tuple(chamber.number for chamber in chambers),
        amplifiers=tuple((chamber.amplifier, chamber.gains_V_per_A) for chamber in chambers),
        largest_count_rate=counters.hz_per_V * counters.largest_V,
        interferometer=InterferometerSettings(
            interferometer.prefix, {str(axis): number for axis, number in interferometer.channels.items()}
        )
        if interferometer
        else None,
        camera=CameraSettings(camera.prefix, camera.sensor, camera.readout_s, camera.buffer, camera.most_per_s)
        if camera
        else None,
        fluorescence=FluorescenceSettings(
            fluorescence.prefix,
            fluorescence.elements,
            fluorescence.bins,
            fluorescence.readout_s,
            fluorescence.buffer,
            fluorescence.most_per_s,
        )
        if fluorescence
        else None,
        spectrometer=SpectrometerSettings(spectrometer.prefix, spectrometer.pixels, spectrometer.range_nm)
        if spectrometer
        else None,
        bias=BiasSettings(bias.prefix, bias.low_V, bias.high_V) if bias else None,
        capture=_capture(beamline, beamline.capture, names) if beamline.capture else None,
        prefix=_prefix(beamline),
        truth=truth,
    )


def _capture(beamline: Beamline, capture: Capture, chambers: list[str]) -> CaptureSettings:
    units = {path: axis.unit for path, axis in beamline.axes().items()}
    return CaptureSettings(
        prefix=capture.prefix,
        channels=tuple(
            ChannelSettings(name, one.source, one.unit_in(units), one.noise) for name, one in capture.channels.items()
        ),
        counters=tuple(name for name in chambers if name in capture.counters),
        detector=capture.detector,
        most_per_s=capture.most_per_s,
        buffer=capture.buffer,
        servo=twin.servo(beamline),
    )


def _axis(path: str, axis: Axis, start: float) -> AxisSettings:
    return AxisSettings(
        name=path,
        pv=axis.pv,
        unit=axis.unit,
        low=axis.low,
        high=axis.high,
        velocity=axis.velocity,
        acceleration_s=axis.acceleration_s,
        settle_s=axis.settle_s,
        backlash=axis.backlash,
        precision=axis.precision,
        start=min(max(start, axis.low), axis.high),
    )


def start_positions(beamline: Beamline) -> dict[str, float]:
    """Return where the axes stand at the start, in focus at the energy of the simulation, by their paths.

    An axis that is not named stands at 0, or at its limit next to it.
    """
    assert beamline.simulation is not None
    energy = beamline.simulation.energy
    mono, plate = beamline.monochromator, beamline.zone_plate
    law = beamline.undulator.law(beamline.ring)
    start = {
        "monochromator.bragg": bragg_angle(energy, mono.spacing) - mono.offset_deg,
        "monochromator.crystal_gap": crystal_gap(energy, mono.spacing, mono.beam_offset_mm),
        GAP: law.gap(energy, law.choose_harmonic([energy])),
    }
    if beamline.kind == "full-field":
        in_focus = readings_in_focus(beamline, energy, law.choose_harmonic([energy]))
        start |= {
            "zone_plate.x": in_focus.zone_plate_xy_um[0],
            "zone_plate.y": in_focus.zone_plate_xy_um[1],
            "zone_plate.z": in_focus.zone_plate,
            "detector.z": in_focus.detector,
        }
    elif plate is not None and beamline.order_sorting_aperture is not None:
        z = float(zone_plate_reading(energy, plate.a0_mm, plate.law.chromaticity))
        x, y = (-run_out * (z - plate.run_out_from_mm) for run_out in plate.run_out_um_per_mm)
        aperture = -beamline.order_sorting_aperture.distance_mm
        start |= {"zone_plate.x": x, "zone_plate.y": y, "zone_plate.z": z, "order_sorting_aperture.z": aperture}
    return start

"""What the hardware truly does at an exposure: the part of the truth that changes while a scan runs."""

from dataclasses import dataclass, fields, replace

from whiteline.sim.full_field import FullFieldMicroscope
from whiteline.sim.full_field import Readings as FullFieldReadings
from whiteline.sim.ioc.instrument import Readings
from whiteline.sim.monochromator import Monochromator
from whiteline.sim.nanoprobe import Lens, Nanoprobe
from whiteline.sim.nanoprobe import Readings as ScanReadings

NOT_THERE = float("nan")


@dataclass(frozen=True)
class State:
    """What the hardware truly does; what does not exist, such as the energy of no beam, is NaN.

    Parameters
    ----------
    energy : float
        Photon energy [eV].
    energy_offset : float
        Energy minus the one that the Bragg axis stands for [eV].
    best_focus : float
        Reading of the zone plate's axis at which the image or spot is sharp [mm].
    defocus : float
        How far downstream of it the zone plate stands [mm].
    depth_of_focus : float
        Full depth of focus [mm].
    magnification : float
        Of the zone plate of a full-field microscope.
    drift_x, drift_y : float
        Of the sample since the start [nm].
    sample_x, sample_y : float
        Where the sample truly is: its stage, which does not come back to the same place, and its drift [nm].
    field_x, field_y : float
        Where the field of view, or the spot, lies beside the optical axis, as the optics have shifted it [nm].
    """

    energy: float
    energy_offset: float
    best_focus: float
    defocus: float
    depth_of_focus: float
    magnification: float
    drift_x: float
    drift_y: float
    sample_x: float
    sample_y: float
    field_x: float
    field_y: float


def state_of(
    microscope: FullFieldMicroscope | Nanoprobe, readings: Readings, frame: int, believed: Monochromator
) -> State:
    """Return what the hardware truly does.

    Parameters
    ----------
    microscope : FullFieldMicroscope or Nanoprobe
        The instrument.
    readings : Readings
        Where everything stands.
    frame : int
        Number of the exposure: the jitter of the energy depends on it.
    believed : Monochromator
        What is believed of the monochromator.
    """
    drift = microscope.drift.position(readings.time_s, readings.moves_s)
    x, y = (1e3 * stage + drifted for stage, drifted in zip(readings.sample_um, drift, strict=True))
    there = {"drift_x": drift[0], "drift_y": drift[1], "sample_x": x, "sample_y": y}
    dark = State(**dict.fromkeys((one.name for one in fields(State)), NOT_THERE) | there)
    try:
        if isinstance(microscope, FullFieldMicroscope) and isinstance(readings, FullFieldReadings):
            optics = microscope.optics(readings, frame)
            energy, defocus, depth = optics.energy, optics.defocus, optics.depth_of_focus
            magnification, field_um = optics.magnification, optics.lens_um
        elif isinstance(microscope, Nanoprobe) and isinstance(readings, ScanReadings):
            probe = microscope.probe(readings, frame)
            energy, defocus, depth, magnification = probe.energy, probe.defocus, NOT_THERE, NOT_THERE
            # the spot is told in the frame of the sample, which has moved and drifted
            field_um = tuple(  # type: ignore[assignment]
                spot + stage + 1e-3 * drifted
                for spot, stage, drifted in zip(probe.place_um, readings.sample_um, drift, strict=True)
            )
            if isinstance(microscope.optic, Lens):
                depth = microscope.optic.zone_plate.depth_of_focus(energy)
        else:
            raise TypeError(f"{type(microscope).__name__} has no readings of type {type(readings).__name__}")
        stands_for = believed.energy(readings.bragg)
    except ValueError:
        # nothing is reflected, or no image forms: there is no energy and no focus to tell of
        return dark
    return replace(
        dark,
        energy=energy,
        energy_offset=energy - stands_for,
        best_focus=readings.zone_plate - defocus,
        defocus=defocus,
        depth_of_focus=depth,
        magnification=magnification,
        field_x=1e3 * field_um[0],
        field_y=1e3 * field_um[1],
    )

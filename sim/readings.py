"""What the axes read, and when: all that the physics is told of the hardware."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class BeamReadings:
    """What the axes before the microscope read, and when.

    Parameters
    ----------
    bragg : float
        Bragg axis [deg].
    crystal_gap : float
        Gap of the crystals [mm].
    undulator_gap : float
        [mm].
    pitch_urad, fine_pitch_urad : float
        Coarse and fine tilt of the second crystal [µrad].
    thermal_jump_urad : float
        What the Bragg angle has suddenly moved by, as when a crystal warms up [µrad].
    filters : sequence of str
        Names of the filters that are in the beam.
    open : bool
        Whether all shutters are.
    time_s : float
        Time since the start [s].
    dumps_s : sequence of tuple of float
        When beam was lost, and when it was back [s].
    """

    bragg: float
    crystal_gap: float
    undulator_gap: float
    pitch_urad: float = 0.0
    fine_pitch_urad: float = 0.0
    thermal_jump_urad: float = 0.0
    filters: Sequence[str] = field(default=())
    open: bool = True
    time_s: float = 0.0
    dumps_s: Sequence[tuple[float, float]] = field(default=())


@dataclass(frozen=True, kw_only=True)
class MicroscopeReadings(BeamReadings):
    """What the axes around the sample of either microscope read; those of the beam as in `BeamReadings`.

    Parameters
    ----------
    zone_plate_xy_um : tuple of float
        Sideways axes of the zone plate [µm].
    sample_um : tuple of float
        Sample stage x, y [µm].
    sample_z : float
        Sample along the beam [mm].
    rotation_deg : float
        Sample rotation [deg].
    moves_s : sequence of float
        When the sample was moved by more than 1 µm, ascending [s].
    """

    zone_plate_xy_um: tuple[float, float] = (0.0, 0.0)
    sample_um: tuple[float, float] = (0.0, 0.0)
    sample_z: float = 0.0
    rotation_deg: float = 0.0
    moves_s: Sequence[float] = field(default=())

"""What the IOC of the beamline is told."""

from dataclasses import dataclass
from pathlib import Path

from whiteline.sim.ioc.bias import BiasSettings
from whiteline.sim.ioc.busy import GapSettings
from whiteline.sim.ioc.capture.settings import CaptureSettings
from whiteline.sim.ioc.frames import CameraSettings
from whiteline.sim.ioc.interferometer import InterferometerSettings
from whiteline.sim.ioc.motor_record.motor import AxisSettings
from whiteline.sim.ioc.scaler import ScalerSettings
from whiteline.sim.ioc.spectra import FluorescenceSettings
from whiteline.sim.ioc.spectrometer import SpectrometerSettings
from whiteline.sim.monochromator import Monochromator
from whiteline.sim.stages import StageErrors


@dataclass(frozen=True, kw_only=True)
class BeamlineSettings:
    """The beamline as its IOC wants to know it.

    Parameters
    ----------
    scanning : bool
        Whether it is a scanning microscope; else a full-field one.
    axes : tuple of AxisSettings
        Every motor record.
    gap : GapSettings
        The undulator.
    errors : StageErrors
        How stages miss and shake.
    believed : Monochromator
        The monochromator without its hidden errors.
    best_pitch_urad : float
        Pitch of the second crystal at which it is parallel to the first [µrad].
    feedback, temperature, filters, foil_wheel : str
        Where the names of their process variables begin.
    filter_names, foil_names : tuple of str
        What filters and foils are called.
    scaler : ScalerSettings
        The counters.
    chambers : tuple of int
        Channels of the ion chambers: incident, reference, and transmitted on a scanning microscope.
    amplifiers : tuple of (str, tuple of float)
        Prefix and gains of the amplifier of each [V/A].
    largest_count_rate : float
        Where counters saturate [1/s].
    interferometer, camera, fluorescence, spectrometer, bias, capture
        Their settings; None for those that this beamline has not. One of camera and fluorescence is there.
    prefix : str
        Of the process variables of truth and faults.
    truth : Path
        File for the truth.
    """

    scanning: bool
    axes: tuple[AxisSettings, ...]
    gap: GapSettings
    errors: StageErrors
    believed: Monochromator
    best_pitch_urad: float
    feedback: str
    temperature: str
    filters: str
    filter_names: tuple[str, ...]
    foil_wheel: str
    foil_names: tuple[str, ...]
    scaler: ScalerSettings
    chambers: tuple[int, ...]
    amplifiers: tuple[tuple[str, tuple[float, ...]], ...]
    largest_count_rate: float
    interferometer: InterferometerSettings | None
    camera: CameraSettings | None
    fluorescence: FluorescenceSettings | None
    spectrometer: SpectrometerSettings | None
    bias: BiasSettings | None
    capture: CaptureSettings | None
    prefix: str
    truth: Path

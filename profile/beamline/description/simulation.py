"""What only a simulated beamline has: the truth, which no device is told."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, FiniteFloat, model_validator

from whiteline.beamline.description.base import (
    PV,
    Energy,
    Formula,
    NotNegative,
    Positive,
    Share,
    Table,
    elements_of,
)


class RingDecay(Table):
    """How the current of the ring falls and is topped up."""

    lifetime_h: Positive
    top_up_s: Positive


class Hidden(Table):
    """How the instrument differs from what is believed of it."""

    bragg_offset_deg: FiniteFloat = 0.0
    spacing_ppm: FiniteFloat = 0.0
    zone_plate_zero_mm: FiniteFloat = 0.0
    zone_plate_ppm: FiniteFloat = 0.0
    detector_zero_mm: FiniteFloat = 0.0
    aperture_zero_mm: FiniteFloat = 0.0
    objective_ppm: FiniteFloat = 0.0
    undulator_gap_mm: FiniteFloat = 0.0
    fine_pitch_urad: FiniteFloat = 0.0
    mirror_pitch_urad: tuple[FiniteFloat, FiniteFloat] = (0.0, 0.0)


class Wander(Table):
    """How the monochromator and the zone plate wander."""

    intrinsic_resolution: Positive
    divergence_urad: NotNegative
    drift_urad_per_h: FiniteFloat
    jitter_urad: NotNegative
    encoder_noise_urad: NotNegative
    run_out_um_per_mm: tuple[FiniteFloat, FiniteFloat]
    run_out_from_mm: FiniteFloat


class SampleDrift(Table):
    """How the sample drifts: a random walk, and a creep after each move of its stage."""

    walk_nm: NotNegative
    creep_nm_per_s: NotNegative
    creep_s: Positive


class StageErrors(Table):
    """How stages miss, shake and wobble."""

    coarse_repeatability_nm: NotNegative
    rotation_wobble_nm: NotNegative
    vibration_nm: NotNegative
    vibration_Hz: tuple[Positive, ...]
    interferometer_noise_nm: NotNegative
    piezo_settle_s: NotNegative
    piezo_lag_s: NotNegative = 1e-3
    piezo_ripple_nm: NotNegative = 1.0
    piezo_ripple_Hz: Positive = 300.0


class CameraErrors(Table):
    """What a camera adds to the photons."""

    read_noise: NotNegative
    hot_share: Annotated[FiniteFloat, Field(ge=0, lt=1)]
    pattern: NotNegative


class Illumination(Table):
    """How bright the sample is lit: photons per area of a full-field microscope, or photons in the spot."""

    photons_per_um2_s: Positive | None = None
    illuminated_um: Positive | None = None
    photons_per_s: Positive | None = None
    source_um: tuple[Positive, Positive] | None = None
    source_distance_mm: Positive | None = None


class FluorescenceErrors(Table):
    """The width of fluorescence lines, and what is scattered beside them."""

    electronic_eV: Positive
    scattered: NotNegative
    self_absorption: bool = False
    take_off_deg: Annotated[FiniteFloat, Field(gt=0, le=90)] = 30.0


class CounterErrors(Table):
    """What a counter shows without beam."""

    dark_A: NotNegative


class SpectrometerErrors(Table):
    """Resolution and noise of the optical spectrometer."""

    resolution_nm: Positive
    efficiency: Share
    dark: NotNegative
    read_noise: NotNegative


class Model(Table):
    """A built-in edge: positions [eV], heights in units of the edge jump, and where the figures are from."""

    position: Energy
    white_line: tuple[NotNegative, Energy, Positive]
    pre_edge: tuple[NotNegative, Energy, Positive] | None = None
    reference: str = Field(min_length=1)


class SpeciesTable(Table):
    """A material of the sample: its spectrum is a built-in model, or a file of the beamline's own."""

    name: str = Field(min_length=1)
    formula: Formula
    density: Positive
    element: str
    edge: Literal["K", "L1", "L2", "L3"] = "K"
    model: Model | None = None
    file: Path | None = None
    unit: Literal["eV", "keV"] | None = None
    luminescence: tuple[tuple[Positive, Positive, NotNegative], ...] = ()

    @model_validator(mode="after")
    def _one_spectrum(self) -> Self:
        if self.element not in elements_of(self.formula):
            raise ValueError(
                f"species {self.name!r}: {self.formula} holds no {self.element!r}, the element to be studied"
            )
        if (self.model is None) == (self.file is None):
            raise ValueError(f"species {self.name!r} needs a spectrum: either a model or a file, not both")
        if self.file is not None and self.file.suffix.lower() != ".xdi" and self.unit is None:
            raise ValueError(f'species {self.name!r}: file {self.file} needs unit = "eV" or "keV"; it is not guessed')
        return self


class Particles(Table):
    """How the sample is laid out: particles with a core and a shell."""

    count: Annotated[int, Field(gt=0)]
    field_um: Positive
    radius_um: tuple[Positive, Positive]
    core_size: tuple[Positive, Share]

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        for name in ("radius_um", "core_size"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} [{low:g}, {high:g}] must ascend; swap the two")
        return self


class Knife(Table):
    """A blade beside the sample of a scanning microscope: its left edge in the frame of the sample, and its width."""

    x_um: FiniteFloat
    width_um: Positive


class Simulation(Table):
    """The truth of a simulated beamline.

    Its axes stand at `energy` at the start; `prefix` is that of the process variables of truth and faults.
    """

    prefix: PV = "SIM:"
    seed: Annotated[int, Field(ge=0)]
    energy: Energy
    ring: RingDecay
    hidden: Hidden = Hidden()
    wander: Wander
    drift: SampleDrift
    stages: StageErrors
    illumination: Illumination
    camera: CameraErrors | None = None
    fluorescence: FluorescenceErrors | None = None
    counters: CounterErrors | None = None
    spectrometer: SpectrometerErrors | None = None
    particles: Particles
    knife: Knife | None = None
    species: tuple[SpeciesTable, ...]

    @model_validator(mode="after")
    def _names(self) -> Self:
        names = [one.name for one in self.species]
        if len(names) < 2:
            raise ValueError(f"a sample needs at least two species, not {len(names)}")
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two species are named {name!r}; a name stands for one")
        return self

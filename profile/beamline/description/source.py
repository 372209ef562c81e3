"""Ring, shutters and undulator."""

from typing import Literal, Self

from pydantic import FiniteFloat, field_validator, model_validator

from whiteline.analysis.laws import undulator as law
from whiteline.beamline.description.axes import MillimetreAxis
from whiteline.beamline.description.base import PV, Count, Device, NotNegative, Positive, Table


class Ring(Device):
    """The storage ring."""

    prefix: PV
    energy_GeV: Positive
    current_mA: Positive


class Shutter(Device):
    """A shutter with separate command and readback."""

    prefix: PV
    move_s: Positive
    timeout_s: Positive = 10.0


class Beam(Table):
    """The beam on the sample as it is known from commissioning: for the dose where nothing better was measured."""

    photons_per_um2_s: Positive | None = None
    photons_per_s: Positive | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.photons_per_um2_s is None) == (self.photons_per_s is None):
            raise ValueError(
                "[beam] needs photons_per_um2_s for a full-field microscope, or photons_per_s in the spot of a "
                "scanning one, and not both"
            )
        return self


class Shutters(Table):
    """The photon shutter of the front end, and the fast one before the sample."""

    photon: Shutter
    fast: Shutter


class PeakField(Table):
    """Peak field of an undulator against gap g and period λ: a exp(−(g/λ)(b − c g/λ))."""

    a_T: Positive
    b: Positive
    c: FiniteFloat


class Undulator(Device):
    """A planar undulator; its gap answers by a busy record."""

    gap: MillimetreAxis
    busy_latency_s: NotNegative
    period_mm: Positive
    periods: Count
    field: PeakField
    harmonic: Literal["auto"] | int = "auto"
    detune_eV: FiniteFloat = 0.0

    @field_validator("harmonic")
    @classmethod
    def _odd(cls, harmonic: int | str) -> int | str:
        if isinstance(harmonic, int) and (harmonic < 1 or harmonic % 2 == 0):
            raise ValueError('must be an odd number or "auto": on the axis only odd harmonics shine')
        return harmonic

    def law(self, ring: Ring) -> law.Undulator:
        """Return the law of this undulator on a ring."""
        return law.Undulator(
            ring_energy=ring.energy_GeV,
            period=self.period_mm,
            periods=self.periods,
            field=(self.field.a_T, self.field.b, self.field.c),
            lowest_gap=self.gap.low,
            highest_gap=self.gap.high,
        )

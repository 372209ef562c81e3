"""Monochromator, filters and foils, zone plate with its aperture, mirrors, condenser."""

from typing import Literal, Self

from pydantic import Field, FiniteFloat, model_validator

from whiteline.analysis.laws import scanning
from whiteline.analysis.laws import zone_plate as law
from whiteline.analysis.laws.bragg import d_spacing
from whiteline.beamline.description.axes import DegreeAxis, MicrometreAxis, MicroradianAxis, MillimetreAxis
from whiteline.beamline.description.base import (
    PV,
    Device,
    Formula,
    NotNegative,
    Positive,
    Share,
    Table,
    elements_of,
)


class Monochromator(Device):
    """A double-crystal monochromator with a fixed exit."""

    crystal: Literal["Si"]
    reflection: tuple[int, int, int]
    beam_offset_mm: Positive
    bragg: DegreeAxis
    crystal_gap: MillimetreAxis
    pitch: MicroradianAxis
    roll: MicroradianAxis
    fine_pitch: MicroradianAxis
    feedback: PV
    temperature: PV
    offset_deg: FiniteFloat = 0.0

    @model_validator(mode="after")
    def _allowed(self) -> Self:
        h, k, l = self.reflection  # noqa: E741 - Miller's own letters
        odd = [index % 2 for index in (h, k, l)]
        if not any((h, k, l)) or sum(odd) not in (0, 3) or (not any(odd) and (h + k + l) % 4):
            raise ValueError(
                f"reflection {list(self.reflection)} is forbidden in silicon: indices are all odd, or all even with a "
                "sum divisible by four"
            )
        return self

    @property
    def spacing(self) -> float:
        """Distance of the lattice planes, as designed [Å]."""
        return d_spacing(self.reflection)


class Layer(Table):
    """A layer of a material in the beam."""

    name: str = Field(min_length=1)
    formula: Formula
    density: Positive
    thickness_um: Positive


class Filters(Device):
    """Foils that weaken the beam, each of which may be put in."""

    prefix: PV
    foils: tuple[Layer, ...] = Field(min_length=1)


class FoilWheel(Device):
    """Foils with known edges, and the counter that sees the beam behind them."""

    pv: PV
    foils: tuple[Layer, ...] = Field(min_length=1)
    channel: str

    @model_validator(mode="after")
    def _elements(self) -> Self:
        for foil in self.foils:
            if len(elements_of(foil.formula)) != 1:
                raise ValueError(
                    f"foil {foil.name!r} of {foil.formula} must be of one element: its edge is the standard"
                )
        return self


class Condenser(Device):
    """What lights the sample of a full-field microscope; a capillary is achromatic, a zone plate follows the energy."""

    kind: Literal["capillary", "zone-plate"]
    x: MicrometreAxis
    y: MicrometreAxis
    z: MillimetreAxis
    zero_mm: FiniteFloat = 0.0
    diameter_um: Positive | None = None
    outer_zone_width_nm: Positive | None = None

    @model_validator(mode="after")
    def _zone_plate(self) -> Self:
        given = self.diameter_um is not None, self.outer_zone_width_nm is not None
        if given != (self.kind == "zone-plate",) * 2:
            raise ValueError("a zone-plate condenser needs diameter_um and outer_zone_width_nm, a capillary neither")
        return self


class ZonePlate(Device):
    """A zone plate on three axes.

    `a0_mm` is the reading of z when it stands in the plane of the sample, `run_out_from_mm` the reading at which it
    stands on the optical axis.
    """

    diameter_um: Positive
    outer_zone_width_nm: Positive
    efficiency: Share
    central_stop_um: NotNegative = 0.0
    x: MicrometreAxis
    y: MicrometreAxis
    z: MillimetreAxis
    a0_mm: FiniteFloat = 0.0
    run_out_um_per_mm: tuple[FiniteFloat, FiniteFloat] = (0.0, 0.0)
    run_out_from_mm: FiniteFloat = 0.0

    @property
    def law(self) -> law.ZonePlate:
        """The law of this zone plate."""
        return law.ZonePlate(self.diameter_um, self.outer_zone_width_nm)


class OrderSortingAperture(Device):
    """The pinhole before the sample of a scanning microscope; z reads negative, upstream of the sample."""

    aperture_um: Positive
    distance_mm: Positive
    clearance_mm: Positive
    x: MicrometreAxis
    y: MicrometreAxis
    z: MillimetreAxis

    def law(self, zone_plate: ZonePlate) -> scanning.OrderSortingAperture:
        """Return the law of this aperture with a zone plate."""
        return scanning.OrderSortingAperture(
            aperture_um=self.aperture_um,
            central_stop_um=zone_plate.central_stop_um,
            zone_plate_um=zone_plate.diameter_um,
            clearance=self.clearance_mm,
        )


class Mirror(Table):
    """One mirror of a Kirkpatrick–Baez pair."""

    focal_length_mm: Positive
    length_mm: Positive
    angle_mrad: Positive
    pitch: MicroradianAxis


class Mirrors(Device):
    """A Kirkpatrick–Baez pair: the first focuses vertically, the second horizontally.

    An energy is refused when the spot has walked by more than `largest_walk_um` since the mirrors were aligned.
    """

    vertical: Mirror
    horizontal: Mirror
    reflectivity: Share
    largest_walk_um: Positive = 1.0

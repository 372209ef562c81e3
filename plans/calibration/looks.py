"""How sharp it is where the zone plate stands: by one image, or by one scan over an edge."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import bluesky.plan_stubs as bps
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from whiteline.analysis.focus import BestFocus, NoEdge, focus_by_sharpness, focus_by_width
from whiteline.analysis.laws.zone_plate import ZonePlate
from whiteline.plans.asking import Answer, ask
from whiteline.plans.calibration.edge_scan import EdgeScan
from whiteline.plans.calibration.readings import value_of
from whiteline.plans.point import take_point
from whiteline.plans.protocols import Axis, SampleInAndOut
from whiteline.plans.restoring import Step
from whiteline.plans.sample_out import SampleOut


@dataclass(frozen=True)
class Look:
    """What one look has told.

    Parameters
    ----------
    z : float
        Reading of the zone-plate axis [mm].
    value, error : float
        Sharpness, or width [µm]; NaN where there is none.
    energy : float
        That was reached [eV].
    detector : float
        Distance of the detector [mm]; NaN for a scanning microscope.
    shift_um, shift_error_um : tuple of float
        Where the content of the image has moved to since the first one, (y, x) [µm]; NaN where that is not known.
    why : str
        Why there is no value.
    """

    z: float
    value: float
    error: float
    energy: float
    detector: float
    shift_um: tuple[float, float] = (math.nan, math.nan)
    shift_error_um: tuple[float, float] = (math.nan, math.nan)
    why: str = ""


class Looks(Protocol):
    """A way to look."""

    @property
    def staged(self) -> Sequence[Readable[Any]]:
        """What is staged for it."""

    @property
    def steps(self) -> list[Step]:
        """What puts back what it has moved."""

    def arrive(self) -> MsgGenerator[None]:
        """Make ready at a new energy."""

    def look(self) -> MsgGenerator[Look]:
        """Look once."""

    def best(self, looks: Sequence[Look], zone_plate: ZonePlate) -> BestFocus:
        """Return the best focus of a series; raises `NoFocus`."""


class ByImage:
    """A full-field image, whose sharpness and shift the live analysis tells.

    Parameters
    ----------
    camera : Readable
        Staged, and exposed for each look.
    energy, z : Axis
        Read with each image.
    sharpness, shift : Readable
        Parts of the live analysis; None for no shift.
    sample : SampleInAndOut
        Taken out for a flat at each energy.
    shutter : Movable
        Open while the camera exposes.
    """

    def __init__(
        self,
        camera: Readable[Any],
        energy: Axis,
        z: Axis,
        *,
        sharpness: Readable[Any],
        shift: Readable[Any] | None,
        sample: SampleInAndOut,
        shutter: Movable[Any] | None,
    ) -> None:
        self.camera, self.energy, self.z, self.shutter = camera, energy, z, shutter
        self.sharpness, self.shift = sharpness, shift
        self._first_magnification = math.nan
        self.out = SampleOut(sample)

    @property
    def staged(self) -> Sequence[Readable[Any]]:
        """The camera."""
        return [self.camera]

    @property
    def steps(self) -> list[Step]:
        """The sample comes back."""
        return [self.out.back()]

    def arrive(self) -> MsgGenerator[None]:
        """Take a flat, without which there is no optical density."""
        yield from self.out.go_out()
        yield from take_point([self.camera], [self.energy, self.z], shutter=self.shutter, stream="flat")
        yield from self.out.go_in()

    def look(self) -> MsgGenerator[Look]:
        """Take an image, and ask the live analysis about it.

        Raises
        ------
        ValueError
            If it could not be analysed.
        """
        reading = yield from take_point([self.camera], [self.energy, self.z], shutter=self.shutter)
        sharp = yield from ask(self.sharpness)
        moved = Answer() if self.shift is None else (yield from ask(self.shift))
        if sharp.why or moved.why:
            raise ValueError(sharp.why or moved.why)
        shift = [(math.nan, math.nan), (math.nan, math.nan)]
        if moved.number("trusted") == 1:
            px, um, errors = (
                [moved.number(key) for key in keys] for keys in (("y", "x"), ("y_um", "x_um"), ("error_y", "error_x"))
            )
            pixel = next((abs(b / a) for a, b in zip(px, um, strict=True) if a), math.nan)
            shift = [(um[0], um[1]), (errors[0] * pixel, errors[1] * pixel)]
        scale = self._scale(value_of(reading, f"{self.energy.name}_magnification", optional=True))
        return Look(
            z=value_of(reading, self.z.name),
            value=scale * sharp.number("value"),
            error=scale * sharp.number("error"),
            energy=value_of(reading, self.energy.name),
            detector=value_of(reading, f"{self.energy.name}_detector_z", optional=True),
            shift_um=shift[0],
            shift_error_um=shift[1],
        )

    def _scale(self, magnification: float) -> float:
        """Return what turns a sharpness per pixel into one at the sample: the image grows as the zone plate comes near.

        Sharpness goes with the square of a gradient; without this, what is smaller would be taken for sharper.
        """
        if not math.isfinite(self._first_magnification):
            self._first_magnification = magnification
        ratio = magnification / self._first_magnification
        return ratio**2 if math.isfinite(ratio) else 1.0

    def best(self, looks: Sequence[Look], zone_plate: ZonePlate) -> BestFocus:
        """Return where the series of sharpnesses is highest."""
        return focus_by_sharpness([one.z for one in looks], [one.value for one in looks], usable_errors(looks))


class ByEdge:
    """A scan of the probe over an edge, whose width tells the focus.

    Parameters
    ----------
    edge : EdgeScan
        The scan; energy and z are read with it.
    energy, z : Axis
        As read.
    """

    def __init__(self, edge: EdgeScan, energy: Axis, z: Axis) -> None:
        self.edge, self.energy, self.z = edge, energy, z

    @property
    def staged(self) -> Sequence[Readable[Any]]:
        """The detectors."""
        return self.edge.detectors

    @property
    def steps(self) -> list[Step]:
        """None: who scans puts the axis back."""
        return []

    def arrive(self) -> MsgGenerator[None]:
        """Nothing is to be done."""
        yield from bps.null()

    def look(self) -> MsgGenerator[Look]:
        """Scan once, and return the width."""
        edge, why, reading = yield from self.edge.scan()
        return Look(
            z=value_of(reading, self.z.name),
            value=math.nan if edge is None else edge.sigma,
            error=math.nan if edge is None else edge.sigma_error,
            energy=value_of(reading, self.energy.name),
            detector=math.nan,
            why=why,
        )

    def best(self, looks: Sequence[Look], zone_plate: ZonePlate) -> BestFocus:
        """Return where the series of widths is smallest, by the blur that the zone plate must have.

        The errors come from the scatter: those of the single scans take the edge for a perfect one.
        """
        known = [one for one in looks if math.isfinite(one.value)]
        if not known:
            raise NoEdge(next((one.why for one in looks if one.why), "no scan showed an edge"))
        blur = 1e-3 * float(zone_plate.defocus_blur(1.0, known[0].energy))
        return focus_by_width([one.z for one in known], [one.value for one in known], blur_per_mm=blur)


def usable_errors(looks: Sequence[Look]) -> list[float] | None:
    """Return the errors of the looks that have a value, or None if some are not known: the scatter tells then."""
    good = [one.error > 0 and math.isfinite(one.error) for one in looks if math.isfinite(one.value)]
    return [one.error if one.error > 0 else math.nan for one in looks] if good and all(good) else None

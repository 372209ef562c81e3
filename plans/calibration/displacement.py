"""The magnification by a known move of the sample: how far its image moves, over how far the stage says it went."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import bluesky.plan_stubs as bps
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from whiteline.analysis.calibration import Calibration, MagnificationCalibration
from whiteline.analysis.checks import OutOfRange, require_positive
from whiteline.analysis.registration import mean_of_turns
from whiteline.plans.asking import Answer, ask
from whiteline.plans.calibration.conclude import conclude, origin, present, record
from whiteline.plans.calibration.emitted import Calibrated
from whiteline.plans.calibration.readings import value_of
from whiteline.plans.checks import require_count
from whiteline.plans.point import take_point
from whiteline.plans.protocols import Axis, check_together, satisfying
from whiteline.plans.sample_out import SampleOut

OF = "magnification"
"""What is calibrated, as the beamline calls it."""

LARGEST_ERROR = 0.01
"""Relative standard error above which a magnification is of no use: the law of the zone plate knows it better."""

LARGEST_CHANGE = 0.1
"""No objective is off by more from what it was: the axis does not move across the beam, or not as far as it says."""


@dataclass(frozen=True)
class Seen:
    """An image of the sample at one place.

    Parameters
    ----------
    stands : float
        Reading of the axis [µm].
    answer : Answer
        Of `live.shift`.
    """

    stands: float
    answer: Answer

    @property
    def place(self) -> tuple[float, float]:
        """Where the content of the image stands, (y, x), in units of recorded pixels at the sample [µm]."""
        return self.answer.number("y_um"), self.answer.number("x_um")

    @property
    def error(self) -> float:
        """Standard error of that [µm]."""
        pixels = [self.answer.number(axis) for axis in ("y", "x")]
        pixel = next((abs(um / px) for um, px in zip(self.place, pixels, strict=True) if px), 0.0)
        return pixel * math.hypot(self.answer.number("error_y"), self.answer.number("error_x"))


class Displacement:
    """How the sample is moved to and fro, and the magnification found by that.

    Parameters
    ----------
    camera : Readable
        Staged, and exposed at each place.
    energy : Axis
        With its `magnification_calibration`; read with each image.
    axis : Movable
        Of the sample, across the beam [µm].
    shift : Readable
        Part of the live analysis.
    out : SampleOut
        Takes the sample out for a flat.
    shutter : Movable or None
        Open while the camera exposes.
    um : float
        From one end to the other [µm].
    moves : int
        From one end to the other; at least 2.

    Raises
    ------
    OutOfRange, TypeError
        For what cannot be right.
    """

    def __init__(
        self,
        camera: Readable[Any],
        energy: Axis,
        axis: Movable[Any],
        *,
        shift: Readable[Any],
        out: SampleOut,
        shutter: Movable[Any] | None,
        um: float,
        moves: int,
    ) -> None:
        self.camera, self.energy, self.shift, self.out, self.shutter = camera, energy, shift, out, shutter
        self.axis = satisfying(axis, Axis, "axis")
        require_positive(um, "displacement", "µm")
        self.um, self.moves = um, require_count(moves, "moves", 2)
        self.held = getattr(energy, "magnification_calibration", None)
        if self.held is None:
            raise TypeError(
                f"energy = {energy.name} has no magnification_calibration, as that of a full-field microscope"
            )

    @property
    def points(self) -> int:
        """Images that it takes."""
        return self.moves + 1

    def calibrated(self, run: str, apply: bool) -> MsgGenerator[Calibrated]:
        """Take the images in a run that is open, and apply and record what they tell; the axis stays where it ends."""
        before = yield from present(self.held)
        stands = float((yield from bps.rd(self.axis, default_value=0.0)))
        ends = stands - self.um / 2, stands + self.um / 2
        try:
            check_together(self.axis, ends)
            seen = yield from self._seen(ends)
        except ValueError as error:
            found = Calibrated(OF, reason=str(error), run=run)
            yield from record(found)
            return found
        return (yield from conclude(OF, run, self._maker(seen, before, run), signal=self.held, apply=apply))

    def _seen(self, ends: Sequence[float]) -> MsgGenerator[list[Seen]]:
        also = [self.energy, self.axis]
        yield from self.out.go_out()
        yield from take_point([self.camera], also, shutter=self.shutter, stream="flat")
        yield from self.out.go_in()
        seen: list[Seen] = []
        for number in range(self.points):
            yield from bps.mv(self.axis, ends[number % 2])
            reading = yield from take_point([self.camera], also, shutter=self.shutter)
            answer = yield from ask(self.shift)
            if answer.why or not (answer.simulated or answer.number("trusted") == 1):
                why = answer.why or (
                    f"image {number + 1} cannot be compared with the first: its contrast is too low, or it has moved "
                    "too far; find a feature, or move by less"
                )
                raise ValueError(f"no magnification was found: {why}")
            seen.append(Seen(value_of(reading, self.axis.name), answer))
        return seen

    def _maker(self, seen: Sequence[Seen], before: Calibration | None, run: str) -> Callable[[], Calibration]:
        def make() -> Calibration:
            old = before.factor if isinstance(before, MagnificationCalibration) else 1.0
            ratio, error = ratio_of(seen)
            here = origin(before, run)
            return MagnificationCalibration(
                factor=old * ratio, error=old * error, version=here.version, date=here.date, source=here.source
            )

        return make


def ratio_of(seen: Sequence[Seen]) -> tuple[float, float]:
    """Return how far the image has moved by its recorded pixels over how far the stage has, and the standard error.

    Raises
    ------
    OutOfRange
        If it is known too poorly, or is no ratio that an objective could have.
    """
    ratios, errors = [], []
    for one, other in pairwise(seen):
        went = abs(other.stands - one.stands)
        if not went > 0:
            raise OutOfRange("move of the sample", went, "must be above 0", "µm", "does the axis move?")
        ratios.append(math.dist(one.place, other.place) / went)
        errors.append(math.hypot(one.error, other.error) / went)
    ratio, error = mean_of_turns(ratios, errors)
    if not error <= LARGEST_ERROR:
        raise OutOfRange(
            "relative error of the magnification", error, f"must be at most {LARGEST_ERROR:g}", "",
            "move farther, more often, or count longer",
        )  # fmt: skip
    if not abs(ratio - 1) <= LARGEST_CHANGE:
        raise OutOfRange(
            "magnification over the one that is recorded", ratio, f"must lie within {LARGEST_CHANGE:g} of 1", "",
            "does the axis move across the beam, and is its unit right?",
        )  # fmt: skip
    return ratio, error

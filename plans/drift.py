"""Hold the sample where it was: find by how far its image has moved, and move the stage back by as much.

All frames are compared with the first one, so errors do not add up. Where the sample has come back from outside, or
from another place, a short frame tells where it stands before the frames that count are taken; else the last of these
do. What is left after the correction is measured with the frames themselves, and taken out by the analysis.
"""

import math
import time
from collections.abc import Sequence
from typing import Any

import bluesky.plan_stubs as bps
from bluesky.protocols import Readable
from bluesky.utils import MsgGenerator
from event_model import DataKey

from whiteline.analysis.checks import require, require_positive
from whiteline.plans import stubs
from whiteline.plans.asking import Answer, ask
from whiteline.plans.frames import Frames
from whiteline.plans.point import take_point
from whiteline.plans.protocols import Axis, ChecksValue, satisfying

STREAM = "drift"
"""Of the events of what was corrected, and why not."""

LARGEST_UM = 20.0
"""A sample that has moved by more has not drifted: something else has happened [µm]."""

UNNOTICED = 2.0
"""A shift of less than so many standard errors is not corrected."""

WORSE = 0.5
"""If a correction has left more than this share of itself beyond what was there, it went the wrong way."""

JUDGED_PX = 5.0
"""Only corrections by more are judged so: what is left of a smaller one may be the drift since [px]."""


class DriftCorrection:
    """Moves the sample against the shift that the live analysis tells.

    Parameters
    ----------
    shift : Readable
        Part of the live analysis, as `live.shift`.
    sample : Readable
        Its stage, with axes x and y [µm].
    image_directions : tuple of int
        1 where the image moves towards higher rows (columns) as the axis y (x) goes up, −1 where towards lower ones.
    least_confidence : float
        Of a shift that is believed, between 0 and 1; beside what the analysis itself does not trust.
    largest_um : float
        Of all corrections together [µm].
    so_far : sequence of (y, x)
        By how much the sample is to be moved at each of its places from the start [µm], as an earlier run has found.

    Raises
    ------
    OutOfRange, TypeError, ValueError
        For what cannot be.
    """

    def __init__(
        self,
        shift: Readable[Any],
        sample: Any,
        *,
        image_directions: Sequence[int] = (1, 1),
        least_confidence: float = 0.0,
        largest_um: float = LARGEST_UM,
        so_far: Sequence[tuple[float, float]] = (),
    ) -> None:
        self._shift = shift
        self._axes = [satisfying(getattr(sample, name, None), Axis, f"sample.{name}") for name in ("y", "x")]
        if len(image_directions) != 2 or any(one not in (1, -1) for one in image_directions):
            raise ValueError(
                f"image_directions = {image_directions!r} must be 1 or -1 for y, and for x, such as (1, 1)"
            )
        require(least_confidence, 0 <= least_confidence <= 1, "least_confidence", "must be between 0 and 1")
        require_positive(largest_um, "largest_um", "um")
        self._directions, self._least, self._largest = tuple(image_directions), least_confidence, largest_um
        self._found = Correction()
        self._moved = {place: (float(y), float(x)) for place, (y, x) in enumerate(so_far)}
        self._before: dict[int, tuple[float, float]] = {}
        self._wrong = ""

    def target(self, place: int, x: float, y: float) -> tuple[float, float]:
        """Return where the axes x and y [µm] belong for a place of the sample, with what it has drifted by."""
        moved_y, moved_x = self._moved.get(place, (0.0, 0.0))
        return x + moved_x, y + moved_y

    def correct(self, place: int, x: float, y: float, also: Sequence[Readable[Any]] = ()) -> MsgGenerator[None]:
        """Ask for the shift of the newest frame, and move the sample against it.

        Parameters
        ----------
        place : int
            Number of the place of the sample.
        x, y : float
            Where it belongs without drift [µm].
        also : sequence of Readable
            Read with the event, such as the energy.
        """
        answer = yield from ask(self._shift, also)
        if answer.simulated:
            return
        step, why = self._step(place, answer)
        if step is not None:
            before = self._moved.get(place, (0.0, 0.0))
            self._moved[place] = before[0] + step[0], before[1] + step[1]
            target = self.target(place, x, y)
            why = self._refused(target)
            if why:
                self._moved[place] = before
                step = None
            else:
                yield from stubs.mv(self._axes[1], target[0], self._axes[0], target[1])
                self._before[place] = step
        elif why == self._wrong != "" and place in self._moved:
            del self._moved[place]  # what was moved the wrong way is taken back
            yield from stubs.mv(self._axes[1], x, self._axes[0], y)
        self._found.set(self._moved.get(place, (0.0, 0.0)), step or (0.0, 0.0), why)
        yield from take_point([], [self._found, *self._axes, *also], shutter=None, stream=STREAM)

    def _step(self, place: int, answer: Answer) -> tuple[tuple[float, float] | None, str]:
        """Return by how much to move (y, x) [µm], or why not at all."""
        if self._wrong:
            return None, self._wrong
        shift, why = believed(answer, self._least)
        if shift is None:
            return None, why
        if self._went_wrong(place, shift, JUDGED_PX * pixel_um(answer)):
            self._wrong = (
                "the last correction has made the shift larger: the image moves the other way than image_directions "
                f"{self._directions} say"
            )
            return None, self._wrong
        move = -shift[0] * self._directions[0], -shift[1] * self._directions[1]
        moved = self._moved.get(place, (0.0, 0.0))
        return limited(move, moved, self._largest)

    def _went_wrong(self, place: int, shift: tuple[float, float], judged_um: float) -> bool:
        """Tell whether what was meant to be taken back is there twice now, along the way that was moved."""
        step = self._before.pop(place, (0.0, 0.0))
        length = math.hypot(*step)
        if not length > judged_um:
            return False
        along = sum(one * way * part for one, way, part in zip(shift, self._directions, step, strict=True)) / length
        return along < -(1 + WORSE) * length

    def _refused(self, target: tuple[float, float]) -> str:
        for axis, value in zip(self._axes[::-1], target, strict=True):
            if isinstance(axis, ChecksValue):
                try:
                    axis.check_value(value)
                except ValueError as error:
                    return str(error)
        return ""


class HeldSample:
    """A sample that is brought to its places, and held there.

    Parameters
    ----------
    correction : DriftCorrection
        Moves it.
    frames : Frames
        Takes the frames that are looked at.
    sample : object
        Its stage.
    also : sequence of Readable
        Read with each correction.
    """

    def __init__(self, correction: DriftCorrection, frames: Frames, sample: Any, also: Sequence[Readable[Any]]) -> None:
        self._correction, self._frames, self._sample, self._also = correction, frames, sample, also
        self._seen: set[int] = set()
        self._last: int | None = None

    def begin(self) -> None:
        """Begin a run: its first frames are what all others are compared with."""
        self._seen, self._last = set(), None

    def go(self, place: int, x: float, y: float) -> MsgGenerator[None]:
        """Go to a place [µm], see where the sample stands there, and correct it; the first time there is nothing to."""
        there = self._correction.target(place, x, y)
        yield from stubs.mv(self._sample.x, there[0], self._sample.y, there[1])
        if place in self._seen:
            if self._frames.came_back or place != self._last:
                yield from self._frames.look()
            yield from self._correction.correct(place, x, y, self._also)
        self._seen.add(place)
        self._last = place


class Correction:
    """What was corrected, as a readable: by how much in all, by how much now, and why not."""

    parent = None
    name = "drift"

    def __init__(self) -> None:
        self.set((0.0, 0.0), (0.0, 0.0), "")

    def set(self, total: tuple[float, float], step: tuple[float, float], why: str) -> None:
        """Note a correction (y, x) [µm]."""
        self._values: dict[str, float | str] = {
            "drift_corrected_y": total[0],
            "drift_corrected_x": total[1],
            "drift_step_y": step[0],
            "drift_step_x": step[1],
            "drift_reason": why,
        }

    def read(self) -> dict[str, Any]:
        """Return it."""
        return {key: {"value": value, "timestamp": time.time()} for key, value in self._values.items()}

    def describe(self) -> dict[str, DataKey]:
        """Say what it is."""
        found: dict[str, DataKey] = {}
        for key, value in self._values.items():
            found[key] = {"source": "PLAN", "dtype": "string", "shape": []}
            if not isinstance(value, str):
                found[key] = {"source": "PLAN", "dtype": "number", "shape": [], "units": "um"}
        return found

    @property
    def hints(self) -> dict[str, Any]:
        """What a table shows."""
        return {"fields": ["drift_corrected_y", "drift_corrected_x"]}


def stands(sample: Any) -> MsgGenerator[tuple[float, float]]:
    """Return where the axes x and y of a sample stand [µm]; 0 in a simulation that has no readings."""
    x = yield from bps.rd(sample.x, default_value=0.0)
    y = yield from bps.rd(sample.y, default_value=0.0)
    return float(x), float(y)


def believed(answer: Answer, least_confidence: float) -> tuple[tuple[float, float] | None, str]:
    """Return the shift (y, x) that was told [µm]; or None, and why it is not to be corrected.

    A shift that is no larger than its error is none, and needs no reason.
    """
    if answer.why:
        return None, answer.why
    shift = answer.number("y_um"), answer.number("x_um")
    confidence = answer.number("confidence")
    if not all(math.isfinite(one) for one in shift):
        return None, "the shift of the newest frame is not known in µm"
    if answer.number("trusted") != 1:
        return None, f"the shift of the newest frame is not to be believed, confidence {confidence:.2f}"
    if confidence < least_confidence:
        return None, f"confidence {confidence:.2f} of the shift is below {least_confidence:.2f}"
    errors = [answer.number(f"error_{axis}") * pixel_um(answer) for axis in ("y", "x")]
    if all(abs(one) < UNNOTICED * error for one, error in zip(shift, errors, strict=True)):
        return None, ""
    return shift, ""


def limited(
    move: tuple[float, float], before: tuple[float, float], largest_um: float
) -> tuple[tuple[float, float] | None, str]:
    """Return a move (y, x) [µm]; or None, and why not, if it makes all of them together too large."""
    total = math.hypot(before[0] + move[0], before[1] + move[1])
    if total > largest_um:
        return None, f"the sample would have to be moved by {total:.3g} um in all, more than {largest_um:g} um"
    return move, ""


def pixel_um(answer: Answer) -> float:
    """Return the size of a pixel that a shift tells of [µm]; NaN if it is 0 in both directions."""
    pairs = [(answer.number(f"{axis}_um"), answer.number(axis)) for axis in ("y", "x")]
    return max((abs(um / px) for um, px in pairs if px), default=math.nan)

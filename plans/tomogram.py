"""A tomogram that is flown: the sample turns at constant speed, with darks and flats before it, or behind it too."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import bluesky.plan_stubs as bps
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from whiteline.analysis.checks import OutOfRange, require_finite, require_positive
from whiteline.analysis.laws.fly_line import FlyLine
from whiteline.plans import stubs
from whiteline.plans.checks import require_count, require_dwell
from whiteline.plans.dwell import remember
from whiteline.plans.fly_lines import FlyLines
from whiteline.plans.frames import DarkPolicy, Frames
from whiteline.plans.part import Part
from whiteline.plans.point import take_point
from whiteline.plans.protocols import Axis, TriggeredDetector, satisfying
from whiteline.plans.restoring import Step, unstaging

Flats = Literal["before", "before and after", "none"]
"""When frames without the sample are taken."""

MOST_PROJECTIONS = 100_000
"""More are a slip: a velocity that is far too small for its angle."""


class Turn(NamedTuple):
    """From which angle to which one [deg], at which velocity [deg/s], or in how many projections."""

    start: float
    stop: float
    velocity: float | None
    projections: int | None


def turn_line(turn: Turn, gate_s: float, channel: str) -> FlyLine:
    """Return the line of a turn.

    Parameters
    ----------
    turn : Turn
        Either its velocity is given, or how many projections.
    gate_s : float
        Of one projection [s].
    channel : str
        Position channel of the rotation.

    Raises
    ------
    OutOfRange, ValueError
        If both are given or neither is, it does not turn, or has less than two projections or far too many.
    """
    start, stop, velocity, projections = turn
    require_finite([float(start), float(stop)], "angle", "deg")
    angle = float(stop) - float(start)
    if not angle:
        raise OutOfRange("angle of a turn", 0.0, "must not be 0", "deg", "a tomogram needs 180 deg or more")
    if (velocity is None) == (projections is None):
        raise ValueError("give either velocity, in deg/s, or projections: one follows from the other")
    if projections is not None:
        count = require_count(projections, "projections", 2)
        step = angle / count
    else:
        require_positive(float(velocity or 0.0), "velocity", "deg/s")
        step = math.copysign(float(velocity or 0.0) * gate_s, angle)
        count = require_count(int(abs(angle) / abs(step) + 1e-9), "projections at this velocity", 2)
    if count > MOST_PROJECTIONS:
        raise OutOfRange("projections", count, f"must be at most {MOST_PROJECTIONS}", remedy="turn faster")
    # each projection is a row of its own, so that those that were taken are known while it turns
    return FlyLine(channel, float(start), step, count, gate_s, rows=count)


def backwards(line: FlyLine) -> FlyLine:
    """Return the line that goes the same way back."""
    return replace(line, first=line.last, step=-line.step)


class Tomogram:
    """Takes projections while the sample turns, with their flats and darks, in a run.

    Parameters
    ----------
    camera : object
        The triggered camera; flats and darks are taken by the same one as it counts at a point.
    rotation : object
        The axis that turns the sample, read by the capture box.
    capture : object
        The capture box.
    sample : Readable
        Its stage, with the steps that take it out of the beam.
    shutter : Movable
        Open only while frames are taken that are no darks.
    turn : Turn
        Which angles, and how fast.
    exposure_s : float
        Of each frame [s].
    flats, darks : str
        When they are taken.
    flat_frames, dark_frames : int
        How many each time.
    energy : Readable
        Read once before the turn, and with flats and darks.
    strict, retries
        As of `FlyLines`.

    Attributes
    ----------
    line : FlyLine
        Of the turn.

    Raises
    ------
    OutOfRange, TypeError, ValueError
        If something cannot be, or one of them cannot do it.
    """

    def __init__(
        self,
        camera: object,
        rotation: object,
        capture: object,
        *,
        sample: Readable[Any],
        shutter: Movable[str],
        turn: Turn,
        exposure_s: float,
        flats: Flats,
        flat_frames: int,
        darks: DarkPolicy,
        dark_frames: int,
        energy: Readable[Any],
        strict: bool,
        retries: int,
    ) -> None:
        if flats not in ("before", "before and after", "none"):
            raise ValueError(f"flats = {flats!r} must be 'before', 'before and after' or 'none'")
        require_dwell(exposure_s, "exposure")
        triggered = satisfying(camera, TriggeredDetector, "camera")
        self.fly = FlyLines(capture, [triggered], shutter=shutter, strict=strict, retries=retries)
        self.camera, self.rotation = triggered, satisfying(rotation, Axis, "rotation")
        channel = self.fly.capture.channel_of(rotation)
        self.channels = {self.rotation.name: channel}
        self.line = turn_line(turn, float(triggered.gate_s(exposure_s)), channel)
        self._flats, self._darks, self._energy, self._exposure_s = flats, darks, energy, exposure_s
        self.still = Frames(
            triggered.detector, sample, shutter, exposure_s=exposure_s, frames=flat_frames,
            flats="none" if flats == "none" else "before and after", flat_frames=flat_frames, darks=darks,
            dark_frames=dark_frames, read=[energy],
        )  # fmt: skip

    def remember(self, steps: list[Step]) -> MsgGenerator[None]:
        """Append what ends a turn and all staging, and brings sample, camera and rotation back to where they are.

        The energy axis is staged here, once for all turns: the undulator keeps its harmonic through them.
        """
        steps.extend(self.fly.steps())
        steps.extend(unstaging(self._energy, self.still.camera))
        yield from bps.stage(self._energy)
        steps.append(self.still.way.back())
        yield from remember([self.still.camera.exposure, self.still.camera.frames], steps)
        yield from remember([self.rotation], steps)

    def planned(self) -> dict[str, int]:
        """Return how many events and projections a whole run has."""
        found = {"primary": 1, "fly": self.line.rows, "flat": 0, "dark": 0}
        for stream, policy in (("flat", self._flats), ("dark", self._darks)):
            found[stream] = {"none": 0, "before": 1, "before and after": 2}[policy] * self.still.events(stream)
        return found

    def take(self, line: FlyLine, part: Part) -> MsgGenerator[None]:
        """Take the frames of a run.

        Parameters
        ----------
        line : FlyLine
            Of the turn, or the same way back.
        part : Part
            What is taken of it; projections that follow each other are flown in one go.
        """
        self.still.begin(part)
        yield from self._without_turning(self._before(), self._darks != "none", self._flats != "none")
        if part.wants("primary", 1):
            yield from take_point([], [self._energy], shutter=None)
        if arcs := part.ranges("fly"):
            self.fly.begin(len(arcs))
            yield from bps.stage_all(*self.fly.staged)
            yield from self.fly.telling(self._turn(line, arcs))
            yield from bps.unstage_all(*reversed(self.fly.staged))
        both = "before and after"
        yield from self._without_turning(self._after(), self._darks == both, self._flats == both)

    def _turn(self, line: FlyLine, arcs: Sequence[tuple[int, int]]) -> MsgGenerator[None]:
        for first, last in arcs:
            yield from self.fly.fly(line.of_rows(first - 1, last - first + 1))

    def _without_turning(self, frames: MsgGenerator[None], darks: bool, flats: bool) -> MsgGenerator[None]:
        wanted = [stream for stream, due in (("dark", darks), ("flat", flats)) if due and self.still.wants(stream)]
        if not wanted:
            frames.close()
            for stream, due in (("dark", darks), ("flat", flats)):
                self.still.leave_out(stream, None if due else 0)
            return
        camera = self.still.camera
        yield from stubs.mv(camera.exposure, self._exposure_s, camera.frames, self.still.per_event)
        yield from bps.stage(camera)
        yield from frames
        yield from bps.unstage(camera)

    def _before(self) -> MsgGenerator[None]:
        yield from self.still.before()
        if self._flats != "none":
            yield from self.still.take_flats()
        yield from self.still.go_in()

    def _after(self) -> MsgGenerator[None]:
        if self._flats == "before and after":
            yield from self.still.take_flats()
        yield from self.still.after()

    def roles(self) -> dict[str, str]:
        """Return which data key plays which part."""
        return {
            "energy": self._energy.name, "rotation": self.rotation.name, "frames": f"{self.still.camera.name}_image",
        }  # fmt: skip

    def about(self) -> dict[str, Any]:
        """Return what the start document says of the turn."""
        line = self.line
        return {
            "roles": self.roles(),
            "detectors": [self.fly.capture, self.camera],
            "motors": [self.rotation],
            "num_points": line.pulses,
            "shape": [line.pulses],
            "channels": self.channels,
            "extents": [[line.first, line.last]],
            "scan": {
                "type": "tomography", "scan_input": [line.first, line.last, line.pulses], "dwell": self._exposure_s,
            },
            "hints": {},
        }  # fmt: skip

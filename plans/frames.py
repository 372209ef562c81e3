"""Frames in their roles: with the sample, flats without it, darks without beam; out and in as rarely as can be."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import bluesky.plan_stubs as bps
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from whiteline.plans import stubs
from whiteline.plans.checks import require_count, require_dwell
from whiteline.plans.flats import FlatPolicy, flat_comes_first, flat_is_due, require_policy
from whiteline.plans.part import Part
from whiteline.plans.point import take_point
from whiteline.plans.protocols import Camera, SampleInAndOut, satisfying
from whiteline.plans.sample_out import SampleOut, StaysIn

DarkPolicy = Literal["before", "before and after", "none"]
"""When frames with the shutter closed are taken."""


class Frames:
    """Takes the frames of a run, each role in its stream: "primary", "flat", "dark".

    Parameters
    ----------
    camera : Readable
        With the settings `exposure` and `frames`.
    sample : Readable
        Its stage; x and y are triggered and read with its frames.
    shutter : Movable
        Open only while frames are taken that are no darks.
    exposure_s : float or sequence of float
        Of one frame [s]; all that occur, if they differ from energy to energy: darks are taken of each.
    look_s : float, optional
        Of a frame that is only looked at [s]; as that of the others.
    frames, flat_frames, dark_frames : int
        Of each role; as many as `frames` where None.
    flats : FlatPolicy
        When the sample goes out.
    darks : DarkPolicy
        When frames are taken without beam.
    read, also : sequence of Readable
        Read, or triggered and read, with every frame.
    look_with : sequence of Readable
        Read with frames that are only looked at, besides `read`.

    Attributes
    ----------
    per_event : int
        Frames that the camera takes at each trigger. It is the same number all through a run, as its file has one
        shape: the greatest common divisor of what is asked for.
    way : SampleOut or StaysIn
        Of the sample.
    came_back : bool
        Whether the sample has come back into the beam since its last frames.
    begun : bool
        Whether frames with the sample were taken in this run.

    Raises
    ------
    OutOfRange, TypeError, ValueError
        If it is no camera, a number or the exposure cannot be, or there are flats of a sample that cannot go out.
    """

    def __init__(
        self,
        camera: Readable[Any],
        sample: Readable[Any],
        shutter: Movable[Any],
        *,
        exposure_s: float | Sequence[float],
        look_s: float | None = None,
        frames: int,
        flats: FlatPolicy,
        flat_frames: int | None,
        darks: DarkPolicy,
        dark_frames: int | None,
        read: Sequence[Readable[Any]] = (),
        also: Sequence[Readable[Any]] = (),
        look_with: Sequence[Readable[Any]] = (),
    ) -> None:
        self.camera = satisfying(camera, Camera, "camera")
        self._exposures = tuple(dict.fromkeys(exposure_s if isinstance(exposure_s, Sequence) else [exposure_s]))
        for seconds in (*self._exposures, *([] if look_s is None else [look_s])):
            require_dwell(seconds, "exposure")
        self._look_s = look_s
        require_policy(flats)
        if darks not in ("before", "before and after", "none"):
            raise ValueError(f"darks = {darks!r} must be 'before', 'before and after' or 'none'")
        self.counts = {
            "primary": require_count(frames, "frames"),
            "flat": require_count(frames if flat_frames is None else flat_frames, "flat_frames"),
            "dark": require_count(frames if dark_frames is None else dark_frames, "dark_frames"),
        }
        self.per_event = math.gcd(*self.counts.values())
        self.way = StaysIn() if flats == "none" else SampleOut(_that_can_go_out(sample, flats))
        self._sample = [axis for axis in (getattr(sample, "x", None), getattr(sample, "y", None)) if axis is not None]
        self._shutter, self._flats, self._darks = shutter, flats, darks
        self._read, self._also, self._look_with = list(read), list(also), list(look_with)
        self.came_back = False
        self.begin(Part({}))

    def events(self, stream: str) -> int:
        """Return how many events hold the frames of one role."""
        return self.counts[stream] // self.per_event

    def planned(self, primary: int, stops: int, passes: int = 1) -> dict[str, int]:
        """Return how many events of each role a whole run has.

        Parameters
        ----------
        primary : int
            Events with the sample.
        stops, passes : int
            Energies or tiles beside which flats may be taken, and how often all of them are gone through.
        """
        due = sum(flat_is_due(self._flats, number, stops) for number in range(stops))
        darks = {"none": 0, "before": 1, "before and after": 2}[self._darks] * len(self._exposures)
        return {"primary": primary, "flat": passes * due * self.events("flat"), "dark": darks * self.events("dark")}

    def begin(self, part: Part) -> None:
        """Begin a run, of which a part is taken."""
        self._part, self._number, self.begun = part, dict.fromkeys(self.counts, 0), False

    def wants(self, stream: str, events: int | None = None) -> bool:
        """Tell whether any of the next events of a role is taken; of those of one `take` if it is not told how many."""
        count = self.events(stream) if events is None else events
        return self._part.wants(stream, self._number[stream] + 1, count)

    def leave_out(self, stream: str, events: int | None = None) -> None:
        """Go on behind the next events of a role, which are not taken."""
        self._number[stream] += self.events(stream) if events is None else events

    def passed_over(self, number: int, count: int, events: int) -> bool:
        """Tell whether nothing is taken of an energy or tile; then go on behind it.

        Parameters
        ----------
        number, count, events : int
            As of `beside_flats`.
        """
        due = flat_is_due(self._flats, number, count)
        if self.wants("primary", events) or (due and self.wants("flat")):
            return False
        self.leave_out("primary", events)
        if due:
            self.leave_out("flat")
        return True

    def before(self) -> MsgGenerator[None]:
        """Take the darks that come before all else."""
        if self._darks != "none":
            yield from self._take_darks()

    def beside_flats(
        self, frames: MsgGenerator[None], number: int, count: int, events: int | None = None
    ) -> MsgGenerator[None]:
        """Take frames with the sample, and before or behind them the flats that belong to them.

        Parameters
        ----------
        frames : generator of Msg
            Calls `take("primary")`, where the sample is to stand.
        number, count : int
            Which energy or tile of how many, from 0.
        events : int, optional
            That the frames have; those of one `take` if it is not given.
        """
        due = flat_is_due(self._flats, number, count)
        first = due and flat_comes_first(self._flats, number, self.way.is_out)
        if first:
            yield from self.take_flats()
        if self.wants("primary", events):
            yield from self.go_in()
            yield from frames
            self.came_back = False
        else:
            frames.close()
            self.leave_out("primary", events)
        if due and not first:
            yield from self.take_flats()

    def after(self) -> MsgGenerator[None]:
        """Bring the sample back, and take the darks that come last."""
        yield from self.go_in()
        if self._darks == "before and after":
            yield from self._take_darks()

    def expose(self, seconds: float) -> MsgGenerator[None]:
        """Set the exposure of all frames to come [s]; nothing is done where it is the same all through."""
        if len(self._exposures) > 1 or self._look_s is not None:
            yield from stubs.mv(self.camera.exposure, seconds)

    def go_in(self) -> MsgGenerator[None]:
        """Bring the sample into the beam, unless it is there."""
        self.came_back |= self.way.is_out
        yield from self.way.go_in()

    def take_flats(self) -> MsgGenerator[None]:
        """Take the sample out, and frames without it."""
        if not self.wants("flat"):
            self.leave_out("flat")
            return
        yield from self.way.go_out()
        yield from self.take("flat")

    def take_look_flats(self) -> MsgGenerator[None]:
        """Take the sample out, and frames without it to look by; none was planned, so they have their own stream."""
        yield from self.way.go_out()
        for _ in range(self.events("flat")):
            yield from take_point([self.camera, *self._also], self._read, shutter=self._shutter, stream="look_flat")

    def look(self) -> MsgGenerator[dict[str, Any]]:
        """Take one event that is only looked at, in the stream "look", and return its readings."""
        also = [*self._read, *self._look_with]
        before = yield from bps.rd(self.camera.exposure, default_value=self._exposures[0])
        if self._look_s is not None:
            yield from stubs.mv(self.camera.exposure, self._look_s)
        reading = yield from take_point([self.camera, *self._sample], also, shutter=self._shutter, stream="look")
        if self._look_s is not None:
            yield from stubs.mv(self.camera.exposure, before)
        return reading

    def _take_darks(self) -> MsgGenerator[None]:
        for seconds in self._exposures:
            if self.wants("dark"):
                yield from self.expose(seconds)
            yield from self.take("dark")

    def take(self, stream: str, labels: Sequence[Readable[Any]] = ()) -> MsgGenerator[None]:
        """Take all frames of one role where the sample stands.

        Parameters
        ----------
        stream : {"primary", "flat", "dark"}
            Their role.
        labels : sequence of Readable
            Read with them.
        """
        detectors = [self.camera, *self._also, *(self._sample if stream == "primary" else [])]
        shutter = None if stream == "dark" else self._shutter
        for _ in range(self.events(stream)):
            self._number[stream] += 1
            if not self._part.wants(stream, self._number[stream]):
                continue
            self.begun |= stream == "primary"
            yield from take_point(detectors, [*self._read, *labels], shutter=shutter, stream=stream)


def _that_can_go_out(sample: Any, flats: FlatPolicy) -> SampleInAndOut:
    """Refuse flats of a sample that cannot be taken out."""
    if not isinstance(sample, SampleInAndOut):
        raise ValueError(
            f"flats = {flats!r} need a sample that can be taken out, and {getattr(sample, 'name', sample)!r} has no "
            "out_steps; give the sample stage, or flats = 'none'"
        )
    return sample

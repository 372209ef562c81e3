"""Fly lines one after the other: prepare, shutter, kickoff, complete; take one again that is not whole; tell of them.

A line is redone from its checkpoint after a pause. One that has failed, or has pixels that are missing, is taken again
a few times; it stays in the file of the capture box, and no document refers to it. What was accepted is told of in
batches, so that a map of a million pixels is a few thousand documents.

A long line, such as a turn, is written in many rows. These are told of while it goes on, so that what is there when a
session dies counts; and what is taken again is what was not told of.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bluesky.protocols import Movable
from bluesky.utils import FailedStatus, Msg, MsgGenerator, short_uid

from whiteline.analysis.laws.fly_line import FlyLine
from whiteline.plans import stubs
from whiteline.plans.checks import require_count
from whiteline.plans.failures import sentence_of
from whiteline.plans.line_again import STREAM, LineAgain
from whiteline.plans.point import take_point
from whiteline.plans.protocols import CaptureBox, FlyPart, TriggeredDetector, satisfying
from whiteline.plans.restoring import Step, resting, unstaging
from whiteline.plans.shutter import CLOSED, OPEN

LINES = "fly"
"""Stream of the lines; that of a detector is called `fly_<detector>`."""

TELL_S = 1.0
"""How often the rows are told of that a line under way has written [s]."""

MOST_BATCHES = 200
"""In which the lines of a map are told of at most: about 25 documents each, one for each column."""

Moves = Sequence[tuple[Movable[Any], float]]
"""Axes and positions."""


class LineIncomplete(RuntimeError):
    """A line of which pixels were missing each time that it was taken."""


class FlyLines:
    """What flies lines, and what was flown of a run.

    Parameters
    ----------
    capture : object
        The capture box, which moves an axis and gives the triggers.
    detectors : sequence of object
        That are triggered by it.
    followers : sequence of object
        That move in step with its axis, such as what follows the energy.
    shutter : Movable or None
        Open only while a line is flown.
    strict : bool
        Whether a line is also taken again if a detector has missed triggers; if it misses some each time, that is an
        error. Else missed pixels are masked.
    retries : int
        How often a line is taken again.

    Raises
    ------
    OutOfRange, TypeError
        If something cannot play its part, or a number cannot be.
    """

    def __init__(
        self,
        capture: object,
        detectors: Sequence[object] = (),
        followers: Sequence[object] = (),
        *,
        shutter: Movable[str] | None,
        strict: bool = False,
        retries: int = 2,
    ) -> None:
        self.capture = satisfying(capture, CaptureBox, "capture")
        if isinstance(detectors, str) or not isinstance(detectors, Sequence):
            raise TypeError(f"detectors = {detectors!r} must be a list of triggered detectors; it may be empty")
        self.detectors = [_triggered(one) for one in detectors]
        self._followers = [satisfying(one, FlyPart, "what follows the axis") for one in followers]
        self._shutter, self._strict = shutter, strict
        self._retries = require_count(retries, "retries", 0)
        self._again = LineAgain()
        self._declared = False
        self._number = self._untold = 0
        self._at_once = 1
        self._row = math.nan

    @property
    def parts(self) -> list[FlyPart]:
        """All that take part in a line."""
        return [*self._followers, *self.detectors, self.capture]

    @property
    def staged(self) -> list[Any]:
        """All that are staged, in their order."""
        return [self.capture, *self.detectors, *self._followers]

    def check(self, *lines: FlyLine) -> None:
        """Refuse lines that one of the parts could not fly."""
        for line in dict.fromkeys(lines):
            for part in self.parts:
                part.check_value(line)

    def check_lines(self, energy_eV: float) -> None:
        """Refuse an energy that excites none of the lines that a detector is to count."""
        for one in self.detectors:
            if (check := getattr(one.detector, "check_energy", None)) is not None:
                check(energy_eV)

    def steps(self) -> list[Step]:
        """Return what ends a line that is under way, and the staging, which puts velocities and triggers back."""
        return [*_gently_stopped(self.parts), *unstaging(*self.staged)]

    def begin(self, lines: int) -> None:
        """Begin to fly the lines of a run.

        Parameters
        ----------
        lines : int
            Of each of its maps.
        """
        self._declared = False
        self._number = self._untold = 0
        self._at_once = -(-lines // MOST_BATCHES)
        self._row = math.nan

    def telling(self, plan: MsgGenerator[Any]) -> MsgGenerator[Any]:
        """Run what flies lines in a run, and tell of all that were accepted, however it ends."""
        try:
            result = yield from plan
        except GeneratorExit:
            raise
        except BaseException:
            if self._untold:
                # a pause from here on must not fly the line anew
                yield from stubs.clear_checkpoint()
                yield from self._tell()
            raise
        yield from self.tell()
        return result

    def fly(self, line: FlyLine, moves: Moves = (), *, follows: bool = False) -> MsgGenerator[None]:
        """Fly a line until it is whole, or cannot be.

        Parameters
        ----------
        line : FlyLine
            All lines of a run have rows of as many pulses.
        moves : sequence of (axis, position)
            Of the slow axes.
        follows : bool
            Whether it begins where the line before has ended. Then no way to its beginning leads over the sample, and
            the shutter opens while all else is made ready.

        Raises
        ------
        FailedStatus
            Why it has failed the last time.
        LineIncomplete
            If this is strict, and pixels were missing each time.
        """
        self._number += 1
        for left in range(self._retries, -1, -1):
            failure = yield from self._attempt(line, moves, follows=follows and left == self._retries)
            result = {} if failure is not None else (yield from self._result())
            why = sentence_of(failure) if failure is not None else self._missing(result)
            if not why:
                break
            if failure is not None and not left:
                raise failure
            if not left and self._strict:
                raise LineIncomplete(
                    f"line {self._number}: {why}, each of {self._retries + 1} times; count longer, or leave strict away"
                )
            if left:
                line = yield from self._rest(line)
                yield from self._take_again(why, whole=failure is None)
        yield from self._accept(result)

    def tell(self) -> MsgGenerator[None]:
        """Tell of the lines that were accepted and not told of."""
        if self._untold:
            yield from self._tell()
            yield from stubs.checkpoint()

    # one line

    def _attempt(self, line: FlyLine, moves: Moves, *, follows: bool) -> MsgGenerator[FailedStatus | None]:
        begun: list[Any] = []
        opening: list[Any] = []
        yield from stubs.checkpoint()
        try:
            # no checkpoint from here on: one in an open shutter could be resumed in a closed one
            yield from self._prepare(line, moves, begun, opening if follows else None)
            if not opening and self._shutter is not None:
                yield from stubs.mv(self._shutter, OPEN)
            yield from self._flight(line, begun)
            yield from stubs.checkpoint()
        except FailedStatus as error:
            if not self._is_of_parts(error, begun):
                raise
            yield from self._end_attempt([axis for axis, _ in moves], [*begun, *opening])
            return error
        return None

    def _prepare(self, line: FlyLine, moves: Moves, begun: list[Any], opening: list[Any] | None) -> MsgGenerator[None]:
        """Make ready for a line; open the shutter meanwhile if there is a list for the status of that."""
        group = short_uid("line")
        for axis, position in moves:
            yield Msg("set", axis, position, group=group)
        for part in self.parts:
            begun.append((yield from stubs.prepare(part, line, group=group)))
        if opening is not None and self._shutter is not None:
            opening.append((yield Msg("set", self._shutter, OPEN, group=group)))
        yield from stubs.wait(group=group)
        if not self._declared:
            yield from stubs.declare_stream(self.capture, name=LINES, collect=True)
            for one in self.detectors:
                yield from stubs.declare_stream(one, name=f"{LINES}_{one.name}", collect=True)
            self._declared = True

    def _flight(self, line: FlyLine, begun: list[Any]) -> MsgGenerator[None]:
        """Fly, and close the shutter as soon as the last gate is over, while axes come to rest."""
        group = short_uid("kickoff")
        for part in self.parts:  # the capture box is the last: the others wait for it
            begun.append((yield from stubs.kickoff(part, group=group)))
        yield from stubs.wait(group=group)
        gates, closing = short_uid("gates"), short_uid("closing")
        if self._shutter is not None:
            begun.append((yield from stubs.trigger(self.capture.last_gate, group=gates)))
        group = short_uid("complete")
        for part in (self.capture, *self._followers):
            begun.append((yield from stubs.complete(part, group=group)))
        if self._shutter is not None:
            yield from self._until(gates, line)
            yield Msg("set", self._shutter, CLOSED, group=closing)
        yield from stubs.wait(group=group)
        # a detector gives up when no more frames come: it is asked when there are no more pulses
        group = short_uid("frames")
        for one in self.detectors:
            begun.append((yield from stubs.complete(one, group=group)))
        if self.detectors:
            yield from stubs.wait(group=group)
        if self._shutter is not None:
            yield from stubs.wait(group=closing)

    def _until(self, gates: str, line: FlyLine) -> MsgGenerator[None]:
        """Wait until the gates of a line are over, and tell of its rows meanwhile, unless all of it may not count."""
        if line.rows == 1 or self._strict:
            yield from stubs.wait(group=gates)
            return
        told = 0.0
        while (yield from stubs.wait(group=gates, timeout=TELL_S, error_on_timeout=False)) is False:
            yield from stubs.mv(self.capture.line, "so far")
            if (counted := self._number_of((yield from self._result()), "rows_counted")) > told:
                told = counted
                yield from self._tell()

    def _rest(self, line: FlyLine) -> MsgGenerator[FlyLine]:
        """Return what is left of a line that is taken again: the rows that were not told of."""
        if line.rows == 1 or self._strict:
            return line
        counted = self._number_of((yield from self._result()), "rows_counted")
        return line.of_rows(int(counted), line.rows - int(counted)) if 0 < counted < line.rows else line

    def _end_attempt(self, moved: Sequence[Any], begun: Sequence[Any]) -> MsgGenerator[None]:
        """Close the shutter, and end what is under way; what fails meanwhile because of the same is no news."""
        for left in range(len(self.parts), -1, -1):
            try:
                if self._shutter is not None:
                    yield from stubs.mv(self._shutter, CLOSED)
                for step in (*resting(moved), *_gently_stopped(self.parts)):
                    yield from step.plan()
                yield from stubs.checkpoint()
            except FailedStatus as error:
                if not left or not self._is_of_parts(error, begun):
                    raise
            else:
                return

    def _is_of_parts(self, error: FailedStatus, begun: Sequence[Any]) -> bool:
        """Tell whether what has failed is a part; the run engine throws a failure at whatever runs when it comes."""
        return any(
            any(status is one for one in begun) or any(getattr(status, "device", None) is part for part in self.parts)
            for status in error.args
        )

    # what it has come to

    def _result(self) -> MsgGenerator[Mapping[str, Any]]:
        found = yield from stubs.read(self.capture.line_result)
        if not found:  # a pause takes the answer from the plan; a simulation has none
            found = yield from stubs.read(self.capture.line_result)
        return found or {}

    def _number_of(self, result: Mapping[str, Any], what: str) -> float:
        found = result.get(f"{self.capture.name}_{what}")
        return math.nan if found is None else float(found["value"])

    def _missing(self, result: Mapping[str, Any]) -> str:
        pulses, triggers = (self._number_of(result, what) for what in ("pulses_missed", "triggers_missed"))
        if pulses > 0:
            return f"{pulses:.0f} pulses did not come"
        if self._strict and triggers > 0:
            return f"{triggers:.0f} triggers were missed"
        return ""

    def _take_again(self, why: str, *, whole: bool) -> MsgGenerator[None]:
        self._again.note(self._number, why)
        yield from take_point([], [self._again], shutter=None, stream=STREAM)
        if whole:
            yield from stubs.mv(self.capture.line, "again")

    def _accept(self, result: Mapping[str, Any]) -> MsgGenerator[None]:
        row = self._number_of(result, "rows")
        if row - self._row != 1 and not math.isnan(row - self._row):
            yield from self.tell()  # rows of a batch follow each other
        yield from stubs.mv(self.capture.line, "accept")
        self._untold, self._row = self._untold + 1, row
        if self._untold >= self._at_once:
            yield from self._tell()
        yield from stubs.checkpoint()

    def _tell(self) -> MsgGenerator[None]:
        # what ends a plan here does so when the message was carried out: it is not to be told of twice
        self._untold = 0
        # a session may die in between: a line that was told of has its frames
        for one in self.detectors:
            yield from stubs.collect(one, name=f"{LINES}_{one.name}")
        yield from stubs.collect(self.capture, name=LINES)


def _gently_stopped(parts: Sequence[FlyPart]) -> list[Step]:
    return resting(list(reversed(parts)))


def _triggered(detector: Any) -> TriggeredDetector:
    if isinstance(detector, TriggeredDetector):
        return detector
    if isinstance(detector, str):
        raise TypeError(f"detectors hold {detector!r}, which is the name of no device here; name one that there is")
    raise TypeError(
        f"{getattr(detector, 'name', detector)} cannot be triggered by a capture box: give a triggered detector, or "
        "leave it away, as what counts into the capture box is in its table anyway"
    )

"""A small beam on a sample that is flown through it, line by line: what the plans of fly rasters have in common."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bluesky.protocols import Readable
from bluesky.utils import MsgGenerator

from whiteline.plans.dwell import remember
from whiteline.plans.fly_lines import FlyLines
from whiteline.plans.fly_paths import PlacedLine, placed_lines
from whiteline.plans.part import Part
from whiteline.plans.paths import Range
from whiteline.plans.point import take_point
from whiteline.plans.protocols import Axis, check_together, satisfying
from whiteline.plans.restoring import Step, unstaging


class FlownMap:
    """Two axes of a sample, the fast one of which is flown.

    Parameters
    ----------
    fly : FlyLines
        What flies the lines.
    fast, slow : object
        The axes along a line, and from line to line.

    Raises
    ------
    TypeError, ValueError
        If an axis is none, is not read by the capture box, or they are the same.
    """

    def __init__(self, fly: FlyLines, fast: object, slow: object) -> None:
        self.fly = fly
        self.fast, self.slow = satisfying(fast, Axis, "fast"), satisfying(slow, Axis, "slow")
        if self.fast is self.slow:
            raise ValueError(f"fast and slow are both {self.fast.name}; give two axes")
        self._channel = fly.capture.channel_of(fast)
        self.channels = {self.fast.name: self._channel, self.slow.name: fly.capture.channel_of(slow)}

    def lines(self, fast: Range, slow: Range, dwell_s: float, snake: bool, before: int = 0) -> list[PlacedLine]:
        """Return the lines of a rectangle, after others of earlier maps.

        Raises
        ------
        OutOfRange, ValueError
            If one of them cannot be flown: axis, triggers, or detectors.
        """
        found = placed_lines(self._channel, fast, slow, dwell_s, snake=snake, before=before)
        check_together(self.slow, sorted({min(slow[:2]), max(slow[:2])}))
        self.fly.check(*(one.line for one in found))
        return found

    def remember(self, steps: list[Step], *also: Any) -> MsgGenerator[None]:
        """Append what ends a line and the staging, and puts both axes back to where they are now."""
        steps.extend(self.fly.steps())
        steps.extend(unstaging(*also))
        yield from remember([self.fast, self.slow], steps)

    def take(
        self, lines: Sequence[PlacedLine], also: Sequence[Readable[Any]] = (), *, part: Part, map_number: int = 0
    ) -> MsgGenerator[None]:
        """Fly the lines of a map; what stands still is read once before them.

        Parameters
        ----------
        lines : sequence of PlacedLine
            All of the map.
        also : sequence of Readable
            What stands still.
        part : Part
            What is taken.
        map_number : int
            Which map this is, from 0; all have as many lines.
        """
        if also and part.wants("primary", map_number + 1):
            yield from take_point([], also, shutter=None)
        end = math.inf
        for number, one in enumerate(lines, 1 + map_number * len(lines)):
            if part.wants("fly", number):
                follows = abs(one.line.first - end) < abs(one.line.step)
                yield from self.fly.fly(one.line, [(self.slow, one.slow)], follows=follows)
                end = one.line.last
        yield from self.fly.tell()

    def roles(self, signal: str | None, incident: str) -> dict[str, str]:
        """Return which data key plays which part."""
        return {"fast": self.fast.name, "slow": self.slow.name, "signal": signal or "", "incident": incident}

    def pyxrf(self, kind: str, fast: Range, slow: Range, dwell_s: float, snake: bool) -> Mapping[str, Any]:
        """Return what PyXRF looks for under `scan`; of fly scans it takes the fast axis of the shape first."""
        return {
            "type": kind,
            "scan_input": [*fast, *slow, dwell_s],
            "fast_axis": {"motor_name": self.fast.name, "units": "um"},
            "slow_axis": {"motor_name": self.slow.name, "units": "um"},
            "shape": [fast[2], slow[2]],
            "snake": int(snake),
            "dwell": dwell_s,
            "detectors": [one.name for one in self.fly.detectors],
        }

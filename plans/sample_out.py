"""The sample out of the beam, for flats, and back in: axis by axis, in the order that its stage names."""

from collections.abc import Sequence
from typing import Any

import bluesky.plan_stubs as bps
from bluesky.protocols import Movable
from bluesky.utils import MsgGenerator

from whiteline.plans import stubs
from whiteline.plans.protocols import SampleInAndOut, check_together
from whiteline.plans.restoring import Step

Steps = Sequence[tuple[Movable[Any], float]]


class SampleOut:
    """The two ways of a sample, as its stage describes them where it stands when this is made.

    Positions are absolute, so that a way that was interrupted can be begun anew.

    Parameters
    ----------
    sample : SampleInAndOut
        Its stage, with the sample in the beam.

    Raises
    ------
    OutOfRange
        If an axis cannot go out so far.
    """

    def __init__(self, sample: SampleInAndOut) -> None:
        self._in: Steps = sample.in_steps()
        self._out: Steps = sample.out_steps()
        for axis, position in self._out:
            check_together(axis, [position])
        self.is_out = False
        self._left = False

    def go_out(self) -> MsgGenerator[None]:
        """Take the sample out, unless it is."""
        if not self.is_out:
            self._left = True
            yield from _walk(self._out)
            self.is_out = True

    def go_in(self) -> MsgGenerator[None]:
        """Bring the sample back, unless it is in."""
        if self.is_out:
            yield from _walk(self._in)
            self.is_out = False

    def back(self) -> Step:
        """Return the step that brings the sample back, wherever it is; nothing moves if it was never taken out."""

        def bring() -> MsgGenerator[None]:
            if self._left:
                for axis, position in self._in:
                    yield from stubs.mv(axis, position)

        return Step("bring the sample back into the beam", bring)


class StaysIn:
    """The way of a sample that is never taken out."""

    is_out = False

    def go_out(self) -> MsgGenerator[None]:
        """Do nothing."""
        yield from bps.null()

    def go_in(self) -> MsgGenerator[None]:
        """Do nothing."""
        yield from bps.null()

    def back(self) -> Step:
        """Return a step that does nothing."""
        return Step("leave the sample where it is", bps.null)


def _walk(steps: Steps) -> MsgGenerator[None]:
    for axis, position in steps:
        yield from stubs.checkpoint()
        yield from stubs.mv(axis, position)
    yield from stubs.checkpoint()

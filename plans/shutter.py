"""The beam reaches the sample only while something counts it."""

from typing import Any

from bluesky.protocols import Movable
from bluesky.utils import MsgGenerator

from whiteline.plans import stubs
from whiteline.plans.restoring import Step

OPEN, CLOSED = "Open", "Closed"


def exposed(plan: MsgGenerator[Any], shutter: Movable[str] | None) -> MsgGenerator[Any]:
    """Run a plan with the shutter open, and close it after.

    Whoever uses this ends with `closing`, for the ways out on which this is not reached.

    Parameters
    ----------
    plan : generator of Msg
        What counts; it holds no checkpoint, as one in an open shutter could be resumed in a closed one.
    shutter : Movable or None
        Takes "Open" and "Closed"; None where the beam is switched by something else.

    Returns
    -------
    object
        What the plan returns.
    """
    if shutter is not None:
        yield from stubs.mv(shutter, OPEN)
    result = yield from plan
    if shutter is not None:
        yield from stubs.mv(shutter, CLOSED)
    return result


def closing(shutter: Movable[str] | None) -> list[Step]:
    """Return the step that closes the shutter, to be run first of all; none without a shutter."""
    if shutter is None:
        return []
    return [Step(f"close {getattr(shutter, 'name', 'the shutter')}", lambda: stubs.mv(shutter, CLOSED), urgent=True)]

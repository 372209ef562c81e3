"""One point: everything that is counted at one place, in one event, with the shutter open only meanwhile."""

from collections.abc import Sequence
from typing import Any

from bluesky.protocols import Movable, Readable, Triggerable
from bluesky.utils import MsgGenerator, short_uid

from whiteline.plans import stubs
from whiteline.plans.shutter import exposed


def take_point(
    detectors: Sequence[Readable[Any]],
    also: Sequence[Readable[Any]] = (),
    *,
    shutter: Movable[str] | None,
    stream: str = "primary",
) -> MsgGenerator[dict[str, Any]]:
    """Trigger detectors while the shutter is open, and record one event of them and of what stands still.

    There is a checkpoint before and one behind. So a pause or a beam dump while it counts redoes the point, and one
    while the next place is approached does not redo it there.

    Parameters
    ----------
    detectors : sequence of Readable
        Triggered together, where they can be.
    also : sequence of Readable
        Read with them, such as the axes.
    shutter : Movable or None
        Open only while they count.
    stream : str
        Of the event.

    Returns
    -------
    dict
        The readings.
    """
    yield from stubs.checkpoint()
    yield from exposed(_count(detectors), shutter)
    reading: dict[str, Any] = {}
    unanswered: list[Readable[Any]] = []
    yield from stubs.create(name=stream)
    for device in (*also, *detectors):
        found = yield from stubs.read(device)
        if found is None:
            unanswered.append(device)
        else:
            reading |= found
    yield from stubs.save()
    yield from stubs.checkpoint()
    # a pause in the middle of a reading takes its answer from the plan, though not from the event: it is asked for
    # again; a simulation answers nothing at all
    while reading and unanswered:
        found = yield from stubs.read(unanswered[0])
        if found is not None:
            reading |= found
            del unanswered[0]
    return reading


def _count(detectors: Sequence[Readable[Any]]) -> MsgGenerator[None]:
    group = short_uid("count")
    triggered = [one for one in detectors if isinstance(one, Triggerable)]
    for device in triggered:
        yield from stubs.trigger(device, group=group)
    if triggered:
        yield from stubs.wait(group=group)

"""Ask the live analysis in the middle of a plan; that it cannot say something is no reason to end the scan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bluesky.protocols import Readable
from bluesky.utils import FailedStatus, MsgGenerator, short_uid

from whiteline.plans import stubs
from whiteline.plans.failures import sentence_of


@dataclass(frozen=True)
class Answer:
    """What a part of the live analysis has said.

    Parameters
    ----------
    values : mapping of str to float or str
        By the ends of its data keys; empty if it has not answered, and in a simulation, which has no data.
    why : str
        Why it has not answered, in a sentence; empty if it has.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""

    @property
    def simulated(self) -> bool:
        """Whether nobody was there to be asked: the plan is only walked through."""
        return not self.values and not self.why

    def number(self, key: str) -> float:
        """Return a value as a number; NaN if there is none."""
        value = self.values.get(key)
        return float(value) if isinstance(value, int | float) else float("nan")


def ask(part: Readable[Any], also: Sequence[Readable[Any]] = ()) -> MsgGenerator[Answer]:
    """Trigger and read a part of the live analysis, and record what it says in a stream that is called as the part.

    Parameters
    ----------
    part : Readable
        Such as `live.shift`.
    also : sequence of Readable
        Read with it, such as the energy.

    Returns
    -------
    Answer
    """
    group = short_uid("ask")
    yield from stubs.checkpoint()
    try:
        yield from stubs.trigger(part, group=group)
        yield from stubs.wait(group=group)
    except FailedStatus as error:
        # the run engine throws a failure at whatever runs when it comes: only that of the question is an answer
        if not any(getattr(one, "device", None) is part for one in error.args):
            raise
        return Answer(why=sentence_of(error))
    yield from stubs.create(name=part.name)
    told: dict[str, Any] = {}
    for device in (part, *also):
        reading = yield from stubs.read(device)
        if device is part:
            told = reading or {}
    yield from stubs.save()
    yield from stubs.checkpoint()
    if not told:  # a pause in the middle of a reading takes its answer from the plan, though not from the event
        told = (yield from stubs.read(part)) or {}
    start = f"{part.name}_"
    return Answer({key.removeprefix(start): one["value"] for key, one in told.items()})

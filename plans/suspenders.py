"""Wait while there is no beam, and redo the point that it failed at.

A suspender of bluesky watches all that the beam depends on. When it trips, the run engine lets all axes rest, closes
the shutter, waits until everything has been good for a while, and goes on from the last checkpoint: every point begins
with one, so the point, or the move to it, is done again, and the newer event replaces the older.

It is one suspender for all, as bluesky would go on when the last of several that have tripped is good again, whatever
the others say; in a beam dump ring and permit trip together. The interlock closes the photon shutter then: it is opened
again, as all that follows would be empty.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import bluesky.plan_stubs as bps
from bluesky.protocols import Movable
from bluesky.suspenders import SuspenderBase
from bluesky.utils import Msg, MsgGenerator

from whiteline.analysis.checks import OutOfRange, require
from whiteline.plans.restoring import Step, restoring
from whiteline.plans.shutter import CLOSED, OPEN

TRIES = 100
"""How often a busy run engine is asked to suspend, a tenth of a second each."""

PERMITTED = "Permitted", 1, "1"
"""What a permit may say; a record of two states comes as a number before its words are known."""


@dataclass(frozen=True)
class Condition:
    """Something that the beam depends on.

    Parameters
    ----------
    signal : Signal
        Of ophyd, with monitors.
    good : callable
        Tells by its value whether all is well.
    trouble : str
        What is wrong if not: "no beam is stored".
    """

    signal: Any
    good: Callable[[Any], bool]
    trouble: str


def beam_suspender(
    *,
    ring_stored: Any = None,
    permit: Any = None,
    temperature: Any = None,
    temperature_range: tuple[float, float] | None = None,
    shutter: Movable[Any] | None = None,
    photon_shutter: Movable[Any] | None = None,
    settle_s: float = 10.0,
    warm_up_s: float = 0.0,
) -> "BeamSuspender":
    """Return the suspender that `guarded` has a plan watched by; all plans of a session, as its preprocessor.

    Installed by ``RE.install_suspender`` it suspends as well. Only the photon shutter stays closed then for a plan that
    is begun while there is no beam.

    Parameters
    ----------
    ring_stored : Signal, optional
        1 while beam is stored, 0 without, and while the ring's IOC is lost: `ring.stored`.
    permit : Signal, optional
        Of the photon shutter: "Permitted", or 1, while it may be open.
    temperature : Signal, optional
        Of the crystals.
    temperature_range : (low, high), optional
        In which it must be, in its unit.
    shutter : Movable, optional
        Closed at once, and proven to be; the plan opens it again for its points.
    photon_shutter : Movable, optional
        Opened again when all is good; it needs the permit.
    settle_s : float
        How long to wait after all is good again [s].
    warm_up_s : float
        How long to wait for the optics where the photon shutter was opened again [s].

    Returns
    -------
    BeamSuspender
        ``RE.preprocessors.append(lambda plan: guarded(plan, [suspender]))``

    Raises
    ------
    OutOfRange, ValueError
        If there is nothing to watch, the range is none or goes with no signal, or a photon shutter with no permit.
    """
    require(settle_s, settle_s >= 0, "settle_s", "must be at least 0 s", "s")
    require(warm_up_s, warm_up_s >= 0, "warm_up_s", "must be at least 0 s", "s")
    if (temperature is None) != (temperature_range is None):
        raise ValueError("temperature and temperature_range go together: give both, or neither")
    if photon_shutter is not None and permit is None:
        raise ValueError("a photon_shutter cannot be opened again before it has its permit: give permit, too")
    conditions: list[Condition] = []
    if ring_stored is not None:
        conditions.append(Condition(ring_stored, bool, "no beam is stored"))
    if permit is not None:
        conditions.append(Condition(permit, lambda value: value in PERMITTED, "the shutter has no permit"))
    if temperature is not None and temperature_range is not None:
        low, high = (float(one) for one in temperature_range)
        if not low < high:
            raise OutOfRange("temperature_range", low, f"must begin below its end, {high:g}")
        conditions.append(
            Condition(temperature, lambda value: low <= value <= high, "the crystals are not at their temperature")
        )

    def close() -> MsgGenerator[None]:
        if shutter is not None:
            yield from bps.mv(shutter, CLOSED)

    def open_again() -> MsgGenerator[None]:
        if photon_shutter is not None:
            where = yield Msg("locate", photon_shutter)
            if where is None or where["readback"] != OPEN:
                yield from bps.mv(photon_shutter, OPEN)
                yield from bps.sleep(warm_up_s)

    return BeamSuspender(conditions, sleep=settle_s, pre_plan=close, post_plan=open_again)


def guarded(plan: MsgGenerator[Any], suspenders: Sequence[SuspenderBase]) -> MsgGenerator[Any]:
    """Run a plan with suspenders that are there for it alone.

    Parameters
    ----------
    plan : generator of Msg
        Any plan that has a checkpoint before each of its points, as all of this package.
    suspenders : sequence of SuspenderBase
        Such as ``[beam_suspender(…)]``. A condition that is bad already suspends before the plan begins.

    Returns
    -------
    object
        What the plan returns.
    """

    def with_them() -> MsgGenerator[Any]:
        # a suspension goes back to the last checkpoint: without any the run engine would abort
        yield from bps.checkpoint()
        for one in suspenders:
            yield from bps.install_suspender(one)
        while waiting := [event for one in suspenders for event in one.get_futures()[0]]:
            yield Msg("wait_for", None, waiting)
        yield from bps.checkpoint()
        return (yield from plan)

    def without() -> MsgGenerator[None]:
        for one in suspenders:
            yield from bps.remove_suspender(one)

    return (yield from restoring(with_them(), [Step("remove the suspenders", without)]))


class BeamSuspender(SuspenderBase):
    """Suspends while any of several conditions is bad.

    Parameters
    ----------
    conditions : sequence of Condition
        At least one.
    **kwargs
        Of `bluesky.suspenders.SuspenderBase`: sleep, pre_plan, post_plan.

    Raises
    ------
    ValueError
        If there is none.

    Notes
    -----
    bluesky's own suspenders raise, unseen, and do not suspend where the run engine is busy for more than a tenth of a
    second when they trip: this one asks again. And where one is good again in the very moment when it is asked what to
    wait for, they make an event that nobody sets any more: this one says that there is nothing to wait for.
    """

    def __init__(self, conditions: Sequence[Condition], **kwargs: Any) -> None:
        if not conditions:
            raise ValueError("there is nothing to watch: give ring_stored, permit, or temperature with its range")
        super().__init__(conditions[0].signal, **kwargs)
        self._conditions = tuple(conditions)
        self._bad = [False] * len(conditions)
        self._callbacks = [partial(self._changed, number) for number in range(len(conditions))]
        self._order = threading.RLock()

    def install(self, RE: Any, *, event_type: str | None = None) -> None:
        """Watch all signals for a run engine; what is bad already trips it at once."""
        with self._lock:
            self.RE = RE
        for condition, callback in zip(self._conditions, self._callbacks, strict=True):
            condition.signal.subscribe(callback, event_type=event_type, run=True)

    def remove(self) -> None:
        """Watch them no longer, and let go what waits."""
        for condition, callback in zip(self._conditions, self._callbacks, strict=True):
            condition.signal.clear_sub(callback)
        self._bad = [False] * len(self._conditions)
        super().remove()

    def get_futures(self) -> tuple[list[Callable[[], Any]], str]:
        """Return what is to be waited for, and why; nothing if all is good, or has become so meanwhile."""
        found: tuple[list[Callable[[], Any]], str] = super().get_futures()
        with self._lock:
            if not self._tripped:
                self._ev = None
                return [], ""
        return found

    def _changed(self, number: int, *, value: Any, **_: Any) -> None:
        good = self._conditions[number].good(value)
        for left in reversed(range(TRIES)):
            # one change after the other: the last word must be that of the last change
            with self._order:
                self._bad[number] = not good
                try:
                    self(any(self._bad))
                except RuntimeError:
                    # the event is made by the run engine's own loop, which did not get to it: nothing was asked yet
                    self._ev = None
                    if not left:
                        raise
                else:
                    return

    def _should_suspend(self, value: bool) -> bool:
        return value

    def _should_resume(self, value: bool) -> bool:
        return not value

    def _get_justification(self) -> str:
        bad = zip(self._conditions, self._bad, strict=True)
        return "; ".join(f"{one.trouble} ({one.signal.name})" for one, is_bad in bad if is_bad)

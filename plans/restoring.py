"""The one wrapper that leaves things as they were, on every way out of a plan.

bluesky's `finalize_wrapper` runs one cleanup plan: a second abort, or a step that fails, skips what is left of it. Here
cleanup is a list of steps with names. Each is run whatever happens to the others; one that a further abort interrupts
is begun anew, one that fails is tried again when the others have run, and what could not be done is named.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import bluesky.preprocessors as bpp
from bluesky.protocols import Stoppable
from bluesky.utils import FailedPause, FailedStatus, Msg, MsgGenerator, RunEngineControlException

from whiteline.plans import stubs
from whiteline.plans.failures import sentence_of

INTERRUPTIONS = RunEngineControlException, FailedPause
"""What a stop, an abort, and a pause where nothing can be resumed throw into a plan."""

ROUNDS = 3
"""How often a step is tried that fails: some can only be done when others were, as a camera that is still busy."""

TRIES = 10
"""How often a step is begun anew in each round, because something else has interrupted it; beyond, somebody leans on
the key."""


@dataclass(frozen=True)
class Step:
    """Something that a plan leaves as it was.

    Parameters
    ----------
    name : str
        What is done, as it is told where it could not be: "close fast_shutter".
    plan : callable
        Returns the messages that do it. They can be run again from their beginning.
    urgent : bool
        Whether it comes before anything else, even before what moves is stopped: each lost axis may take a second.
    forgets : bool
        Whether a second try that goes well says nothing: a device that failed to unstage takes itself for unstaged.
    """

    name: str
    plan: Callable[[], MsgGenerator[Any]]
    urgent: bool = False
    forgets: bool = False


class NotRestored(RuntimeError):
    """Something that a plan has changed and could not put back; the sentence names it, and why the plan had ended."""


def restoring(plan: MsgGenerator[Any], steps: Sequence[Step]) -> MsgGenerator[Any]:
    """Run a plan, and after it, however it ends, all steps.

    Parameters
    ----------
    plan : generator of Msg
        What is to be done.
    steps : sequence of Step
        In the order in which they are run. A plan may append to the list while it runs: what was not changed need not
        be put back.

    Returns
    -------
    object
        What the plan returns.

    Raises
    ------
    NotRestored
        Naming the steps that failed, with the reasons, after all others were run.

    Notes
    -----
    What still moves is let rest where it is, after urgent steps and without failing: an axis that is sent home while
    it is on its way elsewhere would tell the run engine that it had failed to get there.

    After a scan that went well the steps can be paused and resumed, as those of a plan within a longer one must. After
    any other end a pause counts as one more interruption: what was done since the last checkpoint is not to be redone.

    `RE.halt` and a killed process run no messages any more. Where the process is gone, its heartbeat has stopped, and
    the machine closes the shutter; after a halt the session does.
    """
    moved: list[Any] = []

    def note(message: Msg) -> Msg:
        if message.command == "set" and all(message.obj is not one for one in moved):
            moved.append(message.obj)
        return message

    try:
        result = yield from bpp.msg_mutator(plan, note)
    except GeneratorExit:
        raise
    except BaseException as error:
        urgent = [step for step in steps if step.urgent]
        yield from _restore([*urgent, *resting(moved), *(step for step in steps if not step.urgent)], error)
        raise
    yield from _restore(steps, None)
    return result


def resting(moved: Sequence[Any]) -> list[Step]:
    """Return the steps that let rest what may still move, without failing."""

    def let_rest(device: Any) -> Callable[[], MsgGenerator[Any]]:
        return lambda: stubs.stop(_Gently(device))

    return [
        Step(f"stop {getattr(device, 'name', device)}", let_rest(device))
        for device in moved
        if isinstance(device, Stoppable)
    ]


class _Gently:
    """Stops a device as the run engine does in a pause: its move ends, and does not count as failed."""

    def __init__(self, device: Any) -> None:
        self.name, self._device = device.name, device

    def stop(self, success: bool = True) -> Any:
        """Stop the device."""
        return self._device.stop(success=True)


def putting_back(device: Any, value: Any, name: str = "") -> Step:
    """Return the step that sets something to a value and waits until it is there."""

    def back() -> MsgGenerator[Any]:
        yield from stubs.mv(device, value)

    return Step(name or f"put {device.name} back to {value}", back)


def unstaging(*devices: Any) -> list[Step]:
    """Return the steps that end the staging of devices; one that is not staged does not mind."""

    def unstage_of(device: Any) -> Callable[[], MsgGenerator[Any]]:
        return lambda: stubs.unstage(device)

    return [Step(f"unstage {device.name}", unstage_of(device), forgets=True) for device in reversed(devices)]


def _restore(steps: Sequence[Step], ended_by: BaseException | None) -> MsgGenerator[None]:
    interruption: BaseException | None = None
    failures: dict[Step, BaseException] = {}
    again = list(steps)
    for _ in range(ROUNDS):
        due, again = again, []
        for step in due:
            well = ended_by is None and interruption is None and not failures
            failure, interrupted_by = yield from _run(step, can_pause=well)
            interruption = interrupted_by or interruption
            if failure is None:
                if not step.forgets:
                    failures.pop(step, None)
            else:
                failures[step] = failure
                again.append(step)
    if failures:
        told = "; ".join(f"{step.name}: {sentence_of(error)}" for step, error in failures.items())
        why = f"; the plan had ended by {sentence_of(ended_by)}" if ended_by is not None else ""
        raise NotRestored(f"could not {told}; look at it before the next scan{why}") from (
            ended_by or next(iter(failures.values()))
        )
    if interruption is not None and ended_by is None:
        raise interruption


def _run(step: Step, *, can_pause: bool) -> MsgGenerator[tuple[BaseException | None, BaseException | None]]:
    """Run one step; return why it failed, and what interrupted it, if anything."""
    interruption: BaseException | None = None
    failure: BaseException | None = None
    moved: list[Any] = []
    for _ in range(TRIES):
        begun: list[Any] = []
        tried = False
        try:
            # a checkpoint that was cleared is cleared for good, so this is for the end of everything
            if can_pause and interruption is None:
                yield from stubs.checkpoint()
            else:
                yield from stubs.clear_checkpoint()
            for rest in resting(moved):
                yield from rest.plan()
            tried = True
            yield from _noting(step.plan(), moved, begun)
        except GeneratorExit:
            raise
        except INTERRUPTIONS as again:
            interruption = failure = again
        except FailedStatus as error:
            # the run engine throws a failure at whatever runs when it comes: it may be that of something else
            if any(status is one for status in error.args for one in begun):
                return error, interruption
            failure = error
        except BaseException as error:
            if tried:
                return error, interruption
            failure = error  # of something else: the step itself was not begun
            moved.clear()  # what cannot be stopped is not tried again and again
        else:
            return None, interruption
    return failure, interruption


def _noting(plan: MsgGenerator[Any], moved: list[Any], begun: list[Any]) -> MsgGenerator[Any]:
    """Run a plan, and note what it moves, and the statuses of what it begins."""
    go_on: Callable[[Any], Msg] = plan.send
    given: Any = None
    while True:
        try:
            message = go_on(given)
        except StopIteration as end:
            return end.value
        if message.command == "set" and all(message.obj is not one for one in moved):
            moved.append(message.obj)
        try:
            given = yield message
        except GeneratorExit:
            plan.close()
            raise
        except BaseException as error:
            go_on, given = plan.throw, error
        else:
            go_on = plan.send
            begun.append(given)

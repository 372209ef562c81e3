"""What a halt of the run engine leaves to be done: it runs no cleanup, and the process beats on."""

from typing import Any

from bluesky.protocols import Movable

from whiteline.plans.shutter import CLOSED

WITHOUT_CLEANUP = "halting", "panicked"
"""States of a run engine in which no message of a plan is run any more."""


def close_when_halted(engine: Any, shutter: Movable[str]) -> None:
    """Let a shutter close as soon as a run engine is halted.

    The heartbeat closes the shutter of a process that has died. One whose run engine was halted lives on, with the
    shutter as it was in the middle of a count.

    Parameters
    ----------
    engine : RunEngine
        Of the session; a hook that watches its states already goes on doing so.
    shutter : Movable
        The fast shutter. It is told so at once, and its status is not waited for.
    """
    before = engine.state_hook

    def watch(state: str, earlier: str) -> None:
        if before is not None:
            before(state, earlier)
        if state in WITHOUT_CLEANUP:
            shutter.set(CLOSED)

    engine.state_hook = watch

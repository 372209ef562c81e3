"""The ways in which a plan can end before its end: what is done when the RunEngine has one of its messages in hand."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from bluesky import RunEngine
from bluesky.utils import Msg
from fakes import Broken
from ophyd.status import Status

LATER_S = 0.003
"""When a status fails that fails later, if no other message comes before [s]."""

BEGIN = "set", "trigger", "prepare", "kickoff", "complete"
"""Messages that begin something."""

Command = Callable[[Msg], Awaitable[Any]]
"""What carries a message out."""


class Interfered(Protocol):
    """What a way is given: the trial that it interferes with."""

    engine: RunEngine
    broken: set[int]
    late: list[tuple[int, Status]]
    messages: list[Msg]

    def request(self, coroutine: Any) -> None:
        """Let the RunEngine's thread do something as soon as it can."""


Way = Callable[[Interfered, Command, Msg], Awaitable[Any]]


async def stop(trial: Interfered, command: Command, message: Msg) -> Any:
    """Stop the plan."""
    trial.request(trial.engine._stop_coro())
    return await command(message)


async def abort(trial: Interfered, command: Command, message: Msg) -> Any:
    """Abort it."""
    trial.request(trial.engine._abort_coro("in a test"))
    return await command(message)


async def pause(trial: Interfered, command: Command, message: Msg) -> Any:
    """Pause it at once, as the second Ctrl-C does; what is done in the pause, the trial says."""
    trial.request(trial.engine._request_pause_coro(False))
    return await command(message)


async def refuse(trial: Interfered, command: Command, message: Msg) -> Any:
    """Fail instead of carrying the message out."""
    raise Broken("refused")


async def fail(trial: Interfered, command: Command, message: Msg) -> Any:
    """Fail after it was carried out."""
    await command(message)
    raise Broken("failed")


async def break_for_good(trial: Interfered, command: Command, message: Msg) -> Any:
    """Fail, and let everything fail that is asked of the same device from now on."""
    if message.obj is not None:
        trial.broken.add(id(message.obj))
    raise Broken(f"{getattr(message.obj, 'name', message.command)} is broken for good")


def fail_later(*, done: bool, messages: int = 1) -> Way:
    """Let the status of what is begun fail later.

    Parameters
    ----------
    done : bool
        Whether it was done nevertheless.
    messages : int
        How many messages later; in a while, if there are none meanwhile.
    """

    async def way(trial: Interfered, command: Command, message: Msg) -> Any:
        if message.command not in BEGIN:
            return await command(message)
        status = Status()
        device, act = message.obj, getattr(message.obj, message.command)

        def begin(*arguments: Any) -> Status:
            if done:
                act(*arguments)
            return status

        setattr(device, message.command, begin)
        try:
            return await command(message)
        finally:
            delattr(device, message.command)
            trial.late.append((len(trial.messages) + messages, status))
            trial.engine.loop.call_later(LATER_S * messages, fail_if_open, status)

    return way


def fail_if_open(status: Status) -> None:
    """Let a status fail, if it has not ended."""
    if not status.done:
        status.set_exception(Broken("failed later"))


def together(*ways: Way) -> Way:
    """Do one after the other, at the same message."""
    first, *others = ways

    async def way(trial: Interfered, command: Command, message: Msg) -> Any:
        if not others:
            return await first(trial, command, message)
        rest = together(*others)
        return await first(trial, lambda one: rest(trial, command, one), message)

    return way


WAYS: dict[str, tuple[Way, str]] = {
    "stop": (stop, ""),
    "abort": (abort, ""),
    "pause, then abort": (pause, "abort"),
    "pause, then stop": (pause, "stop"),
    "pause, then halt": (pause, "halt"),
    "refuse": (refuse, ""),
    "fail": (fail, ""),
    "break for good": (break_for_good, ""),
    "done, and fails later": (fail_later(done=True), ""),
    "not done, and fails later": (fail_later(done=False), ""),
}
"""All ways that end a plan, and what is done in a pause. Ctrl-C twice and an abort is a pause, then abort."""

FOR_WHAT_BEGINS = "done, and fails later", "not done, and fails later"
"""Those that change nothing at other messages than `BEGIN`."""

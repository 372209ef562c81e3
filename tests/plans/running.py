"""Run a plan against fakes by a real RunEngine, and open what it recorded as runs."""

from typing import Any

from bluesky import RunEngine
from bluesky.utils import Msg, MsgGenerator, RunEngineInterrupted

from whiteline.analysis.runs import Run, RunBuilder


def taken(plan: MsgGenerator[Any]) -> list[Run]:
    """Run a plan to its end, resuming it after every pause, and return its runs.

    Raises
    ------
    Exception
        Whatever the plan ends by.
    """
    builders: list[RunBuilder] = []

    def feed(name: str, document: dict[str, Any]) -> None:
        if name == "start":
            builders.append(RunBuilder())
        builders[-1](name, document)

    engine = RunEngine(context_managers=[])
    engine.subscribe(feed)
    begun = False
    while not begun or engine.state == "paused":
        try:
            engine.resume() if begun else engine(plan)
        except RunEngineInterrupted:
            if engine.state != "paused":
                raise
        begun = True
    return [builder.run() for builder in builders]


def length_of_run(plan: MsgGenerator[Any]) -> int:
    """Return how many messages there are up to the end of the last run, if nothing answers."""
    commands = [message.command for message in plan]
    return len(commands) - commands[::-1].index("close_run")


def pausing(plan: MsgGenerator[Any], at: int) -> MsgGenerator[Any]:
    """Ask for a pause before the message with a number, counted from 0."""
    number = 0
    given: Any = None
    while True:
        try:
            message = plan.send(given)
        except StopIteration as end:
            return end.value
        if number == at:
            yield Msg("pause")
        number += 1
        try:
            given = yield message
        except GeneratorExit:
            plan.close()
            raise

"""End a plan at any message, in any way, and say what it leaves behind.

A trial runs one plan against fakes, by a real RunEngine, and interferes at one message or at several. Messages are
counted as the RunEngine gets them, those of the cleanup included. What is interfered with is always the same message,
as everything is done in the RunEngine's own thread: a stop or an abort arrives while the message is carried out if that
takes time, and before the next one if it does not.
"""

import asyncio
import contextlib
import io
import itertools
import logging
import math
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bluesky import RunEngine
from bluesky.run_engine import TransitionError
from bluesky.utils import DuringTask, Msg, RunEngineInterrupted
from fakes import Broken
from ophyd.status import Status
from public_plans import Case
from slow_fakes import slow_beamline
from ways_out import BEGIN, FOR_WHAT_BEGINS, WAYS, Command, Way, fail_if_open

from whiteline.beamline.store.held_back import HeldBack
from whiteline.plans.restoring import NotRestored

LONGEST_S = 30.0
"""A trial that takes longer never ends."""

NAMED = {
    "shutter": "close fast_shutter",
    "sample in": "bring the sample back",
    "rotation": "bring the sample back",
    "filters": "put filters back",
    "exposure": "put camera_exposure back",
    "frames": "put camera_frames back",
    "counters dwell": "put counters_dwell back",
    "fluorescence dwell": "put fluorescence_dwell back",
    "staged": "unstage",
    "under way": "stop ",
    "velocities": "unstage",
    "trigger modes": "unstage",
    "energy": "put energy back",
    "x": "put sample_x back",
    "y": "put sample_y back",
    "bias": "put bias back",
    "feedback": "switch feedback on",
    "foil": "put foil_wheel back",
    "zone_plate_z": "put (energy|zone_plate_z) back",  # it follows the energy, and a series through the focus moves it
    "osa_x": "put aperture_x back",
    "osa_y": "put aperture_y back",
}
"""How the error names what is not as it was, as patterns."""


PLACES = "x", "y", "bias", "zone_plate_z", "osa_x", "osa_y"
"""Where the world has something that a plan must leave where it was."""


class Patient(DuringTask):  # type: ignore[misc]
    """Waits for a plan to end, but not for ever."""

    def block(self, blocking_event: threading.Event) -> None:
        """Wait."""
        if not blocking_event.wait(LONGEST_S):
            raise TimeoutError(f"the plan did not end within {LONGEST_S:g} s")


@contextlib.contextmanager
def quiet_engine() -> Iterator[RunEngine]:
    """Yield a RunEngine that logs nothing."""
    logger = logging.getLogger("bluesky")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield RunEngine({}, context_managers=[], during_task=Patient())
    finally:
        logger.setLevel(level)


@dataclass(frozen=True)
class Outcome:
    """What a trial has left behind.

    Parameters
    ----------
    what : str
        What was done.
    messages : list of Msg
        As the RunEngine got them.
    error : Exception or None
        That the RunEngine raised.
    unsafe : list of str
        Whatever is not as it was and is not named in the error, and a shutter that was open in a pause.
    pauses : int
        How often it was paused.
    events : list of mapping
        What was recorded, of what stands: values by stream and number, for each run.
    exit_statuses : list of str
        Of all runs.
    """

    what: str
    messages: list[Msg]
    error: BaseException | None
    unsafe: list[str]
    pauses: int
    events: list[dict[tuple[str, int], Mapping[str, Any]]]
    exit_statuses: list[str]

    @property
    def cleanup(self) -> int:
        """The number of the first message after the last run; of all messages if it is open to the end."""
        closed = [number for number, message in enumerate(self.messages) if message.command == "close_run"]
        return closed[-1] + 1 if closed else len(self.messages)


class Trial:
    """One plan, interfered with at some messages.

    Parameters
    ----------
    engine : RunEngine
        That runs it.
    case : Case
        Of the table.
    interference : mapping of int to Way
        What is done at which message, from 0.
    then : str
        What is done in a pause: "abort", "stop", "halt" or "resume".
    seconds : float
        How long the fakes take for everything; at once if it is 0.
    what : str
        What is done, in words.
    """

    def __init__(
        self,
        engine: RunEngine,
        case: Case,
        interference: Mapping[int, Way] | None = None,
        *,
        then: str = "",
        seconds: float = 0.0,
        what: str = "",
    ) -> None:
        self.engine, self.case, self.interference = engine, case, dict(interference or {})
        self.then, self.what = then or "abort", what
        self.line: Any = slow_beamline(seconds) if seconds else case.line()
        self.line.world.signal = case.signal
        self.messages: list[Msg] = []
        self.broken: set[int] = set()
        self.late: list[tuple[int, Status]] = []
        self.unsafe: list[str] = []
        self.pauses = 0
        self._halted = False
        self._requests: list[asyncio.Task[Any]] = []

    def run(self) -> Outcome:
        """Run it to its end."""
        plan, documents = self.case.run(self.line), Documents()
        before = self._state()
        commands = dict(self.engine._command_registry)
        for name, command in commands.items():
            self.engine.register_command(name, self._interfering(command))
        token = self.engine.subscribe(documents)
        with contextlib.redirect_stdout(io.StringIO()):  # the RunEngine says much about what is done to it
            error = self._ended_by(lambda: self.engine(plan))
        self.engine.unsubscribe(token)
        self.engine._command_registry.update(commands)
        self._judge(before, error, documents)
        return Outcome(
            f"{self.case.name}: {self.what}", self.messages, error, self.unsafe, self.pauses, documents.events,
            documents.exit_statuses,
        )  # fmt: skip

    def request(self, coroutine: Any) -> None:
        """Let the RunEngine's thread do something as soon as it can."""

        async def ask() -> None:
            # what ends already, or has ended, refuses
            with contextlib.suppress(TransitionError):
                await coroutine

        self._requests.append(self.engine.loop.create_task(ask()))

    def _ended_by(self, act: Callable[[], Any]) -> BaseException | None:
        while True:
            try:
                act()
            except RunEngineInterrupted:
                pass
            except Exception as error:
                return error
            if self.engine.state != "paused":
                return None
            self.pauses += 1
            if self.line.world.shutter != "Closed":
                self.unsafe.append(f"the shutter is open in a pause at message {len(self.messages) - 1}")
            act = getattr(self.engine, self.then)
            self._halted = self.then == "halt"

    def _interfering(self, command: Command) -> Command:
        async def carry_out(message: Msg) -> Any:
            number = len(self.messages)
            self.messages.append(message)
            for due, status in self.late:
                if number >= due:
                    fail_if_open(status)
            if id(message.obj) in self.broken:
                raise Broken(f"{message.obj.name} is broken for good")
            way = self.interference.get(number)
            return await (command(message) if way is None else way(self, command, message))

        return carry_out

    def _state(self) -> dict[str, Any]:
        world = self.line.world
        found = self.line.state() | {"energy": world.energy, "feedback": world.feedback}
        found |= {key: world.positions[key] for key in PLACES if key in world.positions}
        return found | ({"foil": self.line.wheel.word} if hasattr(self.line, "wheel") else {})

    def _judge(self, before: Mapping[str, Any], error: BaseException | None, documents: "Documents") -> None:
        named = str(error) if isinstance(error, NotRestored) else ""
        after = self._state()
        # nothing is cleaned up after a halt: the pause before it has closed the shutter, and the RunEngine unstages
        keys: Iterable[str] = ("shutter", "staged") if self._halted else set(after) - set(self.case.moves)
        for key in sorted(keys):
            if not _same(after[key], before[key]) and not re.search(NAMED[key], named):
                self.unsafe.append(f"{key} is {after[key]!r}, was {before[key]!r}")
        if self.engine.state != "idle":
            self.unsafe.append(f"the RunEngine is {self.engine.state}")
        if documents.open:
            self.unsafe.append("a run is open")
        if isinstance(error, TimeoutError):
            self.unsafe.append(str(error))


def _same(after: Any, before: Any) -> bool:
    """Tell whether something is where it was; a maximum is found to a thousandth."""
    if isinstance(before, float):
        return math.isclose(after, before, abs_tol=1e-3)
    return bool(after == before)


@dataclass(eq=False)
class Documents:
    """The documents of all runs, without the points that were taken again."""

    events: list[dict[tuple[str, int], Mapping[str, Any]]] = field(default_factory=list)
    exit_statuses: list[str] = field(default_factory=list)
    open: bool = False

    def __call__(self, name: str, document: dict[str, Any]) -> None:
        if name == "start":
            self._filter, self._streams, self.open = HeldBack(), dict[str, str](), True
            self._columns = dict[str, str]()
            self.events.append({})
        for kind, one in self._filter(name, document):
            if kind == "descriptor":
                self._streams[one["uid"]] = one["name"]
            elif kind == "event":
                place = self._streams[one["descriptor"]], one["seq_num"]
                assert place not in self.events[-1], f"{place} was let through twice"
                self.events[-1][place] = one["data"]
            elif kind == "stream_resource":
                self._columns[one["uid"]] = one["data_key"]
            elif kind == "stream_datum" and self._streams[one["descriptor"]] == "fly":
                # how many frames a detector has taken depends on lines that were taken again
                place = self._columns[one["stream_resource"]], one["seq_nums"]["start"]
                assert place not in self.events[-1], f"{place} was let through twice"
                self.events[-1][place] = {"stop": one["seq_nums"]["stop"]}
            elif kind == "stop":
                self.exit_statuses.append(one["exit_status"])
                self.open = False


def singles(
    engine: RunEngine,
    case: Case,
    ways: Iterable[str] = tuple(WAYS),
    *,
    seconds: float = 0.0,
    every: int | None = None,
    first: int = 0,
) -> Iterator[Outcome]:
    """Yield what a plan leaves that is ended at each message, in each way.

    Parameters
    ----------
    every, first : int
        Only at every n-th message, from the first on; as the case says if it is not given.
    """
    for name in ways:
        way, then = WAYS[name]
        undisturbed = Trial(engine, case, seconds=seconds).run().messages
        for number in range(first, len(undisturbed), every or case.every):
            if name in FOR_WHAT_BEGINS and undisturbed[number].command not in BEGIN:
                continue
            what = f"{name} at message {number}, {undisturbed[number].command}"
            yield Trial(engine, case, {number: way}, then=then, seconds=seconds, what=what).run()


def doubles(
    engine: RunEngine,
    case: Case,
    first: str,
    second: str,
    *,
    seconds: float = 0.0,
    chosen: Callable[[int, int], bool] = lambda first, second: True,
) -> Iterator[Outcome]:
    """Yield what a plan leaves that is ended in one way, and whose cleanup is interfered with in another one.

    Parameters
    ----------
    chosen : callable
        Tells, by the numbers of both messages, which pairs are tried.
    """
    (way, then), (again, then_again) = WAYS[first], WAYS[second]
    for number in itertools.count():
        alone = Trial(engine, case, {number: way}, then=then, seconds=seconds).run()
        if len(alone.messages) <= number:
            return
        for later in range(number + 1, len(alone.messages)):
            if chosen(number, later):
                what = f"{first} at message {number}, and {second} at message {later}"
                both = {number: way, later: again}
                yield Trial(engine, case, both, then=then or then_again, seconds=seconds, what=what).run()

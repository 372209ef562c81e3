"""Interrupt plans on the beamline of fakes, and keep what they recorded as a catalog would."""

import itertools
from collections.abc import Iterable
from typing import Any

import bluesky.preprocessors as bpp
from bluesky import RunEngine
from bluesky.utils import Msg, MsgGenerator, RunEngineInterrupted
from fakes import FakeBeamline

from whiteline.analysis.runs import Run, find_run, open_run
from whiteline.beamline.resuming import resumption_of

Document = tuple[str, dict[str, Any]]


class Kept(dict[str, Run]):
    """Runs by uid, as a catalog has them; [-1] is the newest."""

    def __missing__(self, which: Any) -> Run:
        if isinstance(which, int):
            return list(self.values())[which]
        raise KeyError(which)

    def keep(self, documents: Iterable[Document]) -> None:
        """Keep all runs of some documents; one without a stop has died, and is marked as failed."""
        runs: list[list[Document]] = []
        for name, document in documents:
            if name == "start":
                runs.append([])
            runs[-1].append((name, document))
        for one in runs:
            uid = one[0][1]["uid"]
            if one[-1][0] != "stop":
                one.append(("stop", {"uid": f"stop-{uid}", "run_start": uid, "time": 0.0, "exit_status": "fail"}))
            self[uid] = open_run(one)


def run(plan: MsgGenerator[Any], *, abort_at: int | None = None) -> list[Document]:
    """Run a plan, to its end or to its abort before a message, and return its documents."""
    documents: list[Document] = []
    engine = RunEngine(context_managers=[])
    engine.subscribe(lambda name, document: documents.append((name, document)))
    try:
        engine(plan if abort_at is None else _pausing(plan, abort_at))
    except RunEngineInterrupted:
        engine.abort()
    return documents


def messages_in_runs(plan: MsgGenerator[Any]) -> tuple[int, int]:
    """Return the numbers of the messages that open the first run, and close the last one."""
    commands = [message.command for message in plan]
    return commands.index("open_run"), len(commands) - 1 - commands[::-1].index("close_run")


def resumed(catalog: Kept, uid: str, line: FakeBeamline) -> MsgGenerator[Any]:
    """Return the plan that goes on with a run."""
    return resumption_of(find_run(catalog, uid), devices=devices_of(line), catalog=catalog, also=parts(line)).plan()


def devices_of(line: Any) -> dict[str, Any]:
    """Return the fakes that have a configuration, by name."""
    return {one.name: one for one in line.devices}


def parts(line: Any) -> list[Any]:
    """Return what else plans are given."""
    more = ("fly_fluorescence", "fly_camera", "capture", "sweep")
    return [line.sample, *(getattr(line, name) for name in more if hasattr(line, name))]


def _pausing(plan: MsgGenerator[Any], at: int) -> MsgGenerator[Any]:
    """Ask for a pause before the message with a number, counted from 0."""
    numbers = itertools.count()

    def before(message: Msg) -> tuple[Any, None]:
        return (_pause_and(message) if next(numbers) == at else None), None

    return (yield from bpp.plan_mutator(plan, before))


def _pause_and(message: Msg) -> MsgGenerator[Any]:
    yield Msg("pause")
    return (yield message)

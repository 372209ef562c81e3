"""Interrupt scans of a simulated beamline at random moments, go on with them, and compare with undisturbed ones.

As a process of its own it takes one plan with a session of the beamline, to be killed:
`resume_trials.py DESCRIPTION DATA PLAN`.
"""

import itertools
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from resume_plans import ENERGIES, PLANS

LONG_S = 60.0
READY_S = 180.0
ROI, BINNING = (896, 896, 256, 256), 2
IN_RUN = 0.6
"""Part of the time of a scan after its start document, so that a session is not killed when all is taken."""

DUMP_S = 8.0
"""How long there is no beam [s of wall time]; a scan is aborted meanwhile."""

GAINS = {"incident": 1e9, "transmitted": 1e8}
"""Of the amplifiers on the scanning microscope [V/A]: its full beam gives about a volt."""

WAYS = "abort", "kill", "dump"


@dataclass(frozen=True, eq=False)
class Tried:
    """What an interrupted scan has come to.

    Parameters
    ----------
    what : str
        What was done, in words.
    lost, doubled : int
        Points of all roles that are missing at the end, or were recorded twice.
    run : Run
        All parts together.
    parts : int
        How many there are; 1 if nothing was missing.
    """

    what: str
    lost: int
    doubled: int
    run: Any
    parts: int


class Trials:
    """Scans of a simulated beamline that are interrupted.

    Parameters
    ----------
    twin : Simulated
        It.
    seed : int
        Of the moments.
    dump_pv : str
        Process variable that dumps the beam, for so many seconds of the machine.
    """

    def __init__(self, twin: Any, seed: int, dump_pv: str) -> None:
        self._twin, self._dump_pv = twin, dump_pv
        self._source = np.random.default_rng(seed)
        self._session: Any = None
        self._fault: Any = None
        self._lengths: dict[str, tuple[int, float, str]] = {}

    @property
    def session(self) -> Any:
        """The session, opened if it is not."""
        if self._session is None:
            from whiteline.beamline.session import open_session

            self._session = open_session(self._twin.beamline, tell=lambda _: None, connect_s=LONG_S)
            assert not self._session.missing
        return self._session

    def close(self) -> None:
        """Close it."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def undisturbed(self, name: str) -> Any:
        """Return the run of an undisturbed scan; its messages and its time are counted."""
        uid = self._measured(name)[2]
        self.session.store.wait(LONG_S)
        return self._opened(uid)

    def taken(self, name: str) -> Any:
        """Return the run of one more undisturbed scan."""
        found = self.session.engine(PLANS[name](self.session))
        self.session.store.wait(LONG_S)
        return self._opened(found[0])

    def interrupted(self, name: str, way: str) -> Tried:
        """Interrupt a scan, go on with it, and say what it has come to."""
        messages, seconds, _ = self._measured(name)
        share = float(self._source.uniform(0.05, 0.95))
        if way == "kill":
            uid = self._killed(name, IN_RUN * share * seconds)
        else:
            uid = self._ended(name, int(share * messages), way)
        told: list[str] = []
        parts = 1
        from whiteline.beamline.resuming import CannotResume

        try:
            plan = self.session.resume(uid, told.append)
        except CannotResume as nothing:
            if "is finished" not in str(nothing):
                raise
            told.append(str(nothing))
        else:
            self.session.engine(plan)
            parts = 2
        self.session.store.wait(LONG_S)
        run = self._opened(uid)
        lost, doubled = _counted(run, self.session.store.catalog)
        return Tried(f"{name}, {way} after {share:.0%}: {'; '.join(told)}", lost, doubled, run, parts)

    def _opened(self, uid: str) -> Any:
        from whiteline.analysis.runs import find_run

        return find_run(self.session.store.catalog, uid)

    def _measured(self, name: str) -> tuple[int, float, str]:
        """Return messages between begin and end of the run of an undisturbed scan, seconds, and the run."""
        if name not in self._lengths:
            engine, count, begun = self.session.engine, itertools.count(), time.monotonic()
            hook = engine.msg_hook
            engine.msg_hook = lambda message: (hook(message), next(count))
            found = engine(PLANS[name](self.session))
            engine.msg_hook = hook
            self._lengths[name] = next(count), time.monotonic() - begun, found[0]
        return self._lengths[name]

    def _ended(self, name: str, at: int, way: str) -> str:
        """Abort a scan at a message, or dump the beam there and abort while it is waited for."""
        from bluesky.utils import IllegalMessageSequence, RunEngineInterrupted

        session = self.session
        engine, starts, numbers = session.engine, list[str](), itertools.count()
        hook = engine.msg_hook
        timers: list[threading.Timer] = []

        def pause() -> None:
            from bluesky.utils import TransitionError

            with suppress(TransitionError):  # the plan has ended meanwhile
                engine.request_pause()

        def interfere(message: Any) -> None:
            hook(message)
            number = next(numbers)
            if number < at or timers or not starts:
                return
            if way == "dump":
                self._dump()
            timers.append(threading.Timer(0.0 if way == "abort" else 1.5, pause))
            timers[0].start()

        engine.msg_hook = interfere
        token = engine.subscribe(lambda _, document: starts.append(document["uid"]), name="start")
        try:
            engine(PLANS[name](session))
        except RunEngineInterrupted:
            # within an event, the baseline cannot be read before the run is closed; the run engine closes it then
            with suppress(IllegalMessageSequence):
                engine.abort()
        finally:
            engine.msg_hook = hook
            engine.unsubscribe(token)
            for one in timers:
                one.join()
        if way == "dump":
            self._wait_for_beam()
        return starts[0]

    def _dump(self) -> None:
        """Dump the beam for a while."""
        from ophyd import EpicsSignal

        if self._fault is None:
            self._fault = EpicsSignal(self._dump_pv, name="beam_dump")
            self._fault.wait_for_connection(timeout=LONG_S)
        self._fault.put(DUMP_S * self._twin.options.speed)

    def _wait_for_beam(self) -> None:
        """Wait until there is beam again, and let it in."""
        devices, deadline = self.session.devices, time.monotonic() + LONG_S
        while not devices.ring.stored.get():
            if time.monotonic() > deadline:
                raise TimeoutError(f"no beam {LONG_S:g} s after a dump of {DUMP_S:g} s")
            time.sleep(0.1)
        devices.photon_shutter.set("Open").wait(LONG_S)

    def _killed(self, name: str, after_s: float) -> str:
        """Kill a session in a scan, and return the run; a new session has brought it into the catalog."""
        self.close()
        command = [sys.executable, __file__, str(self._twin.options.beamline), str(self._twin.folder), name]
        environment = os.environ | self._twin.environment
        took = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert took.stdout is not None
        try:
            ready, _, _ = select.select([took.stdout], [], [], READY_S)
            uid = took.stdout.readline().strip() if ready else ""
            if not uid:
                raise RuntimeError(f"the session that takes {name} did not begin")
            time.sleep(after_s)
        finally:
            took.send_signal(signal.SIGKILL)
            took.wait()
            took.stdout.close()
        time.sleep(1.0)  # detectors go on with their exposures, whoever has died
        devices = self.session.devices
        devices.fast_shutter.set("Closed").wait(LONG_S)
        return uid


def make_ready(session: Any) -> None:
    """Bring a beamline to where scans begin."""
    devices = session.devices
    devices.photon_shutter.set("Open").wait(LONG_S)
    if "camera" in devices:
        devices.camera.change({"roi": ROI, "binning": BINNING}).wait(LONG_S)
    if "fluorescence" in devices:
        devices.counters.change({"gains": GAINS}).wait(LONG_S)
    devices.energy.set(ENERGIES[1]).wait(2 * LONG_S)


def noise_between(run: Any, undisturbed: Any, **settings: Any) -> tuple[float, float]:
    """Return χ² per pixel between the optical densities of two stacks, and the largest shift that is left [px].

    All frames of both are brought onto the first one of the undisturbed stack, each in one resampling; the variances
    carry its gain. The beam differs between a frame and its flat, in an undisturbed stack too: with a `blank` part of
    the field, as the live fit has it, each flat is scaled to its frame by the light beside the sample.
    """
    from whiteline.analysis.live.alignment import Aligner, Place
    from whiteline.analysis.live.density import Developer
    from whiteline.analysis.live.frame_work import FrameWork
    from whiteline.analysis.live.recipes import cookbook_of
    from whiteline.analysis.live.settings import Settings
    from whiteline.analysis.registration.gradient_correlation import Reference
    from whiteline.analysis.runs import PathMap

    chosen = Settings(**settings)
    aligner, found = Aligner(chosen), []
    for one in (undisturbed, run):
        book = cookbook_of(one, chosen)
        developer = Developer(chosen, PathMap.of(one.path_map), book.frame_shape, book.dtype, one.name, book.blank)
        work = FrameWork(developer, aligner)
        found.append([work.prepare(recipe, Place()) for recipe in book.recipes.values()])
    inside = (slice(16, -16), slice(16, -16))
    squares, shifts = [], []
    for first, second in zip(*found, strict=True):
        a, b = first.density[inside], second.density[inside]
        squares.append((a - b) ** 2 / (first.variance[inside] + second.variance[inside]))
        left = Reference.of(a).shift(b)
        shifts.append(max(abs(left.y), abs(left.x)))
    return float(np.nanmean(squares)), float(max(shifts))


def _counted(run: Any, catalog: Any) -> tuple[int, int]:
    """Return how many points of all roles a call lacks, in all of its runs, and how many were recorded twice."""
    from whiteline.analysis.runs.parts import planned_of
    from whiteline.beamline.resuming import missing_of
    from whiteline.beamline.resuming.members import members_of

    lost, doubled = 0, 0
    for member in members_of(run, catalog):
        if member.run is None:
            lost += sum(planned_of(run.start).values())
            continue
        lost += sum(map(len, missing_of(member.run).values()))
        counted: Counter[tuple[str, int]] = Counter()
        for one in member.run.parts or (member.run,):
            for stream in planned_of(one.start):
                if stream in one.streams:
                    counted.update((stream, point.seq_num) for point in one.streams[stream].points)
        doubled += sum(number - 1 for number in counted.values())
    return lost, doubled


def _main() -> None:
    from whiteline.beamline.session import open_session
    from whiteline.beamline.simulation.options import Options

    description, data, name = sys.argv[1:]
    beamline = Options(beamline=description, data=Path(data)).description()
    session = open_session(beamline, tell=lambda _: None, connect_s=LONG_S)
    assert not session.missing
    session.engine.subscribe(lambda _, document: print(document["uid"], flush=True), name="start")
    with suppress(KeyboardInterrupt):
        session.engine(PLANS[name](session))
    os._exit(0)


if __name__ == "__main__":
    _main()

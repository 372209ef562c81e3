"""A beam dump in the middle of a scan: the shutter closes, the scan waits, and no point is lost or there twice."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from bluesky import RunEngine
from bluesky.utils import Msg
from fakes import FakeBeamline, FakeShutter, World
from ophyd import Signal

from whiteline.analysis.runs import Run, RunBuilder
from whiteline.plans.raster import raster
from whiteline.plans.suspenders import beam_suspender, guarded
from whiteline.plans.xanes import xanes
from whiteline.plans.xanes_stack import xanes_stack

ENERGIES = [8330.0 + 5 * number for number in range(6)]

LONG_S = 60.0

pytestmark = pytest.mark.filterwarnings("ignore:.*Task was destroyed.*")


class Ring:
    """Beam, permit and temperature of a beamline of fakes, and a log of what was exposed without beam."""

    def __init__(self, settle_s: float = 0.0) -> None:
        self.line = FakeBeamline(seconds=0.002)
        self.stored, self.permit = Signal(name="stored", value=1), Signal(name="permit", value="Permitted")
        self.temperature = Signal(name="temperature", value=-148.0)
        self.line.world.signal = lambda world: 1000.0 + world.energy if self.good else 0.0
        self.suspender = beam_suspender(
            ring_stored=self.stored, permit=self.permit, temperature=self.temperature,
            temperature_range=(-150.0, -145.0), shutter=self.line.shutter, settle_s=settle_s,
        )  # fmt: skip
        self.engine = RunEngine(context_managers=[])
        self.builder = RunBuilder()
        self.events: Counter[tuple[str, int]] = Counter()
        self.engine.subscribe(self._feed)
        self.closed_while_waiting: list[str] = []

    @property
    def good(self) -> bool:
        return bool(self.stored.get() == 1 and self.permit.get() == "Permitted")

    def _feed(self, name: str, document: dict[str, Any]) -> None:
        self.builder(name, document)
        if name == "event":
            self.events[document["descriptor"], document["seq_num"]] += 1

    def spectrum(self) -> Any:
        return xanes([self.line.counters], self.line.energy, ENERGIES, dwell_s=0.1, shutter=self.line.shutter)

    def dump(self) -> None:
        """Lose the beam; it is back when a while has gone by, and the shutter is closed or never will be."""
        self.stored.put(0)
        self.permit.put("Denied")

        def later() -> None:
            deadline = time.monotonic() + LONG_S
            while (shutter := self.line.world.shutter) != "Closed" and time.monotonic() < deadline:
                time.sleep(0.01)  # a run engine on a busy machine may come to it late
            self.closed_while_waiting.append(shutter)
            self.permit.put("Permitted")
            self.stored.put(1)

        threading.Timer(0.15, later).start()

    def at_message(self, number: int, then: Callable[[], None]) -> None:
        """Do something once, when the run engine has got so many messages."""
        count = 0

        def hook(_: Msg) -> None:
            nonlocal count
            count += 1
            if count == number:
                then()

        self.engine.msg_hook = hook

    @property
    def run(self) -> Run:
        return self.builder.run()


def undisturbed() -> tuple[Run, int]:
    """Return the run without a dump, and how many messages it takes to its last point."""
    ring = Ring()
    count = last = 0

    def hook(message: Msg) -> None:
        nonlocal count, last
        count += 1
        if message.command == "save":
            last = count

    ring.engine.msg_hook = hook
    ring.engine(guarded(ring.spectrum(), [ring.suspender]))
    return ring.run, last


def test_a_dump_anywhere_loses_no_energy_and_doubles_none() -> None:
    whole, last = undisturbed()
    for at in range(8, last, 6):
        ring = Ring()
        ring.at_message(at, ring.dump)
        ring.engine(guarded(ring.spectrum(), [ring.suspender]))
        run = ring.run
        np.testing.assert_array_equal(run.energies, ENERGIES)
        np.testing.assert_array_equal(run.points.seq_nums, whole.points.seq_nums)
        # no point that is left was counted without beam
        np.testing.assert_array_equal(
            run.points.numbers("counters_incident"), whole.points.numbers("counters_incident"), f"{at}"
        )
        assert ring.closed_while_waiting == ["Closed"], at
        assert run.exit_status == "success"
        assert ring.line.world.shutter == "Closed"


@pytest.mark.parametrize("plan", ["stack", "map"])
def test_stacks_and_maps_come_through_a_dump_as_well(plan: str) -> None:
    def chosen(ring: Ring) -> Any:
        line = ring.line
        if plan == "stack":
            return xanes_stack(
                line.camera, line.energy, ENERGIES[:3], sample=line.sample, shutter=line.shutter, exposure_s=0.1
            )
        return raster(
            [line.fluorescence], line.sample.x, line.sample.y, fast_range=(0.0, 2.0, 3), slow_range=(0.0, 1.0, 2),
            dwell_s=0.1, shutter=line.shutter,
        )  # fmt: skip

    whole = Ring()
    whole.engine(guarded(chosen(whole), [whole.suspender]))
    for at in (25, 40, 60):
        ring = Ring()
        ring.at_message(at, ring.dump)
        ring.engine(guarded(chosen(ring), [ring.suspender]))
        for name, stream in whole.run.streams.items():
            np.testing.assert_array_equal(ring.run.stream(name).seq_nums, stream.seq_nums)
            for key in set(stream.data_keys) - set(stream.external):
                np.testing.assert_array_equal(ring.run.stream(name).read(key), stream.read(key), f"{at} {key}")
        assert len(ring.closed_while_waiting) == 1


@pytest.mark.parametrize("bad", ["stored", "permit", "temperature"])
@pytest.mark.parametrize("by", ["guarded", "session"])
def test_what_is_bad_already_is_seen_before_anything_is_counted(bad: str, by: str) -> None:
    ring = Ring()
    signal, wrong, right = {
        "stored": (ring.stored, 0, 1),
        "permit": (ring.permit, "Denied", "Permitted"),
        "temperature": (ring.temperature, -120.0, -148.0),
    }[bad]
    signal.put(wrong)
    counted: list[int] = []

    def repair() -> None:
        counted.append(len(ring.line.world.exposures))
        signal.put(right)

    threading.Timer(0.3, repair).start()
    if by == "guarded":
        ring.engine(guarded(ring.spectrum(), [ring.suspender]))
    else:
        ring.engine.install_suspender(ring.suspender)
        ring.engine(ring.spectrum())
    assert counted == [0]
    np.testing.assert_array_equal(ring.run.energies, ENERGIES)
    assert set(ring.events.values()) == {1}


@pytest.mark.parametrize("order", [("permit", "stored"), ("stored", "permit")])
@pytest.mark.parametrize("back", [("permit", "stored"), ("stored", "permit")])
def test_it_goes_on_only_when_all_are_good_again(order: tuple[str, str], back: tuple[str, str]) -> None:
    ring = Ring()
    signals = {"stored": (ring.stored, 0, 1), "permit": (ring.permit, "Denied", "Permitted")}
    before: list[int] = []
    between: list[int] = []

    def dump() -> None:
        for name in order:
            signals[name][0].put(signals[name][1])
        threading.Timer(0.2, first).start()

    def first() -> None:
        before.append(len(ring.line.world.exposures))
        signals[back[0]][0].put(signals[back[0]][2])
        threading.Timer(0.3, second).start()

    def second() -> None:
        between.append(len(ring.line.world.exposures))
        signals[back[1]][0].put(signals[back[1]][2])

    ring.at_message(60, dump)
    ring.engine(guarded(ring.spectrum(), [ring.suspender]))
    assert before == between
    np.testing.assert_array_equal(ring.run.energies, ENERGIES)


def test_it_waits_until_the_optics_have_settled() -> None:
    ring = Ring(settle_s=2.0)
    seen: list[int] = []

    def look() -> None:
        seen.append(len(ring.line.world.exposures))

    def dumped() -> None:
        ring.dump()
        threading.Timer(0.4, look).start()  # back for 0.25 s
        threading.Timer(1.15, look).start()

    ring.at_message(60, dumped)
    ring.engine(guarded(ring.spectrum(), [ring.suspender]))
    assert seen[0] == seen[1]
    np.testing.assert_array_equal(ring.run.energies, ENERGIES)


class SlowWitted(FakeShutter):
    """A shutter that stays as it is in a pause, as the photon shutter, or one of a class of the site's own."""

    def pause(self) -> None:
        """Do nothing."""


def test_a_shutter_that_does_not_close_in_a_pause_is_closed_by_the_suspender() -> None:
    ring = Ring()
    shutter = ring.line.shutter = SlowWitted("fast_shutter", ring.line.world)
    ring.suspender = beam_suspender(ring_stored=ring.stored, shutter=shutter, settle_s=0.0)
    opened = False

    def dump_when_open(message: Msg) -> None:
        nonlocal opened
        if not opened and message.command == "trigger" and len(ring.line.world.exposures) == 2:
            opened = True
            assert ring.line.world.shutter == "Open"
            ring.dump()

    ring.engine.msg_hook = dump_when_open
    ring.engine(guarded(ring.spectrum(), [ring.suspender]))
    assert ring.closed_while_waiting == ["Closed"]
    # it was closed while the plan waited, not at its end
    assert (ring.run.points.numbers("counters_incident") > 0).all()


def test_the_photon_shutter_that_the_interlock_has_closed_is_opened_before_it_goes_on() -> None:
    ring = Ring()
    other = World(shutter="Open")

    photon = SlowWitted("photon_shutter", other)
    ring.line.world.signal = lambda world: 1000.0 if other.shutter == "Open" else 0.0
    suspender = beam_suspender(
        ring_stored=ring.stored, permit=ring.permit, shutter=ring.line.shutter, photon_shutter=photon, settle_s=0.0
    )

    def dump() -> None:
        other.shutter = "Closed"
        ring.dump()

    ring.at_message(60, dump)
    ring.engine(guarded(ring.spectrum(), [suspender]))
    assert other.shutter == "Open"
    assert photon.calls["set"] == 1
    np.testing.assert_array_equal(ring.run.points.numbers("counters_incident"), [1000.0] * len(ENERGIES))


def test_a_run_engine_that_is_busy_when_it_happens_is_suspended_all_the_same() -> None:
    """bluesky's own suspenders give up after a tenth of a second, and the scan goes on without beam."""
    ring = Ring()
    busy = threading.Event()

    def dump_while_busy() -> None:
        dumping = threading.Thread(target=ring.dump)
        dumping.start()
        busy.wait(0.35)

    ring.at_message(60, dump_while_busy)
    ring.engine(guarded(ring.spectrum(), [ring.suspender]))
    assert ring.closed_while_waiting == ["Closed"]
    assert (ring.run.points.numbers("counters_incident") > 0).all()


def test_one_that_is_good_again_while_it_is_asked_is_not_waited_for() -> None:
    """Its event would be a new one, that nobody sets any more."""
    ring = Ring()
    suspender = ring.suspender
    suspender.install(ring.engine)
    ring.stored.put(0)
    assert len(suspender.get_futures()[0]) == 1
    suspender._lock = Behind(suspender._lock, lambda: ring.stored.put(1))
    assert suspender.get_futures()[0] == []
    ring.stored.put(0)
    assert len(suspender.get_futures()[0]) == 1
    suspender.remove()


class Behind:
    """A lock that is taken just after something else has happened."""

    def __init__(self, lock: Any, before: Callable[[], None]) -> None:
        self._lock, self._before = lock, [before]
        self.locked = lock.locked

    def __enter__(self) -> None:
        if self._before:
            self._before.pop()()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_after_the_plan_they_are_gone_and_a_dump_disturbs_nobody() -> None:
    ring = Ring()
    ring.engine(guarded(ring.spectrum(), [ring.suspender]))
    assert ring.engine.suspenders == ()
    ring.stored.put(0)
    ring.engine([Msg("null")])


@pytest.mark.parametrize(
    ("different", "says"),
    [
        ({}, "nothing to watch"),
        ({"temperature": 1}, "go together"),
        ({"temperature_range": (1.0, 2.0)}, "go together"),
        ({"temperature": 1, "temperature_range": (2.0, 1.0)}, "temperature_range 2 must begin below its end, 1"),
        ({"settle_s": -1.0}, "settle_s -1 s"),
        ({"warm_up_s": -1.0}, "warm_up_s -1 s"),
        ({"photon_shutter": 1}, "give permit, too"),
    ],
)
def test_what_cannot_be_is_refused(different: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        beam_suspender(**different)


@pytest.fixture(autouse=True)
def _no_thread_outlives_its_test() -> Iterator[None]:
    yield
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(LONG_S)

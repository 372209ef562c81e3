"""What a motor costs at every point, and what it saves: stalled scans, wrong positions, lost IOCs.

References of the same run: the stock `ophyd.EpicsMotor` for stalls and for the scan after an interrupted one; for the
time of a point a motor and a detector of `ophyd.sim`, which is all the RunEngine's own. What moves the time: without
monitors every value is asked for (`_unmonitored`). Positions are wrong if they are not where the IOC itself says that
the motor was, or not where the scan wanted it. All is measured in a process of its own, as a process decides once and
for all where it looks for IOCs.
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from whiteline.sim.ioc.loopback import client_environment, server_environment
from whiteline.sim.ioc.ports import leased
from whiteline.sim.ioc.readiness import wait_until_served

GOALS = {
    "motor_stalls_5x300": ("==", 0.0),
    "abort_next_scan_wrong_12": ("==", 0.0),
    "step_over_floor": ("<=", 4.0),
}
GOALS_LONG = {
    "motor_stalls_30x300": ("==", 0.0),
    "abort_next_scan_wrong": ("==", 0.0),
    "step_over_floor": ("<=", 4.0),
}

MOTORS = Path(__file__).parents[1] / "ioc" / "motors_ioc.py"

POINTS = 300
QUIET_S = 5.0
"""A scan that emits nothing for so long has stalled [s]."""

WRONG_MM = 1e-3
"""A recorded position that is further off is wrong [mm]; the dead band of the records is a hundred times smaller."""

CONNECTED_S = 60.0


def measure(*, long: bool) -> dict[str, float]:
    """Measure in another process; the longer series has 30 scans and 60 interruptions."""
    with leased(3) as ports:
        environment = os.environ | client_environment(*ports)
        command = [sys.executable, __file__, str(ports[0]), *(["--long"] if long else [])]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the devices could not be measured:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


@contextmanager
def motors(port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the IOC with many motors."""
    process = subprocess.Popen([sys.executable, str(MOTORS), str(port)], env=os.environ | server_environment(port))
    try:
        wait_until_served("T:slow0", port, timeout_s=CONNECTED_S)
        yield process
    finally:
        process.kill()
        process.wait()


def connected(device: Any) -> Any:
    """Return a device as soon as it is connected."""
    device.wait_for_connection(timeout=CONNECTED_S)
    return device


def completes(engine: Any, plan: Any = None, documents: list[Any] | None = None) -> bool:
    """Run a plan, or resume one, and say whether it came to its end; one that falls silent is aborted."""
    from bluesky.utils import FailedStatus, RunEngineInterrupted

    heard, over = [time.monotonic()], threading.Event()

    def hear(name: str, document: Any) -> None:
        heard[0] = time.monotonic()
        if documents is not None and name == "event":
            documents.append(document)

    def watch() -> None:
        while not over.wait(0.1):
            if time.monotonic() - heard[0] > QUIET_S:
                engine.abort("it has stalled")
                return

    token, watchdog = engine.subscribe(hear), threading.Thread(target=watch)
    watchdog.start()
    try:
        if plan is None:
            engine.resume()
        else:
            engine(plan)
    except (RunEngineInterrupted, FailedStatus):
        return False
    finally:
        over.set()
        watchdog.join()
        engine.unsubscribe(token)
    return True


def stalls(classes: dict[str, Any], runs: int) -> dict[str, float]:
    """Count the scans of instant motors that did not come to their end, in turns."""
    from bluesky import RunEngine
    from bluesky.plans import scan

    engine = RunEngine(context_managers=[])
    made = {key: connected(cls(f"T:instant{n}", name="x")) for n, (key, cls) in enumerate(classes.items())}
    count = dict.fromkeys(classes, 0)
    for _ in range(runs):
        for key, motor in made.items():
            count[key] += not completes(engine, scan([], motor, -10, 10, POINTS))
    return {f"motor_stalls{key}_{runs}x{POINTS}": float(number) for key, number in count.items()}


def interrupted(engine: Any, motor: Any, how: str, after_s: float) -> bool:
    """Start a scan, interrupt it while its motor moves, and say whether it went on where it should."""
    from bluesky.plans import scan

    here, moving = motor.position, threading.Event()
    token = motor.subscribe(lambda value, **_: abs(value - here) > 1e-3 and moving.set(), run=False)
    how_to: dict[str, Callable[[], Any]] = {
        "abort": lambda: engine.abort("measured"),
        "stop": engine.stop,
        "pause": engine.request_pause,
        "device": motor.stop,
    }

    def later() -> None:
        if moving.wait(QUIET_S):
            time.sleep(after_s)
            how_to[how]()

    thread = threading.Thread(target=later)
    thread.start()
    completes(engine, scan([], motor, here + 3, here - 3, 2))
    thread.join()
    motor.unsubscribe(token)
    if how == "pause":
        return engine.state == "paused" and completes(engine)
    return True


def wrong_after_interruptions(motor: Any, truth: Any, trials: int) -> float:
    """Count the scans after an interrupted one that recorded a position where the motor was not, or stalled."""
    from bluesky import RunEngine
    from bluesky.plans import list_scan

    engine, source, wrong = RunEngine(context_managers=[]), np.random.default_rng(1), 0
    for trial in range(trials):
        how, after_s = ("abort", "stop", "pause", "device")[trial % 4], source.uniform(0.0, 0.25)
        went_on = interrupted(engine, motor, how, after_s)
        wanted = source.uniform(-3, 3, 3)
        recorded: list[Any] = []
        ended = completes(engine, list_scan([truth], motor, list(wanted)), recorded)
        found = np.array([(one["data"]["x"], one["data"]["truth"]) for one in recorded]).reshape(-1, 2)
        right = went_on and ended and found.shape == (3, 2) and np.abs(found - wanted[:, None]).max() < WRONG_MM
        wrong += not right
    return float(wrong)


def ms_per_point(scans: dict[str, tuple[Any, Any]]) -> dict[str, float]:
    """Median time of a point of five scans each, in turns [ms]; one before is not counted."""
    from bluesky import RunEngine
    from bluesky.plans import scan

    engine, points = RunEngine(context_managers=[]), 100
    times: dict[str, list[float]] = {key: [] for key in scans}
    for _ in range(6):
        for key, (motor, detector) in scans.items():
            start = time.perf_counter()
            engine(scan([detector], motor, -5, 5, points))
            times[key].append((time.perf_counter() - start) / points)
    return {key: 1e3 * float(np.median(one[1:])) for key, one in times.items()}


def loss_seen_ms(port: int, motor_class: Any) -> float:
    """Median time from the death of an IOC to the failure of the move under way [ms]."""
    times = []
    for number in range(5):
        with motors(port) as ioc:
            motor = connected(motor_class(f"T:slow{30 + number}", name="x"))
            moving = threading.Event()
            motor.subscribe(lambda value, moving=moving, **_: abs(value) > 0.5 and moving.set())
            ended = threading.Event()
            status = motor.set(10.0)
            status.add_callback(lambda _, ended=ended: ended.set())
            if not moving.wait(CONNECTED_S):
                raise TimeoutError(f"{motor.prefix} does not move")
            start = time.perf_counter()
            ioc.kill()
            if not ended.wait(CONNECTED_S):
                raise TimeoutError("the loss of an IOC was not seen")
            times.append(time.perf_counter() - start)
            if status.success:
                raise RuntimeError("a move succeeded without its IOC")
    return 1e3 * float(np.median(times))


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--long", action="store_true")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)  # the tracebacks of scans that are aborted on purpose

    from ophyd import Component, EpicsMotor, EpicsSignalRO
    from ophyd.sim import SynAxis, SynGauss

    from whiteline.devices.motor import Motor

    class Unmonitored(Motor):
        user_readback = Component(EpicsSignalRO, ".RBV", kind="hinted", auto_monitor=False)
        velocity = Component(EpicsSignalRO, ".VELO", kind="config", auto_monitor=False)
        acceleration = Component(EpicsSignalRO, ".ACCL", kind="config", auto_monitor=False)
        resolution = Component(EpicsSignalRO, ".MRES", kind="omitted", auto_monitor=False)
        backlash_distance = Component(EpicsSignalRO, ".BDST", kind="omitted", auto_monitor=False)

    trials = 60 if options.long else 12
    name = "abort_next_scan_wrong{}" if options.long else "abort_next_scan_wrong{}_12"
    with motors(options.port):
        counter = connected(EpicsSignalRO("T:slow0.RBV", name="counter", auto_monitor=True))
        asked = connected(EpicsSignalRO("T:slow0.RBV", name="counter", auto_monitor=False))
        sim_motor = SynAxis(name="sim_motor")
        # no scan with the stock class here: it may stall
        found = ms_per_point(
            {
                "step_floor_ms_per_point": (sim_motor, SynGauss("sim_counter", sim_motor, "sim_motor", 0, 1)),
                "step_ms_per_point": (connected(Motor("T:instant10", name="x")), counter),
                "step_ms_per_point_unmonitored": (connected(Unmonitored("T:instant12", name="x")), asked),
            }
        )
        found["step_over_floor"] = found["step_ms_per_point"] / found["step_floor_ms_per_point"]
        found |= stalls({"": Motor, "_stock": EpicsMotor}, 30 if options.long else 5)
        for number, (key, cls) in enumerate({"": Motor, "_stock": EpicsMotor}.items()):
            record = f"T:slow{10 + number}"
            truth = connected(EpicsSignalRO(f"{record}:dial", name="truth", auto_monitor=False))
            found[name.format(key)] = wrong_after_interruptions(connected(cls(record, name="x")), truth, trials)
    found["loss_seen_ms"] = loss_seen_ms(options.port, Motor)
    print(json.dumps(found), flush=True)
    os._exit(0)  # pyepics may crash where it takes its channels apart


if __name__ == "__main__":
    main()

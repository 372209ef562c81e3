"""End scans of the simulated TXM at some message, by real devices, and say what they leave behind."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

ENERGIES = [8330.0, 8345.0]
ROI = (960, 960, 128, 128)
LONG_S = 60.0
EXPOSURE_S, DWELL_S = 2.0, 4.0
"""Long enough, at a speed of 20, for an end in the middle of a count."""

LATEST_S = 0.3
"""How long after a message was begun the end may come [s]."""

CTRL_C_S = 0.15
"""Between two strokes; the run engine takes faster ones for one [s]."""

COARSE_MM, SAMPLE_UM, ANGLE_DEG, ENERGY_EV = 0.002, 0.2, 0.005, 0.05
"""How near to its place an axis is as it was: the interferometer sees the sample drift, and all settle on noise."""

WAYS = "stop", "abort", "Ctrl-C twice, then abort"


def spectrum(devices: Any) -> Any:
    """Return a spectrum."""
    from whiteline.plans import xanes

    return xanes(
        [devices.counters], devices.energy, ENERGIES, dwell_s=DWELL_S, shutter=devices.fast_shutter, return_to=8335.0
    )


def stack(devices: Any) -> Any:
    """Return a stack with all its phases."""
    from whiteline.plans import xanes_stack

    x, y = devices.sample.x.position, devices.sample.y.position
    return xanes_stack(
        devices.camera, devices.energy, ENERGIES, sample=devices.sample, shutter=devices.fast_shutter,
        exposure_s=EXPOSURE_S, positions=[(x, y), (x + 5.0, y)], filters=devices.filters, filter_names=["Al 50"],
        also=[devices.counters], return_to=8335.0,
    )  # fmt: skip


def turn(devices: Any) -> Any:
    """Return a tomography that is flown, with flats and darks."""
    from whiteline.plans import fly_tomography

    return fly_tomography(
        devices.camera_triggered, devices.sample.rotation, capture=devices.capture, energy=devices.energy,
        sample=devices.sample, shutter=devices.fast_shutter, exposure_s=EXPOSURE_S, start=0.0, stop=12.0,
        projections=6, flat_frames=1, dark_frames=1,
    )  # fmt: skip


PLANS: dict[str, Callable[[Any], Any]] = {"xanes": spectrum, "xanes_stack": stack, "fly_tomography": turn}


def make_ready(devices: Any) -> None:
    """Bring the beamline to where a scan begins."""
    devices.photon_shutter.set("Open").wait(LONG_S)
    devices.camera.change({"roi": ROI, "binning": 2, "exposure": 0.5, "frames": 3}).wait(LONG_S)
    devices.counters.change({"dwell": 1.0}).wait(LONG_S)
    devices.filters.set([]).wait(LONG_S)
    devices.energy.set(8335.0).wait(2 * LONG_S)


@dataclass(frozen=True)
class State:
    """What a scan must leave as it was, asked afresh."""

    words: dict[str, Any]
    places: dict[str, tuple[float, float]]

    @classmethod
    def of(cls, devices: Any) -> "State":
        """Ask for it; places come with how near counts as there."""
        for one in (devices.fast_shutter, devices.filters):
            one.trigger().wait(LONG_S)
        camera, sample, feedback = devices.camera, devices.sample, devices.mono.feedback
        words = {
            "fast shutter": devices.fast_shutter.read()["fast_shutter"]["value"],
            "filters": sorted(devices.filters.inserted),
            "feedback": feedback.enable.get(use_monitor=False),
            "feedback status": feedback.status.get(use_monitor=False),
            "camera": camera.settings,
            "camera acquires": int(camera.cam.acquire.get(use_monitor=False)),
            "image mode": camera.cam.image_mode.get(use_monitor=False),
            "file": int(camera.hdf1.capture.get(use_monitor=False)),
            "dwell": float(devices.counters.preset_time.get(use_monitor=False)),
            "count mode": devices.counters.count_mode.get(use_monitor=False),
            "trigger mode": camera.cam.trigger_mode.get(use_monitor=False),
            "capture box armed": devices.capture.state_now.get() in ("Armed", "Running"),
            "capture file": devices.capture.capture.get(use_monitor=False),
            "velocity": float(sample.rotation.velocity.get(use_monitor=False)),
            "flying": [one.name for one in (devices.capture, devices.camera_triggered) if one.is_staged],
            "staged": [one.name for one in (camera, devices.counters, devices.energy) if one._staged.value != "no"],
        }
        places = {
            "coarse x": (sample.coarse.x.readback_signal.get(use_monitor=False), COARSE_MM),
            "rotation": (sample.rotation.readback_signal.get(use_monitor=False), ANGLE_DEG),
            "x": (sample.x.position, SAMPLE_UM),
            "y": (sample.y.position, SAMPLE_UM),
            "energy": (devices.energy.position, ENERGY_EV),
        }
        return cls(words, places)

    def changes(self, before: "State") -> list[str]:
        """Return what is not as it was."""
        found = [f"{key} is {now}, was {then}" for key, now in self.words.items() if now != (then := before.words[key])]
        for key, (now, near) in self.places.items():
            if not abs(now - before.places[key][0]) <= near:
                found.append(f"{key} is {now:.6g}, was {before.places[key][0]:.6g}")
        return found


def count_messages(devices: Any, name: str) -> int:
    """Run a plan undisturbed, and return how many messages it has, those of its cleanup included."""
    engine, messages = quiet_engine(), []
    engine.msg_hook = messages.append
    engine(PLANS[name](devices))
    return len(messages)


def quiet_engine() -> Any:
    """Return a run engine that takes Ctrl-C as one at a beamline does."""
    from bluesky import RunEngine

    return RunEngine({})


@contextlib.contextmanager
def _late_strokes_ignored() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def trial(devices: Any, name: str, way: str, number: int, after_s: float) -> list[str]:
    """End a plan, and return what is not as it was.

    Parameters
    ----------
    name : str
        Of the plan, of `PLANS`.
    way : str
        Of `WAYS`.
    number : int
        Of the message after whose beginning it is ended.
    after_s : float
        How long after that [s].
    """
    from bluesky.run_engine import TransitionError
    from bluesky.utils import RunEngineInterrupted

    before, engine, found = State.of(devices), quiet_engine(), list[str]()
    count, threads = 0, list[threading.Thread]()

    def end() -> None:
        time.sleep(after_s)
        if way == "Ctrl-C twice, then abort":
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(CTRL_C_S)
            os.kill(os.getpid(), signal.SIGINT)
            return
        with contextlib.suppress(TransitionError):  # it has ended already
            getattr(engine, way)()

    def watch(_: Any) -> None:
        nonlocal count
        if count == number:
            threads.append(threading.Thread(target=end))
            threads[0].start()
        count += 1

    engine.msg_hook = watch
    with _late_strokes_ignored():
        try:
            engine(PLANS[name](devices))
        except RunEngineInterrupted:
            if engine.state == "paused":
                threads[0].join()
                devices.fast_shutter.trigger().wait(LONG_S)
                found += _open_in_a_pause(devices)
                with contextlib.suppress(RunEngineInterrupted):
                    engine.abort()
        except Exception as error:
            found.append(f"it raised {error!r}")
        for one in threads:
            one.join()
    if engine.state != "idle":
        found.append(f"the run engine is {engine.state}")
    return found + State.of(devices).changes(before)


def _open_in_a_pause(devices: Any) -> list[str]:
    closed = threading.Event()

    def look(*, value: Any = None, **_: Any) -> None:
        if value == "Closed":
            closed.set()

    token = devices.fast_shutter.changes.subscribe(look, run=True)
    try:
        return [] if closed.wait(LONG_S) else ["the shutter is open in a pause"]
    finally:
        devices.fast_shutter.changes.unsubscribe(token)


def ended_at(plan: Callable[[], Any], way: str, number: int, after_s: float) -> None:
    """Run a plan, and let a run engine "stop" or "abort" it some time [s] after the message with a number."""
    from bluesky.run_engine import TransitionError
    from bluesky.utils import RunEngineInterrupted

    engine, count, threads = quiet_engine(), 0, list[threading.Thread]()

    def end() -> None:
        time.sleep(after_s)
        with contextlib.suppress(TransitionError):  # it has ended already
            getattr(engine, way)()

    def watch(_: Any) -> None:
        nonlocal count
        if count == number:
            threads.append(threading.Thread(target=end))
            threads[0].start()
        count += 1

    engine.msg_hook = watch
    with contextlib.suppress(RunEngineInterrupted):
        engine(plan())
    for one in threads:
        one.join()


def random_trials(devices: Any, number: int, seed: int) -> Iterator[tuple[str, list[str]]]:
    """Yield what so many trials at random messages leave behind: each way and each plan in turn."""
    source = np.random.default_rng(seed)
    lengths = {name: count_messages(devices, name) for name in PLANS}
    pairs = [(name, way) for way in WAYS for name in PLANS]
    for one in range(number):
        name, way = pairs[one % len(pairs)]
        at, after_s = int(source.integers(lengths[name])), float(source.uniform(0.0, LATEST_S))
        unsafe = trial(devices, name, way, at, after_s)
        yield f"{name}: {way}, {after_s:.3f} s after message {at} of {lengths[name]}", unsafe

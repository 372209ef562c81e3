"""The capture box as a flyer, on the simulated nanoprobe: lines through a RunEngine, and how each failure is told."""

import threading
from collections.abc import Callable, Generator
from typing import Any

import h5py
import numpy as np
import pytest
from ca_client import Channels
from conftest import Simulate

from whiteline.analysis.laws.fly_line import FlyLine
from whiteline.analysis.runs import Run, open_run
from whiteline.beamline.simulation import Simulated

X = "NANO:sample:fine:x"
FAULT = "SIM:fault:"
PULSES, STEP, DWELL_S, SLOW_S = 100, 0.05, 0.004, 0.2
NOISE_UM = 5e-4
"""Of a reading of the interferometer at 1 kHz, root mean square."""

SHAKES_UM = 0.015
"""How far a stage that shakes goes while the box looks [µm]."""

Messages = Generator[Any, Any, Any]


@pytest.fixture(scope="module")
def twin(simulate: Simulate) -> Simulated:
    return simulate("nanoprobe", speed=4.0)


@pytest.fixture(scope="module")
def devices(twin: Simulated, keep: Callable[[Any], Any]) -> Any:
    from whiteline.beamline.build import build

    return keep(build(twin.beamline))


@pytest.fixture(autouse=True)
def _whole(devices: Any, ca: Channels) -> Any:
    """Take faults back, and see that the axis has its own velocity, the box is disarmed and its file closed."""
    yield
    for fault, off in (("stalled_axis", ""), ("capture_unplugged", 0), ("capture_overrun", 0)):
        ca.put(f"{FAULT}{fault}", off)
    assert ca.get(f"{X}.VELO") == 1000.0
    ca.wait("NANO:capture:State_RBV", lambda state: state not in ("Armed", "Running"), as_string=True)
    ca.wait("NANO:capture:Capture_RBV", lambda state: state == "Closed", as_string=True)
    assert ca.get("NANO:fluorescence:det1:Acquire_RBV") == 0
    assert ca.get("NANO:fluorescence:det1:TriggerMode_RBV", as_string=True) == "Internal"


def snake_line(number: int, dwell_s: float = DWELL_S) -> FlyLine:
    sign = 1 if number % 2 == 0 else -1
    return FlyLine("x", -sign * PULSES * STEP / 2, sign * STEP, PULSES, dwell_s)


def fly(parts: list[Any], line: FlyLine, verdict: str = "accept") -> Messages:
    import bluesky.plan_stubs as bps

    box, *others = parts
    yield from bps.checkpoint()
    yield from bps.prepare(box, line, group="prepare")
    for one in others:
        yield from bps.prepare(one, line, group="prepare")
    yield from bps.wait("prepare")
    for one in (*others, box):
        yield from bps.kickoff(one, group="kickoff")
    yield from bps.wait("kickoff")
    for one in parts:
        yield from bps.complete(one, wait=True)
    if verdict:
        yield from bps.mv(box.line, verdict)


def run_of(parts: list[Any], inside: Callable[[], Messages], md: dict[str, Any] | None = None) -> Messages:
    import bluesky.preprocessors as bpp

    plan = bpp.run_wrapper(inside(), md={"plan_name": "fly", "motors": ["sample_y", "sample_x"], **(md or {})})  # type: ignore[no-untyped-call]
    return (yield from bpp.stage_wrapper(plan, parts))  # type: ignore[no-untyped-call]


class Taken:
    """What a RunEngine has told."""

    def __init__(self) -> None:
        from bluesky import RunEngine

        self.documents: list[tuple[str, dict[str, Any]]] = []
        self.engine = RunEngine(context_managers=[])
        self.engine.subscribe(lambda name, document: self.documents.append((name, document)))

    @property
    def run(self) -> Run:
        return open_run(self.documents)


def truth_of(ca: Channels) -> dict[str, np.ndarray]:
    with h5py.File(ca.get("SIM:truth:capture:file", as_string=True)) as file:
        return {name: column[:] for name, column in file["entry/truth"].items()}


def test_a_snake_is_where_it_truly_was(devices: Any, ca: Channels) -> None:
    """Four lines count, and one that was taken again does not; spectra come one a pulse."""
    import bluesky.plan_stubs as bps

    box, spectra = devices.capture, devices.fluorescence_triggered
    taken, results = Taken(), []

    def inside() -> Messages:
        for attempt, (number, verdict) in enumerate(
            [(0, "accept"), (1, "again"), (1, "accept"), (2, "accept"), (3, "accept")]
        ):
            yield from fly([box, spectra], snake_line(number), verdict)
            if attempt == 0:
                yield from bps.declare_stream(box, name="fly", collect=True)
                yield from bps.declare_stream(spectra, name="fly_fluorescence", collect=True)
            results.append(box.line_result.read())
            if verdict == "accept":
                yield from bps.collect(box, name="fly")
                yield from bps.collect(spectra, name="fly_fluorescence")

    taken.engine(run_of([box, spectra], inside))
    run, truth = taken.run, truth_of(ca)
    x = run.fly.read("x_mean")
    assert x.shape == (4, PULSES)
    # positions are those of the sample axis, whatever the interferometer shows at its zero
    rows = [0, 2, 3, 4]
    zero = float(devices.sample.x.zero.get())
    assert np.std(x + zero - truth["x_mean"][rows]) == pytest.approx(NOISE_UM * np.sqrt(1e-3 / DWELL_S), rel=0.2)
    for row in range(4):
        wanted = snake_line(row).first + snake_line(row).step * np.arange(PULSES)
        off = np.abs(run.fly.read("x_start")[row] - wanted)
        assert np.median(off) < 2 * NOISE_UM
        assert off.max() < SHAKES_UM
    gates_s = run.fly.gate_s()
    assert gates_s.mean() == pytest.approx(DWELL_S, rel=0.02)
    assert run.fly.unit("x_mean") == "um"
    assert run.fly.unit("incident_counts") == "counts"
    assert [one["capture_pulses_missed"]["value"] for one in results] == [0.0] * 5
    assert [one["capture_triggers_missed"]["value"] for one in results] == [0.0] * 5
    assert [one["capture_rows"]["value"] for one in results] == [1, 2, 3, 4, 5]
    triggers = run.fly.triggers("fluorescence")
    assert triggers.taken.all()
    frames, pulses = run.fly.taken_frames("fluorescence")
    assert len(pulses) == 4 * PULSES
    assert frames.shape == (4 * PULSES, 4, 4096)
    assert triggers.frame[1, 0] == 2 * PULSES


def test_what_cannot_be_is_refused_beforehand(devices: Any) -> None:
    box = devices.capture
    for line, sentence in (
        (FlyLine("fast", 0.0, 0.1, 10, 0.01), "cannot fly along 'fast'"),
        (FlyLine("x", 0.0, 20.0, 4, 0.01), "velocity of sample_fine_x 2000 um/s must not exceed 1000 um/s"),
        (FlyLine("x", 0.0, 0.1, 2000, 0.01), "way of a line along sample_x, with run-up 20"),
        (FlyLine("rotation", 355.0, 0.1, 100, 0.1), "must lie between -180 and 360 deg"),
        (FlyLine("", 0.0, 1e-6, 200_000, 1e-6), "run over its buffer of 100000"),
    ):
        with pytest.raises(ValueError, match=sentence):
            box.check_value(line)
    with pytest.raises(ValueError, match="sample_rotation"):
        box.channel_of(devices.ring)
    assert box.channel_of(devices.sample.x) == "x"
    with pytest.raises(ValueError, match="run over its buffer of 4096"):
        devices.fluorescence_triggered.check_value(FlyLine("x", 0.0, 0.001, 6000, 1e-4))
    seconds, _, size = box.forecast_line(snake_line(0))
    assert seconds == pytest.approx(PULSES * DWELL_S + 0.05, abs=0.02)
    assert size == 8 * PULSES * len(box.columns.get())


def test_pulses_by_the_clock_and_triggers_that_were_missed(
    devices: Any, ca: Channels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exposure of one and a half gates takes every second pulse; nothing moves."""
    import bluesky.plan_stubs as bps

    box, spectra = devices.capture, devices.fluorescence_triggered
    monkeypatch.setattr(spectra, "readout_s", 1e-6)
    monkeypatch.setattr(spectra, "exposure_s", lambda line: 1.5 * line.step)
    taken, places = Taken(), [ca.get(f"{X}.RBV")]

    def inside() -> Messages:
        yield from fly([box, spectra], FlyLine("", 0.0, DWELL_S, PULSES, 0.75 * DWELL_S))
        yield from bps.declare_stream(box, name="fly", collect=True)
        yield from bps.declare_stream(spectra, name="fly_fluorescence", collect=True)
        places.extend(box.line_result.read()[f"capture_{what}_missed"]["value"] for what in ("pulses", "triggers"))
        yield from bps.collect(box, name="fly")
        yield from bps.collect(spectra, name="fly_fluorescence")

    taken.engine(run_of([box, spectra], inside))
    table = taken.run.fly
    assert table.gate_s() == pytest.approx(0.75 * DWELL_S, abs=1e-9)
    assert np.diff(table.read("time_start")) == pytest.approx(DWELL_S, abs=1e-9)
    assert table.triggers("fluorescence").taken[0].tolist() == [True, False] * (PULSES // 2)
    assert places == [ca.get(f"{X}.RBV"), 0.0, PULSES / 2]


def test_a_line_out_of_reach_of_the_piezo_takes_the_coarse_axis_along(devices: Any, ca: Channels) -> None:
    import bluesky.plan_stubs as bps

    box, taken = devices.capture, Taken()
    far = FlyLine("x", 120.0, STEP, PULSES, DWELL_S)

    def inside() -> Messages:
        yield from fly([box], far)
        yield from bps.declare_stream(box, name="fly", collect=True)
        yield from bps.collect(box, name="fly")

    try:
        taken.engine(run_of([box], inside))
        wanted = far.first + STEP * np.arange(PULSES)
        off = np.abs(taken.run.fly.read("x_start")[0] - wanted)
        assert np.median(off) < 2 * NOISE_UM
        assert off.max() < SHAKES_UM
        assert ca.get("NANO:sample:coarse:x.RBV") == pytest.approx(0.1225, abs=0.002)
    finally:
        ca.put("NANO:sample:coarse:x", 0.0)


def two_lines(devices: Any, ca: Channels, taken: Taken, act: Callable[[], None]) -> Messages:
    """Take a line, and a slow one; act once, when the slow one has begun to give pulses."""
    import bluesky.plan_stubs as bps

    box, engaged = devices.capture, threading.Event()

    def strike() -> None:
        if engaged.wait(60):
            ca.wait("NANO:capture:Captured_RBV", lambda count: 0 < count < PULSES)
            act()

    def inside() -> Messages:
        threading.Thread(target=strike, daemon=True).start()
        yield from fly([box], snake_line(0))
        yield from bps.declare_stream(box, name="fly", collect=True)
        yield from bps.collect(box, name="fly")
        engaged.set()
        yield from fly([box], snake_line(1, SLOW_S))
        yield from bps.collect(box, name="fly")

    return run_of([box], inside)


def fails(devices: Any, ca: Channels, fault: Callable[[], None]) -> tuple[str, Taken]:
    """Take a line, and one to which something happens in its middle; return the sentence, and what was told."""
    from bluesky.utils import FailedStatus

    taken = Taken()
    with pytest.raises(FailedStatus) as failed:
        taken.engine(two_lines(devices, ca, taken, fault))
    return str(failed.value.__cause__), taken


def readable(taken: Taken, lines: int = 1) -> None:
    """See that the lines so far can be read, and no others are told of."""
    assert np.isfinite(taken.run.fly.read("x_mean")).tolist() == [[True] * PULSES] * lines


def test_a_stage_that_stops_is_told_with_where_it_stands(devices: Any, ca: Channels, tag: str) -> None:
    sentence, taken = fails(devices, ca, lambda: ca.put(f"{FAULT}stalled_axis", f"{tag}{X}"))
    assert "line of capture failed" in sentence
    assert f"of {PULSES} pulses are in the file; sample_fine_x stands at" in sentence
    readable(taken)


def test_a_box_that_is_unplugged_is_told_at_once(devices: Any, ca: Channels) -> None:
    sentence, taken = fails(devices, ca, lambda: ca.put(f"{FAULT}capture_unplugged", 1))
    assert "has lost its box" in sentence
    assert "sample_fine_x stands at" in sentence
    assert not devices.sample.fine.x.moving
    assert ca.get(f"{X}.RBV") > -PULSES * STEP / 2, "it was stopped in the line"
    readable(taken)
    ca.put(f"{FAULT}capture_unplugged", 0)


def test_a_buffer_that_runs_over_is_told(devices: Any, ca: Channels) -> None:
    sentence, taken = fails(devices, ca, lambda: ca.put(f"{FAULT}capture_overrun", 1))
    assert "the buffer of the box ran over" in sentence
    readable(taken)


def paused(devices: Any, ca: Channels) -> Taken:
    """Pause in the middle of a line, at once; nothing moves on then."""
    from bluesky.utils import RunEngineInterrupted

    taken = Taken()
    with pytest.raises(RunEngineInterrupted):
        taken.engine(two_lines(devices, ca, taken, taken.engine.request_pause))
    try:
        ca.wait("NANO:capture:State_RBV", lambda state: state == "Idle", as_string=True)
        ca.wait(f"{X}.DMOV", lambda there: there == 1)
        ca.wait(f"{X}.VELO", lambda velocity: velocity == 1000.0)
        assert abs(ca.get(f"{X}.RBV")) < PULSES * STEP / 2
    except BaseException:
        taken.engine.abort()
        raise
    return taken


def test_a_line_is_aborted_in_its_middle(devices: Any, ca: Channels) -> None:
    taken = paused(devices, ca)
    taken.engine.abort()
    readable(taken)


def test_a_line_that_was_paused_is_taken_anew(devices: Any, ca: Channels) -> None:
    taken = paused(devices, ca)
    taken.engine.resume()
    readable(taken, 2)
    run = taken.run
    assert run.exit_status == "success"
    x = run.fly.read("x_mean")
    assert x[0, 0] < x[0, -1]
    assert x[1, 0] > x[1, -1]


def test_the_gaps_follow_bragg_through_a_sweep(devices: Any, ca: Channels) -> None:
    """The harmonic stays on the energy: what the undulator gives is even over the sweep."""
    import bluesky.plan_stubs as bps

    box, sweep, energy = devices.capture, devices.energy_sweep, devices.energy
    taken = Taken()
    line = sweep.line(8318.0, 8348.0, 200, 0.2)  # slowly: what follows starts when the client sees Bragg start

    def inside() -> Messages:
        yield from bps.mv(energy, 8318.0)
        usual.extend(float(signal.get()) for signal in velocities)
        yield from fly([box, sweep], line)
        yield from bps.declare_stream(box, name="fly", collect=True)
        yield from bps.collect(box, name="fly")

    velocities = [devices.undulator.gap.velocity, devices.mono.crystal_gap.velocity, devices.mono.bragg.velocity]
    usual: list[float] = []
    for shutter in ("FE:shutter:", "NANO:shutter:"):
        ca.put(f"{shutter}command", "Open")
    taken.engine(run_of([box, sweep], inside))
    found = [devices.mono.energy_at(angle) for angle in taken.run.fly.read("bragg_mean")[0]]
    assert found[::199] == pytest.approx([8318.0, 8348.0], abs=0.02)
    truth = truth_of(ca)
    assert truth["flux"][0].min() > 0.9 * truth["flux"][0].max()
    assert [float(signal.get(use_monitor=False)) for signal in velocities] == usual
    assert devices.mono.feedback.is_on

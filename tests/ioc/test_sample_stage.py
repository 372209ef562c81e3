"""The sample arrives where it was sent, as the interferometer tells another client.

Over a dwell of whole periods of the vibration it tells where the simulated stage truly stands, within 0.1 nm.
"""

import math
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from whiteline.beamline.description import load
from whiteline.beamline.simulation import Simulated

LONG_S = 120
"""Time in which whatever is waited for has happened on any machine [s]."""

SPEED = 20.0
COARSE, FINE, METER = "NANO:sample:coarse:", "NANO:sample:fine:", "NANO:interferometer:"
STALL = "SIM:fault:stalled_axis"

ARRIVED_UM = 0.006
"""Within this the sample arrives after a coarse move: 5 nm, and what the noise of two dwells adds [µm]."""

BAND_UM = 0.015
"""Within this it arrives with the piezo alone [µm]."""


@pytest.fixture(scope="module")
def twin(simulate: Any) -> Simulated:
    still = ("walk_nm = 2.0, creep_nm_per_s = 5.0", "walk_nm = 0.0, creep_nm_per_s = 0.0")
    return simulate("nanoprobe", [still, ("drift_urad_per_h = 0.5", "drift_urad_per_h = 0.0")], speed=SPEED)


def settings_of(axes: Any) -> dict[str, Any]:
    """Return what a stage is told of its axes, as the description has it."""
    from whiteline.devices.motor import AxisSettings

    return {
        name: AxisSettings(axis.pv, axis.low, axis.high, axis.tolerance)
        for name, axis in ((name, getattr(axes, name)) for name in "xyz")
    }


@pytest.fixture(scope="module")
def build(twin: Simulated, keep: Callable[[Any], Any], tag: str) -> Callable[..., Any]:
    """Build the sample stage of a description, or one that differs from it."""
    from whiteline.devices.motor import AxisSettings
    from whiteline.devices.sample_stage import SampleStage

    stages = load("nanoprobe").sample

    def tagged(settings: AxisSettings) -> AxisSettings:
        return AxisSettings(f"{tag}{settings.pv}", settings.low, settings.high, settings.tolerance)

    def one(name: str = "sample", **differing: Any) -> Any:
        meter, rotation = stages.interferometer, stages.rotation
        assert meter is not None
        assert rotation is not None
        given = {
            "coarse": {axis: tagged(one) for axis, one in settings_of(stages.coarse).items()},
            "fine": {axis: tagged(one) for axis, one in settings_of(stages.fine).items()},
            "rotation": tagged(AxisSettings(rotation.pv, rotation.low, rotation.high)),
            "interferometer": {"prefix": tag + meter.prefix, "channels": meter.channels, "rate_Hz": meter.rate_Hz},
            "out_mm": stages.out_mm,
            "out_rotation_deg": 90.0,
        }
        return keep(SampleStage(name=name, **given | differing))

    return one


@pytest.fixture(scope="module")
def stage(build: Any) -> Any:
    return build()


@pytest.fixture
def home(ca: Any) -> Iterator[None]:
    """Start and end where the twin stood at first."""

    def there() -> None:
        ca.put(STALL, "")
        ca.put(f"{COARSE}x.VELO", 5.0)
        ca.together({f"{prefix}{axis}": 0.0 for prefix in (COARSE, FINE) for axis in "xyz"})

    there()
    yield
    there()


def seen_um(ca: Any, axis: str = "x", dwell_s: float = 1.0) -> float:
    """Return where the interferometer sees the sample over a long dwell [µm], asked by another client."""
    before = ca.get(f"{METER}dwell")
    ca.put(f"{METER}dwell", dwell_s)
    ca.put(f"{METER}acquire", 1)
    ca.put(f"{METER}dwell", before)
    return float(ca.get(f"{METER}{'xyz'.index(axis) + 1}:mean"))


def failure(status: Any) -> Exception:
    error = status.exception(timeout=LONG_S)
    assert error is not None
    assert str(error).count("\n") == 0
    return error


class Watcher:
    """Every position that the interferometer, and every one that a piezo, has shown."""

    def __init__(self, ca: Any, axis: str = "x") -> None:
        self.seen: list[float] = []
        self.fine: list[float] = []
        self._channels = ca(f"{METER}{'xyz'.index(axis) + 1}:position"), ca(f"{FINE}{axis}.RBV")

    def __enter__(self) -> "Watcher":
        sinks = self.seen, self.fine
        self._tokens = [
            channel.add_callback(lambda value, sink=sink, **_: sink.append(value))
            for channel, sink in zip(self._channels, sinks, strict=True)
        ]
        return self

    def __exit__(self, *_: Any) -> None:
        for channel, token in zip(self._channels, self._tokens, strict=True):
            channel.remove_callback(token)


def test_a_dwell_gives_mean_and_noise_of_that_very_dwell(ca: Any, stage: Any, home: None) -> None:
    meter = stage.interferometer
    meter.dwell.set(1.0).wait(LONG_S)  # whole periods of both vibrations: they average out
    for target in (3.0, -7.5, 20.0):
        ca.put(f"{FINE}y", target)
        meter.trigger().wait(LONG_S)
        reading = meter.read()
        # 1000 readings of 0.5 nm
        assert reading["sample_interferometer_y_mean"]["value"] == pytest.approx(target, abs=2e-4)
        # 3 nm of vibration and 0.5 nm of noise make 3.04 nm
        assert reading["sample_interferometer_y_rms"]["value"] == pytest.approx(0.00304, abs=2e-4)
    assert meter.read_configuration()["sample_interferometer_dwell"]["value"] == 1.0
    assert meter.describe()["sample_interferometer_y_rms"]["units"] == "um"
    meter.dwell.set(0.05).wait(LONG_S)


def test_two_axes_of_a_point_share_a_dwell_and_the_next_point_has_its_own(
    ca: Any, stage: Any, home: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from whiteline.devices import interferometer

    meter = stage.interferometer
    meter.dwell.set(20.0).wait(LONG_S)  # a second of wall time
    monkeypatch.setattr(interferometer, "TOGETHER_S", LONG_S)  # however slow the machine is
    first = meter.trigger()
    assert meter.trigger() is first
    monkeypatch.setattr(interferometer, "TOGETHER_S", 0.0)  # as if it came later
    second = meter.trigger()
    assert second is not first
    ca.put(f"{FINE}y", 1.0)
    first.wait(LONG_S)
    second.wait(LONG_S)
    # the second began after the first, whose dwell had not ended when the piezo moved
    assert meter.y.mean.get() == pytest.approx(1.0, abs=BAND_UM)
    meter.dwell.set(0.05).wait(LONG_S)


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf])
def test_a_dwell_that_is_none_is_refused_before_it_is_put(ca: Any, stage: Any, wrong: float) -> None:
    before = ca.get(f"{METER}dwell")
    with pytest.raises(ValueError, match=r"sample_interferometer_dwell .* s must be a finite number above 0"):
        stage.interferometer.dwell.set(wrong)
    assert ca.get(f"{METER}dwell") == before


def test_a_piezo_arrives_on_the_interferometer(ca: Any, stage: Any, home: None) -> None:
    start = seen_um(ca, "y")
    for target in (10.0, 10.02, -30.0):
        stage.fine.y.set(target).wait(LONG_S)
        assert seen_um(ca, "y") - start == pytest.approx(target, abs=1e-3)


def test_a_piezo_that_shakes_has_not_arrived_although_its_record_is_done(ca: Any, stage: Any, home: None) -> None:
    from whiteline.devices.errors import Overdue

    y = stage.fine.y
    y.set(1.0).wait(LONG_S)
    y.band.put(1e-4)  # 0.1 nm, less than the 3 nm by which the stage shakes
    try:
        error = failure(y.set(2.0))
        assert isinstance(error, Overdue)
        assert all(part in str(error) for part in ("sample_fine_y", "interferometer:2:position", "0.0002 um", "shake"))
        assert ca.get(f"{FINE}y.RBV") == pytest.approx(1.0)
    finally:
        y.band.put(BAND_UM)
    y.set(2.0).wait(LONG_S)


def test_a_piezo_beside_which_something_else_moves_has_not_arrived(ca: Any, stage: Any, home: None) -> None:
    from whiteline.devices.errors import DeviceError

    y, moved = stage.fine.y, threading.Event()
    y.set(0.0).wait(LONG_S)
    ca.put(f"{FINE}y.DLY", 10.0)  # half a second of wall time, in which the coarse axis moves by 1 um

    def push(value: float, **_: Any) -> None:
        if value > 4.9 and not moved.is_set():
            moved.set()
            ca.start(f"{COARSE}y", 0.001)

    token = y.user_readback.subscribe(push, run=False)
    try:
        error = failure(y.set(5.0))
    finally:
        y.user_readback.unsubscribe(token)
        ca.put(f"{FINE}y.DLY", 0.005)
    assert moved.is_set()
    assert isinstance(error, DeviceError)
    text = str(error)
    assert "sample_fine_y waited" in text
    assert "to stay within 0.015 um of" in text
    seen = float(re.search(r"with the axis at 5 um; it reads ([\d.]+) um", text)[1])  # type: ignore[index]
    assert seen == pytest.approx(6.0, abs=0.5)  # the coarse axis lands within 50 nm


def test_a_target_within_the_fine_range_moves_the_piezo_alone(ca: Any, stage: Any, home: None) -> None:
    x = stage.x
    x.take_zero().wait(LONG_S)
    zero, moves = x.zero.get(), []
    stage.coarse.x.user_setpoint.subscribe(lambda value, **_: moves.append(value), run=False)
    for target in (5.0, 5.1, -40.0, 44.0, 0.0):
        expected = x.preview(target)
        x.set(target).wait(LONG_S)
        assert seen_um(ca) - zero == pytest.approx(target, abs=BAND_UM)
        assert x.position == pytest.approx(target, abs=BAND_UM)
        assert x.fine_axis.position == pytest.approx(expected["sample_fine_x"], abs=BAND_UM)
        assert expected["sample_coarse_x"] == 0.0
    assert set(moves) <= {0.0}


def test_a_target_beyond_the_fine_range_is_reached_within_nanometres(ca: Any, stage: Any, home: None) -> None:
    x = stage.x
    x.take_zero().wait(LONG_S)
    zero = x.zero.get()
    for target in (60.0, 130.0, -75.0, 1000.0, 5.0):
        expected = x.preview(target)
        x.set(target).wait(LONG_S)
        assert seen_um(ca) - zero == pytest.approx(target, abs=ARRIVED_UM)
        # the piezo has taken up where the coarse stage, which says that it is right, has landed beside
        assert x.coarse_axis.position == pytest.approx(expected["sample_coarse_x"], abs=1e-5)
        assert abs(x.fine_axis.position) < 1.0


def test_a_move_after_somebody_moved_the_coarse_stage_arrives(ca: Any, stage: Any, home: None) -> None:
    x = stage.x
    x.take_zero().wait(LONG_S)
    for coarse in (0.01, -0.02, 0.0):
        stage.coarse.x.set(coarse).wait(LONG_S)
        x.set(3.0).wait(LONG_S)
        assert seen_um(ca) - x.zero.get() == pytest.approx(3.0, abs=BAND_UM)


@pytest.mark.parametrize("excess", [44.0, -37.3])
def test_a_hand_over_leaves_the_sample_where_it_is(ca: Any, stage: Any, home: None, excess: float) -> None:
    x = stage.x
    x.take_zero().wait(LONG_S)
    x.set(excess).wait(LONG_S)
    before = seen_um(ca)
    with Watcher(ca) as watcher:
        x.recentre().wait(LONG_S)
    assert seen_um(ca) == pytest.approx(before, abs=ARRIVED_UM)
    assert abs(x.fine_axis.position) < 1.0
    assert x.coarse_axis.position == pytest.approx(1e-3 * excess, abs=1e-3)
    # half a step of 2 um, six times the landing error of 50 nm, and the vibration
    assert watcher.seen
    assert max(abs(position - before) for position in watcher.seen) < 1.0 + 6 * 0.05 + BAND_UM
    assert all(-50.0 <= position <= 50.0 for position in watcher.fine)
    assert min(watcher.fine) < 0.4 * excess < max(watcher.fine) or max(watcher.fine) > 0.4 * excess > min(watcher.fine)
    x.recentre().wait(LONG_S)  # there is nothing left to hand over
    assert seen_um(ca) == pytest.approx(before, abs=2 * ARRIVED_UM)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, 10001.0, -20000.0])
def test_what_cannot_be_is_refused_before_anything_moves(ca: Any, stage: Any, home: None, wrong: float) -> None:
    from whiteline.analysis.checks import OutOfRange

    for ask in (stage.x.check_value, stage.x.preview, stage.x.set):
        with pytest.raises(OutOfRange, match=r"sample_x .* um must") as caught:
            ask(wrong)
        assert "\n" not in str(caught.value)
    assert stage.x.limits == (-10000.0, 10000.0)
    assert ca.get(f"{COARSE}x") == ca.get(f"{FINE}x") == 0.0


def leaves(axis: Any) -> threading.Event:
    """Return what is set when an axis has left its place."""
    here, left = axis.position, threading.Event()
    axis.readback_signal.subscribe(lambda value, **_: abs(value - here) > 1e-3 and left.set(), run=False)
    return left


def test_stopped_it_says_where_and_the_next_call_arrives(ca: Any, stage: Any, home: None) -> None:
    from whiteline.devices.errors import Stopped

    x = stage.x
    x.take_zero().wait(LONG_S)
    ca.put(f"{COARSE}x.VELO", 0.05)  # 1 mm/s of wall time
    left = leaves(stage.coarse.x)
    status = x.set(9000.0)
    assert left.wait(LONG_S)
    x.stop()
    error = failure(status)
    assert isinstance(error, Stopped)
    assert "sample_x was stopped before it arrived" in str(error)
    assert "sample_coarse_x at" in str(error)
    assert ca.get(f"{COARSE}x.RBV") < 8.9
    ca.put(f"{COARSE}x.VELO", 5.0)
    x.set(-60.0).wait(LONG_S)
    assert seen_um(ca) - x.zero.get() == pytest.approx(-60.0, abs=ARRIVED_UM)


def test_a_pause_of_a_plan_is_no_failure(ca: Any, stage: Any, home: None) -> None:
    x = stage.x
    ca.put(f"{COARSE}x.VELO", 0.05)
    left = leaves(stage.coarse.x)
    status = x.set(9000.0)
    assert left.wait(LONG_S)
    x.stop(success=True)
    status.wait(LONG_S)
    ca.put(f"{COARSE}x.VELO", 5.0)
    x.set(0.0).wait(LONG_S)


@pytest.mark.parametrize("part", ["coarse", "fine"])
def test_a_part_that_fails_is_named_and_the_next_call_arrives(
    ca: Any, stage: Any, home: None, tag: str, part: str
) -> None:
    from whiteline.devices.errors import MoveFailed

    x = stage.x
    x.take_zero().wait(LONG_S)
    x.set(30.0).wait(LONG_S)
    ca.put(STALL, f"{tag}{COARSE if part == 'coarse' else FINE}x")
    error = failure(x.set(200.0))
    assert isinstance(error, MoveFailed)
    text = str(error)
    assert text.startswith("sample_x did not arrive at 200 um: ")
    assert f"sample_{part}_x" in text
    other = "fine" if part == "coarse" else "coarse"
    assert f"besides, sample_{other}_x at " in text
    ca.put(STALL, "")
    x.set(200.0).wait(LONG_S)
    assert seen_um(ca) - x.zero.get() == pytest.approx(200.0, abs=ARRIVED_UM)


def test_an_interferometer_that_lost_its_count_is_noticed_before_anything_moves(
    ca: Any, stage: Any, home: None
) -> None:
    from whiteline.devices.errors import DeviceError

    x = stage.x
    x.take_zero().wait(LONG_S)
    x.zero.put(x.zero.get() + 7.0)
    error = failure(x.set(10.0))
    assert isinstance(error, DeviceError)
    assert "sample_x: interferometer and encoders differ by -7 um, more than 5 um" in str(error)
    assert ca.get(f"{FINE}x.RBV") == 0.0
    x.take_zero().wait(LONG_S)
    x.set(10.0).wait(LONG_S)


def test_a_scan_records_where_the_sample_truly_was(ca: Any, stage: Any, home: None) -> None:
    from bluesky import RunEngine
    from bluesky import plans as bp
    from bluesky.protocols import Movable, Readable, Triggerable

    x = stage.x
    for protocol in (Movable, Readable, Triggerable):
        assert isinstance(x, protocol)
    assert x.hints == {"fields": ["sample_x"]}
    stage.interferometer.dwell.set(0.5).wait(LONG_S)
    documents: list[tuple[str, Any]] = []
    RunEngine({})(bp.scan([], x, -5, 5, 11), lambda name, document: documents.append((name, document)))
    stage.interferometer.dwell.set(0.05).wait(LONG_S)
    [described] = [one for name, one in documents if name == "descriptor"]
    keys = described["data_keys"]
    units = {name: keys[name].get("units") for name in keys}
    assert units == {
        "sample_x": "um",
        "sample_x_setpoint": "um",
        "sample_x_fine": "um",
        "sample_x_coarse": "mm",
        "sample_x_mean": "um",
        "sample_x_rms": "um",
    }
    points = [one["data"] for name, one in documents if name == "event"]
    assert [point["sample_x_setpoint"] for point in points] == [float(value) for value in range(-5, 6)]
    for point in points:
        # means of dwells, each of that very point
        assert point["sample_x_mean"] == pytest.approx(point["sample_x_setpoint"], abs=BAND_UM)
        assert point["sample_x"] == pytest.approx(point["sample_x_mean"], abs=BAND_UM)
        assert point["sample_x_rms"] == pytest.approx(0.00304, abs=3e-4)
        assert point["sample_x_coarse"] == 0.0


def test_out_it_is_turned_first_and_back_it_is_moved_first(ca: Any, stage: Any, home: None) -> None:
    stage.x.take_zero().wait(LONG_S)
    back, out = stage.in_steps(), stage.out_steps()
    assert [(axis.name, position) for axis, position in out] == [("sample_rotation", 90.0), ("sample_coarse_x", 5.0)]
    assert [axis.name for axis, _ in back] == ["sample_coarse_x", "sample_rotation", "sample_x"]
    assert [position for _, position in back] == pytest.approx([0.0, 0.0, 0.0], abs=BAND_UM)
    assert ca.get(f"{COARSE}x.RBV") == 0.0
    before = seen_um(ca)
    for axis, position in out + back:
        axis.set(position).wait(LONG_S)
    assert ca.get("NANO:sample:rotation.RBV") == pytest.approx(0.0, abs=1e-3)
    assert seen_um(ca) == pytest.approx(before, abs=2 * BAND_UM)
    configuration = stage.read_configuration()
    assert configuration["sample_out"]["value"] == 5.0
    assert configuration["sample_out_rotation"]["value"] == 90.0


def test_without_interferometer_and_rotation_encoders_have_the_word(ca: Any, build: Any, home: None) -> None:
    bare = build("bare", interferometer=None, rotation=None, out_rotation_deg=None)
    assert bare.interferometer is None
    assert bare.rotation is None
    x = bare.x
    for target in (5.0, 80.0, -3.0):
        x.set(target).wait(LONG_S)
        assert 1e3 * ca.get(f"{COARSE}x.RBV") + ca.get(f"{FINE}x.RBV") == pytest.approx(target, abs=1e-4)
    x.recentre().wait(LONG_S)
    assert x.position == pytest.approx(-3.0, abs=1e-3)
    assert x.fine_axis.position == pytest.approx(0.0, abs=1e-3)
    assert "bare_x_rms" not in x.read()
    x.trigger().wait(LONG_S)
    assert [axis.name for axis, _ in bare.out_steps()] == ["bare_coarse_x"]
    assert [axis.name for axis, _ in bare.in_steps()] == ["bare_coarse_x", "bare_x"]


def test_an_interferometer_of_some_axes_is_asked_for_those_only(ca: Any, build: Any, tag: str, home: None) -> None:
    stage = build("some", interferometer={"prefix": f"{tag}{METER}", "channels": {"y": 2}})
    assert stage.interferometer.x is None
    assert stage.x.channel is None
    stage.y.set(60.0).wait(LONG_S)
    assert seen_um(ca, "y") - stage.y.zero.get() == pytest.approx(60.0, abs=ARRIVED_UM)
    assert "some_y_rms" in stage.y.read()


def test_all_that_waits_fails_at_once_when_the_ioc_is_lost(ca: Any, stage: Any, twin: Simulated, home: None) -> None:
    from whiteline.devices.errors import Lost

    stage.interferometer.dwell.set(100.0).wait(LONG_S)  # five seconds of wall time
    stage.y.set(1.0).wait(LONG_S)
    ca.put(f"{COARSE}x.VELO", 0.05)
    left = leaves(stage.coarse.x)
    moving, dwelling = stage.x.set(9000.0), stage.interferometer.trigger()
    assert left.wait(LONG_S)
    twin.kill("beamline")
    for status in (moving, dwelling):
        error = failure(status)
        assert isinstance(error, Lost)
        assert "its IOC has gone" in str(error)
    with pytest.raises(Lost, match="its IOC has gone"):
        stage.x.set(1.0)
    twin.start("beamline")
    stage.wait_for_connection(timeout=LONG_S)
    stage.x.set(2.0).wait(LONG_S)

"""The records of the simulated TXM, by stock classes of ophyd and by plain channels, against what physics says."""

import math
import threading
from dataclasses import replace

import numpy as np
import pytest

from whiteline.analysis import tables
from whiteline.beamline.simulation import Simulated
from whiteline.beamline.simulation.listing import process_variables


@pytest.fixture(scope="module")
def twin(simulate) -> Simulated:  # type: ignore[no-untyped-def]
    """The TXM, with amplifiers that can be overloaded, and a sample that creeps and does not walk."""
    return simulate("txm", [("1e8, 1e9]", "1e8, 1e9, 1e11]"), ("walk_nm = 2.0", "walk_nm = 0.0")], speed=20.0)


@pytest.fixture(scope="module")
def lit(twin: Simulated, ca):  # type: ignore[no-untyped-def]
    """Counts of a channel of the scaler with the shutters open, after a count of 1 s."""
    for prefix in ("FE:shutter:", "TXM:shutter:"):
        ca.put(f"{prefix}command", "Open")
    for number, gain in ((1, "1e6 V/A"), (2, "1e4 V/A")):
        ca.put(f"TXM:amplifier:{number}:gain", gain)

    def count(channel: int) -> float:
        ca.put("TXM:scaler.TP", 1.0)
        ca.put("TXM:scaler.CNT", 1)
        return float(ca.get(f"TXM:scaler.S{channel}"))

    return count


def test_every_listed_variable_is_served_with_its_type_and_unit(twin: Simulated, ca, tag: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    kinds = {
        "DOUBLE": "double",
        "FLOAT": "float",
        "LONG": "long",
        "ENUM": "enum",
        "STRING": "string",
        "CHAR": "char",
        "INT": "short",
    }
    listed = [replace(one, name=one.name.removeprefix(tag)) for one in process_variables(twin.beamline, tmp_path)]
    assert len(listed) > 150
    assert len({one.name for one in listed}) == len(listed)
    ca.connect([one.name for one in listed])
    wrong = []
    for one in listed:
        channel = ca(one.name)
        if channel.type.removeprefix("time_").removeprefix("ctrl_") != kinds[one.kind]:
            wrong.append((one, channel.type))
        if one.unit and channel.get_ctrlvars(timeout=30)["units"] != one.unit:
            wrong.append((one, channel.units))
    assert not wrong


def test_every_axis_of_the_description_is_a_motor_with_its_unit_and_limits(twin: Simulated, keep) -> None:  # type: ignore[no-untyped-def]
    from ophyd import EpicsMotor

    for path, axis in twin.beamline.axes().items():
        if path == "undulator.gap":
            continue
        motor = keep(EpicsMotor(axis.pv, name=path.replace(".", "_")))
        assert motor.egu == axis.unit, path
        assert motor.limits == pytest.approx((axis.low, axis.high)), path
        assert motor.velocity.get() == pytest.approx(axis.velocity), path
        assert motor.acceleration.get() == pytest.approx(axis.acceleration_s), path
        assert motor.precision == axis.precision, path
        with pytest.raises(ValueError, match="outside of range"):
            motor.check_value(axis.high + 1)


@pytest.fixture
def gap(twin: Simulated, tag: str, keep):  # type: ignore[no-untyped-def]
    from stock_devices import UndulatorGap

    made = keep(UndulatorGap(f"{tag}ID:gap", name="gap"))
    tuned = made.position
    yield made
    made.set(tuned).wait(timeout=30)


def test_a_stock_positioner_moves_the_undulator(gap, ca) -> None:  # type: ignore[no-untyped-def]
    for target in (5.2, 5.2, 5.05):
        gap.set(target).wait(timeout=30)
        assert gap.position == pytest.approx(target)
        assert ca.get("ID:gap:busy") == 0


def test_an_undulator_is_stopped_where_it_is(gap, ca) -> None:  # type: ignore[no-untyped-def]
    gap.set(5.0).wait(timeout=30)
    status = gap.set(29.0)  # 12 s of wall time
    ca.wait("ID:gap:readback", lambda value: value > 5.2)
    gap.stop()
    ca.wait("ID:gap:busy", lambda value: value == 0)
    stands = ca.get("ID:gap:readback")
    assert 5.2 < stands < 29.0
    ended = threading.Event()
    status.add_callback(lambda _: ended.set())  # its own monitor may come after that of this test
    assert ended.wait(30)


def test_a_gap_that_is_stopped_and_started_again_arrives(gap, ca) -> None:  # type: ignore[no-untyped-def]
    """The second start comes before the first move has ended: it is not lost."""
    ca.put("ID:gap:set", 29.0)
    ca.start("ID:gap:start", 1)
    ca.wait("ID:gap:busy", lambda value: value == 1)
    ca.start("ID:gap:stop", 1)
    ca.put("ID:gap:set", 5.3)
    ca.put("ID:gap:start", 1)
    assert ca.get("ID:gap:readback") == pytest.approx(5.3)
    assert ca.get("ID:gap:busy") == 0


@pytest.mark.parametrize("value", [4.1, 30.1, float("nan")])
def test_a_gap_outside_its_limits_is_refused(ca, value: float) -> None:  # type: ignore[no-untyped-def]
    before = ca.get("ID:gap:set")
    ca("ID:gap:set").put(value, wait=True, timeout=30)
    assert ca.get("ID:gap:set") == before


def test_a_stock_scaler_counts_for_its_preset_time(twin: Simulated, lit, tag: str, keep) -> None:  # type: ignore[no-untyped-def]
    from ophyd.scaler import EpicsScaler

    scaler = keep(EpicsScaler(f"{tag}TXM:scaler", name="scaler"))
    counts = []
    for dwell in (0.5, 2.0):
        scaler.preset_time.set(dwell).wait(timeout=30)
        scaler.trigger().wait(timeout=30)
        assert scaler.channels.chan1.get() == round(dwell * 1e7)
        assert scaler.time.get() == pytest.approx(dwell)
        counts.append(scaler.channels.chan2.get(use_monitor=False))
    assert counts[1] / counts[0] == pytest.approx(4.0, rel=0.05)
    assert scaler.names.name2.get() == "incident"


def test_a_count_that_is_ended_tells_what_there_is_and_the_next_one_counts(lit, ca) -> None:  # type: ignore[no-untyped-def]
    whole = lit(2)
    ca.put("TXM:scaler.TP", 1000.0)
    ca.start("TXM:scaler.CNT", 1)
    ca.wait("TXM:scaler.CNT", lambda value: value == 1)
    ca.start("TXM:scaler.CNT", 0)
    ca.wait("TXM:scaler.CNT", lambda value: value == 0)
    ended = ca.get("TXM:scaler.T")
    assert 0 < ended < 1000
    assert ca.get("TXM:scaler.S1") == round(ended * 1e7)
    assert ca.get("TXM:scaler.S2") == pytest.approx(whole * ended, rel=0.1, abs=2)
    # both at once, before the count could begin
    for value in (1, 0):
        ca.start("TXM:scaler.CNT", value)
    assert lit(2) == pytest.approx(whole, rel=0.05)
    assert ca.get("TXM:scaler.T") == 1.0


def test_the_sample_creeps_after_a_move_whether_frames_are_taken_or_not(ca) -> None:  # type: ignore[no-untyped-def]
    """After a move of more than 1 µm it creeps by 5 nm/s × 20 s in a random direction, within some times 20 s."""
    before = np.array([ca.get(f"SIM:truth:drift_{axis}") for axis in "xy"])
    now = ca.get("SIM:truth:time")
    ca.put("TXM:sample:coarse:x", 0.1)
    ca.wait("SIM:truth:time", lambda value: value > now + 120)
    crept = np.array([ca.get(f"SIM:truth:drift_{axis}") for axis in "xy"]) - before
    assert np.hypot(*crept) == pytest.approx(100, rel=0.02)
    ca.put("TXM:sample:coarse:x", 0.0)


def test_a_gain_multiplies_the_counts_until_the_amplifier_is_overloaded(lit, ca) -> None:  # type: ignore[no-untyped-def]
    ca.put("TXM:amplifier:1:gain", "1e5 V/A")
    low = lit(2)
    ca.put("TXM:amplifier:1:gain", "1e6 V/A")
    assert ca.get("TXM:amplifier:1:gain:value") == 1e6
    assert lit(2) == pytest.approx(10 * low, rel=0.05)
    assert ca.get("TXM:amplifier:1:overload", as_string=True) == "No"
    ca.put("TXM:amplifier:1:gain", "1e11 V/A")
    assert lit(2) == pytest.approx(1e6, rel=1e-3)  # 10 V at 1e5 Hz/V
    assert ca.get("TXM:amplifier:1:overload", as_string=True) == "Yes"
    ca.put("TXM:amplifier:1:gain", "1e6 V/A")


def test_a_filter_weakens_the_beam_by_its_thickness(lit, ca) -> None:  # type: ignore[no-untyped-def]
    bright = lit(2)
    assert ca.get("TXM:filters:2:name") == "Al 100"
    ca.put("TXM:filters:2:insert", "In")
    assert ca.get("TXM:filters:2:status", as_string=True) == "In"
    energy = ca.wait("SIM:truth:energy", lambda value: value > 1000)
    assert lit(2) / bright == pytest.approx(math.exp(-100 * tables.absorption("Al", 2.70, energy)), rel=0.03)
    ca.put("TXM:filters:2:insert", "Out")
    assert lit(2) == pytest.approx(bright, rel=0.03)


def test_the_reference_chamber_sees_the_foil_that_is_chosen(lit, ca) -> None:  # type: ignore[no-untyped-def]
    clear = lit(3)
    ca.put("TXM:foils", "Cu")
    assert ca.get("TXM:foils:readback", as_string=True) == "Cu"
    energy = ca.wait("SIM:truth:energy", lambda value: value > 1000)
    assert lit(3) / clear == pytest.approx(math.exp(-6 * tables.absorption("Cu", 8.96, energy)), rel=0.05)
    ca.put("TXM:foils", "None")


def test_the_interferometer_sees_the_stage_and_its_vibration(ca) -> None:  # type: ignore[no-untyped-def]
    ca.put("TXM:interferometer:dwell", 1.0)
    ca.put("TXM:interferometer:acquire", 1)
    start = ca.get("TXM:interferometer:1:mean")
    ca.put("TXM:sample:fine:x", 1.5)
    ca.put("TXM:interferometer:acquire", 1)
    assert ca.get("TXM:interferometer:1:mean") - start == pytest.approx(1.5, abs=1e-3)
    assert ca.get("TXM:interferometer:1:rms") == pytest.approx(math.hypot(3e-3, 0.5e-3), rel=0.1)
    seen = [ca.wait("TXM:interferometer:2:position", lambda value: True) for _ in range(3)]
    assert np.std(seen) < 0.02
    ca.put("TXM:sample:fine:x", 0.0)


@pytest.mark.parametrize(
    ("pv", "value"),
    [
        ("TXM:interferometer:dwell", 0.0),
        ("TXM:interferometer:rate", 1e6),
        ("TXM:interferometer:rate", 1e-4),
        ("TXM:scaler.FREQ", float("inf")),
        ("TXM:scaler.DLY", float("nan")),
        ("SIM:truth:x:points", 10**6),
        ("TXM:scaler.TP", -1.0),
        ("TXM:scaler.TP", float("nan")),
        ("SIM:fault:dropped_frames", -1),
        ("SIM:machine:fault:beam_dump", float("inf")),
    ],
)
def test_what_makes_no_sense_is_refused_and_seen(ca, pv: str, value: float) -> None:  # type: ignore[no-untyped-def]
    before = ca.get(pv)
    ca(pv).put(value, wait=True, timeout=30)
    assert ca.get(pv) == before


def test_the_bragg_axis_has_a_noisy_encoder(ca) -> None:  # type: ignore[no-untyped-def]
    """0.05 µrad are 3e-6 deg: the readback differs from its target, and by no more than that noise allows."""
    target = ca.get("MONO:bragg.VAL")
    away = []
    for step in range(12):
        ca.put("MONO:bragg", target + 1e-3 * (step % 2))
        away.append(ca.get("MONO:bragg.RBV") - ca.get("MONO:bragg.VAL"))
    assert 0 < np.std(away) < 6 * np.degrees(0.05e-6)
    ca.put("MONO:bragg", target)


def test_a_pitch_that_is_off_costs_flux_and_the_feedback_brings_it_back(lit, ca) -> None:  # type: ignore[no-untyped-def]
    bright = lit(2)
    ca.put("MONO:feedback:enable", "Off")
    ca.put("MONO:pitch", 40.0)
    assert lit(2) < 0.7 * bright
    ca.put("MONO:feedback:enable", "On")
    ca.wait("MONO:feedback:correction", lambda value: value < -39.9)
    assert lit(2) == pytest.approx(bright, rel=0.05)
    ca.put("MONO:pitch", 0.0)
    ca.wait("MONO:feedback:correction", lambda value: abs(value) < 0.1)


def test_crystals_that_are_far_off_give_dark_frames(twin: Simulated, ca, camera_of) -> None:  # type: ignore[no-untyped-def]
    camera = camera_of(twin)
    camera.open()
    assert camera.frames(1).mean() > 300
    ca.put("MONO:feedback:enable", "Off")
    ca.put("MONO:pitch", 500.0)
    assert camera.frames(1).mean() == pytest.approx(100, abs=3)
    ca.put("MONO:pitch", 0.0)
    ca.put("MONO:feedback:enable", "On")
    assert camera.frames(1).mean() > 300

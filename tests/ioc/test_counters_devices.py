"""The scaler with its ion chambers: each reading is of its own point, and nothing in it is made up."""

import math

import numpy as np
import pytest

from whiteline.beamline.simulation import Simulated

LONG_S = 60
GAINS = {"incident": 1e6, "reference": 1e4}


@pytest.fixture(scope="module")
def twin(simulate, ca) -> Simulated:  # type: ignore[no-untyped-def]
    twin = simulate("txm", speed=20.0)
    for prefix in ("FE:shutter:", "TXM:shutter:"):
        ca.put(f"{prefix}command", "Open")
    ca.put("TXM:scaler.CNT", 1)  # the first count waits until cross sections are loaded
    return twin


@pytest.fixture(scope="module")
def make(twin: Simulated, keep):  # type: ignore[no-untyped-def]
    """Make a scaler as the description has it, but for the gains of its amplifiers if others are given."""
    from whiteline.devices.ion_chamber import ChamberSettings
    from whiteline.devices.scaler import Scaler

    def one(gains=None, name="counters"):  # type: ignore[no-untyped-def]
        table = twin.beamline.counters
        channels = {
            key: ChamberSettings(each.number, each.amplifier, tuple(gains or each.gains_V_per_A), each.absorbed)
            for key, each in table.channels.items()
        }
        how = {"channels": channels, "hz_per_V": table.hz_per_V, "largest_V": table.largest_V}
        return keep(Scaler(table.prefix, name=name, **how))

    return one


@pytest.fixture(scope="module")
def counters(make):  # type: ignore[no-untyped-def]
    return make()


@pytest.fixture(autouse=True)
def _as_it_was(counters) -> None:  # type: ignore[no-untyped-def]
    none = {name: [math.nan] * len(chamber.amplifier.gains) for name, chamber in counters.chambers.items()}
    counters.change({"dwell": 0.5, "gains": GAINS, "dark_rates": none}).wait(LONG_S)


def counted(counters) -> dict[str, float]:  # type: ignore[no-untyped-def]
    counters.trigger().wait(LONG_S)
    return {key.removeprefix("counters_"): one["value"] for key, one in counters.read().items()}


def test_every_reading_is_of_its_own_count(ca, counters, seed: int) -> None:  # type: ignore[no-untyped-def]
    """The completion of a count may come before the monitors of what it gave: those are of the count before."""
    rng = np.random.default_rng(seed)
    for dwell in rng.uniform(0.005, 0.05, 40):
        counters.dwell.set(float(dwell)).wait(LONG_S)
        found = counted(counters)
        assert found["time"] == pytest.approx(dwell, rel=1e-6)
        assert found["incident_counts"] == ca.get("TXM:scaler.S2") > 0
        assert found["reference_counts"] == ca.get("TXM:scaler.S3")
        assert found["incident_counts"] / dwell == pytest.approx(ca.get("TXM:scaler.S2") / ca.get("TXM:scaler.T"))


def test_without_a_dark_rate_of_this_gain_rate_and_current_are_missing(counters) -> None:  # type: ignore[no-untyped-def]
    found = counted(counters)
    assert found["incident_counts"] > 0
    assert math.isnan(found["incident_rate"])
    assert math.isnan(found["incident_current"])
    counters.incident.dark_rates.set({1e5: 7.0}).wait(LONG_S)
    assert math.isnan(counted(counters)["incident_rate"])
    counters.incident.dark_rates.set({1e6: 12.0}).wait(LONG_S)
    found = counted(counters)
    assert found["incident_rate"] == pytest.approx(found["incident_counts"] / 0.5 - 12.0)
    assert found["incident_current"] == pytest.approx(found["incident_rate"] / (1e5 * 1e6))
    assert math.isnan(found["reference_rate"])


def test_at_a_gain_that_the_description_does_not_know_they_are_missing_too(counters, make) -> None:  # type: ignore[no-untyped-def]
    other = make(gains=[1e8, 1e9], name="other")
    other.change({"dark_rates": {"incident": {1e8: 5.0, 1e9: 5.0}}}).wait(LONG_S)
    other.trigger().wait(LONG_S)
    found = other.read()
    assert found["other_incident_gain"]["value"] == 1e6
    assert found["other_incident_counts"]["value"] > 0
    assert math.isnan(found["other_incident_rate"]["value"])


def test_the_current_is_that_of_the_beam_at_any_gain(ca, twin: Simulated, counters) -> None:  # type: ignore[no-untyped-def]
    """One gas takes 25 times as many photons from the beam as the other; dark rates are measured."""
    ca.put("TXM:shutter:command", "Closed")
    dark: dict[str, dict[float, float]] = {"incident": {}, "reference": {}}
    for incident, reference in ((1e5, 1e3), (1e6, 1e4), (1e9, 1e9)):
        counters.gains.set({"incident": incident, "reference": reference}).wait(LONG_S)
        counters.dwell.set(2.0).wait(LONG_S)
        found = counted(counters)
        for name, gain in (("incident", incident), ("reference", reference)):
            dark[name][gain] = found[f"{name}_counts"] / found["time"]
    # 1 pA × 1e9 V/A × 1e5 /s/V
    assert dark["incident"][1e9] == pytest.approx(100, abs=1.0)
    counters.change({"dark_rates": dark}).wait(LONG_S)
    assert counted(counters)["incident_current"] == pytest.approx(0.0, abs=2e-14)
    ca.put("TXM:shutter:command", "Open")
    currents = []
    for incident, reference in ((1e5, 1e3), (1e6, 1e4)):
        counters.gains.set([incident, reference]).wait(LONG_S)
        found = counted(counters)
        assert (found["incident_gain"], found["reference_gain"]) == (incident, reference)
        assert found["incident_overload"] == found["reference_overload"] == 0
        channels = twin.beamline.counters.channels
        ratio = channels["reference"].absorbed / channels["incident"].absorbed
        assert found["reference_current"] / found["incident_current"] == pytest.approx(ratio, rel=3e-3)
        currents.append(found["incident_current"])
    assert currents[1] == pytest.approx(currents[0], rel=0.05)
    assert 1e-7 < currents[0] < 1e-4


def test_in_overload_the_rate_is_missing_and_marked(counters) -> None:  # type: ignore[no-untyped-def]
    counters.change({"gains": {"incident": "1e9 V/A"}, "dark_rates": {"incident": {1e9: 100.0}}}).wait(LONG_S)
    found = counted(counters)
    assert found["incident_overload"] == 1
    assert found["incident_counts"] == pytest.approx(1e6 * 0.5, rel=1e-3)
    assert math.isnan(found["incident_rate"])
    assert math.isnan(found["incident_current"])
    assert found["reference_overload"] == 0


def test_a_gain_that_changes_within_a_count_leaves_no_rate(ca, counters) -> None:  # type: ignore[no-untyped-def]
    counters.change({"dwell": 20.0, "dark_rates": {"incident": {1e5: 0.0, 1e6: 0.0}}}).wait(LONG_S)
    status = counters.trigger()
    ca.wait("TXM:scaler.CNT", lambda value: value == 1)
    ca.put("TXM:amplifier:1:gain", "1e5 V/A")
    status.wait(LONG_S)
    found = counters.read()
    assert found["counters_incident_counts"]["value"] > 0
    for key in ("gain", "rate", "current"):
        assert math.isnan(found[f"counters_incident_{key}"]["value"])
    assert found["counters_reference_gain"]["value"] == 1e4


@pytest.mark.parametrize("wrong", [2e6, "1e10 V/A", "loud", None, math.nan])
def test_a_gain_that_there_is_not_is_refused_before_anything_is_put(ca, counters, wrong) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=r"gain .*counters_incident_amplifier.* one of 100000, 1e\+06, 1e\+07"):
        counters.incident.amplifier.set(wrong)
    with pytest.raises(ValueError, match="gain"):
        counters.configure({"dwell": 0.25, "gains": {"incident": wrong}})
    assert ca.get("TXM:amplifier:1:gain:value") == 1e6
    assert ca.get("TXM:scaler.TP") == 0.5


def test_other_settings_that_make_no_sense_are_refused(ca, counters) -> None:  # type: ignore[no-untyped-def]
    for dwell in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match=r"dwell of counters .* s must be a finite number above 0"):
            counters.dwell.set(dwell)
    with pytest.raises(ValueError, match="counters has no channel 'I0'; it has incident, reference"):
        counters.gains.set({"I0": 1e6})
    for rates in ({1e6: -1.0}, {1e6: 2e6}, {1e6: math.inf}):
        with pytest.raises(ValueError, match=r"dark rate of counters_incident .* 1/s must lie between 0 and 1e"):
            counters.incident.dark_rates.set(rates)
    with pytest.raises(ValueError, match="counters has no setting 'dewll'"):
        counters.configure({"dewll": 1.0})
    with pytest.raises(ValueError, match="band of counters"):
        counters.auto_gain(band=(0.8, 0.1))
    assert ca.get("TXM:scaler.TP") == 0.5


def test_one_amplifier_by_its_own(ca, counters) -> None:  # type: ignore[no-untyped-def]
    amplifier = counters.incident.amplifier
    for value, gain in (("1e7 V/A", 1e7), (1e5, 1e5)):
        amplifier.set(value).wait(LONG_S)
        assert ca.get("TXM:amplifier:1:gain:value") == gain
        assert amplifier.locate() == {"setpoint": gain, "readback": gain}


def test_automatic_gain_is_the_largest_without_overload(ca, counters) -> None:  # type: ignore[no-untyped-def]
    for start in ({"incident": 1e9, "reference": 1e9}, {"incident": 1e5, "reference": 1e3}):
        counters.gains.set(start).wait(LONG_S)
        counters.auto_gain().wait(LONG_S)
        found = counters.gains_in_force
        assert found == tuple(ca.get(f"TXM:amplifier:{number}:gain:value") for number in (1, 2))
        assert ca.get("TXM:scaler.TP") == 0.5
        readings = counted(counters)
        for name, gain in zip(("incident", "reference"), found, strict=True):
            assert readings[f"{name}_overload"] == 0
            volts = readings[f"{name}_counts"] / readings["time"] / 1e5
            assert volts < 8.5
            assert volts * 10 > 7.5, f"{gain:g} V/A of {name} is not the largest"


def test_where_no_gain_will_do_all_is_put_back_and_said(ca, counters, make) -> None:  # type: ignore[no-untyped-def]
    from whiteline.devices.errors import Refused

    ca.put("TXM:shutter:command", "Closed")
    try:
        with pytest.raises(Refused, match=r"counters_incident has no gain that will do: at 1e\+09 V/A.*is there beam"):
            counters.gains.set("auto").wait(LONG_S)
    finally:
        ca.put("TXM:shutter:command", "Open")
    ca.wait("TXM:amplifier:1:gain:value", lambda value: value == 1e6)
    ca.wait("TXM:amplifier:2:gain:value", lambda value: value == 1e4)
    ca.wait("TXM:scaler.TP", lambda value: value == 0.5)
    loud = make(gains=[1e8, 1e9], name="loud")
    with pytest.raises(Refused, match=r"loud_\w+ has no gain that will do: at its lowest, 1e\+08 V/A, it is in over"):
        loud.auto_gain().wait(LONG_S)
    ca.wait("TXM:amplifier:1:gain:value", lambda value: value == 1e6)


def test_a_count_that_is_stopped_fails_and_leaves_nothing_to_the_next(ca, counters) -> None:  # type: ignore[no-untyped-def]
    from whiteline.devices.errors import Stopped

    counted(counters)
    for stop in (counters.stop, counters.unstage):
        counters.dwell.set(2000.0).wait(LONG_S)
        status = counters.trigger()
        ca.wait("TXM:scaler.CNT", lambda value: value == 1)
        stop()
        with pytest.raises(Stopped, match="before its count was over"):
            status.wait(LONG_S)
        assert all(math.isnan(one["value"]) for one in counters.read().values())
        counters.dwell.set(0.1).wait(LONG_S)
        found = counted(counters)
        assert found["time"] == 0.1
        assert found["incident_counts"] == ca.get("TXM:scaler.S2")


def test_a_count_of_somebody_else_is_awaited_not_taken(ca, counters) -> None:  # type: ignore[no-untyped-def]
    ca.put("TXM:scaler.TP", 30.0)
    ca.start("TXM:scaler.CNT", 1)
    ca.wait("TXM:scaler.CNT", lambda value: value == 1)
    ca.put("TXM:scaler.TP", 0.125)
    assert counted(counters)["time"] == 0.125


def test_a_table_shows_counts_and_channels_alone_share_a_count(ca, counters) -> None:  # type: ignore[no-untyped-def]
    import bluesky.plan_stubs as bps
    from bluesky import RunEngine
    from bluesky.plans import count

    engine, documents = RunEngine(), []
    engine(count([counters], num=3), lambda name, document: documents.append((name, document)))
    described = next(one for name, one in documents if name == "descriptor")
    channels = ("counters_incident", "counters_reference")
    assert described["hints"] == {"counters": {"fields": [f"{one}_counts" for one in channels]}}
    units = {key: one.get("units") for key, one in described["data_keys"].items()}
    assert units["counters_time"] == "s"
    for one in channels:
        assert [units[f"{one}_{key}"] for key in ("counts", "rate", "current", "gain")] == ["counts", "1/s", "A", "V/A"]
    configuration = described["configuration"]["counters"]["data"]
    assert configuration["counters_dwell"] == 0.5
    assert configuration["counters_incident_amplifier_gain"] == 1e6
    assert len(configuration["counters_incident_dark_rates"]) == 5
    events = [one["data"] for name, one in documents if name == "event"]
    assert len(events) == 3
    assert all(set(event) == set(described["data_keys"]) for event in events)

    pulses: list[int] = []
    index = ca("TXM:scaler.CNT").add_callback(lambda value, **_: pulses.append(value), run_now=False)

    def plan():  # type: ignore[no-untyped-def]
        yield from bps.mv(counters.dwell, 5.0, counters.incident.amplifier, 1e5)
        yield from count([counters.incident, counters.reference])

    documents.clear()
    try:
        engine(plan(), lambda name, document: documents.append((name, document)))
        event = next(one["data"] for name, one in documents if name == "event")
        assert event["counters_incident_counts"] == ca.get("TXM:scaler.S2")
        assert event["counters_reference_counts"] == ca.get("TXM:scaler.S3")
        assert event["counters_incident_gain"] == 1e5
    finally:
        ca("TXM:scaler.CNT").remove_callback(index)
    assert pulses.count(1) == 1


def test_a_description_that_cannot_be_is_refused(ca_ports) -> None:  # type: ignore[no-untyped-def]
    from whiteline.devices.ion_chamber import ChamberSettings
    from whiteline.devices.scaler import Scaler

    one = ChamberSettings(2, "X:", (1e5, 1e6), 0.02)
    for channels in ({}, {"incident": one, "other": one}):
        with pytest.raises(ValueError, match=r"channel numbers .* at least one, each once"):
            Scaler("X", name="counters", channels=channels, hz_per_V=1e5, largest_V=10.0)
    for name in ("I 0", "trigger"):
        with pytest.raises(ValueError, match=f"cannot be called '{name}'"):
            Scaler("X", name="counters", channels={name: one}, hz_per_V=1e5, largest_V=10.0)


def test_a_lost_ioc_is_told_at_once_and_back_it_counts_again(ca, twin: Simulated, counters) -> None:  # type: ignore[no-untyped-def]
    """Last, as it ends the beamline IOC. The count would take 100 s."""
    from whiteline.devices.errors import Lost

    counters.dwell.set(2000.0).wait(LONG_S)
    status = counters.trigger()
    ca.wait("TXM:scaler.CNT", lambda value: value == 1)
    twin.kill("beamline")
    with pytest.raises(Lost, match="its IOC has gone"):
        status.wait(LONG_S)
    with pytest.raises(Lost, match="its IOC has gone"):
        counters.trigger()
    with pytest.raises(Lost, match="its IOC has gone"):
        counters.gains.set(GAINS).wait(LONG_S)
    twin.start("beamline")
    counters.wait_for_connection(timeout=90)
    ca.put("TXM:scaler.CNT", 1)  # the first count waits until cross sections are loaded
    counters.change({"dwell": 0.25, "gains": GAINS}).wait(LONG_S)
    found = counted(counters)
    assert found["time"] == 0.25
    assert found["incident_counts"] == ca.get("TXM:scaler.S2") > 0


def test_dark_rates_are_measured_with_the_shutter_closed_and_are_there_at_the_next_start(  # type: ignore[no-untyped-def]
    twin: Simulated, ca, keep, tmp_path
) -> None:
    from bluesky import RunEngine

    from whiteline.beamline.build import build
    from whiteline.beamline.kept_calibrations import KeptCalibrations
    from whiteline.plans import measure_dark_rates

    devices, kept = keep(build(twin.beamline)), KeptCalibrations(tmp_path)
    engine = RunEngine({}, context_managers=[])
    engine.subscribe(kept)
    ca.put("TXM:shutter:command", "Open")
    engine(measure_dark_rates(devices.counters, shutter=devices.fast_shutter, gains={"incident": [1e8, 1e9]}))
    assert not kept.troubles
    rates = devices.counters.dark_calibration.calibration.by_channel
    # 1 pA × gain × 1e5 /s/V
    assert rates["incident"] == {1e8: pytest.approx(10, abs=1.0), 1e9: pytest.approx(100, abs=1.0)}
    assert rates["reference"] == {GAINS["reference"]: pytest.approx(0, abs=1.0)}
    assert ca.get("TXM:shutter:status", as_string=True) == "Closed"
    assert devices.counters.gains_in_force == (GAINS["incident"], GAINS["reference"])
    assert devices.counters.dwell.get() == 0.5
    again = keep(build(twin.beamline, calibrations=kept.newest())).counters
    assert again.incident.dark_rate(1e9) == rates["incident"][1e9]
    assert math.isnan(again.incident.dark_rate(1e5))
    # what was told by hand stays where nothing was measured
    again.change({"dark_rates": {"incident": {1e5: 3.0, 1e9: 4.0}}}).wait(LONG_S)
    again.dark_calibration.put(devices.counters.dark_calibration.get())
    assert again.incident.dark_rate(1e5) == 3.0
    assert again.incident.dark_rate(1e9) == rates["incident"][1e9]
    with pytest.raises(ValueError, match="there is no channel 'nobody'; there are incident, reference"):
        again.dark_calibration.set(devices.counters.dark_calibration.get().replace("incident", "nobody"))
    ca.put("TXM:shutter:command", "Open")

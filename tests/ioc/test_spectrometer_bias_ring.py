"""Optical spectrometer, bias source and storage ring, as devices."""

import math
import threading

import numpy as np
import pytest

from whiteline.beamline.simulation import Simulated

LONG_S = 60
PIXELS = 1024


@pytest.fixture(scope="module")
def twin(simulate, ca) -> Simulated:  # type: ignore[no-untyped-def]
    twin = simulate("nanoprobe", speed=20.0)
    ca.put("NANO:spectrometer:acquire", 1)  # the first one waits until cross sections are loaded
    return twin


@pytest.fixture(scope="module")
def spectrometer(twin: Simulated, keep):  # type: ignore[no-untyped-def]
    from whiteline.devices.spectrometer import Spectrometer

    table = twin.beamline.spectrometer
    return keep(Spectrometer(table.prefix, name="light", pixels=table.pixels))


@pytest.fixture(scope="module")
def bias(twin: Simulated, keep):  # type: ignore[no-untyped-def]
    from whiteline.devices.bias import Bias

    table = twin.beamline.bias
    return keep(Bias(table.prefix, name="bias", low_V=table.low_V, high_V=table.high_V))


@pytest.fixture(scope="module")
def ring(twin: Simulated, keep):  # type: ignore[no-untyped-def]
    from whiteline.devices.ring import Ring

    return keep(Ring(twin.beamline.ring.prefix, name="ring"))


@pytest.fixture
def off(ca, bias):  # type: ignore[no-untyped-def]
    """The source, off and at 0 V."""
    ca.put("NANO:bias:output", "Off")
    ca.put("NANO:bias:voltage", 0.0)
    return bias


def test_every_spectrum_is_its_own(ca, spectrometer, seed: int) -> None:  # type: ignore[no-untyped-def]
    rng, before = np.random.default_rng(seed), np.zeros(PIXELS)
    assert np.isnan(spectrometer.read()["light_total"]["value"]) or ca.get("NANO:spectrometer:counter") > 1
    for integration in rng.uniform(0.01, 0.5, 8):
        spectrometer.integration_time.set(float(integration)).wait(LONG_S)
        assert ca.get("NANO:spectrometer:integration_time") == pytest.approx(integration, rel=1e-6)
        number = ca.get("NANO:spectrometer:counter")
        spectrometer.trigger().wait(LONG_S)
        found = spectrometer.read()
        assert ca.get("NANO:spectrometer:counter") == number + 1
        spectrum = found["light_spectrum"]["value"]
        assert np.array_equal(spectrum, ca.get("NANO:spectrometer:spectrum"))
        assert not np.array_equal(spectrum, before)
        assert found["light_total"]["value"] == spectrum.sum()
        before = spectrum


def test_the_dark_level_is_subtracted_where_it_was_measured_and_nowhere_else(spectrometer) -> None:  # type: ignore[no-untyped-def]
    def light():  # type: ignore[no-untyped-def]
        spectrometer.trigger().wait(LONG_S)
        return spectrometer.read()["light_light"]["value"]

    spectrometer.configure({"integration_time": 0.2})
    assert np.isnan(light()).all()
    # the level is 600 counts, and its noise 3
    spectrometer.dark_level.set(600.0).wait(LONG_S)
    assert light().mean() == pytest.approx(0.0, abs=1.0)
    dark = np.full(PIXELS, 600.0)
    dark[100] = math.nan
    spectrometer.configure({"dark_level": list(dark)})
    assert np.flatnonzero(np.isnan(light())).tolist() == [100]
    assert len(spectrometer.read_configuration()["light_dark_level"]["value"]) == PIXELS
    # it is that of another integration time
    spectrometer.integration_time.set(0.4).wait(LONG_S)
    assert np.isnan(light()).all()


def test_what_makes_no_sense_for_a_spectrum_is_refused(ca, spectrometer) -> None:  # type: ignore[no-untyped-def]
    spectrometer.integration_time.set(0.2).wait(LONG_S)
    for time_s in (0.0, -1.0, math.inf):
        with pytest.raises(ValueError, match=r"integration time of light .* s must be a finite number above 0"):
            spectrometer.integration_time.set(time_s)
    for level in (-1.0, math.inf, [600.0] * 10):
        with pytest.raises(ValueError, match="dark level of light"):
            spectrometer.configure({"integration_time": 0.4, "dark_level": level})
    with pytest.raises(ValueError, match="light has no setting 'gain'; it has integration_time, dark_level"):
        spectrometer.configure({"gain": 1.0})
    assert ca.get("NANO:spectrometer:integration_time") == pytest.approx(0.2)


def test_a_spectrum_that_is_stopped_is_not_taken_for_the_next(ca, spectrometer) -> None:  # type: ignore[no-untyped-def]
    from whiteline.devices.errors import Stopped

    spectrometer.trigger().wait(LONG_S)
    assert not math.isnan(spectrometer.read()["light_total"]["value"])
    spectrometer.integration_time.set(20.0).wait(LONG_S)
    status = spectrometer.trigger()
    ca.wait("NANO:spectrometer:acquire", lambda value: value == 1)
    number = ca.get("NANO:spectrometer:counter")
    spectrometer.stop()
    with pytest.raises(Stopped, match="before its spectrum was taken"):
        status.wait(LONG_S)
    assert math.isnan(spectrometer.read()["light_total"]["value"])
    spectrometer.integration_time.set(0.05).wait(LONG_S)
    spectrometer.trigger().wait(LONG_S)
    # the one that was stopped could not be ended early here
    assert ca.get("NANO:spectrometer:counter") == number + 2


def test_a_spectrum_of_somebody_else_in_between_is_told(ca, spectrometer) -> None:  # type: ignore[no-untyped-def]
    from whiteline.devices.errors import DeviceError

    spectrometer.integration_time.set(40.0).wait(LONG_S)
    status = spectrometer.trigger()
    ca.wait("NANO:spectrometer:acquire", lambda value: value == 1)
    ca.put("NANO:spectrometer:integration_time", 0.02)
    ca.put("NANO:spectrometer:acquire", 1)
    with pytest.raises(DeviceError, match="has taken 2 spectra instead of 1"):
        status.wait(LONG_S)


def test_the_documents_of_a_spectrum_name_wavelengths_and_units(spectrometer) -> None:  # type: ignore[no-untyped-def]
    from bluesky import RunEngine
    from bluesky.plans import count

    spectrometer.integration_time.set(0.1).wait(LONG_S)
    documents = []
    RunEngine()(count([spectrometer], num=2), lambda name, document: documents.append((name, document)))
    described = next(one for name, one in documents if name == "descriptor")
    assert described["hints"] == {"light": {"fields": ["light_total"]}}
    key = described["data_keys"]["light_spectrum"]
    assert (key["shape"], key["dtype"], key["units"]) == ([PIXELS], "array", "counts")
    configuration = described["configuration"]["light"]
    assert configuration["data"]["light_integration_time"] == pytest.approx(0.1)
    assert np.allclose(configuration["data"]["light_wavelengths"], np.linspace(350, 1000, PIXELS))
    assert configuration["data_keys"]["light_wavelengths"]["units"] == "nm"
    spectra = [one["data"]["light_spectrum"] for name, one in documents if name == "event"]
    assert len(spectra) == 2
    assert not np.array_equal(*spectra)


def test_a_voltage_is_there_when_its_status_is_done(ca, off) -> None:  # type: ignore[no-untyped-def]
    off.programmed.set(1.5).wait(LONG_S)
    assert ca.get("NANO:bias:voltage:readback") == 0.0
    off.output.set("On").wait(LONG_S)
    assert ca.get("NANO:bias:voltage:readback") == off.read()["bias"]["value"] == 1.5
    for volts in (-10.0, 0.25, 10.0):
        off.set(volts).wait(LONG_S)
        assert ca.get("NANO:bias:voltage:readback") == off.read()["bias"]["value"] == off.position == volts
        assert off.read()["bias_current"]["value"] == pytest.approx(volts / 1e6)
        assert off.locate() == {"setpoint": volts, "readback": volts}
    for leave in (off.stop, off.stage, off.unstage):
        leave()
        assert ca.get("NANO:bias:voltage:readback") == 10.0
    off.output.set("Off").wait(LONG_S)
    assert ca.get("NANO:bias:voltage:readback") == off.read()["bias"]["value"] == 0.0
    assert off.locate() == {"setpoint": 10.0, "readback": 0.0}


def test_a_voltage_with_the_output_off_is_refused(ca, off) -> None:  # type: ignore[no-untyped-def]
    from whiteline.devices.errors import Refused

    with pytest.raises(Refused, match="its output is Off, so the sample would stay at 0 V"):
        off.set(2.0).wait(LONG_S)
    assert ca.get("NANO:bias:voltage") == 0.0


@pytest.mark.parametrize("volts", [-10.01, 11.0, math.nan, math.inf])
def test_a_voltage_outside_the_limits_is_refused_before_it_is_put(ca, off, volts: float) -> None:  # type: ignore[no-untyped-def]
    for act in (off.set, off.programmed.set, off.check_value):
        with pytest.raises(ValueError, match=r"bias .* V must lie between -10 and 10 V"):
            act(volts)
    with pytest.raises(ValueError, match="'Half' must be On or Off"):
        off.output.set("Half")
    assert ca.get("NANO:bias:voltage") == 0.0


def test_a_source_that_does_not_follow_is_told(ca, twin: Simulated, off, keep) -> None:  # type: ignore[no-untyped-def]
    """Its limits are narrower than those described; or its readback, here that of the current, stays behind."""
    from ophyd import Component, EpicsSignalRO

    from whiteline.devices.bias import Bias
    from whiteline.devices.errors import Overdue, Refused

    prefix = twin.beamline.bias.prefix
    wide = keep(Bias(prefix, name="wide", low_V=-20.0, high_V=20.0))
    with pytest.raises(Refused, match=r"bias:voltage was to be 15\.0 and is 0\.0: its IOC has refused it"):
        wide.program(15.0).wait(LONG_S)

    class Broken(Bias):
        voltage = Component(EpicsSignalRO, "current", auto_monitor=False, kind="hinted")

    broken = keep(Broken(prefix, name="broken", low_V=-10.0, high_V=10.0, settle_s=0.5))
    broken.output.set("On").wait(LONG_S)
    with pytest.raises(
        Overdue, match=r"broken waited 0.5 s for .*current to be 5 V with its output On, but it is 5e-06 V"
    ):
        broken.set(5.0).wait(LONG_S)
    # it was put nevertheless, and stays
    assert ca.get("NANO:bias:voltage:readback") == 5.0
    with pytest.raises(ValueError, match=r"lower limit of bias 3 V must be below the upper one, 1 V"):
        Bias(prefix, name="bias", low_V=3.0, high_V=1.0)


def test_a_scan_of_the_voltage_shows_what_was_applied(off) -> None:  # type: ignore[no-untyped-def]
    import bluesky.plan_stubs as bps
    from bluesky import RunEngine
    from bluesky.plans import list_scan

    def plan():  # type: ignore[no-untyped-def]
        yield from bps.mv(off.output, "On")
        yield from list_scan([], off, [0.5, -0.5, 2.0])

    documents = []
    RunEngine()(plan(), lambda name, document: documents.append((name, document)))
    described = next(one for name, one in documents if name == "descriptor")
    assert described["hints"] == {"bias": {"fields": ["bias"]}}
    assert [described["data_keys"][key]["units"] for key in ("bias", "bias_current")] == ["V", "A"]
    assert [one["data"]["bias"] for name, one in documents if name == "event"] == [0.5, -0.5, 2.0]


def test_the_ring_shows_its_current(ca, ring) -> None:  # type: ignore[no-untyped-def]
    found, described = ring.read(), ring.describe()
    assert found["ring_current"]["value"] == pytest.approx(400.0, rel=0.02)
    assert found["ring_lifetime"]["value"] == 8.0
    assert found["ring_beam"]["value"] == "Stored"
    assert ring.read_configuration()["ring_energy"]["value"] == 3.0
    assert (described["ring_current"]["units"], described["ring_lifetime"]["units"]) == ("mA", "h")
    assert ring.hints == {"fields": ["ring_current"]}
    assert ring.stored.get() == 1


def watch(ring):  # type: ignore[no-untyped-def]
    """Return events that are set when the beam is lost, and when it is back after that."""
    gone, back = threading.Event(), threading.Event()

    def look(value: int, **_: object) -> None:
        if value == 0:
            gone.set()
        elif gone.is_set():
            back.set()

    ring.stored.subscribe(look, run=False)
    return gone, back


def test_a_dump_of_the_beam_suspends_a_scan_until_it_is_back(ca, ring, spectrometer) -> None:  # type: ignore[no-untyped-def]
    from bluesky import RunEngine
    from bluesky.plans import count
    from bluesky.suspenders import SuspendBoolLow

    spectrometer.integration_time.set(0.1).wait(LONG_S)
    gone, back = watch(ring)
    engine, order = RunEngine(), []
    engine.install_suspender(SuspendBoolLow(ring.stored))
    ca.put("SIM:machine:fault:beam_dump", 40.0)  # 2 s of wall time
    assert gone.wait(LONG_S)
    engine(count([spectrometer], num=2), {"event": lambda name, document: order.append(back.is_set())})
    assert order == [True, True]
    assert ring.beam.get() == "Stored"


def test_lost_iocs_are_told_at_once(twin: Simulated, ca, spectrometer, bias, ring) -> None:  # type: ignore[no-untyped-def]
    """Last, as it ends the IOCs. The spectrum would take 100 s; without its IOC nobody knows of any beam."""
    from whiteline.devices.errors import Lost

    gone, _ = watch(ring)
    assert ring.stored.get() == 1
    spectrometer.integration_time.set(2000.0).wait(LONG_S)
    status = spectrometer.trigger()
    ca.wait("NANO:spectrometer:acquire", lambda value: value == 1)
    twin.kill("beamline")
    for work in (lambda: status, lambda: spectrometer.trigger(), lambda: bias.set(1.0), lambda: bias.output.set("On")):
        with pytest.raises(Lost, match="its IOC has gone"):
            work().wait(LONG_S)
    assert ring.stored.get() == 1
    twin.kill("machine")
    assert gone.wait(LONG_S)
    assert ring.stored.get() == 0

"""A question that could not be sent, because the IOC died just then, does not make a variable mute for ever."""

import time

import pytest

from whiteline.beamline.simulation import Simulated

LONG_S = 90


@pytest.fixture(scope="module")
def twin(simulate) -> Simulated:  # type: ignore[no-untyped-def]
    return simulate("txm", speed=20.0)


def test_a_variable_that_was_asked_as_its_ioc_died_answers_when_it_is_back(twin: Simulated, ca, keep) -> None:  # type: ignore[no-untyped-def]
    from epics import ca as client
    from ophyd import Component, EpicsSignalRO

    from whiteline.devices.errands import Watchful

    class Asked(Watchful):
        elapsed = Component(EpicsSignalRO, "TXM:scaler.T", auto_monitor=False)

    tag = ca("TXM:scaler.T").pvname.removesuffix("TXM:scaler.T")
    device = keep(Asked(tag, name="asked"))
    assert device.elapsed.get() == 0.0
    channel, send = device.elapsed._read_pv.chid, client.get_with_metadata.__wrapped__
    twin.kill("beamline")
    # exactly what a thread does that asks between the break of the circuit and the news of it
    with client.get_cache(device.elapsed.pvname).lock:
        deadline = time.monotonic() + LONG_S
        while client.libca.ca_state(channel) == 2:
            assert time.monotonic() < deadline
            client.poll()
        with pytest.raises(client.CASeverityException):
            send(channel, ftype=device.elapsed._read_pv.ftype, wait=False)
    twin.start("beamline")
    device.wait_for_connection(timeout=LONG_S)
    assert device.elapsed.get(timeout=20) == 0.0

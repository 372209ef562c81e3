"""A question that could not be sent, because the IOC died just then, does not make a variable mute for ever."""

import threading

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
    # what pyepics leaves of a question that could not be sent
    entry = client.get_cache(device.elapsed.pvname)
    entry.get_results[device.elapsed._read_pv.ftype] = [client.GET_PENDING]
    lost = threading.Event()
    device.elapsed.subscribe(lambda connected, **_: connected or lost.set(), event_type="meta", run=False)
    twin.kill("beamline")
    assert lost.wait(LONG_S)
    twin.start("beamline")
    device.wait_for_connection(timeout=LONG_S)
    assert device.elapsed.get(timeout=20) == 0.0

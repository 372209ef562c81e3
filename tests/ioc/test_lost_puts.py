"""A put to a channel that is lost in that very moment ends; that of ophyd does not."""

import threading
from typing import Any

import pytest
from conftest import Simulate

from whiteline.beamline.simulation import Simulated

LONG_S = 90


@pytest.fixture(scope="module")
def twin(simulate: Simulate) -> Simulated:
    return simulate("txm", speed=20.0)


def test_a_put_to_a_channel_that_is_lost_just_now_ends(twin: Simulated, ca: Any, keep: Any) -> None:
    from ophyd import EpicsSignal

    from whiteline.devices.errors import Lost
    from whiteline.devices.lost_puts import put

    name = "TXM:zone_plate:z.STOP"
    signal = keep(EpicsSignal(ca(name).pvname, name="stop"))
    lost = threading.Event()
    signal.subscribe(lambda connected, **_: connected or lost.set(), event_type="meta", run=False)
    twin.kill("beamline")
    assert lost.wait(LONG_S)

    # as it is for the few milliseconds in which libca knows of the loss, and nobody else does
    signal.wait_for_connection = lambda timeout=0.0: None
    signal._metadata["write_access"] = True
    signal._write_pv.wait_for_connection = lambda *_, **__: True

    with pytest.raises(Lost, match="STOP is lost"):
        put(signal, 1)
    # when this fails, the way round is no longer needed
    stock = threading.Thread(target=lambda: signal.put(1), daemon=True)
    stock.start()
    stock.join(5.0)
    assert stock.is_alive()
    twin.start("beamline")
    stock.join(LONG_S)

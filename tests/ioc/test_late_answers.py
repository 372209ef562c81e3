"""What a monitor has brought is not overwritten by an answer that is older."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from whiteline.beamline.simulation import Simulated

LONG_S = 60
EXPOSURE = "TXM:camera:cam1:AcquireTime"


@pytest.fixture(scope="module")
def twin(simulate) -> Simulated:  # type: ignore[no-untyped-def]
    return simulate("txm", speed=20.0)


@pytest.fixture
def asked_too_early(ca, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], tuple[float, float]]:  # type: ignore[no-untyped-def]
    """Ask a channel for the exposure; it changes, and the monitor says so, before the one who asks gets the answer."""
    from epics import ca as client

    answer_of = client.get_with_metadata

    def asked(pv: Any) -> tuple[float, float]:
        """Return the answer, and what the channel takes for the last value after it."""
        ca.put(EXPOSURE, 1.0)
        ca.wait(f"{EXPOSURE}_RBV", lambda value: value == 1.0)
        told = threading.Event()
        pv.add_callback(lambda value, **_: value == 2.0 and told.set())

        def late(chid: Any, *args: Any, **how: Any) -> Any:
            answer = answer_of(chid, *args, **how)
            if client.name(chid) == pv.pvname and not told.is_set():
                ca.put(EXPOSURE, 2.0)
                assert told.wait(LONG_S)
            return answer

        with monkeypatch.context() as patched:
            patched.setattr(client, "get_with_metadata", late)
            answer = pv.get(use_monitor=False, timeout=LONG_S)
        return answer, pv.get()

    return asked


def test_pyepics_still_takes_an_old_answer_for_the_last_value(twin: Simulated, asked_too_early, ca) -> None:  # type: ignore[no-untyped-def]
    # once this fails, whiteline.devices.late_answers is no longer needed
    assert asked_too_early(ca(f"{EXPOSURE}_RBV")) == (1.0, 1.0)


def test_a_device_has_what_its_monitor_brought_last(twin: Simulated, asked_too_early, ca, keep, tag: str) -> None:  # type: ignore[no-untyped-def]
    from ophyd import Component, EpicsSignalRO

    from whiteline.devices.errands import Watchful

    class Asked(Watchful):
        exposure = Component(EpicsSignalRO, f"{EXPOSURE}_RBV", auto_monitor=True)

    device = keep(Asked(tag, name="asked"))
    assert asked_too_early(device.exposure._read_pv) == (1.0, 2.0)
    assert device.exposure.get() == 2.0
    ca.put(EXPOSURE, 3.0)
    assert device.exposure.get(use_monitor=False, timeout=LONG_S) == 3.0, "a newer answer counts at once"

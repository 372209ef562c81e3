"""An errand that was ended puts nothing any more, so what is put back afterwards stays."""

import threading
from typing import Any

import pytest

LINE, USUAL = 0.263, 1000.0
"""Velocities [µm/s]."""


class SlowSignal:
    """A signal that is put slowly, as the thread which puts may lose the processor at any line."""

    connected = write_access = True
    setpoint_pvname = "X:axis.VELO"

    def __init__(self) -> None:
        self.values: list[float] = []
        self.entered, self.go_on = threading.Event(), threading.Event()

    def put(self, value: float, **_: Any) -> None:
        """Put a value when it may."""
        self.entered.set()
        assert self.go_on.wait(10.0)
        self.values.append(value)


def test_what_is_put_back_after_the_end_of_an_errand_comes_after_all_that_it_puts() -> None:
    from whiteline.devices.errands import Errand, Watchful
    from whiteline.devices.errors import Stopped

    signal = SlowSignal()
    errand = Errand(Watchful("", name="box"), ())
    ended = threading.Event()

    def end() -> None:
        errand.give_up(Stopped("box was stopped"))
        ended.set()
        signal.values.append(USUAL)

    putting = threading.Thread(target=errand.put, args=(signal, LINE))
    putting.start()
    assert signal.entered.wait(10.0)
    ending = threading.Thread(target=end)
    ending.start()
    assert not ended.wait(0.3), "it was ended while it put a value"
    signal.go_on.set()
    putting.join(10.0)
    ending.join(10.0)
    assert signal.values == [LINE, USUAL]
    with pytest.raises(Stopped, match="was stopped"):
        errand.put(signal, LINE)
    assert signal.values == [LINE, USUAL]

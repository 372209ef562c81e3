"""An axis has its usual velocity again after a line, however a stop falls into the preparation of the next one."""

from collections.abc import Callable
from typing import Any

import pytest

LINE, USUAL = 0.263, 1000.0
"""Velocities [µm/s]."""


class Velocity:
    """The velocity of a record; something may happen between a question and what its answer is used for."""

    connected = write_access = True
    pvname = setpoint_pvname = "X:axis.VELO"

    def __init__(self) -> None:
        self.value = USUAL
        self.meanwhile: Callable[[], object] = lambda: None

    def get(self, **_: Any) -> float:
        """Return what it is, and let happen what happens meanwhile."""
        value, happens = self.value, self.meanwhile
        self.meanwhile = lambda: None
        happens()
        return value

    def put(self, value: float, *, callback: Callable[[], object] | None = None, **_: Any) -> None:
        """Put it, which completes at once."""
        self.value = value
        if callback is not None:
            callback()


class Axis:
    """A motor record of which only the velocity is known."""

    egu, highest_velocity, lazy_wait_for_connection = "um", None, True

    def __init__(self) -> None:
        self.velocity = Velocity()


def test_a_stop_between_question_and_answer_leaves_the_usual_velocity() -> None:
    from whiteline.devices.errands import Errand, Watchful
    from whiteline.devices.errors import Stopped
    from whiteline.devices.fly_velocity import LineVelocity

    box, axis = Watchful("", name="box"), Axis()
    velocity = LineVelocity(axis)
    velocity.take(Errand(box, ()), LINE)
    assert axis.velocity.value == LINE
    second = Errand(box, ())

    def stop() -> None:
        second.give_up(Stopped("box was stopped"))
        velocity.restore()

    axis.velocity.meanwhile = stop
    with pytest.raises(Stopped, match="was stopped"):
        velocity.take(second, LINE)
    velocity.restore()  # what is done whenever a preparation fails
    assert axis.velocity.value == USUAL

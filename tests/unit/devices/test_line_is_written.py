"""A box is spared the question for its last line only if that is known to be in its file, and never after a failure."""

from types import SimpleNamespace
from typing import Any

import pytest


class Box:
    """A capture box of which only the state, and what is asked of it, is known."""

    name, lines_now, state_now, line_number, arm, disarm = "box", 4, "state", 3, "arm", "disarm"

    def __init__(self, state: str = "Done") -> None:
        self.held, self.pressed, self.awaited = state, list[str](), list[int]()
        self._written, self._armed, self._kicked_off, self._row, self._moving = True, False, False, 0, None
        self.state = SimpleNamespace(get=lambda: self.held)

    def ask(self, what: Any) -> Any:
        """Answer as an errand does."""
        return self.held if what == "state" else what

    def press(self, _: Any, button: str) -> None:
        """Note what was pressed."""
        self.pressed.append(button)

    def await_written(self, _: Any, wanted: int) -> None:
        """Note which line was waited for."""
        self.awaited.append(wanted)

    def require_plugged(self) -> None:
        """It is."""

    gates_are_over = require_plugged

    def why(self, _: Any) -> str:
        """Say why it failed."""
        return "the stage has stopped"

    def seconds(self, *_: Any) -> float:
        """Take no time."""
        return 0.0

    def _await_state(self, *_: Any) -> str:
        return self.held


@pytest.mark.parametrize(
    ("state", "written", "pressed", "awaited"),
    [("Done", True, [], []), ("Done", False, [], [4]), ("Failed", False, [], [4]), ("Armed", True, ["disarm"], [4])],
)
def test_it_is_asked_unless_its_last_line_is_known_to_be_written(
    state: str, written: bool, pressed: list[str], awaited: list[int]
) -> None:
    from whiteline.devices.capture_records import CaptureRecords

    box: Any = Box(state)
    CaptureRecords.become_idle(box, box, written=written)
    assert (box.pressed, box.awaited) == (pressed, awaited)


def test_a_line_is_known_to_be_written_only_when_it_was_seen_to_its_end() -> None:
    from whiteline.analysis.laws.fly_line import FlyLine
    from whiteline.devices.errors import DeviceError
    from whiteline.devices.flown_line import FlownLine

    line = FlyLine("x", 0.0, 0.1, 8, 0.01)
    box: Any = Box("Armed")
    FlownLine.arm_for(box, box)
    assert not box._written
    box.held = "Failed"
    with pytest.raises(DeviceError, match="the stage has stopped"):
        FlownLine.see_to_end(box, box, line, None)
    assert not box._written
    box.held = "Done"
    FlownLine.see_to_end(box, box, line, None)
    assert box.awaited == [box.lines_now + line.rows]
    assert box._written

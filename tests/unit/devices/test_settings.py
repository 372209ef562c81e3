"""A setting that another one has brought already is not waited for, whenever its monitor tells of that."""

from collections.abc import Callable
from typing import Any

import pytest

from whiteline.devices.errors import Overdue
from whiteline.devices.settings import settle


class Binning:
    """A readback that changes with another setting: before it is put itself, unheard by those who listen later."""

    pvname, setpoint_pvname, enum_strs = "X:BinY_RBV", "X:BinY", None

    def __init__(self, changes: bool) -> None:
        self.value, self._changes = 1, changes

    def get(self) -> int:
        """Return what its monitor had last."""
        return self.value

    def subscribe(self, _: Callable[..., None], run: bool = True) -> int:
        """Listen; the change came just before."""
        assert not run
        self.value = 2 if self._changes else 1
        return 0

    def unsubscribe(self, _: int) -> None:
        """Listen no more."""


class Errand:
    """An errand whose time is over at once."""

    def put(self, signal: Any, value: Any) -> Callable[[], bool]:
        """Put; a record that has the value already tells nobody."""
        return lambda: True

    def until(self, true: Callable[[], bool], seconds: float, what: Callable[[], str]) -> None:
        """Look once."""
        if not true():
            raise Overdue(what())


def test_a_readback_that_changed_as_it_was_begun_to_be_listened_to_is_seen() -> None:
    settle(Errand(), Binning(changes=True), 2, lambda: None)  # type: ignore[arg-type]
    with pytest.raises(Overdue, match="X:BinY to become 2; its readback is 1"):
        settle(Errand(), Binning(changes=False), 2, lambda: None)  # type: ignore[arg-type]

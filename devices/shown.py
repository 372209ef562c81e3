"""Numbers of Python's own with their unit: readings that are computed, and parameters that a message changes."""

import time
from collections.abc import Callable
from typing import Any

from ophyd.signal import Signal
from ophyd.status import StatusBase
from ophyd.utils import ReadOnlyError

from whiteline.analysis.checks import OutOfRange


def done() -> StatusBase:
    """Return a status of something that is done already."""
    status = StatusBase()
    status.set_finished()
    return status


class Computed(Signal):
    """A number that its device computes whenever it is read; it cannot be set.

    Parameters
    ----------
    compute : callable
        Given the device, returns the number; None stands for a value that is missing, and is read as NaN.
    unit : str
        Of the number.
    precision : int
        Digits that are shown.
    """

    def __init__(
        self, *, compute: Callable[[Any], float | None], unit: str = "", precision: int = 3, **kwargs: Any
    ) -> None:
        super().__init__(value=float("nan"), **kwargs)
        self._compute, self._unit, self._precision = compute, unit, precision
        self._metadata["write_access"] = False

    def get(self, **_: Any) -> float:
        """Compute it; NaN where it does not exist, as the energy of an angle that reflects nothing."""
        try:
            value = self._compute(self.parent)
        except OutOfRange:
            return float("nan")
        return float("nan") if value is None else float(value)

    def put(self, value: Any, **_: Any) -> None:
        """Refuse.

        Raises
        ------
        ReadOnlyError
            Always.
        """
        raise ReadOnlyError(f"{self.name} is computed and cannot be set")

    def read(self) -> dict[str, dict[str, Any]]:
        """Return it with the time at which it was computed."""
        return {self.name: {"value": self.get(), "timestamp": time.time()}}

    def describe(self) -> dict[str, dict[str, Any]]:
        """Say what kind of number it is."""
        described = {"source": f"PY:{self.name}", "dtype": "number", "shape": [], "precision": self._precision}
        return {self.name: described | ({"units": self._unit} if self._unit else {})}


class Parameter(Signal):
    """A value that a device keeps, with its unit; recorded with the configuration, and changed by a message.

    Parameters
    ----------
    unit : str
        Of the value, if it has one.
    check : callable or None
        Called with a value before it is taken; raises if it cannot be.
    """

    def __init__(self, *, unit: str = "", check: Callable[[Any], None] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._unit, self._check = unit, check

    def check_value(self, value: Any, **_: Any) -> None:
        """Refuse what cannot be. Raises what the check of this setting raises."""
        if self._check is not None:
            self._check(value)

    def describe(self) -> dict[str, dict[str, Any]]:
        """Say what kind of value it is."""
        described: dict[str, dict[str, Any]] = super().describe()
        if self._unit:
            described[self.name]["units"] = self._unit
        return described

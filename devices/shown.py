"""Readings that are computed, or copied from another device, with their unit."""

import time
from collections.abc import Callable
from typing import Any

from ophyd.signal import Signal
from ophyd.utils import ReadOnlyError


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
        """Compute it."""
        value = self._compute(self.parent)
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

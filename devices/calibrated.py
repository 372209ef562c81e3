"""Calibrations as devices hold them: recorded with every run, and changed by a message.

A plan applies one with `bps.configure(device, {"calibration": calibration.to_json()})`; nothing is copied by hand.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ophyd import Signal
from ophyd.status import StatusBase

from whiteline.analysis.calibration import Calibration, calibration_from_json
from whiteline.devices.errors import DeviceError
from whiteline.devices.shown import done

Kind_ = TypeVar("Kind_", bound=Calibration)


class CalibrationSignal(Signal, Generic[Kind_]):
    """A calibration; its value is the JSON text, empty while there is none.

    Parameters
    ----------
    of : type
        The kind of calibration.
    check : callable or None
        Called with a calibration before it is taken; raises if it cannot be that of this device.
    """

    def __init__(
        self, *, of: type[Kind_], check: Callable[[Kind_], None] | None = None, value: Any = "", **kwargs: Any
    ) -> None:
        self._of, self._check = of, check
        self._calibration: Kind_ | None = None
        super().__init__(value="", **kwargs)
        if value:
            self.put(value)

    def check_value(self, value: Calibration | str, **_: Any) -> None:
        """Refuse what is no calibration of this kind.

        Raises
        ------
        ValueError
            Naming what it is instead.
        """
        self._parsed(value)

    def _parsed(self, value: Calibration | str) -> Kind_:
        parsed = calibration_from_json(value) if isinstance(value, str) else value
        if not isinstance(parsed, self._of):
            raise ValueError(f"{self.name} must be a calibration of kind {self._of.kind!r}, not {parsed.kind!r}")
        if self._check is not None:
            self._check(parsed)
        return parsed

    def put(self, value: Calibration | str, **kwargs: Any) -> None:
        """Take another calibration, as an object or as its JSON text."""
        parsed = self._parsed(value)
        self._calibration = parsed
        super().put(parsed.to_json(), **kwargs | {"force": True})

    def set(self, value: Calibration | str, **_: Any) -> StatusBase:
        """Take another calibration; done at once, whatever the spelling of its text. Raises as `check_value`."""
        self.put(value)
        return done()

    @property
    def present(self) -> bool:
        """Whether there is one."""
        return self._calibration is not None

    @property
    def calibration(self) -> Kind_:
        """The calibration in force.

        Raises
        ------
        DeviceError
            If there is none.
        """
        if self._calibration is None:
            raise DeviceError(f"{self.name} holds no calibration; measure one, or give it when the beamline is built")
        return self._calibration

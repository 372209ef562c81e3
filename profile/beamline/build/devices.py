"""The devices of a beamline, by name."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any


class Devices(Mapping[str, Any]):
    """Devices by name, also as attributes: `devices.energy`, `devices["energy"]`.

    Parameters
    ----------
    devices : mapping of str to ophyd.Device
        Each by the name that it has in documents.
    detectors : iterable of str
        Names of those that are triggered by a scan, and say nothing without.
    """

    def __init__(self, devices: Mapping[str, Any], detectors: Iterable[str] = ()) -> None:
        self._devices = dict(devices)
        self._detectors = frozenset(detectors)

    @property
    def baseline(self) -> list[Any]:
        """What is read before and after every run: all that stands somewhere, but no detector."""
        return [device for name, device in self._devices.items() if name not in self._detectors]

    def __getitem__(self, name: str) -> Any:
        return self._devices[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._devices)

    def __len__(self) -> int:
        return len(self._devices)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_devices"][name]
        except KeyError:
            known = ", ".join(self.__dict__.get("_devices", {}))
            raise AttributeError(f"this beamline has no device {name!r}; it has {known}") from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._devices]

    def wait_for_connection(self, timeout: float = 30.0) -> None:
        """Wait until every process variable is connected.

        Parameters
        ----------
        timeout : float
            For each device [s].

        Raises
        ------
        TimeoutError
            Naming what is missing; `whiteline check` says more.
        """
        for device in self._devices.values():
            device.wait_for_connection(timeout=timeout)

"""The lines of fly scans as the run engine is told of them: how long they are to take, and what they expose."""

from collections.abc import Callable
from typing import Any

from whiteline.analysis.laws.fly_line import FlyLine
from whiteline.plans.preflight.exposure import Exposure, moves_sample
from whiteline.plans.preflight.flying import ROTATION
from whiteline.plans.protocols import Estimates, FlyPart, SweepsEnergy


def computed_or_0(question: Callable[[], Any]) -> float:
    """Return what a device computes [s]; 0 where it cannot, whatever it raises: a watch must never end a scan."""
    try:
        return float(question())
    except Exception:
        return 0.0


class Flights:
    """Which lines were prepared, and which are under way.

    Parameters
    ----------
    energy : callable
        Returns where the energy is [eV], NaN if that is not known.
    """

    def __init__(self, energy: Callable[[], float]) -> None:
        self._energy = energy
        self._prepared: dict[Any, FlyLine] = {}
        self._seconds: dict[Any, float] = {}
        self._gates: set[Any] = set()
        self._flown: list[tuple[Any, FlyLine]] = []

    def prepare(self, device: Any, line: Any) -> float:
        """Note a line that a device makes ready for; return how long the way to its beginning should take [s]."""
        if not isinstance(device, FlyPart) or not isinstance(line, FlyLine):
            return 0.0
        self._prepared[device] = line
        # now, as it answers: when the line is waited for, its IOC may have gone
        self._seconds[device] = computed_or_0(lambda: device.forecast_line(line).seconds)
        if (gate := getattr(device, "last_gate", None)) is not None:
            self._gates.add(gate)
        axis = _axis(device, line)
        if not isinstance(axis, Estimates):
            return 0.0
        return computed_or_0(lambda: axis.duration(float(axis.position), float(line.first)))  # type: ignore[attr-defined]

    def is_last_gate(self, device: Any) -> bool:
        """Tell whether a signal is that by which the last gate of a line is waited for."""
        return device in self._gates

    def complete(self, device: Any) -> float:
        """Note that the line of a device is waited for; return how long it is computed to take [s]."""
        line = self._prepared.get(device)
        if line is None:
            return 0.0
        if hasattr(device, "line_result"):
            self._flown.append((device, line))
        return self._seconds[device]

    def land(self, exposure: Exposure, now: float) -> None:
        """Put down what the lines that are over have exposed."""
        for device, line in self._flown:
            sweep = next((one for one, other in self._prepared.items()
                          if other is line and isinstance(one, SweepsEnergy)), None)  # fmt: skip
            energies = (self._energy(),) if sweep is None else sweep.energies(line)
            axis = _axis(device, line)
            if moves_sample(axis) and line.channel != ROTATION:
                exposure.flown(line.gate_s, energies, now, axis.name, (line.first + line.last) / 2)
            else:
                exposure.flown(line.length_s, energies, now)
        self._flown.clear()

    def clear(self) -> None:
        """Forget all."""
        self._prepared.clear()
        self._seconds.clear()
        self._gates.clear()
        self._flown.clear()


def _axis(device: Any, line: FlyLine) -> Any:
    """Return the axis that a capture box moves along a line; None if it moves none."""
    return dict(getattr(device, "axes", None) or {}).get(line.channel)

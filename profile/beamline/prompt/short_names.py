"""Short names for what is typed a hundred times a day, as in SPEC.

    mv(energy, 8345, sample.fine.x, 3)      # there, together
    mvr(sample.fine.x, 0.5)                 # by so much
    wa()                                    # where all is
    ascan(zone_plate.x, -5, 5, 20, 0.1)     # from, to, intervals, seconds
    dscan(zone_plate.x, -5, 5, 20, 0.1)     # about where it stands

Each runs a plan at once, by the run engine of the session, so it is stopped, suspended and recorded as any other.
"""

from collections.abc import Callable
from typing import Any

import bluesky.plan_stubs as bps
from rich.console import Console
from rich.table import Table

from whiteline.beamline.build import Devices
from whiteline.plans import scan_axis


class ShortNames:
    """The short names of a session.

    Parameters
    ----------
    engine : RunEngine
        That runs them.
    devices : Devices
        Of the beamline; scans count with its `counters` and open its `fast_shutter`.
    console : Console
        Where `wa` is shown.
    """

    def __init__(self, engine: Any, devices: Devices, console: Console) -> None:
        self._engine, self._devices, self._console = engine, devices, console

    def names(self) -> dict[str, Callable[..., Any]]:
        """Return them, for the namespace of a prompt."""
        return {"mv": self.mv, "mvr": self.mvr, "wa": self.wa, "ascan": self.ascan, "dscan": self.dscan}

    def mv(self, *axes_and_values: Any) -> None:
        """Move axes to values, together, and return when they are there: mv(axis, value, axis, value, …)."""
        self._pairs(axes_and_values, "mv")
        self._engine(bps.mv(*axes_and_values))

    def mvr(self, *axes_and_values: Any) -> None:
        """Move axes by values, together, and return when they are there: mvr(axis, by, axis, by, …)."""
        self._pairs(axes_and_values, "mvr")
        self._engine(bps.mvr(*axes_and_values))

    def wa(self) -> None:
        """Show where every axis stands, and how far it can go."""
        table = Table("axis", "", "at", "unit", "from", "to", box=None, padding=(0, 2, 0, 0), header_style="bold")
        for column in (2, 4, 5):
            table.columns[column].justify = "right"
        for device in self._devices.values():
            for axis in _axes(device):
                low, high = axis.limits
                stands = "moving" if getattr(axis, "moving", False) else ""
                bounds = [f"{one:g}" if high > low else "" for one in (low, high)]
                table.add_row(axis.name, stands, _shown(axis), getattr(axis, "egu", ""), *bounds)
        self._console.print(table)

    def ascan(self, axis: Any, start: float, stop: float, intervals: int, seconds: float) -> Any:
        """Count along an axis: from, to, number of intervals, seconds a point; it comes back to where it stood."""
        return self._scan(axis, start, stop, intervals, seconds, relative=False)

    def dscan(self, axis: Any, start: float, stop: float, intervals: int, seconds: float) -> Any:
        """Count along an axis about where it stands: from, to, number of intervals, seconds a point."""
        return self._scan(axis, start, stop, intervals, seconds, relative=True)

    def _scan(self, axis: Any, start: float, stop: float, intervals: int, seconds: float, *, relative: bool) -> Any:
        plan = scan_axis(
            [self._devices.counters], axis, start=start, stop=stop, points=intervals + 1, relative=relative,
            dwell_s=seconds, shutter=self._devices.fast_shutter,
        )  # fmt: skip
        return self._engine(plan)

    @staticmethod
    def _pairs(given: tuple[Any, ...], name: str) -> None:
        if not given or len(given) % 2:
            raise ValueError(f"{name} takes pairs of axis and value, such as {name}(energy, 8345); it got {len(given)}")


def _axes(device: Any) -> list[Any]:
    """Return a device if it is an axis, else the axes among what it is read by."""
    if hasattr(device, "position") and hasattr(device, "limits"):
        return [device]
    parts = [getattr(device, name) for name in getattr(device, "component_names", ())]
    return [axis for part in parts for axis in _axes(part)]


def _shown(axis: Any) -> str:
    position = axis.position
    return "?" if position is None else f"{position:.6g}"

"""Where every axis stood before an old run: what would move to bring all back, to be looked at before it is done."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from bluesky.utils import MsgGenerator
from rich.table import Table

from whiteline.analysis.runs import Run, open_run
from whiteline.devices.positioner import Positioner
from whiteline.plans.restore_positions import restore_positions

ENERGY_TOLERANCE_EV = 0.05
"""How near to the energy of the old run counts as there [eV]."""


@dataclass(frozen=True)
class Way:
    """How far an axis is from where it stood.

    Parameters
    ----------
    axis : Positioner
        A real axis, or the energy.
    stands, stood : float
        Now, and before the old run, in the unit of the axis.
    along_beam : bool
        Whether it carries optics or a detector along the beam.
    tolerance : float
        How near counts as there.
    """

    axis: Any
    stands: float
    stood: float
    along_beam: bool
    tolerance: float

    @property
    def moves(self) -> bool:
        """Whether it stands elsewhere than it stood."""
        return not abs(self.stood - self.stands) <= self.tolerance

    @property
    def refusal(self) -> str:
        """Why it cannot go back; empty if it can."""
        try:
            self.axis.check_value(self.stood)
        except ValueError as error:
            return str(error)
        return ""


@dataclass(frozen=True)
class EarlierPositions:
    """Where all axes stood before a run.

    Parameters
    ----------
    run : str
        What it is called.
    ways : tuple of Way
        Of the real axes, in the order of the beamline.
    energy : Way or None
        Of the energy axis, which goes first and takes its own axes along.
    unknown : tuple of str
        Axes that the run did not record.
    shutter : object
        Closed before anything moves.
    """

    run: str
    ways: tuple[Way, ...]
    energy: Way | None
    unknown: tuple[str, ...]
    shutter: Any

    def table(self) -> Table:
        """Return what would move, as a table to be printed by rich."""
        moving = [one for one in (self.energy, *self.ways) if one is not None and one.moves]
        at_rest = len(self.ways) + (self.energy is not None) - len(moving)
        left = f"{at_rest} axes stand where they stood"
        if self.unknown:
            left += f"; not recorded: {', '.join(self.unknown)}"
        table = Table(title=f"Back to where all stood before {self.run}", caption=left)
        for column in ("axis", "stands at", "goes to", "unit", ""):
            table.add_column(column, justify="right" if column in ("stands at", "goes to") else "left")
        for one in moving:
            table.add_row(
                one.axis.name,
                f"{one.stands:.10g}",
                f"{one.stood:.10g}",
                one.axis.egu,
                f"[red]{one.refusal}[/red]" if one.refusal else "",
            )
        return table

    def plan(self) -> MsgGenerator[tuple[str, ...]]:
        """Return the plan that brings all back; it refuses as a whole if one axis cannot go there."""
        energy = self.energy
        return restore_positions(
            [one.axis for one in self.ways],
            [one.stood for one in self.ways],
            along_beam=[one.axis for one in self.ways if one.along_beam],
            tolerances=[one.tolerance for one in self.ways],
            energy=None if energy is None else energy.axis,
            energy_eV=None if energy is None else energy.stood,
            energy_tolerance_eV=ENERGY_TOLERANCE_EV,
            shutter=self.shutter,
        )


def positions_before(run: Any, devices: Mapping[str, Any]) -> EarlierPositions:
    """Find out where every axis stood before a run, and where it stands now.

    Parameters
    ----------
    run : Run, or what a catalog gives
        Whose baseline has the positions.
    devices : mapping of str to device
        Of the beamline; each axis is found by its name, which is its data key. What moves several real axes, as a
        direction of the sample, is left out: they go back themselves. Only the energy goes by itself, first.

    Returns
    -------
    EarlierPositions
        `table` shows what would move, `plan` moves it.

    Raises
    ------
    UnreadableRun
        If the run has no baseline.

    Examples
    --------
    >>> earlier = positions_before(cat[-3], devices)
    >>> rich.print(earlier.table())
    >>> RE(earlier.plan())
    """
    opened = open_run(run)
    ways, unknown = [], []
    for axis, along_beam in _axes(devices):
        way = _way(opened, axis, along_beam, float(axis.tolerance))
        if way is None:
            unknown.append(axis.name)
        else:
            ways.append(way)
    energy = devices.get("energy")
    return EarlierPositions(
        run=opened.name,
        ways=tuple(ways),
        energy=None if energy is None else _way(opened, energy, False, ENERGY_TOLERANCE_EV),
        unknown=tuple(unknown),
        shutter=devices.get("fast_shutter"),
    )


def _way(run: Run, axis: Any, along_beam: bool, tolerance: float) -> Way | None:
    if axis.name not in run.stream("baseline"):
        return None
    stood = float(np.asarray(run.before_and_after(axis.name), float)[0])
    return Way(axis, float(axis.position), stood, along_beam, tolerance) if np.isfinite(stood) else None


def _axes(devices: Mapping[str, Any]) -> Iterator[tuple[Positioner, bool]]:
    """Yield the real axes of devices, each once, with whether it carries optics or a detector along the beam."""
    for name, device in devices.items():
        for axis in _positioners(device):
            yield axis, axis.attr_name == "z" and name != "sample"


def _positioners(device: Any) -> Iterator[Positioner]:
    if isinstance(device, Positioner):
        yield device
        return
    for name in getattr(device, "_sub_devices", ()):
        yield from _positioners(getattr(device, name))

"""A scan of the probe over an edge, and the fit of it."""

import math
from collections.abc import Sequence
from typing import Any

import bluesky.plan_stubs as bps
import numpy as np
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from whiteline.analysis.focus import KnifeEdge, NoEdge, fit_knife_edge
from whiteline.analysis.focus.knife_edge import FEWEST_POINTS
from whiteline.plans.calibration.readings import value_of
from whiteline.plans.point import take_point
from whiteline.plans.protocols import Axis, check_together


class EdgeScan:
    """How an edge is scanned.

    Parameters
    ----------
    detectors : sequence of Readable
        Staged, and counted at each place.
    axis : Axis
        Of the sample [µm].
    places : sequence of float
        Of the scan [µm].
    signal, incident : str
        Data keys of what steps at the edge, and of what it is divided by; nothing if empty.
    also : sequence of Readable
        Read with each point.
    shutter : Movable or None
        Open while the detectors count.
    """

    def __init__(
        self,
        detectors: Sequence[Readable[Any]],
        axis: Axis,
        places: Sequence[float],
        *,
        signal: str,
        incident: str,
        also: Sequence[Readable[Any]],
        shutter: Movable[Any] | None,
    ) -> None:
        self.detectors, self.axis, self.places = detectors, axis, places
        self.signal, self.incident, self.also, self.shutter = signal, incident, also, shutter

    def scan(self) -> MsgGenerator[tuple[KnifeEdge | None, str, dict[str, Any]]]:
        """Scan once; return the edge, or why there is none, and the last reading.

        Raises
        ------
        ValueError
            If nothing that is read is called as signal or incident are.
        """
        at, signals, reading = [], [], dict[str, Any]()
        for place in self.places:
            yield from bps.mv(self.axis, place)
            reading = yield from take_point([*self.detectors, self.axis], self.also, shutter=self.shutter)
            by = value_of(reading, self.incident) if self.incident else 1.0
            at.append(value_of(reading, self.axis.name))
            signals.append(value_of(reading, self.signal) / by if by > 0 else math.nan)
        if not np.isfinite(signals).any():
            return None, f"{self.signal} has no value at any place; is there beam?", reading
        try:
            return fit_knife_edge(at, signals), "", reading
        except NoEdge as none:
            return None, str(none), reading


def edge_places(axis: Any, edge_range: Sequence[float]) -> list[float]:
    """Return the places of a scan over an edge, if the axis can go to all of them.

    Raises
    ------
    ValueError
        If it is no range, has fewer than 8 points, or the axis cannot go there.
    """
    if len(edge_range) != 3 or edge_range[2] != int(edge_range[2]) or edge_range[0] == edge_range[1]:
        raise ValueError(f"edge_range = {tuple(edge_range)} must be (start, stop, points)")
    start, stop, count = edge_range
    if count < FEWEST_POINTS:
        raise ValueError(f"edge_range has {count:g} points; an edge needs at least {FEWEST_POINTS}")
    places = [float(one) for one in np.linspace(start, stop, int(count))]
    check_together(axis, places)
    return places

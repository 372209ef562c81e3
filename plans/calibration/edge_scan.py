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
    """How an edge is scanned, as often as a plan wants.

    The sample drifts, and creeps after each scan, so every scan goes to where the last one has found the edge: as far
    off the middle of its range as it was at first.

    Parameters
    ----------
    detectors : sequence of Readable
        Staged, and counted at each place.
    axis : Axis
        Of the sample [µm].
    places : sequence of float
        Of the first scan [µm].
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
        self._first, self._moved = math.nan, 0.0
        self.last: KnifeEdge | None = None

    def followed(self) -> list[float]:
        """Return the places of the next scan [µm]: those of the first one where the axis can go no farther."""
        places = [place + self._moved for place in self.places]
        try:
            check_together(self.axis, places)
        except ValueError:
            return list(self.places)
        return places

    def scan(self) -> MsgGenerator[tuple[KnifeEdge | None, str, dict[str, Any]]]:
        """Scan once; return the edge, or why there is none, and the last reading.

        Raises
        ------
        ValueError
            If nothing that is read is called as signal or incident are.
        """
        at, signals, reading = [], [], dict[str, Any]()
        for place in self.followed():
            yield from bps.mv(self.axis, place)
            reading = yield from take_point([*self.detectors, self.axis], self.also, shutter=self.shutter)
            by = value_of(reading, self.incident) if self.incident else 1.0
            at.append(value_of(reading, self.axis.name))
            signals.append(value_of(reading, self.signal) / by if by > 0 else math.nan)
        if not np.isfinite(signals).any():
            return None, f"{self.signal} has no value at any place; is there beam?", reading
        try:
            found = fit_knife_edge(at, signals)
        except NoEdge as none:
            self._moved = 0.0  # it may have been followed to a wrong place: the next scan is where the first one was
            return None, str(none), reading
        if self.last is None:
            self._first = found.position
        self.last, self._moved = found, found.position - self._first
        return found, "", reading


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

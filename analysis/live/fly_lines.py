"""Maps of a fly raster that grow line by line: each line is read once, and added to the sums of its map.

A line that was taken again after it had been added replaces the first: then all lines are added anew, as they are if no
grid was planned, or the sample lies beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.fly.binning import Binned
from whiteline.analysis.fly.grid import Grid
from whiteline.analysis.maps.map import Map
from whiteline.analysis.runs.fly_maps import axis_columns, planned_or_measured
from whiteline.analysis.runs.fly_table import COUNTS
from whiteline.analysis.runs.places import Place
from whiteline.analysis.runs.pulses import Pulses, require_pulses
from whiteline.analysis.runs.run import Run
from whiteline.analysis.runs.spectra import INCIDENT
from whiteline.analysis.runs.unreadable import UnreadableRun

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FlyMaps:
    """Maps of a fly raster as far as it goes; planes first where there are several energies.

    Parameters
    ----------
    grid : Grid
        Their pixels.
    lines : mapping of str to (ndarray, ndarray)
        Counts per incident beam and their variance, shape (rows, columns) or (energies, rows, columns), by data key.
    coverage : ndarray of float64
        Dwell that each pixel received [s], of the same shape.
    troubles : tuple of str
        What detectors have missed.
    """

    grid: Grid
    lines: Mapping[str, tuple[Numbers, Numbers]]
    coverage: Numbers
    troubles: tuple[str, ...]


class FlyLines:
    """The sums over the lines of one run so far.

    Parameters
    ----------
    incident : str, optional
        Counter of the beam before the sample; "incident" if it is not given and there is one.
    """

    def __init__(self, incident: str | None = None) -> None:
        self._incident = incident
        self._grid: Grid | None = None
        self._sums: dict[int, Binned] = {}
        self._added: dict[int, Place] = {}
        self._planned = True

    def follow(self, run: Run) -> FlyMaps:
        """Add the lines that have come, and return the maps.

        Raises
        ------
        UnreadableRun
            If the run is no fly raster, nothing was counted, or nothing can be read.
        """
        pulses = require_pulses(run.points)
        shape = run.raster_shape
        table = pulses.table
        if shape is None or not table.counters:
            raise UnreadableRun(f"{run.name} is no fly raster with counters: it counts {', '.join(table.counters)}")
        self._add(pulses, shape)
        assert self._grid is not None
        beam, others = self._channels(pulses)
        number = shape[0] if len(shape) == 3 else 1
        found = {}
        empty = Binned.empty(self._grid, len(table.counters))
        planes = [self._sums.get(plane, empty) for plane in range(number)]
        reference = self._reference(beam)
        for channel, counter in others:
            maps = [_map(one, channel, beam, reference) for one in planes]
            value, variance = np.array([one.value for one in maps]), np.array([one.error**2 for one in maps])
            pair = (value, variance) if len(shape) == 3 else (value[0], variance[0])
            found[f"{table.prefix}{counter}"] = pair
        coverage = np.array([one.coverage for one in planes])
        return FlyMaps(self._grid, found, coverage if len(shape) == 3 else coverage[0], table.troubles)

    def _add(self, pulses: Pulses, shape: tuple[int, ...]) -> None:
        table = pulses.table
        slow, fast = axis_columns(pulses)
        key = table.keys[slow]
        places = {point.seq_num: point.places[key] for point in table.stream.points if key in point.places}
        replaced = any(self._added[line] != place for line, place in places.items() if line in self._added)
        if replaced or not self._planned:
            self._grid, self._sums, self._added = None, {}, {}
        fresh = [place for place, line in enumerate(table.lines) if int(line) not in self._added]
        if not fresh and self._grid is not None:
            return
        lines = slice(fresh[0] if fresh else 0, fresh[-1] + 1 if fresh else 0)
        y, x, gate = table.read(slow, lines), table.read(fast, lines), table.gate_s(lines)
        counts = [table.read(f"{one}{COUNTS}", lines) for one in table.counters]
        if self._grid is None:
            self._grid = planned_or_measured(pulses, y, x)
            self._planned = self._grid == planned_or_measured(pulses, y[:0], x[:0])
        numbers = table.lines[lines]
        # lines that were added before, and lie between those that are new, are not added again
        new = np.array([int(one) not in self._added for one in numbers], bool)
        plane_of = (numbers - 1) // shape[-2]
        for plane in np.unique(plane_of[new]):
            of_plane = new & (plane_of == plane)
            before = self._sums.get(int(plane)) or Binned.empty(self._grid, len(counts))
            counted = [one[of_plane] for one in counts]
            self._sums[int(plane)] = before.add(y[of_plane], x[of_plane], gate[of_plane], counted)
        # a line of which nothing is known yet may be on its way into its file
        known = ~np.isnan(gate).all(axis=1)
        self._added |= {int(line): places[int(line)] for line in numbers[new & known]}

    def _channels(self, pulses: Pulses) -> tuple[int | None, list[tuple[int, str]]]:
        """Return the channel of the incident beam, and those of all else that was counted."""
        table = pulses.table
        wanted = (self._incident or INCIDENT).removeprefix(table.prefix).removesuffix("_rate").removesuffix(COUNTS)
        counters = table.counters
        if self._incident is not None and wanted not in counters:
            raise UnreadableRun(f"{pulses.run} has no counter {self._incident!r}; it has {', '.join(counters)}")
        beam = counters.index(wanted) if wanted in counters else None
        return beam, [(channel, one) for channel, one in enumerate(counters) if channel != beam]

    def _reference(self, beam: int | None) -> float:
        """Return the incident counts to which all maps are brought, so that those of all energies compare."""
        if beam is None:
            return 1.0
        lit = [one.sums[beam][one.sums[beam] > 0] for one in self._sums.values()]
        every = np.concatenate(lit) if lit else np.empty(0)
        return float(np.median(every)) if every.size else 1.0


def _map(binned: Binned, channel: int, beam: int | None, reference: float) -> Map:
    if beam is None:
        return binned.counts(channel)
    return binned.normalised(channel, beam, reference=reference)

"""Maps of a fly raster that grow line by line: each line is read, and added to the sums of its map.

Fluorescence lines are corrected for the dead time of their detector by all that it has counted in each pixel. The
current of a chamber was turned into counts, and these are not photons one by one: how much it is known better or worse
than by so many photons shows in how counts of neighbouring pulses scatter. The beam before the sample is taken as it is
known best by two chambers, where a second one has counted.

A line that was taken again after it had been added replaces the first: then all lines are added anew, as they are if no
grid was planned, or the sample lies beside it.

Of several energies each whole map is brought back by what the sample has drifted against the first one. Errors hold the
noise of counting, and how well it is known how far that was: this shows where a map is steep, at the rims of particles.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.fluorescence.dead_time import correct_dead_time
from whiteline.analysis.fly.binning import Binned
from whiteline.analysis.fly.centring import centred
from whiteline.analysis.fly.grid import Grid
from whiteline.analysis.fly.steady_beam import steadied
from whiteline.analysis.live.results import FrameFound
from whiteline.analysis.maps.map import Map
from whiteline.analysis.runs.fly_maps import axis_columns, places_of, planned_or_measured
from whiteline.analysis.runs.fly_table import COUNTS
from whiteline.analysis.runs.places import Place
from whiteline.analysis.runs.pulses import Pulses, require_pulses
from whiteline.analysis.runs.run import Run
from whiteline.analysis.runs.spectra import CHAMBERS, INCIDENT
from whiteline.analysis.runs.unreadable import UnreadableRun

Numbers = NDArray[np.float64]

FEWEST_PULSES = 8
"""Of a line by which the scatter of the beam is told."""

MEDIAN_OF_CHI2 = 0.4549
"""Median of the square of a standard normal number."""


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
    counted : callable
        Returns what the chambers counted, as `lines`, but per mean incident beam of each line: while the beam is steady
        along a line, this is known better. It is worked out when it is asked for.
    """

    grid: Grid
    lines: Mapping[str, tuple[Numbers, Numbers]]
    coverage: Numbers
    troubles: tuple[str, ...]
    counted: Callable[[], Mapping[str, tuple[Numbers, Numbers]]] = dict


class FlyLines:
    """The sums over the lines of one run so far.

    Parameters
    ----------
    incident : str, optional
        Counter of the beam before the sample; "incident" if it is not given and there is one.

    Attributes
    ----------
    moved : dict of int to FrameFound or None
        By how much whole maps were found to have moved against the first one, as they were taken, by their number; None
        if that is not known.
    placed : set of int
        Maps that were compared with all others.
    shown : str
        In which line the sample shows most, by the first whole map; empty as long as none is.
    """

    def __init__(self, incident: str | None = None) -> None:
        self._incident = incident
        self._planned = True
        self._forget()

    def _forget(self) -> None:
        self._grid: Grid | None = None
        self._measured: set[int] = set()
        self._sums: dict[int, Binned] = {}
        self._added: dict[int, Place] = {}
        self._scatter: dict[str, dict[int, float]] = {}
        self._back: dict[int, tuple[float, float]] = {}
        self._unsure: dict[int, tuple[float, float]] = {}
        self.moved: dict[int, FrameFound | None] = {}
        self.placed: set[int] = set()
        self.shown = ""

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
        found: dict[str, tuple[Numbers, Numbers]] = {}
        empty = Binned.empty(self._grid, len(table.counters) + (table.busy is not None))
        planes = [self._sums.get(plane, empty) for plane in range(number)]
        reference = self._reference(beam)
        noise = {one: float(np.median(list(found.values()))) for one, found in self._scatter.items() if found}
        beam_noise = 1.0 if beam is None else noise.get(table.counters[beam], 1.0)
        for channel, counter in others:
            busy = table.busy if counter in table.windows else None
            own = noise.get(counter, 1.0)
            maps = [
                _map(one, channel, own, busy, beam, beam_noise, reference, self._unsure.get(plane, (0.0, 0.0)))
                for plane, one in enumerate(planes)
            ]
            value, variance = np.array([one.value for one in maps]), np.array([one.error**2 for one in maps])
            pair = (value, variance) if len(shape) == 3 else (value[0], variance[0])
            found[f"{table.prefix}{counter}"] = pair
        coverage = np.array([one.coverage for one in planes])

        def counted() -> dict[str, tuple[Numbers, Numbers]]:
            if beam is None or len(shape) < 3:
                return {}
            own = {counter: (channel, noise.get(counter, 1.0)) for channel, counter in others if counter in CHAMBERS}
            return {counter: _per_beam_of_line(planes, *pair, beam, reference) for counter, pair in own.items()}

        return FlyMaps(self._grid, found, coverage if len(shape) == 3 else coverage[0], table.troubles, counted)

    def whole(self, shape: tuple[int, ...]) -> list[int]:
        """Return which maps have all of their lines, of a raster of this shape."""
        lines = Counter((line - 1) // shape[-2] for line in self._added)
        return sorted(plane for plane, number in lines.items() if number == shape[-2] and plane < shape[0])

    def bring_back(
        self, plane: int, by_px: tuple[float, float], unsure_px: tuple[float, float], shape: tuple[int, ...]
    ) -> None:
        """Bring a map back onto the first one: its lines are added anew, unless it lies there already.

        Parameters
        ----------
        plane : int
            Which map.
        by_px : (float, float)
            How far its content, as it was taken, has moved along y and x [px].
        unsure_px : (float, float)
            How well that is known, one standard error [px].
        shape : tuple of int
            Of the raster.
        """
        assert self._grid is not None
        self._unsure[plane] = unsure_px
        if by_px == self.back_px(plane):
            return
        self._back[plane] = by_px[0] * self._grid.step_y, by_px[1] * self._grid.step_x
        self._sums.pop(plane, None)
        self._added = {line: place for line, place in self._added.items() if (line - 1) // shape[-2] != plane}

    @property
    def step_um(self) -> Numbers:
        """Size of a pixel along y and x [µm]; NaN as long as nothing was added."""
        return np.array([np.nan, np.nan] if self._grid is None else [self._grid.step_y, self._grid.step_x])

    def back_px(self, plane: int) -> tuple[float, float]:
        """Return by how much a map was brought back (y, x) [px]."""
        y, x = self._back.get(plane, (0.0, 0.0))
        return (y / self._grid.step_y, x / self._grid.step_x) if self._grid is not None else (0.0, 0.0)

    def _add(self, pulses: Pulses, shape: tuple[int, ...]) -> None:
        table = pulses.table
        key = table.keys[axis_columns(pulses)[0]]
        places = {point.seq_num: point.places[key] for point in table.stream.points if key in point.places}
        replaced = any(self._added[line] != place for line, place in places.items() if line in self._added)
        # a grid that was not planned follows from the lines that there are
        if replaced or not (self._planned or self._measured >= set(table.lines.tolist())):
            self._forget()
        fresh = [place for place, line in enumerate(table.lines) if int(line) not in self._added]
        if not fresh and self._grid is not None:
            return
        if self._grid is None:
            y, x = places_of(pulses, slice(fresh[0], fresh[-1] + 1) if fresh else slice(0))
            self._grid = planned_or_measured(pulses, y, x)
            self._planned = self._grid == planned_or_measured(pulses, y[:0], x[:0])
            self._measured = set(table.lines.tolist())
        unread: UnreadableRun | None = None
        for plane, group in groupby(fresh, key=lambda one: int(table.lines[one] - 1) // shape[-2]):
            ones = list(group)
            try:
                # a map at a time, so that a long run is never in memory as a whole
                self._add_lines(pulses, plane, slice(ones[0], ones[-1] + 1), places)
            except UnreadableRun as error:  # none of these lines is in its file yet, or ever; others may be
                unread = error
        if unread is not None and not self._added:
            raise unread

    def _add_lines(self, pulses: Pulses, plane: int, lines: slice, places: Mapping[int, Place]) -> None:
        table, grid = pulses.table, self._grid
        assert grid is not None
        numbers = table.lines[lines]
        # lines that were added before, and lie between those that are new, are not added again
        new = np.array([int(one) not in self._added for one in numbers], bool)
        (y, x), gate = places_of(pulses, lines), table.gate_s(lines)
        back_y, back_x = self._back.get(plane, (0.0, 0.0))
        columns = [f"{one}{COUNTS}" for one in table.counters] + ([] if table.busy is None else [table.busy[0]])
        counts = [table.read(one, lines) for one in columns]
        scatter = {
            counter: scatter_over_poisson(counted, gate)
            for counter, counted in zip(table.counters, counts, strict=False)
            if counter in CHAMBERS
        }
        beam, others = self._channels(pulses)
        witness = next((channel for channel, counter in others if counter in CHAMBERS), None)
        if beam is not None and witness is not None:
            counts[beam], over = steadied(counts[beam], counts[witness], gate)
            raw = scatter.get(table.counters[beam], np.full(over.shape, np.nan))
            scatter[table.counters[beam]] = np.where(np.isfinite(over), over, raw)
        for counter, found in scatter.items():
            known = new & np.isfinite(found)
            of_lines = zip(numbers[known].tolist(), found[known].tolist(), strict=True)
            self._scatter.setdefault(counter, {}).update(of_lines)
        before = self._sums.get(plane) or Binned.empty(grid, len(counts))
        own = [one[new] for one in counts]
        self._sums[plane] = before.add(y[new] - back_y, x[new] - back_x, gate[new], own)
        # a line of which nothing is known yet may be on its way into its file
        read = ~np.isnan(gate).all(axis=1)
        self._added |= {int(line): places[int(line)] for line in numbers[new & read]}

    def _channels(self, pulses: Pulses) -> tuple[int | None, list[tuple[int, str]]]:
        """Return the channel of the incident beam, and those of all else that was counted."""
        table = pulses.table
        wanted = (self._incident or INCIDENT).removeprefix(table.prefix).removesuffix("_rate").removesuffix(COUNTS)
        counters = table.counters
        if self._incident is not None and wanted not in counters:
            raise UnreadableRun(f"{pulses.run} has no counter {self._incident!r}; it has {', '.join(counters)}")
        beam = counters.index(wanted) if wanted in counters else None
        others = [(channel, one) for channel, one in enumerate(counters) if channel != beam]
        # elements first: they are what a map is mostly about
        return beam, sorted(others, key=lambda one: one[1] in CHAMBERS)

    def _reference(self, beam: int | None) -> float:
        """Return the incident counts to which all maps are brought, so that those of all energies compare."""
        if beam is None:
            return 1.0
        lit = [one.sums[beam][one.sums[beam] > 0] for one in self._sums.values()]
        every = np.concatenate(lit) if lit else np.empty(0)
        return float(np.median(every)) if every.size else 1.0


def _per_beam_of_line(
    planes: Sequence[Binned], channel: int, noise: float, beam: int, reference: float
) -> tuple[Numbers, Numbers]:
    value, variance = [], []
    for one in planes:
        raw, light = one.counts(channel), one.counts(beam).value
        known = np.isfinite(light).any(axis=1)
        mean = np.full((len(light), 1), np.nan)
        mean[known, 0] = np.nanmean(light[known], axis=1)
        scale = reference / np.where(mean > 0, mean, np.nan)
        found = Map.masked(raw.name, raw.unit, raw.value * scale, np.sqrt(noise) * raw.error * scale, raw.valid)
        found = centred(found, *one.offsets)
        value.append(found.value)
        variance.append(found.error**2)
    return np.array(value), np.array(variance)


def scatter_over_poisson(counts: Numbers, gate_s: Numbers) -> Numbers:
    """Return the variance of counts over that of as many single photons, for each line; NaN where it cannot be told.

    Parameters
    ----------
    counts : ndarray of float64, shape (lines, pulses)
        Of a beam that changes little from pulse to pulse.
    gate_s : ndarray of float64, of the same shape
        Over which they were counted [s].
    """
    found = np.full(len(counts), np.nan)
    for line, (values, gates) in enumerate(zip(counts, gate_s, strict=True)):
        known = (values > 0) & (gates > 0)
        rate, mean = values[known] / gates[known], values[known].mean() if known.any() else 0.0
        if rate.size >= FEWEST_PULSES:
            # a slope is no noise: second differences of normal numbers have a variance of 6 σ²
            apart = np.diff(rate, 2) / rate[1:-1]
            found[line] = float(np.median(apart**2) / (6 * MEDIAN_OF_CHI2) * mean)
    return found


def _map(
    binned: Binned,
    channel: int,
    noise: float,
    busy: tuple[str, float, float] | None,
    beam: int | None,
    beam_noise: float,
    reference: float,
    unsure_px: tuple[float, float],
) -> Map:
    """Return a map per incident beam; `noise` is the variance of its counts over that of Poisson."""
    counted = binned.counts(channel)
    counted = Map(counted.name, counted.unit, counted.value, np.sqrt(noise) * counted.error, counted.valid)
    if busy is not None:
        _, dead_time, elements = busy
        # elements that are equally busy count as one would in so much more time
        dwell = np.where(binned.visited, binned.coverage, 1.0) * elements
        counted = correct_dead_time(counted, binned.sums[-1], dwell, dead_time)
    if beam is None:
        return counted
    return binned.normalised(
        channel, beam, reference=reference, incident_noise=beam_noise, counted=counted, unsure_px=unsure_px
    )

"""A fly raster as maps: lines of the capture table, put onto a regular grid by the measured positions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from whiteline.analysis.runs.fly_table import COUNTS, MEAN, Numbers
from whiteline.analysis.runs.pulses import Pulses, require_pulses
from whiteline.analysis.runs.unreadable import UnreadableRun

if TYPE_CHECKING:
    from whiteline.analysis.fly.binning import Binned, Deposit
    from whiteline.analysis.fly.grid import Grid
    from whiteline.analysis.runs.run import Run

MOVED = "region_y", "region_x"
"""Data keys, once for each map, of how far its region was moved along the slow and the fast axis."""

LEAST_INSIDE = 0.5
"""If a smaller share of the measurements lies in the planned grid, its zero is another than that of the channels."""


def axis_columns(pulses: Pulses) -> tuple[str, str]:
    """Return the columns of the slow and of the fast axis of a raster.

    Raises
    ------
    UnreadableRun
        If the start document names no two axes, or their channels are not known.
    """
    motors = [str(one) for one in pulses.start.get("motors", ())][-2:]
    channels = [pulses.channel_of.get(one) for one in motors]
    if len(motors) < 2 or None in channels:
        known = ", ".join(pulses.table.channels) or "none"
        raise UnreadableRun(
            f"which channels ({known}) are the axes {', '.join(motors) or '(none)'} of {pulses.run} is not known; name "
            "them as channels, {axis: channel}, in the start document"
        )
    slow, fast = channels
    return f"{slow}{MEAN}", f"{fast}{MEAN}"


def followed(pulses: Pulses, lines: slice = slice(None)) -> tuple[Numbers, Numbers]:
    """Return by how much the region of each line was moved after a sample that drifts, along y and x, shape (lines,).

    The planned region is that of the first map. 0 where nothing tells of it.
    """
    shape, maps = list(pulses.start.get("shape") or ()), pulses.maps
    numbers = pulses.table.lines[lines]
    found = np.zeros((2, numbers.size))
    if maps is not None and len(shape) > 1:
        for axis, key in enumerate(MOVED):
            if key in maps:
                moved = dict(zip(maps.seq_nums.tolist(), maps.numbers(key).tolist(), strict=True))
                found[axis] = [moved.get(int(one - 1) // int(shape[-2]) + 1, 0.0) for one in numbers]
    return found[0], found[1]


def moved_um(run: "Run") -> Numbers:
    """Return by how much the region of each map followed the sample (y, x) [µm], shape (E, 2); NaN without a line."""
    number, rows = (run.raster_shape or (1, 1))[:2]
    found, plane = np.full((number, 2), np.nan), (run.fly.lines - 1) // rows
    planned = plane < number
    found[plane[planned]] = np.stack(followed(require_pulses(run.points)), axis=1)[planned]
    return found


def begun_s(run: "Run") -> Numbers:
    """Return when each map was begun, as its event was recorded [s since 1970], shape (E,); NaN without an event."""
    found, maps = np.full((run.raster_shape or (1,))[0], np.nan), require_pulses(run.points).maps
    if maps is not None:
        known = maps.seq_nums <= found.size
        found[maps.seq_nums[known] - 1] = maps.times[known]
    return found


def places_of(pulses: Pulses, lines: slice = slice(None)) -> tuple[Numbers, Numbers]:
    """Return where each pixel was in the region of its map, along y and x, shape (lines, pulses).

    A region that followed a sample is taken back to where it was planned, so that maps lie on one another.
    """
    slow, fast = axis_columns(pulses)
    moved_y, moved_x = followed(pulses, lines)
    table = pulses.table
    return table.read(slow, lines) - moved_y[:, None], table.read(fast, lines) - moved_x[:, None]


def lines_of(run: "Run", plane: int | None) -> slice:
    """Return the lines of one map of a raster at several energies; all lines if it is not told which."""
    shape = run.raster_shape
    if plane is None or shape is None or len(shape) < 3:
        return slice(None)
    numbers, rows = run.fly.lines, shape[-2]
    first, last = np.searchsorted(numbers, [plane * rows + 1, (plane + 1) * rows + 1])
    return slice(int(first), int(last))


def binned_lines(
    pulses: Pulses,
    counters: Sequence[str],
    *,
    lines: slice = slice(None),
    grid: "Grid | None" = None,
    deposit: "Deposit" = "nearest",
) -> "Binned":
    """Put lines of a fly raster onto a regular grid.

    Parameters
    ----------
    pulses : Pulses
        Of the run.
    counters : sequence of str
        Columns without "_counts"; the channels of the sums, in this order.
    lines : slice
        Which of them.
    grid : Grid, optional
        The one that was planned if it is not given; where most of the measurements lie beside that, one that covers
        them.
    deposit : {"nearest", "bilinear"}
        See `analysis.fly.binning`.

    Raises
    ------
    UnreadableRun
        If the run is no fly raster, or has no such counter.
    """
    from whiteline.analysis.fly.binning import Binned

    table = pulses.table
    y, x = places_of(pulses, lines)
    chosen = planned_or_measured(pulses, y, x) if grid is None else grid
    counts = [table.read(f"{one}{COUNTS}", lines) for one in counters]
    return Binned.empty(chosen, len(counts), deposit).add(y, x, table.gate_s(lines), counts)


def planned_or_measured(pulses: Pulses, y: Numbers, x: Numbers) -> "Grid":
    """Return the grid that the start document plans, or, where the measurements lie beside it, one that covers them.

    Raises
    ------
    UnreadableRun
        If the start document says neither where the raster is, nor how large its steps are.
    """
    from whiteline.analysis.fly.grid import Grid

    start = pulses.start
    extents, shape = list(start.get("extents") or ())[-2:], list(start.get("shape") or ())[-2:]
    if len(extents) < 2 or len(shape) < 2:
        raise UnreadableRun(
            f"the start document of {pulses.run} has no shape and extents of two axes; give a grid, as by "
            "Grid.measured(y, x, step=…)"
        )
    planned = Grid.planned(extents, shape)
    known = np.isfinite(y) & np.isfinite(x)
    inside = known & (np.abs(y - planned.y.mean()) <= (planned.rows / 2) * planned.step_y)
    inside &= np.abs(x - planned.x.mean()) <= (planned.columns / 2) * planned.step_x
    if not known.any() or inside.sum() >= LEAST_INSIDE * known.sum():
        return planned
    return Grid.measured(y, x, step=(planned.step_y, planned.step_x))

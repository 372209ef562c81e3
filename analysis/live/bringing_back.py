"""The maps of a fly raster at several energies, brought back onto the first one as they become whole.

Each new map is compared with the first one, which brings it near. Then every map is compared with the mean of all
others, and what is known of how the sample walks draws the places of those that show little, as maps do before the
edge, to those of their neighbours. So each map that comes makes those before it better known too.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.live.fly_lines import FlyLines, FlyMaps
from whiteline.analysis.live.map_drift import drift_of_map, first_whole, showing_most
from whiteline.analysis.registration.among import shifts_among
from whiteline.analysis.registration.walk import walk_of
from whiteline.analysis.runs.fly_maps import moved_um
from whiteline.analysis.runs.rasters import pixels_of
from whiteline.analysis.runs.run import Run

Numbers = NDArray[np.float64]


def bring_back(run: Run, shape: tuple[int, ...], flown: FlyMaps, fly_lines: FlyLines, *, register: bool) -> FlyMaps:
    """Bring back the maps that are whole by now, and return all maps as they are then.

    Parameters
    ----------
    run : Run
        A fly raster.
    shape : tuple of int
        Its shape: energies, rows, columns.
    flown : FlyMaps
        Its maps so far.
    fly_lines : FlyLines
        What they come from; what is found is noted there.
    register : bool
        Whether maps are brought back; if not, only how far new ones have moved is noted.
    """
    pixels, times = pixels_of(run.start, run.points.seq_nums, shape), run.points.times
    plane_of = np.where(pixels >= 0, pixels // int(np.prod(shape[1:])), -1)
    counts = np.bincount(plane_of[plane_of >= 0], minlength=shape[0])
    whole = np.flatnonzero(counts == int(np.prod(shape[1:])))
    fresh = [int(one) for one in whole if one and int(one) not in fly_lines.moved]
    if not fresh:
        return flown
    energies = run.energies_of("primary")
    shows = showing(flown)
    for plane in fresh:
        here = plane_of == plane
        energy = np.nan if energies is None else float(np.mean(energies[here]))
        found = drift_of_map(shows, plane, energy, float(times[here].max()))
        fly_lines.moved[plane] = found
        if register and found is not None and found.trusted:
            by = found.shift_y, found.shift_x
            fly_lines.bring_back(plane, by, (found.shift_error_y, found.shift_error_x), shape)
    if not register:
        return flown
    flown = fly_lines.follow(run)
    value, variance = showing_most(showing(flown))
    first = first_whole(value)
    planes = [first, *sorted(one for one, found in fly_lines.moved.items() if found is not None and one != first)]
    taken = np.array([times[plane_of == one].mean() for one in planes])
    if np.unique(taken[np.isfinite(taken)]).size == len(planes) > 1:
        _walked(fly_lines, planes, taken, (value[planes], variance[planes]), moved_um(run)[planes], shape)
    return fly_lines.follow(run)


def showing(flown: FlyMaps) -> Mapping[str, tuple[Numbers, Numbers]]:
    """Return all maps in which the sample may show."""
    return {**flown.lines, **{f"{key} of a steady beam": pair for key, pair in flown.counted.items()}}


def _walked(
    fly_lines: FlyLines,
    planes: list[int],
    taken: Numbers,
    maps: tuple[Numbers, Numbers],
    region_um: Numbers,
    shape: tuple[int, ...],
) -> None:
    """Bring some maps, the first one first, to where the sample has most likely walked."""
    value, variance = maps
    found = shifts_among(value, 1 / np.nanmean(variance.reshape(len(planes), -1), axis=1))
    if np.isfinite(found.shifts).all(axis=1).sum() < 2:
        return
    region = region_um / fly_lines.step_um
    back = np.array([fly_lines.back_px(one) for one in planes]) + region
    walk = walk_of(taken, back + found.shifts, found.errors)
    by = walk.places - (region - region[0])
    for index, plane in enumerate(planes):
        fly_lines.bring_back(plane, tuple(by[index]), tuple(walk.apart[index]), shape)
        if (moved := fly_lines.moved.get(plane)) is not None:
            (y, x), (error_y, error_x) = by[index], walk.errors[index]
            fly_lines.moved[plane] = replace(
                moved, shift_y=float(y), shift_x=float(x), shift_error_y=float(error_y), shift_error_x=float(error_x)
            )

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
from whiteline.analysis.runs.fly_maps import begun_s, moved_um
from whiteline.analysis.runs.run import Run

Numbers = NDArray[np.float64]

PASSES = 3
"""Of comparing all maps with each other at most."""

SMEARED_PX = 0.5
"""Maps that were off by more have smeared the mean of all, and they are compared once more."""

UNMOVED_PX = 0.005
"""A map that has moved by less stays where it is: no slope is so steep that it would show."""

UNMOVED = 0.3
"""While maps still come, one that has moved by less of its error stays, too, so that few are read again."""


def bring_back(
    run: Run,
    shape: tuple[int, ...],
    flown: FlyMaps,
    fly_lines: FlyLines,
    energies: Numbers,
    *,
    register: bool,
) -> FlyMaps:
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
    energies : ndarray of float64, shape (E,)
        Of each map [eV].
    register : bool
        Whether maps are brought back; if not, only how far new ones have moved is noted.
    """
    fresh = [one for one in fly_lines.whole(shape) if one and one not in fly_lines.moved]
    if not fresh or not (shows := showing(flown)):
        return flown
    begun = begun_s(run)
    for plane in fresh:
        found = drift_of_map(shows, plane, float(energies[plane]), float(begun[plane]))
        fly_lines.moved[plane] = found
        if register and found is not None and found.trusted:
            by = found.shift_y, found.shift_x
            fly_lines.bring_back(plane, by, (found.shift_error_y, found.shift_error_x), shape)
    if not register:
        return flown
    flown = fly_lines.follow(run)
    fly_lines.shown = fly_lines.shown or showing_most(showing(flown))
    first = first_whole(showing(flown)[fly_lines.shown][0])
    found_ones = sorted(one for one, found in fly_lines.moved.items() if found is not None and one != first)
    # of a map without a time nothing is known of how far it is from others
    planes = [one for one in (first, *found_ones) if np.isfinite(begun[one])]
    timed = first in planes and np.unique(begun[planes]).size == len(planes) > 1
    for _ in range(PASSES if timed else 0):
        maps = showing(flown)[fly_lines.shown]
        by_px = _walked(fly_lines, planes, begun[planes], maps, moved_um(run)[planes], shape, going=run.going)
        flown = fly_lines.follow(run)
        if by_px < SMEARED_PX:
            break
    return flown


def showing(flown: FlyMaps) -> Mapping[str, tuple[Numbers, Numbers]]:
    """Return all maps in which the sample may show."""
    return {**flown.lines, **{f"{key} of a steady beam": pair for key, pair in flown.counted().items()}}


def _walked(
    fly_lines: FlyLines,
    planes: list[int],
    begun: Numbers,
    maps: tuple[Numbers, Numbers],
    region_um: Numbers,
    shape: tuple[int, ...],
    *,
    going: bool,
) -> float:
    """Bring some maps, the first one first, to where the sample has most likely walked; tell how far at most [px]."""
    value, variance = (part[planes] for part in maps)
    region, back = region_um / fly_lines.step_um, np.array([fly_lines.back_px(one) for one in planes])
    noise = np.nanmean(variance, axis=(1, 2))
    if not (np.isfinite(noise) & (noise > 0)).all():
        return 0.0
    found = shifts_among(value, noise)
    if np.isfinite(found.shifts).all(axis=1).sum() < 2:
        return 0.0
    walk = walk_of(begun, back + region + found.shifts, found.errors)
    places = walk.places - (region - region[0])
    # as more maps come, the place of the first one is known better: that moves all others alike, and none of them apart
    before = np.array([one in fly_lines.placed for one in planes])
    alike = np.median((places - back)[before], axis=0) if going and before.any() else np.zeros(2)
    least = np.maximum(UNMOVED_PX, UNMOVED * walk.apart if going else 0.0)
    far = (np.abs(places - alike - back) > least).any(axis=1)
    far[0] = False
    fly_lines.placed.update(planes[1:])
    for index, plane in enumerate(planes):
        by = places[index] - alike if far[index] else back[index]
        fly_lines.bring_back(plane, (float(by[0]), float(by[1])), tuple(walk.apart[index].tolist()), shape)
        if (moved := fly_lines.moved.get(plane)) is not None:
            (y, x), (error_y, error_x) = places[index].tolist(), walk.errors[index].tolist()
            fly_lines.moved[plane] = replace(moved, shift_y=y, shift_x=x, shift_error_y=error_y, shift_error_x=error_x)
    return float(np.abs(places - alike - back)[far].max(initial=0.0))

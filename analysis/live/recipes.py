"""Which frames make the optical density of a point: its own, its flats, the darks, and at which magnification.

A recipe says it completely, and is compared with the one that was last followed: a point that is measured anew, a flat
that fits better, or a dark that comes late gives another recipe, and the point is worked out again. Live and offline
follow the same recipes, so at the end of a run they come to the same result.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.energies import SAME_ENERGY_EV
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.runs.completeness import SAME_READBACK_EV
from whiteline.analysis.runs.flats import SAME_EV, groups_of_flats
from whiteline.analysis.runs.places import Place
from whiteline.analysis.runs.roles import energy_key, frames_key
from whiteline.analysis.runs.run import DARK, FLAT, LOOK, LOOK_FLAT, PRIMARY, Run
from whiteline.analysis.runs.streams import Stream
from whiteline.analysis.runs.unreadable import UnreadableRun

Places = tuple[Place, ...]


@dataclass(frozen=True)
class Recipe:
    """What the optical density of one point is made of.

    Parameters
    ----------
    number : int
        The point's `seq_num`.
    energy : float
        Energy that was reached [eV]; a point that repeats an energy is told apart from the others by 2 meV.
    time : float
        When it was recorded [s since 1970].
    frames, flats, darks : tuple of Place
        Where they lie; the mean of each is taken.
    magnification : float or None
        As recorded.
    stage : tuple of float or None
        Position of the sample (vertical, horizontal) [µm].
    own_flat : bool
        Whether its flats were taken at its energy.
    of_this_visit : bool
        Whether they were taken while the energy was there this time, before the frame or after it.
    flat_scale : float
        Exposure of the frames over that of the flats.
    """

    number: int
    energy: float
    time: float
    frames: Places
    flats: Places
    darks: Places
    magnification: float | None
    stage: tuple[float, float] | None
    own_flat: bool
    of_this_visit: bool
    flat_scale: float = 1.0


@dataclass(frozen=True, eq=False)
class Cookbook:
    """The recipes of all points that can be worked out, and what they have in common.

    Parameters
    ----------
    recipes : dict of int to Recipe
        By `seq_num`, ascending.
    frame_shape : tuple of int
        Rows and columns.
    dtype : dtype
        Of the raw frames.
    left_out : tuple of str
        A sentence for each point that has none.
    look : Recipe or None
        Of the newest frame of the stream "look", if no other frame is newer.
    blank : tuple of slice or None
        Rows and columns where there is no sample; None if nobody says.
    """

    recipes: dict[int, Recipe]
    frame_shape: tuple[int, int]
    dtype: np.dtype[Any]
    left_out: tuple[str, ...]
    look: Recipe | None = None
    blank: tuple[slice, slice] | None = None


def cookbook_of(run: Run, settings: Settings) -> Cookbook:
    """Return the recipes of a run as it is now.

    Parameters
    ----------
    run : Run
        Finished or still going.
    settings : Settings
        Which flats belong to a frame, which camera.

    Raises
    ------
    UnreadableRun
        If it records no energies or no frames, or has not yet a flat.
    """
    stream = run.stream(PRIMARY)
    axis = energy_key(run.start, stream)
    if axis is None:
        raise UnreadableRun(
            f"stream {PRIMARY!r} of {run.name} records no energy; read the energy with each point, or name it as "
            "roles.energy in the start document"
        )
    camera = frames_key(run.start, stream, settings.camera)
    shape = stream.external[camera][-2:]
    if not any(_taken(run, name, camera).places for name in (FLAT, LOOK_FLAT)):
        raise UnreadableRun(f"{run.name} has no flats in a stream 'flat' yet: an optical density needs one")
    recipes, left_out = _recipes_of(run, stream, axis, camera, settings)
    dtype = np.dtype(stream.data_keys[camera].get("dtype_numpy") or "<u2")
    size = int(shape[0]), int(shape[1])
    look = _look(run, camera, recipes, settings)
    return Cookbook(recipes, size, dtype, left_out, look, blank_of(run, settings, size))


def blank_of(run: Run, settings: Settings, shape: tuple[int, int]) -> tuple[slice, slice] | None:
    """Return rows and columns where there is no sample, by the settings or else by the metadata of the run.

    Raises
    ------
    UnreadableRun
        If they do not lie in the frame.
    """
    given = settings.blank if settings.blank is not None else run.start.get("blank")
    if given is None:
        return None
    try:
        top, bottom, left, right = (int(one) for one in given)
    except (TypeError, ValueError) as error:
        raise UnreadableRun(
            f"blank = {given!r} of {run.name} must be (first row, row behind, first column, column behind)"
        ) from error
    if not (0 <= top < bottom <= shape[0] and 0 <= left < right <= shape[1]):
        raise UnreadableRun(f"blank = {given!r} of {run.name} does not lie in its frames of {shape[0]} × {shape[1]} px")
    return slice(top, bottom), slice(left, right)


def _look(run: Run, camera: str, recipes: Mapping[int, Recipe], settings: Settings) -> Recipe | None:
    """Return the recipe of a frame that was taken to be looked at since the newest other one."""
    stream = run.streams.get(LOOK)
    axis = None if stream is None else energy_key(run.start, stream)
    if stream is None or axis is None or camera not in stream.external:
        return None
    looks, _ = _recipes_of(run, stream, axis, camera, settings)
    newest = looks[max(looks)] if looks else None
    others = max((one.time for one in recipes.values()), default=-np.inf)
    return newest if newest is not None and newest.time > others else None


def _recipes_of(
    run: Run, stream: Stream, axis: str, camera: str, settings: Settings
) -> tuple[dict[int, Recipe], tuple[str, ...]]:
    """Return the recipes of the points of a stream, and a sentence for each that has none."""
    whole = [point for point in stream.points if camera in point.places and _number(point.data.get(axis)) is not None]
    left_out = tuple(
        f"point {point.seq_num} of {run.name} is left out: its energy or the place of its frames is missing"
        for point in stream.points
        if point not in whole
    )
    flats, darks = _taken(run, FLAT, camera).and_later(_taken(run, LOOK_FLAT, camera)), _taken(run, DARK, camera)
    energies = np.array([float(point.data[axis]) for point in whole])
    times = np.array([point.time for point in whole])
    groups = groups_of_flats(settings.flats, energies, times, flats.energies, flats.times, run.name)
    first = float(times.min()) if times.size else np.inf
    recipes: dict[int, Recipe] = {}
    since = _left(energies, times)
    for point, energy, apart, group, left in zip(whole, energies, told_apart(energies), groups, since, strict=True):
        taken = [float(flats.energies[one]) for one in group] if flats.energies is not None else []
        off = max((abs(one - energy) for one in taken), default=np.inf)
        exposure = _exposure(point.data, stream, camera)
        scale = exposure / float(np.mean(flats.exposures[list(group)]))
        recipes[point.seq_num] = Recipe(
            number=point.seq_num,
            energy=apart,
            time=point.time,
            frames=(point.places[camera],),
            flats=tuple(flats.places[one] for one in group),
            darks=_darks(darks, first, exposure),
            magnification=_number(point.data.get(f"{axis}_magnification")),
            stage=_stage(point.data, settings.stage),
            own_flat=off <= SAME_EV,
            of_this_visit=off <= SAME_READBACK_EV and max(float(flats.times[one]) for one in group) > left,
            flat_scale=scale if np.isfinite(scale) else 1.0,
        )
    return recipes, left_out


def _left(energies: NDArray[np.float64], times: NDArray[np.float64]) -> list[float]:
    """Return when the last point before each was recorded that is of another energy [s]; −∞ where there is none."""
    found, last = [], -np.inf
    for index in range(energies.size):
        if index and abs(energies[index] - energies[index - 1]) > SAME_READBACK_EV:
            last = float(times[index - 1])
        found.append(last)
    return found


def told_apart(energies: NDArray[np.float64]) -> list[float]:
    """Return energies of which no two are the same: one that repeats another reads 2 meV more.

    A second pass over a list comes back to the same angles. No reference differs over 2 meV, but a fit that is fed by
    energy has to know the two frames apart.
    """
    found: list[float] = []
    for energy in energies:
        apart = float(energy)
        while any(abs(apart - one) < 1.5 * SAME_ENERGY_EV for one in found):
            apart += 2 * SAME_ENERGY_EV
        found.append(apart)
    return found


def grouped(energies: Sequence[float], same_eV: float = SAME_READBACK_EV) -> list[list[int]]:
    """Return the indices of energies that are one but for the noise of their readback, by ascending energy.

    Splines through a spectrum, which the maps of edge and white line take, do not bear two points at one energy.
    """
    order = [int(one) for one in np.argsort(energies, kind="stable")]
    groups: list[list[int]] = []
    for index in order:
        if groups and energies[index] - energies[groups[-1][0]] <= same_eV:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


@dataclass(frozen=True, eq=False)
class _Taken:
    places: tuple[Place, ...]
    times: NDArray[np.float64]
    energies: NDArray[np.float64] | None
    exposures: NDArray[np.float64]

    def and_later(self, other: "_Taken") -> "_Taken":
        """Return these and others together, by their time."""
        if not self.places:
            return other
        if not other.places or self.energies is None or other.energies is None:
            return self
        times = np.concatenate([self.times, other.times])
        order, places = np.argsort(times, kind="stable"), (*self.places, *other.places)
        return _Taken(
            tuple(places[one] for one in order), times[order], np.concatenate([self.energies, other.energies])[order],
            np.concatenate([self.exposures, other.exposures])[order],
        )  # fmt: skip


def _taken(run: Run, name: str, camera: str) -> _Taken:
    stream = run.streams.get(name)
    points = [point for point in stream.points if camera in point.places] if stream is not None else []
    energies, exposures = None, np.empty(0)
    if stream is not None and points:
        axis = energy_key(run.start, stream)
        if axis is not None:
            read = [_number(point.data.get(axis)) for point in points]
            energies = np.array([np.nan if one is None else one for one in read])
        exposures = np.array([_exposure(point.data, stream, camera) for point in points])
    return _Taken(
        tuple(one.places[camera] for one in points), np.array([one.time for one in points]), energies, exposures
    )


def _exposure(data: Mapping[str, Any], stream: Stream, camera: str) -> float:
    """Return the exposure of a frame [s]; NaN if it was not recorded with it."""
    found = _number(data.get(f"{stream.object_of.get(camera, '')}_exposure"))
    return np.nan if found is None or found <= 0 else found


def darks_of(run: Run, stream: Stream, camera: str) -> dict[int, Places]:
    """Return the darks of each point of a stream by its number: of its exposure, as a stack with flats has them."""
    darks, first = _taken(run, DARK, camera), min((point.time for point in stream.points), default=np.inf)
    return {point.seq_num: _darks(darks, first, _exposure(point.data, stream, camera)) for point in stream.points}


def _darks(taken: _Taken, first: float, exposure: float) -> Places:
    """Return the darks that were taken before the first frame, all there are if none was; if some, of its exposure.

    So a dark at the end of a run does not change what has been found with those at its begin.
    """
    before = taken.times <= first
    usable = before if before.any() else np.ones(before.shape, bool)
    alike = usable & np.isclose(taken.exposures, exposure, rtol=1e-3)
    chosen = alike if alike.any() else usable
    return tuple(taken.places[one] for one in np.flatnonzero(chosen))


def _stage(data: Mapping[str, Any], keys: tuple[str, str] | None) -> tuple[float, float] | None:
    read = [_number(data.get(key)) for key in keys] if keys is not None else [None]
    return None if any(one is None for one in read) else (float(read[0] or 0), float(read[1] or 0))


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float | np.number) and np.isfinite(value) else None


def pixel_um(run: Run, stream: Stream) -> float | None:
    """Return the size of a pixel of the frames at the sample [µm], binning included; None if it was not recorded."""
    axis = energy_key(run.start, stream) or "energy"
    key = f"{axis}_pixel"
    if key not in stream or not len(stream):
        return None
    value = next((one for one in (_number(p.data.get(key)) for p in stream.points) if one is not None), None)
    if value is None or value <= 0:
        return None
    binning = next((v for k, v in stream.configuration.items() if k.endswith("_binning")), 1)
    return value * float(_number(binning) or 1) / 1000

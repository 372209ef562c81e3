"""Tomograms over an edge as a stack: at each angle a slice, with its frames of all energies.

Each energy is a run of its own, its angles measured; at every second one the sample may have turned backwards. The
angles of the first energy are kept, and of the others the frames nearest to them.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.live.recipes import Cookbook, Places, Recipe, blank_of, pixel_um, told_apart
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.runs.frames import FrameStack
from whiteline.analysis.runs.projections import turned_frames
from whiteline.analysis.runs.roles import energy_key, frames_key
from whiteline.analysis.runs.run import DARK, FLAT, PRIMARY, Run
from whiteline.analysis.runs.unreadable import UnreadableRun
from whiteline.analysis.scale.slices import Developing, Slice

Numbers = NDArray[np.float64]


def slices_of_tomograms(runs: Iterable[Run], settings: Settings) -> list[Slice]:
    """Return the slices of tomograms at several energies.

    Parameters
    ----------
    runs : iterable of Run
        Tomograms, one an energy, in any order.
    settings : Settings
        Counting, camera, registration. Flats are those of each energy; darks those of the first tomogram.

    Returns
    -------
    list of Slice
        By ascending angle. An angle without a frame at some energy within half a step of it lacks that energy, and
        says so.

    Raises
    ------
    UnreadableRun
        If one has no angles, flats, or energy, or their frames differ in shape.
    """
    tomograms = sorted((_Tomogram(run, settings) for run in runs), key=lambda one: one.energy)
    first = min(tomograms, key=lambda one: float(one.run.start.get("time", 0.0)))
    for one in tomograms:
        if one.frames.frame_shape != first.frames.frame_shape:
            raise UnreadableRun(
                f"frames of {one.run.name} have the shape {one.frames.frame_shape}, those of {first.run.name} "
                f"{first.frames.frame_shape}; map them one by one"
            )
    newest = max(tomograms, key=lambda one: float(one.run.start.get("time", 0.0))).run
    planned = max(len(tomograms), int(first.run.start.get("group_size") or 0))
    short = (f"{len(tomograms)} of {planned} energies of the group are here",) if planned > len(tomograms) else ()
    order = np.argsort(first.angles, kind="stable")
    angles = first.angles[order[np.isfinite(first.angles[order])]]
    if not angles.size:
        raise UnreadableRun(f"{first.run.name} has no projections with an angle yet")
    steps = np.diff(angles)
    half = float(np.median(steps[steps > 0])) / 2 if (steps > 0).any() else np.inf
    nearest = [one.nearest(angles, half) for one in tomograms]
    shape = first.frames.frame_shape[0], first.frames.frame_shape[1]
    book = Cookbook({}, shape, first.frames.raw_dtype, (), None, blank_of(first.run, settings, shape))
    developing = Developing.of(settings, book, first.run)
    apart = told_apart(np.array([one.energy for one in tomograms]))
    pixel = pixel_um(first.run, first.run.stream(FLAT))
    found = []
    for at, angle in enumerate(angles):
        there = [(one, of[at], energy) for one, of, energy in zip(tomograms, nearest, apart, strict=True)]
        recipes = [
            one.recipe(number, int(frame), energy, first.darks)
            for number, (one, frame, energy) in enumerate(there, start=1)
            if frame >= 0
        ]
        lacking = tuple(f"{one.run.name} has no frame at {angle:.6g}°" for one, frame, _ in there if frame < 0)
        found.append(
            Slice(
                first.run.uid,
                first.run.name,
                tuple(recipes),
                developing,
                None,
                float(angle),
                pixel,
                planned,
                not any(one.run.going for one in tomograms),
                newest.exit_status,
                (*short, *lacking),
            )
        )
    return found


class _Tomogram:
    """One of them: its frames and angles, flats and darks."""

    def __init__(self, run: Run, settings: Settings) -> None:
        self.run = run
        self.frames, self.angles = turned_frames(run, camera=settings.camera)
        energies = run.energies_of(PRIMARY)
        known = np.empty(0) if energies is None else energies[np.isfinite(energies)]
        if not known.size:
            raise UnreadableRun(f"{run.name} records no energy, so its tomogram belongs to no spectrum; leave it out")
        self.energy = float(known.mean())
        self.flats, self.darks = self._taken(FLAT, settings), self._taken(DARK, settings)
        if not self.flats:
            raise UnreadableRun(f"{run.name} has no flats: an optical density needs one")
        flat = run.stream(FLAT)
        key = f"{energy_key(run.start, flat) or 'energy'}_magnification"
        recorded = flat.numbers(key) if key in flat else np.empty(0)
        recorded = recorded[np.isfinite(recorded)]
        self.magnification = float(recorded[0]) if recorded.size else None

    def _taken(self, name: str, settings: Settings) -> Places:
        if name not in self.run.streams:
            return ()
        stream = self.run.stream(name)
        key = frames_key(self.run.start, stream, settings.camera)
        return tuple(point.places[key] for point in stream.points if key in point.places)

    def nearest(self, angles: Numbers, within: float) -> Sequence[int]:
        """Return of each angle the index of the frame nearest to it, −1 where none is near enough."""
        off = np.abs(np.where(np.isfinite(self.angles), self.angles, np.inf)[None] - angles[:, None])
        index = off.argmin(axis=1)
        return [int(one) if off[at, one] <= within else -1 for at, one in enumerate(index)]

    def recipe(self, number: int, frame: int, energy: float, darks: Places) -> Recipe:
        chosen: FrameStack = self.frames.select([frame])
        return Recipe(
            number=number, energy=energy, time=float(self.run.start.get("time", 0.0)), frames=chosen.places[0],
            flats=self.flats, darks=darks, magnification=self.magnification, stage=None, own_flat=True,
            of_this_visit=True,
        )  # fmt: skip

"""A stack that grows: each frame is worked out when it is complete, and the map of fractions follows at once.

The state is compared with the recipes that the run has by now, and what differs is done: a new point is added, one
that was measured anew replaces the old one in the sums, and where the reference frame itself has changed all is done
again from the files.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.live.alignment import Aligner, Place
from whiteline.analysis.live.density import Developer
from whiteline.analysis.live.edge_maps import PreparedRows
from whiteline.analysis.live.fraction_fit import (
    Misfit,
    covered,
    error_found,
    misfit_of_sample,
    planned_basis,
)
from whiteline.analysis.live.frame_work import Followed, FrameWork
from whiteline.analysis.live.looking import Looks
from whiteline.analysis.live.recipes import Cookbook, Recipe, cookbook_of
from whiteline.analysis.live.results import ErrorFound
from whiteline.analysis.live.sample import Sample
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.maps.accumulator import Accumulator
from whiteline.analysis.maps.map import Map
from whiteline.analysis.runs.completeness import SAME_READBACK_EV
from whiteline.analysis.runs.path_map import PathMap
from whiteline.analysis.runs.run import Run
from whiteline.analysis.runs.unreadable import UnreadableRun

Image = NDArray[np.float32]


class GrowingStack:
    """The analysis of a stack while it is taken.

    Parameters
    ----------
    settings : Settings
        What it was told.
    mapped : callable, optional
        Is called as soon as a new map is there, before sharpness and all else.

    Attributes
    ----------
    followed : dict of int to Followed
        Frames that are part of the result, by `seq_num`.
    fractions : tuple of Map
        As they are now; a later frame makes others, and leaves these as they are.
    error : ErrorFound
        How well they are known.
    density : Map or None
        Optical density of the newest frame.
    waiting : str
        Why the newest frame is not worked out yet, "" if it is.
    late : int or None
        Number of a frame that is not in its file yet, though its event has come; it is to be followed again soon.
    patient : bool
        Whether such a frame is given its time.
    looks : Looks
        The newest frame that was taken only to be looked at.
    """

    def __init__(self, settings: Settings, mapped: Callable[[], None] = lambda: None) -> None:
        self.settings, self.mapped = settings, mapped
        self.followed: dict[int, Followed] = {}
        self.fractions: tuple[Map, ...] = ()
        self.error = ErrorFound()
        self.density: Map | None = None
        self.waiting = ""
        self.no_fit = ""
        self.late: int | None = None
        self.patient = True
        self.looks = Looks(settings.wait_for_file_s)
        self._failed: dict[int, tuple[Recipe, str]] = {}
        self._patience: dict[int, tuple[Recipe, float]] = {}
        self._cookbook: Cookbook | None = None
        self._work: FrameWork | None = None
        self._accumulator: Accumulator | None = None
        self._path_map, self._label = PathMap(), "frames"

    def follow(self, run: Run, *, demanded: bool = False, over: bool = False) -> list[int]:
        """Work out what the run has by now, and return the numbers of the frames that were worked out.

        Parameters
        ----------
        run : Run
            As it is now.
        demanded : bool
            Whether the newest frame is wanted with the flats that there are.
        over : bool
            Whether the run has ended: then everything is brought to what the offline analysis does, and what could not
            be read is tried once more.

        Raises
        ------
        UnreadableRun
            If it records no energies or frames; or has no flat, where that is not only a matter of time.
        """
        try:
            cookbook = cookbook_of(run, self.settings)
        except UnreadableRun as error:
            if over or demanded or "no flats" not in str(error):
                raise
            self.waiting = str(error)
            return []
        self._cookbook = cookbook
        if self._work is None:
            self._path_map, self._label = PathMap.of(run.path_map), f"frames of {run.name}"
            self._restart()
            self._begin_fit(run.planned_energies, cookbook)
        first = next(iter(cookbook.recipes.values()), None)
        if self._reference_changed(cookbook.recipes, first):
            self._restart()
            self._clear_fit()
        done = []
        newest = _newest(cookbook.recipes)
        self.late = None
        for number, recipe in cookbook.recipes.items():
            if self._due(number, recipe, newest, demanded, over):
                done += self._take(number, recipe)
                if self.late is not None:
                    break  # frames are followed in their order
        if self.late is None:
            self.looks.follow(cookbook.look, self._work)
        return done

    @property
    def troubles(self) -> tuple[str, ...]:
        """What was left out and why."""
        left_out = self._cookbook.left_out if self._cookbook is not None else ()
        return (
            *left_out,
            *(sentence for _, sentence in self._failed.values()),
            *([self.no_fit] if self.no_fit else []),
        )

    def trouble_of(self, number: int) -> str:
        """Return why a frame is not part of the result, "" if it is or has not come."""
        return self._failed[number][1] if number in self._failed else ""

    @property
    def newest(self) -> Followed | None:
        """The frame with the highest number that is part of the result."""
        return self.followed[max(self.followed)] if self.followed else None

    def density_of(self, number: int) -> Image:
        """Return the optical density of a frame that is part of the result, as it was taken, shape (Y, X).

        Raises
        ------
        UnreadableRun
            If it cannot be read any more.
        """
        if self._cookbook is None:
            raise UnreadableRun("no frame is part of the result yet")
        return self._developer(self._cookbook).whole(self.followed[number].recipe)[0]

    @property
    def sample(self) -> Sample | None:
        """The sampled pixels of all frames."""
        frames = [self.followed[number].sampled for number in sorted(self.followed)]
        return Sample.of(frames) if frames else None

    def jump(self) -> Map | None:
        """Return the map of the edge jump; None as long as the energies do not determine it."""
        if self._accumulator is None or self._accumulator.reason is not None:
            return None
        return self._accumulator.composition().jump

    def rows(self) -> PreparedRows | None:
        """Return all frames as rows to be read from the files, for another thread."""
        if self._work is None or self._cookbook is None or not self.followed:
            return None
        steps = [(self.followed[one].recipe, self.followed[one].place) for one in sorted(self.followed)]
        return PreparedRows(self._developer(self._cookbook), steps)

    def _developer(self, cookbook: Cookbook) -> Developer:
        return Developer(
            self.settings, self._path_map, cookbook.frame_shape, cookbook.dtype, self._label, cookbook.blank
        )

    def _restart(self) -> None:
        if self._cookbook is not None:
            self._work = FrameWork(self._developer(self._cookbook), Aligner(self.settings))
        self.followed.clear()

    def _begin_fit(self, planned: NDArray[np.float64] | None, cookbook: Cookbook) -> None:
        if not self.settings.references:
            return
        try:
            basis = planned_basis(self.settings, planned)
        except ValueError as error:
            self.no_fit = f"no fractions are fitted: {error}"
            return
        self._accumulator = Accumulator(
            basis, cookbook.frame_shape, least_jump_over_noise=self.settings.least_jump_over_noise
        )

    def _clear_fit(self) -> None:
        if self._accumulator is not None:
            old = self._accumulator
            limit = self.settings.least_jump_over_noise
            self._accumulator = Accumulator(old.basis, old.shape, least_jump_over_noise=limit)

    def _reference_changed(self, recipes: dict[int, Recipe], first: Recipe | None) -> bool:
        reference = None if self._work is None else self._work.reference
        if reference is None or first is None:
            return False
        now = recipes.get(reference.number)
        if now is None or _replaces(reference, now, over=False):
            return True
        return any(number < reference.number and number not in self._failed for number in recipes)

    def _due(self, number: int, recipe: Recipe, newest: "_Newest", demanded: bool, over: bool) -> bool:
        """Tell whether a frame is to be worked out now."""
        failed = self._failed.get(number)
        if failed is not None and failed[0] == recipe and not over:
            return False
        known = self.followed.get(number)
        if known is not None:
            return known.recipe != recipe and _replaces(known.recipe, recipe, over)
        if over or demanded or number not in newest.numbers:
            return True
        # Where each energy has its flat, frames at the newest one wait for theirs.
        ready = not newest.flat_expected or recipe.of_this_visit
        self.waiting = "" if ready else f"the flat of the frame at {recipe.energy:.10g} eV has not come yet"
        return ready

    def _take(self, number: int, recipe: Recipe) -> list[int]:
        """Work out one frame, and those that go by its shift; return their numbers."""
        if self._work is None:
            return []
        try:
            prepared = self._work.prepare(recipe, self._last_trusted(number))
            weight = prepared.sampled.weight
        except UnreadableRun as error:
            if self._may_come(number, recipe):
                self.late, self.waiting = number, str(error)
            else:
                self._give_up(number, recipe, error)
            return []
        except (ValueError, OSError) as error:
            self._give_up(number, recipe, error)
            return []
        self._failed.pop(number, None)
        self._patience.pop(number, None)
        self._remove(number)
        fits = self._accumulator is not None and covered(self.settings, recipe.energy)
        if fits and self._accumulator is not None:
            self._accumulator.add(recipe.energy, prepared.density, prepared.variance, weight=weight)
        self._publish()
        self.followed[number] = self._work.followed(prepared, fitted=fits, sharp=False)
        self.mapped()
        good = np.isfinite(prepared.density)
        self.density = Map("optical density", "", prepared.density, np.sqrt(prepared.variance), good)
        self.followed[number] = self._work.followed(prepared, fitted=fits)
        self.waiting = ""
        done = [number]
        for follower in self._followers(number):
            if self.followed[follower].place != self._place_by(follower):
                done += self._take(follower, self.followed[follower].recipe)
                break
        return done

    def _may_come(self, number: int, recipe: Recipe) -> bool:
        """Tell whether a frame that is not in its file has still time to get there."""
        known = self._patience.get(number)
        if known is None or known[0] != recipe:
            known = self._patience[number] = recipe, time.monotonic() + self.settings.wait_for_file_s
        return self.patient and time.monotonic() < known[1]

    def _give_up(self, number: int, recipe: Recipe, error: Exception) -> None:
        self._failed[number] = recipe, str(error)
        self._remove(number)

    def _remove(self, number: int) -> None:
        """Take a frame out of the sums again, with the images that it was added with."""
        old = self.followed.pop(number, None)
        if old is None or not old.fitted or self._accumulator is None or self._work is None:
            return
        try:
            images = self._work.again(old)
        except (ValueError, OSError):
            self._rebuild()
            return
        self._accumulator.remove(old.recipe.energy, *images)

    def _rebuild(self) -> None:
        """Sum up again what there is, as a frame that must be taken out cannot be read any more."""
        self._clear_fit()
        for number, one in list(self.followed.items()):
            try:
                density, variance = self._work.again(one) if self._work is not None else (None, None)
            except (ValueError, OSError) as error:
                self._failed[number] = one.recipe, str(error)
                del self.followed[number]
                continue
            if one.fitted and self._accumulator is not None and density is not None and variance is not None:
                self._accumulator.add(one.recipe.energy, density, variance, weight=one.sampled.weight)

    def _publish(self) -> None:
        accumulator = self._accumulator
        if accumulator is not None and accumulator.reason is None:
            self.fractions = tuple(accumulator.fraction(name) for name in accumulator.basis.references)
        fitted = len(accumulator.energies) if accumulator is not None else 0
        self.error = error_found(self.fractions, Misfit(self.error.lacking, self.error.fit), fitted)

    def judge_fit(self) -> None:
        """Tell anew whether the references explain the sample."""
        sample = self.sample
        if sample is not None and self.fractions:
            fitted = self.error.energies
            self.error = error_found(self.fractions, misfit_of_sample(sample, self.settings), fitted)

    def _last_trusted(self, number: int) -> Place:
        before = [one for one in self.followed if one < number and self.followed[one].drift.trusted]
        return self.followed[max(before)].place if before else Place()

    def _place_by(self, number: int) -> Place:
        """Return how a frame with a shift that is not to be believed is brought back."""
        last, own = self._last_trusted(number), self.followed[number].place
        return Place(last.y, last.x, own.scale)

    def _followers(self, number: int) -> Sequence[int]:
        """Return the frames behind one whose shifts are not to be believed, up to the next that is."""
        found = []
        for one in sorted(self.followed):
            if one > number:
                if self.followed[one].drift.trusted:
                    break
                found.append(one)
        return found


@dataclass(frozen=True)
class _Newest:
    """The frames at the energy that came last, and whether a flat at their own energy is to be expected for them."""

    numbers: frozenset[int]
    flat_expected: bool


def _newest(recipes: dict[int, Recipe]) -> _Newest:
    numbers, before = set[int](), None
    for number in reversed(recipes):
        if numbers and abs(recipes[number].energy - recipes[max(numbers)].energy) > SAME_READBACK_EV:
            before = recipes[number]
            break
        numbers.add(number)
    return _Newest(frozenset(numbers), before is not None and before.of_this_visit)


def _replaces(old: Recipe, new: Recipe, over: bool) -> bool:
    """Tell whether a frame is worked out again at once: not for each flat that lies a little nearer in time."""
    if old == new:
        return False
    if over or old.frames != new.frames or old.darks != new.darks or old.energy != new.energy:
        return True
    return new.flats != old.flats and new.own_flat

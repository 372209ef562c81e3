"""Through focus at one energy: a coarse search where the focus may be far, then a fine series about it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import bluesky.plan_stubs as bps
import numpy as np
from bluesky.utils import MsgGenerator

from whiteline.analysis.checks import require_positive
from whiteline.analysis.focus import BestFocus, NoFocus
from whiteline.plans.calibration.looks import Look, Looks
from whiteline.plans.calibration.optic import Optic
from whiteline.plans.checks import require_count
from whiteline.plans.protocols import check_together
from whiteline.plans.supposing import suppose

FEWEST_POINTS = 7
"""Of a series: fewer do not tell how the sharpness falls, and so not how well the focus is known."""

DEFAULT_SPAN = 4.0
"""Of the fine series, in depths of focus."""

SEARCH_STEP = 2.0
"""Of the search, in depths of focus: the flanks of a focus are far wider than its depth."""

OFF_CENTRE = 0.2
"""A focus further from the middle of its series than this share of the span is looked at again, about itself."""


UNTOLD_ERROR = 0.0015
"""What the fit of a series does not know of, in depths of focus: the sample drifts meanwhile, and with it what is in
the image; the law of the sharpness is only nearly right; and each 4 meV of the energy are a thousandth of the depth.
Measured on simulated instruments."""

NOISE_SHARE = 0.5
"""Of the variance of single images, what differs from image to image. The other half is the noise of their flat, of as
many frames, which is the same in all images of a series: it makes none of their scatter, and moves no focus."""


@dataclass(frozen=True)
class Focus:
    """The focus at one energy.

    Parameters
    ----------
    best : BestFocus
        Where it is.
    looks : tuple of Look
        That it was found by.
    energy : float
        Mean of the energies that were read back [eV].
    detector : float
        Distance of the detector [mm]; NaN for a scanning microscope.
    depth : float
        Depth of focus there [mm].
    """

    best: BestFocus
    looks: tuple[Look, ...]
    energy: float
    detector: float
    depth: float

    @property
    def error(self) -> float:
        """Standard error of the reading in focus [mm]."""
        chi_square = self.best.reduced_chi_square
        share = NOISE_SHARE if chi_square < 1 else chi_square if math.isfinite(chi_square) else 1.0
        return math.hypot(self.best.error * math.sqrt(share), UNTOLD_ERROR * self.depth)


class ThroughFocus:
    """How a series through focus is taken, as often as a plan wants.

    Parameters
    ----------
    looks : Looks
        How sharp it is at one place.
    optic : Optic
        The zone plate and its axes.
    points : int
        Of the fine series; at least 7.
    span : float or None
        Of the fine series [mm]; four depths of focus if it is not given.
    search : float or None
        Range about where the axis stands in which the focus is looked for first [mm]; none if it is not given.
    """

    def __init__(self, looks: Looks, optic: Optic, *, points: int, span: float | None, search: float | None) -> None:
        self.points = require_count(points, "points", FEWEST_POINTS)
        for value, name in ((span, "span"), (search, "search")):
            if value is not None:
                require_positive(value, name, "mm")
        self.looks, self.optic, self._span, self.search = looks, optic, span, search

    def span(self, energy: float) -> float:
        """Return the range of the fine series at an energy [mm]."""
        if self._span is not None:
            return self._span
        return DEFAULT_SPAN * 1e-3 * float(self.optic.law.depth_of_focus(energy))

    def places(self, centre: float, energy: float) -> list[float]:
        """Return where the fine series looks about a place, ascending [mm].

        Raises
        ------
        ValueError
            If the axis cannot go there.
        """
        return self._about(centre, self.span(energy), self.points)

    def find(self, centre: float, energy: float, *, search: bool) -> MsgGenerator[Focus]:
        """Find the focus about a place.

        Parameters
        ----------
        centre : float
            [mm]
        energy : float
            Where the energy axis stands [eV].
        search : bool
            Whether to search first.

        Raises
        ------
        NoFocus
            If there is none, or it lies outside.
        ValueError
            If the axis cannot go there, or nothing could be measured.
        """
        yield from self.looks.arrive()
        if search and self.search is not None:
            step = SEARCH_STEP * 1e-3 * float(self.optic.law.depth_of_focus(energy))
            count = max(FEWEST_POINTS, math.ceil(self.search / step) + 1)
            coarse = yield from self._series(self._about(centre, self.search, count))
            centre = (yield from self._best(coarse, centre)).z
        looks = yield from self._series(self.places(centre, energy))
        best = yield from self._best(looks, centre)
        if abs(best.z - centre) > OFF_CENTRE * self.span(energy) or (yield from suppose(True)):
            # a law that is nearly right finds the true middle only of what lies evenly about it
            looks = yield from self._series(self.places(best.z, energy))
            best = yield from self._best(looks, best.z)
        known = [one for one in looks if math.isfinite(one.energy)]
        if not known:
            raise NoFocus("nothing was read back of the series")
        detectors = [one.detector for one in known]
        depth = 1e-3 * float(self.optic.law.depth_of_focus(energy))
        reached, detector = float(np.mean([one.energy for one in known])), float(np.mean(detectors))
        return Focus(best, tuple(looks), reached, detector, depth)

    def _best(self, looks: Sequence[Look], about: float) -> MsgGenerator[BestFocus]:
        try:
            return self.looks.best(looks, self.optic.law)
        except ValueError:
            unknown = BestFocus(about, math.nan, math.nan, math.nan, math.nan, math.nan, ())
            supposed = yield from suppose(unknown)
            if supposed is None:
                raise
            return supposed

    def _about(self, centre: float, span: float, count: int) -> list[float]:
        places = [float(one) for one in centre + np.linspace(-span / 2, span / 2, count)]
        check_together(self.optic.z, [places[0] - span / (count - 1), places[-1]])
        return places

    def _series(self, places: Sequence[float]) -> MsgGenerator[list[Look]]:
        """Look at each place: up by every second one, and down by those between, so that a steady drift cancels."""
        yield from self._go(places[0] - (places[1] - places[0]))
        looks: list[Look] = []
        for place in (*places[::2], *places[1::2][::-1]):
            yield from self._go(place)
            looks.append((yield from self.looks.look()))
        return looks

    def go_from_below(self, place: float, energy: float) -> MsgGenerator[None]:
        """Go to a place [mm] as the series does."""
        yield from self._go(place - self.span(energy) / (self.points - 1))
        yield from self._go(place)

    def _go(self, place: float) -> MsgGenerator[None]:
        """Go to a place, with what takes back the run-out: an image that wanders changes its sharpness, too."""
        yield from bps.mv(*self.optic.z_and_across(place))

"""Let the region of a map follow a sample that drifts, from energy to energy.

Each map is compared with the first one, and the next is taken where the sample has gone to: so the maps lie on one
another pixel by pixel. The positions that are recorded are those where the axes truly were.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from bluesky.protocols import Readable
from bluesky.utils import MsgGenerator
from event_model import DataKey

from whiteline.analysis.checks import require
from whiteline.plans.asking import ask
from whiteline.plans.drift import LARGEST_UM, STREAM, Correction, believed, limited
from whiteline.plans.paths import Places, Range
from whiteline.plans.point import take_point
from whiteline.plans.protocols import ChecksValue


class FollowedRegion:
    """Moves the places of a map by the shift that the live analysis tells.

    Parameters
    ----------
    shift : Readable
        Part of the live analysis, as `live.shift`.
    axes : sequence of Axis
        The fast one and the slow one.
    ranges : sequence of (start, stop, points)
        Of them: where a range descends, a shift by pixels is one the other way in µm.
    least_confidence : float
        Of a shift that is followed, between 0 and 1.
    so_far : (y, x)
        By how much the first map is moved [µm], as an earlier run has found.

    Attributes
    ----------
    moved : (y, x)
        By how much a map is moved now [µm].
    region : Readable
        The same, to be recorded with each map: "region_y" and "region_x", along the slow and the fast axis.

    Raises
    ------
    OutOfRange
        If the confidence cannot be.
    """

    def __init__(
        self,
        shift: Readable[Any],
        axes: Sequence[Any],
        ranges: Sequence[Range],
        least_confidence: float,
        so_far: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        require(least_confidence, 0 <= least_confidence <= 1, "least_confidence", "must be between 0 and 1")
        self._shift, self._axes, self._least = shift, axes, least_confidence
        self._directions = [-1.0 if one[1] < one[0] else 1.0 for one in ranges]
        self.moved = float(so_far[0]), float(so_far[1])
        self.region = _Region(self)
        self._found = Correction()

    def places(self, planned: Places) -> Places:
        """Return where a map is taken now; shape (n, 2), fast and slow [µm]."""
        return planned + np.array([self.moved[1], self.moved[0]])

    def follow(self, planned: Places | Callable[[], Any], also: Sequence[Readable[Any]]) -> MsgGenerator[None]:
        """Ask where the map has gone to, and take the next one there.

        Parameters
        ----------
        planned : ndarray, shape (n, 2), or callable
            The places without drift, as the axes must be able to go where they are moved to; or what raises
            `ValueError` if the map cannot be taken where it is `moved` to.
        also : sequence of Readable
            Read with the event of the correction.
        """
        answer = yield from ask(self._shift, also)
        if answer.simulated:
            return
        step, why = believed(answer, self._least)
        if step is not None:
            # what shows at a higher position is found again there
            step, why = limited((step[0] * self._directions[1], step[1] * self._directions[0]), self.moved, LARGEST_UM)
        before = self.moved
        if step is not None:
            self.moved = before[0] + step[0], before[1] + step[1]
            why = self._refused(planned)
            if why:
                self.moved, step = before, None
        self._found.set(self.moved, step or (0.0, 0.0), why)
        yield from take_point([], [self._found, *also], shutter=None, stream=STREAM)

    def _refused(self, planned: Places | Callable[[], Any]) -> str:
        try:
            if callable(planned):
                planned()
            else:
                self._check(self.places(planned))
        except ValueError as error:
            return str(error)
        return ""

    def _check(self, places: Places) -> None:
        for axis, values in zip(self._axes, places.T, strict=True):
            if isinstance(axis, ChecksValue):
                for value in (float(values.min()), float(values.max())):
                    axis.check_value(value)


class _Region:
    """Where the region of a map lies, as a readable."""

    parent = None
    name = "region"

    def __init__(self, followed: FollowedRegion) -> None:
        self._followed = followed

    def read(self) -> dict[str, Any]:
        """Return by how much it is moved."""
        values = zip(("region_y", "region_x"), self._followed.moved, strict=True)
        return {key: {"value": value, "timestamp": time.time()} for key, value in values}

    def describe(self) -> dict[str, DataKey]:
        """Say what that is."""
        about: DataKey = {"source": "PLAN", "dtype": "number", "shape": [], "units": "um"}
        return {"region_y": about, "region_x": about.copy()}

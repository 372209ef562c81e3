"""How the sample drifts: a random walk, and a creep after each move of its stage.

The position at a time is the same whenever, and in whatever order, it is asked for.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from whiteline.sim.noise import Stream, generator, stream

STEP_S = 0.25
"""Time between the points of the random walk; between them it is linear [s]."""

BLOCK = 4096
"""Points of the walk that are drawn at once."""


@dataclass(frozen=True)
class Drift:
    """Drift of a sample in the plane of the image.

    Parameters
    ----------
    walk_nm : float
        Random walk, along x and along y, root mean square after a second; it grows as the root of time [nm].
    creep_nm_per_s : float
        Speed just after a move of the stage, in a random direction [nm/s].
    creep_s : float
        Time in which the creep dies away [s].
    seed : int
        Of the beamline.
    """

    walk_nm: float
    creep_nm_per_s: float
    creep_s: float
    seed: int
    _blocks: dict[int, NDArray[np.float64]] = field(init=False, repr=False, compare=False, default_factory=dict)

    def position(self, time_s: float, moves_s: Sequence[float] = ()) -> tuple[float, float]:
        """Return how far the sample has drifted since time 0 (x, y) [nm].

        Parameters
        ----------
        time_s : float
            Time [s].
        moves_s : sequence of float
            When the stage made a move of more than 1 µm, ascending [s].

        Raises
        ------
        ValueError
            If the time is negative.
        """
        if time_s < 0:
            raise ValueError(f"time {time_s:g} s must not be negative: drift is counted from the start")
        x, y = self._walked(time_s)
        moved = np.asarray(moves_s[: bisect_left(moves_s, time_s)], float)
        if moved.size:
            angles = self._directions(moved.size)
            reach = self.creep_nm_per_s * self.creep_s * -np.expm1(-(time_s - moved) / self.creep_s)
            x, y = x + float(reach @ np.cos(angles)), y + float(reach @ np.sin(angles))
        return x, y

    def _directions(self, moves: int) -> NDArray[np.float64]:
        """Return the direction of the creep after each of the first moves [rad]."""
        source = generator(stream(self.seed, Stream.CREEP))
        return source.uniform(0, 2 * np.pi, moves)

    def _walked(self, time_s: float) -> tuple[float, float]:
        place = time_s / STEP_S
        first = int(place)
        early, late = self._point(first), self._point(first + 1)
        x, y = early + (place - first) * (late - early)
        return float(x), float(y)

    def _point(self, number: int) -> NDArray[np.float64]:
        """Return the walk after a number of steps, (x, y) [nm]."""
        if number == 0:
            return np.zeros(2)
        block, place = divmod(number - 1, BLOCK)
        point: NDArray[np.float64] = self._block(block)[place]
        return point

    def _block(self, wanted: int) -> NDArray[np.float64]:
        """Return a block of the walk, shape (BLOCK, 2) [nm].

        Detectors ask from threads of their own. A block is the same whoever works it out, so two that do so at once
        keep equal ones, and nothing needs a lock.
        """
        first = wanted
        while first > 0 and first not in self._blocks:
            first -= 1
        for block in range(first, wanted + 1):
            if block not in self._blocks:
                start = self._blocks[block - 1][-1] if block else np.zeros(2)
                source = generator(stream(self.seed, Stream.WALK, block))
                steps = self.walk_nm * np.sqrt(STEP_S) * source.standard_normal((BLOCK, 2))
                self._blocks[block] = start + np.cumsum(steps, axis=0)
        return self._blocks[wanted]

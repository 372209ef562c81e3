"""A regular grid for a scan whose pixels lie where they lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.checks import OutOfRange, require, require_finite

MOST_PIXELS = 64_000_000
"""A grid with more pixels is taken for a mistake of the unit or of the step."""


@dataclass(frozen=True)
class Grid:
    """Centres of pixels, evenly spaced along both axes, ascending.

    Parameters
    ----------
    first_y, first_x : float
        Centre of the first pixel along each axis, in the unit of the positions [µm].
    step_y, step_x : float
        From centre to centre, positive.
    rows, columns : int
        Number of pixels.
    """

    first_y: float
    first_x: float
    step_y: float
    step_x: float
    rows: int
    columns: int

    def __post_init__(self) -> None:
        require_finite([self.first_y, self.first_x], "first pixel of a grid", "um")
        for step in (self.step_y, self.step_x):
            require(step, np.isfinite(step) and step > 0, "step of a grid", "must be a finite number above 0", "um")
        for number in (self.rows, self.columns):
            require(number, number >= 1, "side of a grid", "must be at least 1", "px")
        if self.rows * self.columns > MOST_PIXELS:
            raise OutOfRange(
                "number of pixels of a grid",
                self.rows * self.columns,
                f"must not exceed {MOST_PIXELS:g}",
                "px",
                "take a larger step, or check the unit of the positions",
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.columns

    @property
    def y(self) -> NDArray[np.float64]:
        """Centres along the slow axis, shape (rows,)."""
        return np.asarray(self.first_y + self.step_y * np.arange(self.rows), np.float64)

    @property
    def x(self) -> NDArray[np.float64]:
        """Centres along the fast axis, shape (columns,)."""
        return np.asarray(self.first_x + self.step_x * np.arange(self.columns), np.float64)

    @classmethod
    def planned(cls, extents: Sequence[Sequence[float]], shape: Sequence[int]) -> Self:
        """Return the grid that a raster was to visit.

        Parameters
        ----------
        extents : sequence of (float, float)
            First and last centre of the slow and of the fast axis [µm], in either order.
        shape : (int, int)
            Lines, and pixels of a line.

        Raises
        ------
        OutOfRange
            If that is no grid.
        """
        found = []
        for (begin, end), number in zip(extents, shape, strict=True):
            require(number, number >= 1, "side of a grid", "must be at least 1", "px")
            low, high = sorted((float(begin), float(end)))
            found.append((low, (high - low) / (number - 1) if number > 1 else 0.0, int(number)))
        (y, down, rows), (x, along, columns) = found
        # a single line is as high as its pixels are wide
        return cls(y, x, down or along, along or down, rows, columns)

    @classmethod
    def measured(cls, y: ArrayLike, x: ArrayLike, *, step: float | tuple[float, float]) -> Self:
        """Return a grid that covers measured positions, and has its centres where most of them lie.

        Pixels that are as large as the steps of the scan then hold one measurement each: with centres between the
        measurements, noise would put two of them into one pixel and none into the next.

        Parameters
        ----------
        y, x : array_like
            Positions of the pixels [µm]; NaN where one is missing.
        step : float or (float, float)
            Along y and x [µm].

        Raises
        ------
        OutOfRange
            If no position is known, or the step is not positive.
        """
        steps = step if isinstance(step, tuple) else (step, step)
        found = []
        for values, size in zip((y, x), steps, strict=True):
            require(size, np.isfinite(size) and size > 0, "step of a grid", "must be a finite number above 0", "um")
            at = np.asarray(values, float).ravel()
            at = at[np.isfinite(at)]
            require(at.size, at.size > 0, "number of known positions", "must be at least 1")
            # the mean phase of the positions within a step
            phase = float(np.angle(np.exp(2j * np.pi * at / size).mean())) / (2 * np.pi) * size
            low, high = (float(np.floor((end - phase) / size + 0.5)) for end in (at.min(), at.max()))
            found.append((phase + low * size, int(high - low) + 1))
        (first_y, rows), (first_x, columns) = found
        return cls(first_y, first_x, steps[0], steps[1], rows, columns)

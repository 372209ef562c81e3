"""Put the pixels of a fly scan onto a regular grid, by where they were measured to be.

What was counted, the incident beam and the dwell are summed in each pixel of the grid; only then is one divided by the
other. So a pixel that was visited twice counts both, one that was hardly visited has a large error, and one that was
never visited is missing. There are two ways to share a measurement out:

"nearest"
    It goes whole into the pixel of the grid in which its mean position lies. No two pixels share a photon, so their
    noise is independent, and nothing is blurred. How far beside the centre a pixel was measured is kept, and corrected
    by the slope of the map (`centring`), so that there is no bias either. Where measurements are as far apart as pixels
    and lie on their borders, some pixels stay empty: `Grid.measured` puts the centres where the measurements are.

"bilinear"
    It is shared among the four pixels around it, by the overlap of its own square of a pixel's size with theirs. Holes
    are rarer, and the noise of neighbours is correlated: with one measurement for each pixel at random places by 1/4
    along each axis, with measurements midway by 1/2. Their errors are as much smaller as they would be after any such
    smoothing; a fit over many pixels that takes them for independent is too sure. The map is blurred by 1/√6 of a pixel
    (RMS) along each axis.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.checks import require_positive
from whiteline.analysis.fly.centring import centred
from whiteline.analysis.fly.grid import Grid
from whiteline.analysis.maps.map import Map

Numbers = NDArray[np.float64]

Deposit = Literal["nearest", "bilinear"]
"""How a measurement is shared out among the pixels of the grid."""


@dataclass(frozen=True, eq=False)
class Binned:
    """Sums in the pixels of a grid.

    Parameters
    ----------
    grid : Grid
        Its pixels.
    deposit : {"nearest", "bilinear"}
        How measurements were shared out.
    sums : ndarray of float64, shape (channels, rows, columns)
        Of each channel; bilinear ones are weighted.
    squares : ndarray of float64, shape (channels, rows, columns)
        Sums of weight² × counts: the variance of `sums` by the statistics of Poisson.
    coverage : ndarray of float64, shape (rows, columns)
        Dwell that each pixel received [s].
    visits : ndarray of float64, shape (rows, columns)
        Measurements that each pixel received, by their weight.
    places : ndarray of float64, shape (2, rows, columns)
        Sums of dwell × distance from the centre of the pixel, along y and x [s px].
    outside : int
        Measurements that lie beyond the grid.
    unknown : int
        Measurements of which the position, the dwell or a count is missing.
    """

    grid: Grid
    deposit: Deposit
    sums: Numbers
    squares: Numbers
    coverage: Numbers
    visits: Numbers
    places: Numbers
    outside: int = 0
    unknown: int = 0

    @classmethod
    def empty(cls, grid: Grid, channels: int, deposit: Deposit = "nearest") -> "Binned":
        """Return sums to which lines are added by `add`.

        Raises
        ------
        ValueError
            If there is no such way to share measurements out.
        """
        if deposit not in get_args(Deposit):
            raise ValueError(f"deposit {deposit!r} is not known; take one of {', '.join(get_args(Deposit))}")
        sums = np.zeros((channels, *grid.shape))
        # whole measurements have a weight of 1, so that their squares are their sums
        squares = sums if deposit == "nearest" else np.zeros_like(sums)
        places = np.zeros((2, *grid.shape))
        return cls(grid, deposit, sums, squares, np.zeros(grid.shape), np.zeros(grid.shape), places)

    def add(self, y: ArrayLike, x: ArrayLike, dwell_s: ArrayLike, counts: ArrayLike) -> "Binned":
        """Add measurements to the sums, in place, and return them with their new numbers.

        Parameters
        ----------
        y, x : array_like
            Mean position of each measurement, in the unit of the grid.
        dwell_s : array_like
            Its dwell [s].
        counts : array_like, or a sequence of them, shape (channels, …)
            What was counted over the dwell. A measurement of which one of these is NaN is left out as a whole, so that
            all channels are of the same measurements.

        Raises
        ------
        ValueError
            If shapes do not go together.
        """
        down, along, dwell = (np.ascontiguousarray(one, np.float64).ravel() for one in (y, x, dwell_s))
        columns = [np.ascontiguousarray(one, np.float64).ravel() for one in counts]  # type: ignore[union-attr]
        if len(columns) != len(self.sums) or any(one.size != down.size for one in (down, along, dwell, *columns)):
            sizes = [one.size for one in (down, along, dwell, *columns)]
            raise ValueError(f"y, x, dwell and {len(self.sums)} channels must have one size, not {sizes}")
        grid = self.grid
        if self.deposit == "nearest":
            pixel, outside, unknown = _nearest(
                down, along, dwell, tuple(columns), grid.first_y, grid.first_x, 1 / grid.step_y, 1 / grid.step_x,
                self.coverage, self.visits, self.places,
            )  # fmt: skip
            for number, column in enumerate(columns):
                _add_counts(pixel, column, self.sums[number].reshape(-1))
        else:
            counted = np.array(columns).reshape(len(columns), -1)
            outside, unknown = _bilinear(
                down, along, dwell, counted, grid.first_y, grid.first_x, 1 / grid.step_y, 1 / grid.step_x,
                self.sums, self.squares, self.coverage, self.visits, self.places,
            )  # fmt: skip
        return Binned(
            grid, self.deposit, self.sums, self.squares, self.coverage, self.visits, self.places,
            self.outside + int(outside), self.unknown + int(unknown),
        )  # fmt: skip

    @property
    def visited(self) -> NDArray[np.bool_]:
        """Pixels that received something."""
        return self.coverage > 0

    @property
    def offsets(self) -> Numbers:
        """How far from the centre each pixel was measured, along y and x [px], shape (2, rows, columns); else NaN."""
        return np.asarray(self.places / np.where(self.visited, self.coverage, np.nan))

    def counts(self, channel: int, name: str = "counts") -> Map:
        """Return what was counted in each pixel, with its standard error by Poisson; NaN where nothing was."""
        total, square = self.sums[channel], self.squares[channel]
        # a pixel without a count is known to one count, not to none
        error = np.sqrt(np.maximum(square, np.minimum(self.visits, 1) ** 2))
        return Map.masked(name, "counts", total, error, self.visited)

    def rate(self, channel: int, name: str = "rate") -> Map:
        """Return counts per second of dwell, with their standard error; NaN where nothing was."""
        counted = self.counts(channel)
        dwell = np.where(self.visited, self.coverage, np.nan)
        return Map.masked(name, "counts/s", counted.value / dwell, counted.error / dwell, counted.valid)

    def normalised(
        self,
        channel: int,
        incident: int,
        *,
        reference: float | None = None,
        incident_noise: float = 1.0,
        centre: bool = True,
        unsure_px: tuple[float, float] = (0.0, 0.0),
        counted: Map | None = None,
        name: str = "",
    ) -> Map:
        """Return counts per incident beam: sum of the counts over sum of the incident ones, times a reference.

        The ratio of sums is what a single longer dwell would have given. The mean of the ratios of single pulses would
        be too high where few photons came.

        Parameters
        ----------
        channel, incident : int
            Channels of the counts, and of the beam before the sample.
        reference : float, optional
            Incident counts to which all pixels are brought; the median over the pixels if it is not given, so that
            counts stay of the size of counts.
        incident_noise : float
            Variance of the incident counts over that of Poisson: 1 if single photons were counted, 0 if they are known
            so much better that their noise is left out.
        centre : bool
            Whether pixels are brought to their centres by the slope of the map, see `centring`.
        unsure_px : (float, float)
            How well it is known where the map was, along y and x, as in `centring` [px].
        counted : Map, optional
            Counts of the channel as they are to be taken, such as corrected for dead time; the sums themselves if they
            are not given.
        name : str
            Of the map.

        Raises
        ------
        OutOfRange
            If the reference is not positive.
        """
        beam, given = self.sums[incident], self.counts(channel) if counted is None else counted
        lit = self.visited & (beam > 0) & given.valid
        if reference is None:
            reference = float(np.median(beam[lit])) if lit.any() else 1.0
        require_positive(reference, "reference of I0", "counts")
        usable = np.where(lit, beam, 1.0)
        ratio = given.value / usable
        square = given.error**2 + incident_noise * ratio**2 * self.squares[incident]
        error = reference * np.sqrt(square) / usable
        found = Map.masked(name or "counts per incident beam", "counts", reference * ratio, error, lit)
        return centred(found, *self.offsets, unsure_px=unsure_px) if centre else found


def bin_pixels(
    grid: Grid, y: ArrayLike, x: ArrayLike, dwell_s: ArrayLike, counts: ArrayLike, *, deposit: Deposit = "nearest"
) -> Binned:
    """Put measurements onto a grid at once; parameters and errors as `Binned.add`."""
    return Binned.empty(grid, len(counts), deposit).add(y, x, dwell_s, counts)  # type: ignore[arg-type]


@njit(cache=True, nogil=True, error_model="numpy")
def _nearest(
    y: Numbers,
    x: Numbers,
    dwell: Numbers,
    counts: tuple[Numbers, ...],
    first_y: float,
    first_x: float,
    per_y: float,
    per_x: float,
    coverage: Numbers,
    visits: Numbers,
    places: Numbers,
) -> tuple[NDArray[np.int32], int, int]:
    """Return the pixel of each measurement, −1 for none, and how many lie outside or are not whole."""
    rows, columns = coverage.shape
    pixel = np.full(y.size, np.int32(-1))
    outside, unknown = 0, 0
    for p in range(y.size):
        # a sum is not finite if one of its parts is not
        whole = y[p] + x[p] + dwell[p]
        for column in counts:
            whole += column[p]
        if not (np.isfinite(whole) and dwell[p] > 0):
            unknown += 1
            continue
        down, along = (y[p] - first_y) * per_y, (x[p] - first_x) * per_x
        nearest_down, nearest_along = np.floor(down + 0.5), np.floor(along + 0.5)
        if nearest_down < 0 or nearest_along < 0 or nearest_down >= rows or nearest_along >= columns:
            outside += 1
            continue
        i, j = int(nearest_down), int(nearest_along)
        pixel[p] = i * columns + j
        coverage[i, j] += dwell[p]
        visits[i, j] += 1
        places[0, i, j] += dwell[p] * (down - nearest_down)
        places[1, i, j] += dwell[p] * (along - nearest_along)
    return pixel, outside, unknown


@njit(cache=True, nogil=True)
def _add_counts(pixel: NDArray[np.int32], counts: Numbers, sums: Numbers) -> None:
    for p in range(pixel.size):
        if pixel[p] >= 0:
            sums[pixel[p]] += counts[p]


@njit(cache=True, nogil=True, error_model="numpy")
def _bilinear(
    y: Numbers,
    x: Numbers,
    dwell: Numbers,
    counts: Numbers,
    first_y: float,
    first_x: float,
    per_y: float,
    per_x: float,
    sums: Numbers,
    squares: Numbers,
    coverage: Numbers,
    visits: Numbers,
    places: Numbers,
) -> tuple[int, int]:
    """Share each measurement among four pixels; what falls beyond the border is lost with its counts and its dwell."""
    rows, columns = coverage.shape
    outside, unknown = 0, 0
    for p in range(y.size):
        whole = y[p] + x[p] + dwell[p]
        for k in range(len(counts)):
            whole += counts[k, p]
        if not (np.isfinite(whole) and dwell[p] > 0):
            unknown += 1
            continue
        down, along = (y[p] - first_y) * per_y, (x[p] - first_x) * per_x
        if down <= -1 or along <= -1 or down >= rows or along >= columns:
            outside += 1
            continue
        top, left = int(np.floor(down)), int(np.floor(along))
        for row in range(top, top + 2):
            for column in range(left, left + 2):
                weight = (1 - abs(down - row)) * (1 - abs(along - column))
                if weight <= 0 or row < 0 or column < 0 or row >= rows or column >= columns:
                    continue
                coverage[row, column] += weight * dwell[p]
                visits[row, column] += weight
                places[0, row, column] += weight * dwell[p] * (down - row)
                places[1, row, column] += weight * dwell[p] * (along - column)
                for k in range(len(counts)):
                    sums[k, row, column] += weight * counts[k, p]
                    squares[k, row, column] += weight * weight * counts[k, p]
    return outside, unknown

"""The camera: from photons per pixel to the numbers in a frame.

Poisson noise of the photons that are detected, read noise, dark level, a fixed pattern of sensitivity, hot pixels, and
saturation. The pattern belongs to the camera, not to a frame.
"""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from whiteline.sim.noise import Stream, detected, generator, stream

BAND_ROWS = 128
"""Rows that are worked on at once: small enough to stay in the cache of a processor core."""


@dataclass(frozen=True)
class Region:
    """The part of the sensor that is read, and how it is binned.

    Parameters
    ----------
    row, column : int
        First pixel of the sensor.
    rows, columns : int
        How many pixels of the sensor.
    binning : int
        How many pixels are added along each side.
    """

    row: int
    column: int
    rows: int
    columns: int
    binning: int = 1

    def __post_init__(self) -> None:
        if min(self.row, self.column) < 0 or self.binning < 1 or min(self.rows, self.columns) < self.binning:
            raise ValueError(
                f"region of {self.rows} × {self.columns} pixels at row {self.row}, column {self.column} with binning "
                f"{self.binning} is not on any sensor"
            )

    @classmethod
    def centred(cls, sensor: tuple[int, int], shape: tuple[int, int], binning: int = 1) -> "Region":
        """Return the region in the middle of a sensor that gives frames of a shape (rows, columns)."""
        rows, columns = shape[0] * binning, shape[1] * binning
        return cls((sensor[0] - rows) // 2, (sensor[1] - columns) // 2, rows, columns, binning)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a frame."""
        return self.rows // self.binning, self.columns // self.binning

    def bands(self) -> list[slice]:
        """Return the rows of the sensor in bands that are worked on one by one; each holds whole binned pixels."""
        height = max(BAND_ROWS // self.binning, 1) * self.binning
        end = self.row + self.shape[0] * self.binning
        return [slice(start, min(start + height, end)) for start in range(self.row, end, height)]


Expected = Callable[[slice, slice], NDArray[np.float32]]
"""Photons per pixel of the sensor for a band of its rows and a range of its columns."""


@dataclass(frozen=True)
class Camera:
    """A 16-bit camera behind a scintillator.

    Parameters
    ----------
    sensor : tuple of int
        Rows and columns.
    pixel_um : float
        Size of a pixel [µm].
    efficiency : float
        Share of the photons that are detected.
    read_noise : float
        Standard deviation [counts].
    dark : float
        Dark level [counts].
    readout_s : float
        Time to read a frame [s].
    hot_share : float
        Share of the pixels that are hot.
    pattern : float
        Relative standard deviation of the sensitivity from pixel to pixel.
    seed, number : int
        Seed of the beamline, and which of its detectors this is.
    bits : int
        Of its converter, up to 16: the largest number in a frame is 2 to this power, less one.
    hot_counts_per_s : tuple of float
        Range of the dark counts of the hot pixels [1/s].
    """

    sensor: tuple[int, int]
    pixel_um: float
    efficiency: float
    read_noise: float
    dark: float
    readout_s: float
    hot_share: float
    pattern: float
    seed: int
    number: int
    bits: int = 16
    hot_counts_per_s: tuple[float, float] = (1e3, 3e4)

    @property
    def saturated(self) -> int:
        """The largest number in a frame."""
        return int(2**self.bits - 1)

    @cached_property
    def sensitivity(self) -> NDArray[np.float32]:
        """Share of the photons that each pixel detects, shape of the sensor."""
        source = generator(stream(self.seed, Stream.PATTERN, self.number, 0))
        sensitivity = source.standard_normal(self.sensor, np.float32)
        sensitivity *= np.float32(self.pattern)
        sensitivity += 1
        sensitivity *= np.float32(self.efficiency)
        return np.clip(sensitivity, 0, 1, out=sensitivity)

    @cached_property
    def hot_pixels(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
        """Rows, columns and dark counts per second of the hot pixels, sorted by row."""
        source = generator(stream(self.seed, Stream.PATTERN, self.number, 1))
        total = self.sensor[0] * self.sensor[1]
        places = np.sort(source.choice(total, round(self.hot_share * total), replace=False))
        low, high = self.hot_counts_per_s
        rates = np.exp(source.uniform(np.log(low), np.log(high), places.size)).astype(np.float32)
        rows, columns = np.unravel_index(places, self.sensor)
        return rows, columns, rates

    def frame(
        self,
        expected: Expected,
        exposure_s: float,
        frame: int,
        region: Region,
        executor: Executor | None = None,
    ) -> NDArray[np.uint16]:
        """Take a frame.

        Parameters
        ----------
        expected : callable
            Gives the photons that fall on each pixel of a part of the sensor during the exposure.
        exposure_s : float
            For the hot pixels [s].
        frame : int
            Number of the frame; with the seed and the number of the camera it settles the noise.
        region : Region
            What is read.
        executor : Executor or None
            Threads that share the work; the frame does not depend on it.

        Returns
        -------
        ndarray of uint16, shape `region.shape`

        Raises
        ------
        ValueError
            If the region is not on the sensor, or the exposure not positive.
        """
        if not exposure_s > 0:
            raise ValueError(f"exposure {exposure_s:g} s must be above 0")
        rows, columns = self.sensor
        if region.row + region.rows > rows or region.column + region.columns > columns:
            raise ValueError(
                f"region of {region.rows} × {region.columns} pixels at row {region.row}, column {region.column} "
                f"is not on the sensor of {rows} × {columns}"
            )
        picture = np.empty(region.shape, np.uint16)
        bands = region.bands()
        children = stream(self.seed, self.number, frame).spawn(len(bands))

        def work(rows: slice, child: np.random.SeedSequence) -> None:
            counts = self._band(expected, exposure_s, rows, region, child)
            start = (rows.start - region.row) // region.binning
            picture[start : start + counts.shape[0]] = counts

        run = map if executor is None else executor.map
        for _ in run(work, bands, children):
            pass
        return picture

    def _band(
        self, expected: Expected, exposure_s: float, rows: slice, region: Region, child: np.random.SeedSequence
    ) -> NDArray[np.uint16]:
        columns = slice(region.column, region.column + region.shape[1] * region.binning)
        means = expected(rows, columns)
        means *= self.sensitivity[rows, columns]
        hot_rows, hot_columns, rates = self.hot_pixels
        first, last = np.searchsorted(hot_rows, (rows.start, rows.stop))
        for row, column, rate in zip(hot_rows[first:last], hot_columns[first:last], rates[first:last], strict=True):
            if columns.start <= column < columns.stop:
                means[row - rows.start, column - columns.start] += rate * np.float32(exposure_s)
        if region.binning > 1:
            n = region.binning
            means = means.reshape(means.shape[0] // n, n, means.shape[1] // n, n).sum(axis=(1, 3))
        counts = detected(means, self.read_noise, generator(child))
        counts += np.float32(self.dark)
        np.rint(counts, out=counts)
        np.clip(counts, 0, self.saturated, out=counts)
        return counts.astype(np.uint16)

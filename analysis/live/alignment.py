"""Frames brought onto the first one: by the recorded magnification, then by the shift that is measured.

Every frame is registered against the same reference, on an image binned to some 500 pixels: a shift is found there to
some hundredths of a pixel of the frame. Both corrections are made in one resampling, by cubic splines, so nothing is
smoothed twice. The optical density is resampled before the fit, and its variance carries the noise gain of the
interpolation: so the fit can be fed one frame at a time, and its standard errors hold for single pixels. Neighbouring
pixels of a map are then correlated; who averages over an area divides by `registration.correlation_area`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.blocks import in_threads
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.registration import resample, resample_masked, resample_variance
from whiteline.analysis.registration.bad_pixels import binned
from whiteline.analysis.registration.confidence import judge
from whiteline.analysis.registration.gradient_correlation import SMALLEST_SIDE, Reference
from whiteline.analysis.stacks.magnification import UNNOTICED

Image = NDArray[np.float32]

UNMOVED_PX = 0.02
"""A frame that has moved by less is not resampled: it would lose more by that than by the shift."""

MARGIN = 24
"""Rows beyond those that are asked for: the memory of a cubic spline has faded to 10⁻¹³ there."""

BAND_ROWS = 256
"""Rows that a thread brings back at a time: few margins, and shares that are even if a core is busy elsewhere."""


@dataclass(frozen=True)
class Drift:
    """Where the content of a frame has moved to.

    Parameters
    ----------
    y, x : float
        Shift against the first frame [px]; NaN if nothing could be found.
    error_y, error_x : float
        Standard errors [px].
    confidence : float
        Between 0 and 1.
    trusted : bool
        Whether it is to be believed.
    reason : str
        Why not, in a sentence.
    """

    y: float
    x: float
    error_y: float
    error_x: float
    confidence: float
    trusted: bool
    reason: str = ""


STILL = Drift(0.0, 0.0, 0.0, 0.0, 1.0, True)
"""Of the reference itself, and of all frames where they are not registered."""


@dataclass(frozen=True)
class Place:
    """How a frame is brought onto the reference.

    Parameters
    ----------
    y, x : float
        Shift of the content after it was brought to the magnification of the reference [px].
    scale : float
        By how much the content is enlarged, M(E) / M0.
    """

    y: float = 0.0
    x: float = 0.0
    scale: float = 1.0

    def resampled(self, shape: tuple[int, int]) -> bool:
        """Tell whether anything has to be done."""
        return max(abs(self.y), abs(self.x)) >= UNMOVED_PX or abs(self.scale - 1) * max(shape) / 2 >= UNNOTICED

    def source(self, rows: slice, height: int) -> slice:
        """Return the rows of the frame that some rows of the reference come from, with what splines need around."""
        centre = (height - 1) / 2
        ends = [centre + self.scale * (row - centre) + self.scale * self.y for row in (rows.start, rows.stop - 1)]
        start = min(rows.start, int(np.floor(min(ends))) - MARGIN)
        stop = max(rows.stop, int(np.ceil(max(ends))) + MARGIN + 1)
        return slice(max(0, start), min(height, stop))


class Aligner:
    """Measures the drift of frames against the first one.

    Parameters
    ----------
    settings : Settings
        Whether to register, and how far to bin.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._reference: Reference | None = None
        self._binning = 1
        self._magnification: float | None = None

    @property
    def ready(self) -> bool:
        """Whether there is a reference."""
        return self._magnification is not None or self._reference is not None

    def start(self, density: Image, magnification: float | None) -> None:
        """Take a frame as the reference."""
        self._magnification = magnification or 1.0
        side = min(density.shape)
        self._binning = max(1, -(-side // self._settings.registration_side))
        if not self._settings.register or side // self._binning < SMALLEST_SIDE:
            self._reference = None
            return
        self._reference = Reference.of(self._small(density, 1.0))

    def scale(self, magnification: float | None) -> float:
        """Return by how much a frame is enlarged against the reference; 1 if its magnification was not recorded."""
        return 1.0 if magnification is None else magnification / (self._magnification or magnification)

    def measure(self, density: Image, magnification: float | None) -> Drift:
        """Return the drift of a frame, shape (Y, X)."""
        if self._reference is None:
            return STILL
        found = self._reference.shift(self._small(density, self.scale(magnification)))
        verdict, b = judge(found), float(self._binning)
        return Drift(
            b * found.y, b * found.x, b * found.error_y, b * found.error_x, found.confidence, verdict.trusted,
            verdict.reason,
        )  # fmt: skip

    def _small(self, density: Image, scale: float) -> Image:
        small = np.asarray(binned(density, self._binning), np.float32)
        if abs(scale - 1) * max(small.shape) / 2 < UNNOTICED:
            return small
        return np.asarray(resample(small, scale=scale), np.float32)


def brought_back(density: Image, variance: Image, place: Place, workers: int | None = None) -> tuple[Image, Image]:
    """Return density and variance of a whole frame on the pixels of the reference, NaN where it does not reach."""
    height, width = density.shape
    if not place.resampled((height, width)):
        return density, variance
    out = np.empty_like(density), np.empty_like(variance)

    def band(start: int, stop: int) -> None:
        rows = slice(start, stop)
        source = place.source(rows, height)
        parts = rows_brought_back(density[source], variance[source], place, rows, source, (height, width))
        for whole, part in zip(out, parts, strict=True):
            whole[rows] = part

    in_threads(band, height, BAND_ROWS, workers)
    return out


def rows_brought_back(
    density: Image, variance: Image, place: Place, rows: slice, source: slice, shape: tuple[int, int]
) -> tuple[Image, Image]:
    """Return some rows on the pixels of the reference, from the rows of the frame that `Place.source` asks for.

    Parameters
    ----------
    density, variance : ndarray of float32, shape (rows of `source`, X)
        Part of the frame.
    place : Place
        How it is brought back.
    rows, source : slice
        Which rows are wanted, and which are given.
    shape : tuple of int
        Shape (Y, X) of the whole frame.
    """
    inside = slice(rows.start - source.start, rows.stop - source.start)
    if not place.resampled(shape):
        return density[inside], variance[inside]
    # The part is enlarged about its own middle, which the enlargement of the frame about its middle has moved.
    middle = source.start + (density.shape[0] - 1) / 2 - (shape[0] - 1) / 2
    shift = (place.scale * place.y + (place.scale - 1) * middle, place.scale * place.x)
    moved, good = resample_masked(density, None, shift=shift, scale=place.scale)
    noise, _ = resample_variance(variance, shift=shift, scale=place.scale)
    noise[~good] = np.nan
    return moved[inside], noise[inside]

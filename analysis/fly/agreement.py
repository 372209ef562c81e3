"""Whether two maps of one sample agree: by how much one is shifted against the other, and what is left within noise.

A fly scan and a step scan of the same field begin at different times, and the sample drifts between them by a part of a
pixel. So the shift is measured first, the second map is brought back by it, and the difference is held against the
noise of both.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from whiteline.analysis.checks import OutOfRange, require
from whiteline.analysis.maps.map import Map
from whiteline.analysis.registration import Reference, correlation_area, judge, resample_masked, resample_variance


@dataclass(frozen=True, eq=False)
class Agreement:
    """How well two maps agree.

    Parameters
    ----------
    shift_y, shift_x, error_y, error_x : float
        By how much the content of the second map lies further on than that of the first, and standard errors [px].
    trusted : bool
        Whether the shift is to be believed; if not, none was taken.
    reason : str
        Why not; empty where it is.
    chi2 : float
        Mean square of the difference over its variance: 1 for maps that differ by noise only.
    chi2_error : float
        Standard deviation that noise alone gives to it.
    pixels : int
        That were compared.
    scale : float
        Of the second map against the first, by which it was divided.
    difference : Map
        First less second, NaN where one of them is missing; its errors are those of both.
    """

    shift_y: float
    shift_x: float
    error_y: float
    error_x: float
    trusted: bool
    reason: str
    chi2: float
    chi2_error: float
    pixels: int
    scale: float
    difference: Map

    @property
    def within_noise(self) -> bool:
        """Whether a difference as large as this, or larger, comes by chance in more than one of 10⁴ cases."""
        # as many independent pixels as make the standard deviation of a mean of squares what it is
        independent = 2 / self.chi2_error**2
        return bool(chdtrc(independent, self.chi2 * independent) > 1e-4)


def compare_maps(first: Map, second: Map, *, reach_px: float | None = None, scaled: bool = False) -> Agreement:
    """Compare two maps on grids of one step.

    Parameters
    ----------
    first, second : Map
        Of one quantity, with independent noise from pixel to pixel ("nearest" in `binning`), on grids of one shape and
        step.
    reach_px : float, optional
        Largest shift to believe [px]; a quarter of the shorter side if it is not given.
    scaled : bool
        Whether the second map may differ by a factor, as counts of another dwell.

    Raises
    ------
    OutOfRange
        If a side is below 32 pixels, or nothing is left to compare.
    ValueError
        If the maps differ in shape.
    """
    if first.value.shape != second.value.shape:
        raise ValueError(f"maps of one grid are compared, not {first.value.shape} and {second.value.shape}")
    reference = Reference.of(first.value, valid=first.valid, reach=reach_px)
    found = reference.shift(second.value, valid=second.valid)
    verdict = judge(found)
    shift = (found.y, found.x) if verdict.trusted else (0.0, 0.0)
    moved, there = resample_masked(second.value, second.valid, shift=shift)
    variance, known = resample_variance(np.where(second.valid, second.error, np.nan) ** 2, shift=shift)
    both = there & known & first.valid & (variance > 0)
    pixels = int(both.sum())
    require(pixels, pixels > 0, "number of pixels that both maps have", "must be at least 1", "px")
    a, b = first.value[both], moved[both]
    # not by a fit of one to the other: noise of the first would make that too small
    scale = float(b.sum() / a.sum()) if scaled else 1.0
    if not (np.isfinite(scale) and scale > 0):
        raise OutOfRange("scale of the second map", scale, "must lie above 0", remedy="compare maps of one quantity")
    error = np.sqrt(first.error**2 + variance / scale**2)
    difference = Map.masked(f"difference of {first.name}", first.unit, first.value - moved / scale, error, both)
    chi2 = float(np.mean((difference.value[both] / difference.error[both]) ** 2))
    # the resampled part of the noise is correlated, so that there are fewer independent pixels
    own = float(np.mean((first.error[both] / error[both]) ** 2))
    area = own**2 + (1 - own) ** 2 * correlation_area(shift) + 2 * own * (1 - own)
    return Agreement(
        shift[0], shift[1], found.error_y, found.error_x, verdict.trusted, verdict.reason, chi2,
        float(np.sqrt(2 * area / pixels)), pixels, scale, difference,
    )  # fmt: skip

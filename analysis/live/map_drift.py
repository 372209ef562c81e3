"""How far the maps of a raster at several energies have moved against the first one.

What shows most at the first energy is compared: the line whose map varies most beyond its noise. The one whose edge is
scanned is dark there, but what else is in the sample is not, nor is the beam behind it; and a beam that does not pass
the sample shows nothing, however much it counts.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.live.results import FrameFound
from whiteline.analysis.registration.confidence import judge
from whiteline.analysis.registration.gradient_correlation import SMALLEST_SIDE, Reference

Numbers = NDArray[np.float64]


def drift_of_map(
    lines: Mapping[str, tuple[Numbers, Numbers]], newest: int, energy: float, time: float
) -> FrameFound | None:
    """Return the shift of a whole map against the first one.

    Parameters
    ----------
    lines : mapping of str to (ndarray, ndarray)
        Counts and variance of each line, shape (E, slow, fast) each; NaN at missing pixels.
    newest : int
        Which map.
    energy : float
        Of it [eV].
    time : float
        When it was taken [s since 1970].

    Returns
    -------
    FrameFound or None
        With number `newest` + 1; None if the maps are too small to be compared, or a pixel is missing.
    """
    if newest < 1 or not lines:
        return None
    value, _ = lines[showing_most(lines)]
    first, last = value[first_whole(value[:newest])], value[newest]
    if min(first.shape) < SMALLEST_SIDE or not (np.isfinite(first).all() and np.isfinite(last).all()):
        return None
    found = Reference.of(first.astype(np.float32)).shift(last.astype(np.float32))
    verdict = judge(found)
    return FrameFound(
        number=newest + 1,
        energy=energy,
        shift_y=found.y,
        shift_x=found.x,
        shift_error_y=found.error_y,
        shift_error_x=found.error_x,
        confidence=found.confidence,
        trusted=verdict.trusted,
        used_y=0.0,
        used_x=0.0,
        scale=1.0,
        sharpness=np.nan,
        sharpness_error=np.nan,
        detail=np.nan,
        detail_error=np.nan,
        time=time,
    )


def showing_most(lines: Mapping[str, tuple[Numbers, Numbers]]) -> str:
    """Return the line that varies most beyond its noise in the first whole map."""
    shows = {}
    for key, (value, variance) in lines.items():
        first = first_whole(value)
        shows[key] = _contrast(value[first], variance[first])
    return max(shows, key=shows.__getitem__)


def first_whole(value: Numbers) -> int:
    """Return which map is the first without a missing pixel; 0 if none is.

    Of a run that goes on with another one, the first maps are in that one.
    """
    whole = np.isfinite(value).all(axis=(1, 2))
    return int(np.argmax(whole))


def _contrast(value: Numbers, variance: Numbers) -> float:
    """Return how much a map varies, over its noise."""
    known = np.isfinite(value) & np.isfinite(variance)
    noise = float(variance[known].mean()) if known.any() else 0.0
    return float(value[known].var()) / noise if noise > 0 else 0.0

"""Divide a map by the incident beam."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.checks import require_positive
from whiteline.analysis.maps.map import Map

Array = NDArray[Any]


def normalise(counts: Map, incident: ArrayLike, incident_error: ArrayLike = 0.0, *, reference: float = 1.0) -> Map:
    """Return a map per incident beam, value × reference / I0, with its standard error.

    Parameters
    ----------
    counts : Map
        Counts, or anything that grows as the beam does.
    incident : array_like, shape (Y, X) or a number
        I0 of each pixel. Where it is missing it is NaN; it is never padded with 1.
    incident_error : array_like, shape (Y, X) or a number
        Its standard error, independent of that of the map; NaN means that the error is missing.
    reference : float
        I0 to which all pixels are brought, such as the median of the map, so that counts stay of the size of counts.

    Returns
    -------
    Map
        Not valid, and NaN, where I0 or its error is missing or I0 is not positive.

    Raises
    ------
    OutOfRange
        If the reference is not positive.
    ValueError
        If I0 has other pixels than the map.
    """
    require_positive(reference, "reference of I0")
    try:
        beam = np.broadcast_to(np.asarray(incident, float), counts.value.shape)
        spread = np.broadcast_to(np.asarray(incident_error, float), counts.value.shape)
    except ValueError as error:
        shapes = f"{np.shape(incident)} and {np.shape(incident_error)}"
        raise ValueError(f"I0 and its error of shapes {shapes} do not fit a map of {counts.value.shape}") from error
    lit = np.isfinite(beam) & (beam > 0) & np.isfinite(spread) & (spread >= 0)
    usable = np.where(lit, beam, 1.0)
    value = counts.value * (reference / usable)
    error_of = np.hypot(counts.error * (reference / usable), value * np.where(lit, spread, 0.0) / usable)
    return Map.masked(f"{counts.name} per incident beam", counts.unit, value, error_of, counts.valid & lit)

"""Which pixels hold enough of an element to say anything of its chemistry: edge jump over its noise."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.blocks import over_pixels
from whiteline.analysis.checks import OutOfRange, require_positive
from whiteline.analysis.maps.map import Map
from whiteline.analysis.stacks.checks import require_stack
from whiteline.analysis.tables import edge_energy

Array = NDArray[Any]

BEFORE_EV, AFTER_EV = -10.0, 20.0
"""Frames up to the first, relative to the edge, are pre-edge; from the second on, behind the white line [eV]."""

WORTH_USING = 5.0
"""Edge jump over its error above which a pixel is used."""


def mean_jump(
    energies: ArrayLike,
    density: Any,
    variance: Any,
    element: str,
    edge: str = "K",
    *,
    before: float = BEFORE_EV,
    after: float = AFTER_EV,
) -> Map:
    """Return the edge jump of every pixel with its standard error.

    The jump is the mean of the optical density behind the edge minus that before it, without a line through either: a
    measure of how much there is, for a mask. A map of thickness is fitted.

    Parameters
    ----------
    energies : array_like, shape (E,)
        Photon energies, in any order [eV].
    density, variance : array_like, shape (E, Y, X)
        Optical density and its variance: NumPy, h5py or Dask. A value that is NaN is left out of the mean.
    element, edge : str
        Such as "Ni", "K".
    before, after : float
        Energies relative to the edge, up to which frames are pre-edge and from which they are post-edge [eV].

    Returns
    -------
    Map
        The jump in optical density. Lazy arrays give a lazy map.

    Raises
    ------
    OutOfRange
        If an energy is no energy in eV.
    ValueError
        If energies and frames do not fit, all energies lie before the edge, or all behind it.
    """
    values = require_stack(energies, density, least=2)
    if before >= after:
        limit = f"must lie before the post-edge, which begins at {after:g} eV"
        raise OutOfRange("end of the pre-edge", before, limit, "eV")
    position = edge_energy(element, edge)
    early, late = values <= position + before, values >= position + after
    name = f"{element} {edge} edge at {position:g} eV"
    _require_both_sides(values, early, late, name, position, before, after)
    kernel = partial(_jump_of_block, early=early, late=late)
    return Map(f"jump at the {name}", "", *over_pixels(kernel, density, variance))


def enough_jump(jump: Map, sigmas: float = WORTH_USING) -> NDArray[np.bool_]:
    """Return where an edge jump is above so many of its standard errors: a mask of the pixels that are worth fitting.

    Raises
    ------
    OutOfRange
        If the threshold is not positive.
    """
    require_positive(sigmas, "threshold of the edge jump", "sigmas")
    return np.asarray(jump.valid & (jump.value > sigmas * jump.error))


def _require_both_sides(
    values: Array, early: Array, late: Array, name: str, position: float, before: float, after: float
) -> None:
    span = f"{values.min():.10g} to {values.max():.10g} eV"
    if not early.any():
        raise ValueError(
            f"energies {span} hold none before the {name}, up to {position + before:g} eV, so there is no jump to "
            "measure; take pre-edge energies too"
        )
    if not late.any():
        raise ValueError(
            f"energies {span} hold none behind the {name}, from {position + after:g} eV on, so there is no jump to "
            "measure; take post-edge energies too"
        )


def _jump_of_block(density: Array, variance: Array, *, early: Array, late: Array) -> list[Array]:
    low, low_variance = _mean(density[early], variance[early])
    high, high_variance = _mean(density[late], variance[late])
    jump, error = high - low, np.sqrt(low_variance + high_variance)
    known = np.isfinite(jump) & np.isfinite(error)
    jump, error = (np.where(known, one, np.nan).astype(np.float32) for one in (jump, error))
    return [jump, error, known]


def _mean(density: Array, variance: Array) -> tuple[Array, Array]:
    good = np.isfinite(density) & np.isfinite(variance)
    number = good.sum(axis=0)
    some = np.where(number > 0, number, 1)
    mean = np.where(good, density, 0).sum(axis=0, dtype=np.float64) / some
    spread = np.where(good, variance, 0).sum(axis=0, dtype=np.float64) / some**2
    return np.where(number > 0, mean, np.nan), np.where(number > 0, spread, np.nan)

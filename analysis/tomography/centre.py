"""The rotation axis of a tomography, from its own projections.

Two ways, which fail in different ways. `centre_from_pairs` registers projections half a turn apart, one of them
mirrored (`registration.rotation_centre`): it needs texture, and bears a sample that is larger than the field.
`centre_from_sinogram` follows the centre of mass, which needs no texture, and a sample that stays in the field.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.checks import OutOfRange, require, require_finite
from whiteline.analysis.registration.rotation_centre import rotation_centre

Numbers = NDArray[np.float64]

HALF_TURN_DEG = 180.0

WITHIN_DEG = 3.0
"""Projections are a pair if they are half a turn apart up to so much [deg]."""

MOST_PAIRS = 8
"""Pairs that are registered at most."""

MASS_KEPT = 0.1
"""The mass of a sample that stays in the field changes by less than this share (RMS) over the turn."""

BORDER_PX = 4
AT_BORDER = 0.1
"""Beside a sample that stays in the field there is less than this share of its largest mean density."""

BEYOND = "the sample reaches beyond the field, or the beam is not divided out: find the centre by pairs"


@dataclass(frozen=True)
class Centre:
    """Column of the rotation axis.

    Parameters
    ----------
    column, error : float
        From 0 in the middle of the first pixel, and its standard error [px].
    projections : int
        From how many it was found.
    """

    column: float
    error: float
    projections: int


def half_turn_pairs(
    angles: ArrayLike, *, within_deg: float = WITHIN_DEG, most: int = MOST_PAIRS
) -> list[tuple[int, int]]:
    """Return pairs of projections that are about half a turn apart, the best ones, each projection in few of them.

    Parameters
    ----------
    angles : array_like, shape (n,)
        Measured [deg].
    within_deg : float
        By how much they may miss half a turn.
    most : int
        Number of pairs at most.

    Returns
    -------
    list of (int, int)
        Indices, the lower angle first; those that miss half a turn least come first. Where there are enough they are
        spread over the turn.
    """
    at = np.asarray(angles, float)
    require_finite(at, "angle of a projection", "deg")
    order = np.argsort(at)
    sorted_at = at[order]
    found: list[tuple[float, int, int]] = []
    for low, angle in enumerate(sorted_at):
        near = np.flatnonzero(np.abs(sorted_at - angle - HALF_TURN_DEG) <= within_deg)
        found += [
            (abs(float(sorted_at[one] - angle - HALF_TURN_DEG)), int(order[low]), int(order[one])) for one in near
        ]
    if len({first for _, first, _ in found}) > most:
        # a full turn has a partner for each projection: the best one, and of these some, evenly spread
        best: dict[int, tuple[float, int, int]] = {}
        for one in sorted(found):
            best.setdefault(one[1], one)
        usual = float(np.median([miss for miss, _, _ in best.values()]))
        spread = [best[int(first)] for first in order if int(first) in best and best[int(first)][0] <= usual + 1e-6]
        found = [spread[index] for index in np.linspace(0, len(spread) - 1, most).round().astype(int)]
    return [(first, second) for _, first, second in sorted(found)[:most]]


def centre_from_pairs(
    projections: Any, angles: ArrayLike, *, pairs: Sequence[tuple[int, int]] | None = None, binning: int = 1
) -> Centre:
    """Find the axis by projections half a turn apart, at the angles that were measured.

    A pair that misses half a turn by δ is off by about δ times the depth of what it sees. Over several pairs the column
    is therefore fitted as a line over δ, and taken at δ = 0.

    Parameters
    ----------
    projections : array_like or stack, shape (n, Y, X)
        Optical densities; only those of the pairs are read.
    angles : array_like, shape (n,)
        Measured [deg].
    pairs : sequence of (int, int), optional
        As `half_turn_pairs` gives them.
    binning : int
        Register the means of squares of so many pixels.

    Raises
    ------
    OutOfRange
        If no pair is there, or none can be believed.
    """
    at = np.asarray(angles, float)
    chosen = half_turn_pairs(at) if pairs is None else list(pairs)
    covered = float(np.ptp(at)) if at.size else 0.0
    require(
        covered, len(chosen) > 0, "range of the angles",
        f"has no two projections half a turn apart to within {WITHIN_DEG:g} deg", "deg",
        "take 180 deg or more, or find the centre by the sinogram",
    )  # fmt: skip
    found, missed, reasons = [], [], []
    for first, second in chosen:
        one = rotation_centre(projections[first], projections[second], binning=binning)
        if one.trusted:
            found.append((one.column, one.error))
            missed.append(float(at[second] - at[first] - HALF_TURN_DEG))
        else:
            reasons.append(one.reason)
    require(
        len(found), len(found) > 0, "number of pairs that can be believed", "must be at least 1",
        remedy=reasons[0] if reasons else "",
    )  # fmt: skip
    column, error = np.array(found).T
    return _at_half_turn(column, error, np.array(missed))


def _at_half_turn(column: Numbers, error: Numbers, missed: Numbers) -> Centre:
    """Return the column where nothing misses half a turn, by a weighted line where misses differ."""
    design = np.ones((column.size, 1))
    if column.size > 2 and np.ptp(missed) > 1e-3:
        design = np.stack([np.ones(column.size), missed], axis=1)
    weight = 1 / error
    solution, _, _, _ = np.linalg.lstsq(design * weight[:, None], column * weight, rcond=None)
    covariance = np.linalg.inv((design * weight[:, None] ** 2).T @ design)
    free = column.size - design.shape[1]
    scatter = float((((column - design @ solution) * weight) ** 2).sum() / free) if free > 0 else 1.0
    return Centre(float(solution[0]), float(np.sqrt(covariance[0, 0] * max(1.0, scatter))), 2 * column.size)


def centre_from_sinogram(sinogram: ArrayLike, angles: ArrayLike) -> Centre:
    """Find the axis by the centre of mass, which goes over the field as c + a cos θ + b sin θ.

    It is the first of the conditions of Helgason and Ludwig that projections of one body obey. Columns in which there
    is never anything are left out, as they hold noise only.

    Parameters
    ----------
    sinogram : array_like, shape (n, X)
        Optical density of a row, or of the sum of many, for each projection; no background.
    angles : array_like, shape (n,)
        Measured [deg], over more than a third of a turn.

    Raises
    ------
    OutOfRange
        If there is nothing, the angles do not tell, or the sample reaches beyond the field.
    ValueError
        If the shapes do not go together.
    """
    values, at = np.asarray(sinogram, float), np.deg2rad(np.asarray(angles, float))
    if values.ndim != 2 or at.shape != values.shape[:1]:
        raise ValueError(f"a sinogram (n, X) with n angles is needed, not {values.shape} with {at.shape}")
    require_finite(values, "optical density")
    require_finite(at, "angle of a projection", "deg")
    turned = float(np.rad2deg(np.ptp(at)))
    require(turned, turned >= 120, "range of the angles", "must be at least 120", "deg", "take half a turn")
    columns = np.arange(values.shape[1], dtype=float)
    mean = values.mean(axis=0)
    ends = float(max(mean[:BORDER_PX].mean(), mean[-BORDER_PX:].mean()) / max(float(mean.max()), 1e-12))
    require(
        ends, ends < AT_BORDER, "density at the border", f"must stay below {AT_BORDER:g} of the largest", "", BEYOND
    )
    inside = _support(mean)
    mass = values[:, inside].sum(axis=1)
    mean_mass = float(mass.mean())
    require(mean_mass, mean_mass > 0, "mass of the sample", "must be above 0", "", "is it optical density?")
    # measured against the middle of the support, so that noise of the mass is not taken for a shift
    middle = float(columns[inside].mean())
    changed = float(mass.std() / mean_mass)
    require(
        changed, changed < MASS_KEPT, "change of the mass over the turn",
        f"must stay below {MASS_KEPT:g} (RMS)", "", BEYOND,
    )  # fmt: skip
    first = (values[:, inside] * (columns[inside] - middle)).sum(axis=1) / mean_mass
    design = np.stack([np.ones_like(at), np.cos(at), np.sin(at)], axis=1)
    solution, _, rank, _ = np.linalg.lstsq(design, first, rcond=None)
    free = at.size - 3
    if rank < 3 or free < 1:
        raise OutOfRange("number of projections", at.size, "must be at least 4, at different angles")
    variance = float(((first - design @ solution) ** 2).sum() / free)
    error = float(np.sqrt(variance * np.linalg.inv(design.T @ design)[0, 0]))
    return Centre(middle + float(solution[0]), error, at.size)


def _support(mean: Numbers) -> NDArray[np.bool_]:
    """Tell which columns the sample ever reaches: from the first to the last whose mean stands out of the noise."""
    # noise from the differences of neighbours, which the sample changes little
    noise = float(np.median(np.abs(np.diff(mean)))) / 0.6745 / np.sqrt(2)
    lit = np.flatnonzero(mean > 4 * noise) if noise > 0 else np.flatnonzero(mean > 1e-6 * mean.max())
    inside = np.zeros(mean.size, bool)
    if lit.size:
        margin = max(2, mean.size // 50)
        inside[max(0, int(lit[0]) - margin) : int(lit[-1]) + margin + 1] = True
    return inside

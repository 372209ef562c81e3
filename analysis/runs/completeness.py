"""How much of what was planned is there: how many points and energies, and which are missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

SAME_EV = 1e-3
"""Setpoints that differ by less are the same [eV]."""


@dataclass(frozen=True, eq=False)
class Completeness:
    """Points and energies that are there, of those that were planned.

    Parameters
    ----------
    points : int
        Points of the stream.
    planned : int or None
        How many there should be; None if the run does not say it.
    missing : ndarray of int64
        Numbers (`seq_num`, from 1) of points that are planned and not there.
    energies : int
        Different energies that were reached.
    planned_energies : int or None
        How many there should be.
    missing_energies : ndarray of float64
        Planned energies at which no point was taken [eV].
    """

    points: int
    planned: int | None
    missing: NDArray[np.int64]
    energies: int
    planned_energies: int | None
    missing_energies: Numbers

    @property
    def whole(self) -> bool:
        """Whether all is there, as far as the run says what was planned."""
        return not self.missing.size and not self.missing_energies.size

    @property
    def fraction(self) -> float:
        """Share of the planned points that is there; NaN if it is not known how many there should be."""
        return (self.planned - self.missing.size) / self.planned if self.planned else float("nan")

    def __str__(self) -> str:
        points = f"{self.points} of {self.planned} points" if self.planned else f"{self.points} points"
        if self.planned_energies is None:
            return points
        text = f"{points}, {self.planned_energies - self.missing_energies.size} of {self.planned_energies} energies"
        if self.missing_energies.size:
            shown = ", ".join(f"{one:.10g}" for one in self.missing_energies[:4])
            text += f"; missing {shown}{' …' if self.missing_energies.size > 4 else ''} eV"
        return text


def planned_points(start: Mapping[str, Any]) -> int | None:
    """Return how many points a run should have, from `num_points` or `shape` of its start document."""
    number = start.get("num_points")
    if isinstance(number, int) and number > 0:
        return number
    shape = start.get("shape")
    if isinstance(shape, Sequence) and shape and all(isinstance(one, int) and one > 0 for one in shape):
        return prod(shape)
    return None


def planned_energies(start: Mapping[str, Any], axis: str | None) -> Numbers | None:
    """Return the energies that a run should reach, in their order; None if it does not say.

    Parameters
    ----------
    start : mapping
        Start document: `energies`, or what stock plans record of themselves (`list_scan`, `scan`, `count` has none).
    axis : str or None
        Data key of the energy.

    Returns
    -------
    ndarray of float64 or None, shape (E,)
        [eV]
    """
    given = _numbers(start.get("energies"))
    if given is not None:
        return given
    motors, arguments = list(start.get("motors") or ()), (start.get("plan_args") or {}).get("args")
    if axis not in motors or not isinstance(arguments, Sequence):
        return None
    number, kind = motors.index(axis), str(start.get("plan_pattern") or start.get("plan_name") or "")
    if len(arguments) == 2 * len(motors):
        return _numbers(arguments[2 * number + 1])
    count = start.get("num_points")
    if len(arguments) == 3 * len(motors) and kind in ("inner_product", "scan") and isinstance(count, int):
        return np.linspace(float(arguments[3 * number + 1]), float(arguments[3 * number + 2]), count)
    extents, shape = start.get("extents"), start.get("shape")
    if kind in ("outer_product", "grid_scan") and extents and shape and len(extents) == len(shape) == len(motors):
        low, high = (float(one) for one in extents[number])
        return np.linspace(low, high, int(shape[number]))
    return None


def completeness_of(
    seq_nums: NDArray[np.int64],
    planned: int | None,
    wanted: Numbers | None,
    sent: Numbers | None,
    reached: Numbers | None,
    only: Sequence[int] | None = None,
) -> Completeness:
    """Return what is there and what is missing.

    Parameters
    ----------
    seq_nums : ndarray of int64, shape (n,)
        Of the points that are there.
    planned : int or None
        How many points there should be.
    wanted : ndarray of float64 or None
        Energies that should be reached [eV].
    sent, reached : ndarray of float64 or None, shape (n,)
        Setpoint and readback of the energy at each point [eV].
    only : sequence of int, optional
        Numbers of the points that a part of a whole is to have. Energies are those of the whole.
    """
    if only is not None:
        missing = np.setdiff1d(np.asarray(only, np.int64), seq_nums)
        count = 0 if reached is None else _different(reached)
        return Completeness(seq_nums.size, len(only), missing, count, None, np.empty(0))
    missing = np.setdiff1d(np.arange(1, (planned or 0) + 1), seq_nums).astype(np.int64)
    if wanted is None or not wanted.size:
        count = 0 if reached is None else _different(reached)
        return Completeness(seq_nums.size, planned, missing, count, None, np.empty(0))
    unique = np.unique(wanted)
    if planned == wanted.size and (sent is None or np.isnan(sent).all()):
        # one point at each energy: the number of a point says which one it is
        absent = wanted[missing - 1]
        absent = absent[~np.isin(absent, np.delete(wanted, missing - 1))]
    else:
        at, near = (sent, SAME_EV) if sent is not None and not np.isnan(sent).all() else (reached, _half_step(unique))
        at = np.empty(0) if at is None else at[~np.isnan(at)]
        absent = np.array([one for one in unique if not (np.abs(at - one) <= near).any()])
    missing_energies = np.unique(absent)
    return Completeness(
        seq_nums.size, planned, missing, unique.size - missing_energies.size, unique.size, missing_energies
    )


def _half_step(energies: Numbers) -> float:
    """Return by how much a readback may be off its setpoint: half of the smallest step, at most 1 eV."""
    return min(1.0, float(np.diff(energies).min()) / 2) if energies.size > 1 else 1.0


def _different(reached: Numbers) -> int:
    """Count energies that differ by more than readbacks of one setpoint do."""
    ordered = np.sort(reached[~np.isnan(reached)])
    return int(ordered.size and 1 + np.count_nonzero(np.diff(ordered) > SAME_READBACK_EV))


SAME_READBACK_EV = 0.05
"""Readbacks of one setpoint differ by less: dead band and noise of the Bragg axis [eV]."""


def _numbers(given: object) -> Numbers | None:
    """Return a list of numbers as an array, None if it is none."""
    if isinstance(given, str) or not isinstance(given, Sequence | np.ndarray) or not len(given):
        return None
    try:
        numbers = np.asarray(given, float)
    except (TypeError, ValueError):
        return None
    return numbers if numbers.ndim == 1 else None

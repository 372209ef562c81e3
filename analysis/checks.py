"""Refuse what cannot be right, in one sentence: name, value, limit, unit, remedy."""

import math
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Numbers = TypeVar("Numbers", float, NDArray[np.float64])
"""A number or an array of numbers; a law returns the kind that it was given."""

LOWEST_ENERGY_EV = 100.0
"""No absolute photon energy of an X-ray microscope lies below; a number that does is in keV, or relative to an edge."""


def as_given(given: Numbers, result: ArrayLike) -> Numbers:
    """Return a result as a float where a float was given, else as an array."""
    array = np.asarray(result, float)
    return array if isinstance(given, np.ndarray) else float(array)


class OutOfRange(ValueError):
    """A value that is not possible, with what would be.

    Parameters
    ----------
    name : str
        What the value is, in the words of the field.
    value : float
        The value that was given.
    limit : str
        What was expected of it, as the end of a sentence: "must lie above 0".
    unit : str
        Unit of value and limit; empty for a number without one.
    remedy : str
        What to do about it.
    """

    def __init__(self, name: str, value: float, limit: str, unit: str = "", remedy: str = "") -> None:
        self.name, self.value, self.limit, self.unit, self.remedy = name, value, limit, unit, remedy
        amount = f"{value:.10g} {unit}".rstrip()
        super().__init__(f"{name} {amount} {limit}{f'; {remedy}' if remedy else ''}")

    def __reduce__(self) -> tuple[Any, ...]:
        # An exception is rebuilt from its args; ours are one sentence, so a copy in another process needs the parts.
        return type(self), (self.name, self.value, self.limit, self.unit, self.remedy)


def first_where(values: ArrayLike, wrong: ArrayLike) -> float | None:
    """Return the first of `values` where `wrong` is true, or None."""
    if isinstance(wrong, bool | np.bool_) and not wrong:
        return None  # nearly always, and axes ask it of one number, many times for each energy
    flat, where = np.ravel(np.asarray(values, float)), np.ravel(np.asarray(wrong, bool))
    return float(flat[int(np.argmax(where))]) if where.any() else None


def require(values: ArrayLike, right: ArrayLike, name: str, limit: str, unit: str = "", remedy: str = "") -> None:
    """Raise unless `right` is true everywhere.

    Parameters
    ----------
    values : array_like
        The value or values in question.
    right : array_like of bool
        Where they are possible; of the same shape.
    name, limit, unit, remedy : str
        As in `OutOfRange`.

    Raises
    ------
    OutOfRange
        With the first value that is not possible.
    """
    if isinstance(right, bool | np.bool_) and right:
        return
    value = first_where(values, np.logical_not(right))
    if value is not None:
        raise OutOfRange(name, value, limit, unit, remedy)


def require_positive(values: ArrayLike, name: str, unit: str = "") -> None:
    """Raise unless every value is finite and above zero.

    Raises
    ------
    OutOfRange
        With the first that is not.
    """
    if isinstance(values, float) and 0 < values < math.inf:
        return
    array = np.asarray(values, float)
    require(array, np.isfinite(array) & (array > 0), name, "must be a finite number above 0", unit)


def require_finite(values: ArrayLike, name: str, unit: str = "") -> None:
    """Raise unless every value is a finite number.

    Raises
    ------
    OutOfRange
        With the first that is not.
    """
    if isinstance(values, float) and math.isfinite(values):
        return
    require(values, np.isfinite(np.asarray(values, float)), name, "must be a finite number", unit)


def require_energy(values: ArrayLike, name: str = "energy") -> None:
    """Raise unless every value is an absolute photon energy in eV.

    Parameters
    ----------
    values : array_like
        Photon energies [eV].
    name : str
        What they are called in the message.

    Raises
    ------
    OutOfRange
        For a value that is not finite, or under 100 eV: that one is in keV, or an offset from an edge.
    """
    if isinstance(values, float) and LOWEST_ENERGY_EV <= values < math.inf:
        return
    array = np.asarray(values, float)
    require(array, np.isfinite(array), name, "must be a finite number", "eV")
    value = first_where(array, array < LOWEST_ENERGY_EV)
    if value is None:
        return
    limit = f"must lie above {LOWEST_ENERGY_EV:g} eV"
    if value <= 0:
        raise OutOfRange(name, value, limit, "eV", "an offset from an edge is no energy: add the energy of the edge")
    raise OutOfRange(name, value, limit, "eV", f"{value:g} looks like keV: write {value * 1000:g}")


def require_between(values: ArrayLike, low: float, high: float, name: str, unit: str, remedy: str = "") -> None:
    """Raise unless every value lies in [low, high].

    Raises
    ------
    OutOfRange
        With the first that does not, NaN included.
    """
    if isinstance(values, float) and low <= values <= high:
        return
    array = np.asarray(values, float)
    limit = f"must lie between {low:.10g} and {high:.10g} {unit}".rstrip()
    require(array, (array >= low) & (array <= high), name, limit, unit, remedy)

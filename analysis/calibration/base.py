"""What every calibration has: version, date, source, a JSON form, and the refusal where it knows too little."""

import json
from abc import ABC
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whiteline.analysis.checks import Numbers, first_where

Matrix = tuple[tuple[float, ...], ...]
"""A covariance, as rows: frozen, comparable, and the same in JSON."""

LARGEST_ENERGY_ERROR_EV = 0.2
"""Predicted standard error of an energy above which a calibration refuses."""

LARGEST_FOCUS_ERROR = 0.05
"""Predicted standard error of a focus, in depths of focus, above which a calibration refuses."""


class Uncertain(ValueError):
    """A calibration that knows too little at this energy: its own covariance predicts too large an error."""


@dataclass(frozen=True, kw_only=True)
class Calibration(ABC):
    """A measured property of the instrument.

    Parameters
    ----------
    version : int
        Counts up each time that the property is measured anew, from 1; 0 is the design.
    date : str
        When it was measured, ISO 8601.
    source : str
        Unique identifier of the run that it was measured in, or "design".
    """

    kind: ClassVar[str]

    version: int
    date: str
    source: str

    def __post_init__(self) -> None:
        for name, kind in (("version", int), ("date", str), ("source", str)):
            value = getattr(self, name)
            if not isinstance(value, kind) or isinstance(value, bool):
                raise ValueError(f"{name} {value!r} of a calibration must be of type {kind.__name__}")
        if self.version < 0:
            raise ValueError(f"version {self.version} of a calibration must be 0 (the design) or above")
        if not self.source:
            raise ValueError("source of a calibration is empty; give the run that it was measured in, or 'design'")
        try:
            datetime.fromisoformat(self.date)
        except ValueError as error:
            raise ValueError(
                f"date {self.date!r} of a calibration is not ISO 8601, such as 2026-03-01T09:30:00"
            ) from error

    def to_json(self) -> str:
        """Return the calibration as one JSON object; `calibration_from_json` reads it back, equal."""
        return json.dumps({"kind": self.kind} | asdict(self), allow_nan=False)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Self:
        """Build the calibration from the JSON object without its kind.

        Raises
        ------
        ValueError
            If a key is missing or unknown, or a value is not possible.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(mapping) - known):
            raise ValueError(f"calibration {cls.kind!r} has no {', '.join(unknown)}; it has {', '.join(sorted(known))}")
        if missing := sorted(known - set(mapping)):
            raise ValueError(f"calibration {cls.kind!r} lacks {', '.join(missing)}")
        try:
            return cls(**{name: _frozen(value) for name, value in mapping.items()})
        except TypeError as error:
            raise ValueError(f"calibration {cls.kind!r} holds a value of the wrong type: {error}") from error


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def calibration_from_json(text: str) -> Calibration:
    """Read a calibration of any kind from its JSON form.

    Raises
    ------
    ValueError
        If the text is no JSON object, its kind is unknown, or its content is not possible.
    """
    try:
        mapping = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"a calibration must be a JSON object: {error}") from error
    if not isinstance(mapping, dict):
        raise ValueError(f"a calibration must be a JSON object, not {type(mapping).__name__}")
    kinds = {kind.kind: kind for kind in Calibration.__subclasses__()}
    kind = mapping.pop("kind", None)
    if kind not in kinds:
        raise ValueError(f"calibration of kind {kind!r} is not known; kinds are {', '.join(sorted(kinds))}")
    return kinds[kind].from_mapping(mapping)


def checked_covariance(covariance: Matrix, size: int) -> NDArray[np.float64]:
    """Return a covariance as an array, or refuse what cannot be one.

    Raises
    ------
    ValueError
        If it is not `size` by `size`, finite, symmetric, and without a negative variance in any direction.
    """
    try:
        matrix = np.array(covariance, float)
    except ValueError as error:
        raise ValueError(f"covariance must be {size} rows of {size} numbers") from error
    if matrix.shape != (size, size):
        raise ValueError(f"covariance must be {size} × {size}, not {' × '.join(map(str, matrix.shape))}")
    if not np.isfinite(matrix).all():
        raise ValueError("covariance must be finite")
    scale = np.sqrt(np.abs(np.diag(matrix)))
    relative = matrix / np.where(np.outer(scale, scale) > 0, np.outer(scale, scale), 1)
    if np.abs(relative - relative.T).max() > 1e-9:
        raise ValueError("covariance must be symmetric")
    if (np.diag(matrix) < 0).any() or np.linalg.eigvalsh((relative + relative.T) / 2).min() < -1e-9:
        raise ValueError("covariance has a negative variance in some direction")
    return matrix


def propagated_error(first: Numbers | float, second: Numbers, covariance: Matrix) -> NDArray[np.float64]:
    """Return √(gᵀ C g), the standard error of what has two parameters.

    Parameters
    ----------
    first, second : float or ndarray
        Its slope by each of them.
    covariance : tuple of tuple of float
        Of the two, 2 × 2.
    """
    (a, b), (c, d) = covariance
    variance = a * first**2 + (b + c) * first * second + d * second**2
    return np.asarray(np.sqrt(np.maximum(variance, 0)))


def refuse_uncertain(energy: ArrayLike, error: ArrayLike, largest: ArrayLike, name: str, unit: str) -> None:
    """Raise where the predicted error is above the largest that is allowed.

    Raises
    ------
    Uncertain
        Naming the energy, the predicted error and the limit.
    """
    above = np.greater(error, largest)
    where = first_where(energy, above)
    if where is not None:
        predicted, limit = first_where(error, above), first_where(np.broadcast_to(largest, np.shape(above)), above)
        raise Uncertain(
            f"{name} at {where:g} eV is known to no better than {predicted:.3g} {unit} by its own covariance, above "
            f"{limit:.3g} {unit}; calibrate nearer to this energy"
        )

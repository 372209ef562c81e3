"""A map: one number per pixel, its standard error, and where it means something."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Map:
    """A quantity over the pixels of an image.

    Parameters
    ----------
    name : str
        What it is, in the words of the field: "fraction of LiNiO2", "edge energy".
    unit : str
        Its unit; empty for a number without one.
    value : ndarray, shape (Y, X)
        The quantity; NaN where it is not valid.
    error : ndarray, shape (Y, X)
        Its standard error, one sigma; NaN where it is not valid.
    valid : ndarray of bool, shape (Y, X)
        Where the quantity is determined by the data.

    Raises
    ------
    ValueError
        If the three differ in shape.
    """

    name: str
    unit: str
    value: NDArray[np.floating]
    error: NDArray[np.floating]
    valid: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if not self.value.shape == self.error.shape == self.valid.shape:
            shapes = f"{self.value.shape}, {self.error.shape} and {self.valid.shape}"
            raise ValueError(f"value, error and validity of the {self.name} must have one shape, not {shapes}")

    @classmethod
    def masked(
        cls, name: str, unit: str, value: NDArray[np.floating], error: NDArray[np.floating], valid: NDArray[np.bool_]
    ) -> "Map":
        """Return a map with NaN wherever it is not valid, or value or error are no finite numbers."""
        good = valid & np.isfinite(value) & np.isfinite(error)
        return cls(name, unit, np.where(good, value, np.nan), np.where(good, error, np.nan), good)

"""Spectra with their bins last, as detectors write them, seen as stacks with their bins first, as blocks want them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def bins_first(spectra: Any, bins: int) -> Any:
    """Return spectra (…, bins) as a stack (bins, …) for work by blocks, without a copy.

    Raises
    ------
    ValueError
        If the last axis has not so many bins.
    """
    given = spectra if hasattr(spectra, "dtype") else np.asarray(spectra)
    shape = tuple(given.shape)
    if len(shape) < 2 or shape[-1] != bins:
        raise ValueError(f"spectra of shape {shape} must have pixels and, last, {bins} channels")
    # NumPy and Dask turn an array round without a copy; a dataset is turned round as it is read.
    turned = type(given).__module__.partition(".")[0] in ("numpy", "dask")
    return np.moveaxis(given, -1, 0) if turned else BinsFirst(given)


class BinsFirst:
    """Spectra in a file, (…, bins), read as a stack (bins, …)."""

    def __init__(self, spectra: Any) -> None:
        self._spectra = spectra
        self.shape = (spectra.shape[-1], *spectra.shape[:-1])
        self.dtype = spectra.dtype

    def __getitem__(self, key: tuple[slice, slice]) -> NDArray[Any]:
        """Return some channels of some rows of pixels."""
        channels, rows = key
        return np.moveaxis(np.asarray(self._spectra[rows]), -1, 0)[channels]

"""Sums over the channels around fluorescence lines: the quickest map of an element, with what overlaps left in it."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.blocks import over_pixels
from whiteline.analysis.channels import Channels
from whiteline.analysis.fluorescence.bins_first import bins_first
from whiteline.analysis.line_regions import LineRegion
from whiteline.analysis.maps.map import Map

BLOCK_SPECTRA = 512
"""Spectra of a block: 4096 channels of them in 32 bits are 8 MB."""


def region_sums(spectra: Any, regions: Sequence[LineRegion], channels: Channels) -> dict[str, Map]:
    """Return the counts of each region in every pixel.

    Parameters
    ----------
    spectra : array_like, shape (..., bins)
        Counts: NumPy, h5py or Dask, such as (Y, X, bins).
    regions : sequence of LineRegion
        From `line_regions`.
    channels : Channels
        Of the spectra.

    Returns
    -------
    dict of str to Map
        By the label of the region, counts with their error √N, of a lone count where none was counted. A pixel with a
        channel that is NaN or negative inside the region is not valid.

    Raises
    ------
    ValueError
        If the spectra have other channels, or two regions have one label.
    """
    labels = [region.label for region in regions]
    if len(set(labels)) != len(labels):
        raise ValueError(f"regions {', '.join(labels)} hold one twice; each line has one region")
    for region in regions:
        if region.first < 0 or region.beyond > channels.bins:
            raise ValueError(f"the region of {region.label} ends at channel {region.beyond} of {channels.bins}")
    if not regions:
        return {}
    stack = bins_first(spectra, channels.bins)
    value, error, valid = over_pixels(partial(_sums, regions=tuple(regions)), stack, block=BLOCK_SPECTRA)
    return {
        region.label: Map(f"counts of {region.element} {region.line}", "", value[n], error[n], valid[n])
        for n, region in enumerate(regions)
    }


def _sums(spectra: NDArray[Any], *, regions: tuple[LineRegion, ...]) -> list[NDArray[Any]]:
    # float64 holds every sum of counts exactly.
    counts = np.stack([spectra[region.first : region.beyond].sum(axis=0, dtype=float) for region in regions])
    if np.issubdtype(spectra.dtype, np.unsignedinteger):
        good = np.ones(counts.shape, bool)
    else:
        good = np.stack([(spectra[region.first : region.beyond] >= 0).all(axis=0) for region in regions])
        good &= np.isfinite(counts)
    value = np.where(good, counts, np.nan)
    return [value, np.sqrt(np.maximum(value, 1)), good]

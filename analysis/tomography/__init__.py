"""A first look at a tomography: the axis of rotation from its own projections, and one slice.

`centre` by pairs half a turn apart, or by the centre of mass; `back_projection` a slice at measured angles; `preview`
both, from frames as they lie in their file.
"""

from whiteline.analysis.tomography.back_projection import (
    Window,
    angular_weights,
    filtered,
    reconstruct_slice,
    slice_error,
)
from whiteline.analysis.tomography.centre import Centre, centre_from_pairs, centre_from_sinogram, half_turn_pairs
from whiteline.analysis.tomography.preview import Preview, preview_slice, sinogram_of

__all__ = [
    "Centre",
    "Preview",
    "Window",
    "angular_weights",
    "centre_from_pairs",
    "centre_from_sinogram",
    "filtered",
    "half_turn_pairs",
    "preview_slice",
    "reconstruct_slice",
    "sinogram_of",
    "slice_error",
]

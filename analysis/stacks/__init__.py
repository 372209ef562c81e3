"""Stacks of frames, energy first: from raw counts to optical density with its variance, ready to be fitted.

`counting` what the noise follows from; `optical_density` raw, flat and dark to optical density; `hot_pixels` faulty
pixels; `flat_field` flats for every energy and the beam in a blank region; `magnification` frames brought to one
magnification; `mask` pixels with enough edge jump; `checks` energies that fit their stack.
"""

from whiteline.analysis.stacks.checks import require_stack
from whiteline.analysis.stacks.counting import Counting, CountingNoise
from whiteline.analysis.stacks.flat_field import (
    BlankRegion,
    Flats,
    average_flats,
    blank_region,
    correct_by_blank,
    interpolate_flats,
)
from whiteline.analysis.stacks.hot_pixels import fill_from_neighbours, good_pixels
from whiteline.analysis.stacks.magnification import Rescaled, relative_magnification, rescale
from whiteline.analysis.stacks.mask import enough_jump, mean_jump
from whiteline.analysis.stacks.optical_density import (
    OpticalDensity,
    density_of_block,
    frame_optical_density,
    optical_density,
    require_light,
)

__all__ = [
    "BlankRegion",
    "Counting",
    "CountingNoise",
    "Flats",
    "OpticalDensity",
    "Rescaled",
    "average_flats",
    "blank_region",
    "correct_by_blank",
    "density_of_block",
    "enough_jump",
    "fill_from_neighbours",
    "frame_optical_density",
    "good_pixels",
    "interpolate_flats",
    "mean_jump",
    "optical_density",
    "relative_magnification",
    "require_light",
    "require_stack",
    "rescale",
]

"""Maps from fluorescence spectra: counts of elements, with their standard errors.

`regions` sums around lines; `line_fits` fits of line shapes; `dead_time` what a busy detector lost; `normalise` per
incident beam; `self_absorption` what a layer absorbs itself.
"""

from whiteline.analysis.channels import Channels
from whiteline.analysis.fluorescence.dead_time import correct_dead_time
from whiteline.analysis.fluorescence.line_fits import LineFit, LineShapes, fit_lines, line_shapes
from whiteline.analysis.fluorescence.normalise import normalise
from whiteline.analysis.fluorescence.regions import region_sums
from whiteline.analysis.fluorescence.self_absorption import (
    correct_layer,
    element_absorption,
    escape,
    layer_fluorescence,
)
from whiteline.analysis.line_regions import LineRegion, line_regions

__all__ = [
    "Channels",
    "LineFit",
    "LineRegion",
    "LineShapes",
    "correct_dead_time",
    "correct_layer",
    "element_absorption",
    "escape",
    "fit_lines",
    "layer_fluorescence",
    "line_regions",
    "line_shapes",
    "normalise",
    "region_sums",
]

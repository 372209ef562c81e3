"""Fly scans: where each pixel was, which triggers were missed, and the map on a regular grid.

`positions` of pixels with their standard error; `triggers` which frame is of which pulse; `grid` regular grids;
`binning` measurements onto a grid, with coverage and errors; `centring` from where they were to the centres of the
grid; `agreement` of two maps of one sample.
"""

from whiteline.analysis.fly.agreement import Agreement, compare_maps
from whiteline.analysis.fly.binning import Binned, Deposit, bin_pixels
from whiteline.analysis.fly.centring import centred
from whiteline.analysis.fly.grid import Grid
from whiteline.analysis.fly.positions import PixelPositions, during_exposure, mean_position_error, pixel_positions
from whiteline.analysis.fly.triggers import Triggers, before_lines, read_triggers

__all__ = [
    "Agreement",
    "Binned",
    "Deposit",
    "Grid",
    "PixelPositions",
    "Triggers",
    "before_lines",
    "bin_pixels",
    "centred",
    "compare_maps",
    "during_exposure",
    "mean_position_error",
    "pixel_positions",
    "read_triggers",
]

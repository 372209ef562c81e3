"""Plans: what a scientist runs, and the wrappers that keep it safe.

The names below are the plans; all of them leave shutter, sample and settings as they were on every way out.
"""

from whiteline.plans.mosaic import mosaic, raster_mosaic
from whiteline.plans.raster import raster
from whiteline.plans.raster_stack import raster_stack
from whiteline.plans.restore_positions import restore_positions
from whiteline.plans.series import bias_series, time_series
from whiteline.plans.tune import tune
from whiteline.plans.xanes import xanes
from whiteline.plans.xanes_stack import xanes_stack

__all__ = [
    "bias_series",
    "mosaic",
    "raster",
    "raster_mosaic",
    "raster_stack",
    "restore_positions",
    "time_series",
    "tune",
    "xanes",
    "xanes_stack",
]

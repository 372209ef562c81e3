"""Plans: what a scientist runs, and the wrappers that keep it safe.

The names below are the plans; all of them leave shutter, sample and settings as they were on every way out.
"""

from whiteline.plans.calibration.calibrate_energy import calibrate_energy
from whiteline.plans.calibration.calibrate_focus import calibrate_focus
from whiteline.plans.calibration.calibrate_gap import calibrate_gap
from whiteline.plans.calibration.calibrate_magnification import calibrate_magnification
from whiteline.plans.calibration.find_rotation_centre import find_rotation_centre
from whiteline.plans.calibration.focus_series import focus_series
from whiteline.plans.calibration.knife_edge import knife_edge
from whiteline.plans.calibration.measure_dark_rates import measure_dark_rates
from whiteline.plans.calibration.scan_osa import scan_osa
from whiteline.plans.fly_raster import fly_raster
from whiteline.plans.fly_raster_stack import fly_raster_stack
from whiteline.plans.fly_tomography import fly_tomography
from whiteline.plans.fly_xanes import fly_xanes
from whiteline.plans.mosaic import mosaic, raster_mosaic
from whiteline.plans.raster import raster
from whiteline.plans.raster_stack import raster_stack
from whiteline.plans.restore_positions import restore_positions
from whiteline.plans.scan_axis import scan_axis
from whiteline.plans.series import bias_series, time_series
from whiteline.plans.tune import tune
from whiteline.plans.xanes import xanes
from whiteline.plans.xanes_stack import xanes_stack
from whiteline.plans.xanes_tomography import xanes_tomography

__all__ = [
    "bias_series",
    "calibrate_energy",
    "calibrate_focus",
    "calibrate_gap",
    "calibrate_magnification",
    "find_rotation_centre",
    "fly_raster",
    "fly_raster_stack",
    "fly_tomography",
    "fly_xanes",
    "focus_series",
    "knife_edge",
    "measure_dark_rates",
    "mosaic",
    "raster",
    "raster_mosaic",
    "raster_stack",
    "restore_positions",
    "scan_axis",
    "scan_osa",
    "time_series",
    "tune",
    "xanes",
    "xanes_stack",
    "xanes_tomography",
]

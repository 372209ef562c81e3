"""Where the focus is: sharpness of images, width of a beam, series through focus, and the calibration (A0, A1)."""

from whiteline.analysis.focus.focus_calibration import FocusCalibrationFit, RunOut, fit_focus, fit_run_out
from whiteline.analysis.focus.focus_series import BestFocus, NoFocus, focus_by_sharpness, focus_by_width
from whiteline.analysis.focus.knife_edge import KnifeEdge, NoEdge, fit_knife_edge
from whiteline.analysis.focus.sharpness import Sharpness, sharpness

__all__ = [
    "BestFocus",
    "FocusCalibrationFit",
    "KnifeEdge",
    "NoEdge",
    "NoFocus",
    "RunOut",
    "Sharpness",
    "fit_focus",
    "fit_knife_edge",
    "fit_run_out",
    "focus_by_sharpness",
    "focus_by_width",
    "sharpness",
]

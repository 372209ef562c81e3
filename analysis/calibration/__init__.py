"""What was measured about an instrument: typed, frozen, with covariance, version, date and source.

`EnergyCalibration` d-spacing and angle offset of the monochromator; `FocusCalibration` A0, A1 and run-out of a zone
plate; `MagnificationCalibration` measured over expected magnification; `RotationCalibration` where the axis of rotation
is in the middle of the image; `DarkCalibration` what ion chambers count without beam; `Table` positions of one axis
against energy.
Each predicts its own error, refuses where that is too large, and never extrapolates a table.
"""

from whiteline.analysis.calibration.base import Calibration, Uncertain, calibration_from_json
from whiteline.analysis.calibration.dark import DarkCalibration
from whiteline.analysis.calibration.energy import EnergyCalibration, fit_energy
from whiteline.analysis.calibration.focus import FocusCalibration, MagnificationCalibration
from whiteline.analysis.calibration.rotation import RotationCalibration
from whiteline.analysis.calibration.table import Table

__all__ = [
    "Calibration",
    "DarkCalibration",
    "EnergyCalibration",
    "FocusCalibration",
    "MagnificationCalibration",
    "RotationCalibration",
    "Table",
    "Uncertain",
    "calibration_from_json",
    "fit_energy",
]

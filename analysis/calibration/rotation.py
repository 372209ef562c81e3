"""The calibration of a rotation: where its axis has to stand to be in the middle of the image, and how it leans."""

from dataclasses import dataclass
from typing import ClassVar

from whiteline.analysis.calibration.base import Calibration
from whiteline.analysis.checks import require_finite, require_positive


@dataclass(frozen=True, kw_only=True)
class RotationCalibration(Calibration):
    """Where the axis of rotation is in the middle of the image.

    Parameters
    ----------
    position, error : float
        Reading of the stage that carries the axis across the beam at which it is there, and its standard error [µm].
    tilt_mrad, tilt_error_mrad : float or None
        By how much the axis leans against the columns of the camera, positive where its column grows with the row, and
        its standard error [mrad]; None where that was not found.
    """

    kind: ClassVar[str] = "rotation"

    position: float
    error: float
    tilt_mrad: float | None = None
    tilt_error_mrad: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require_finite(self.position, "position of the stage of the rotation", "µm")
        require_positive(self.error, "error of the position", "µm")
        if (self.tilt_mrad is None) != (self.tilt_error_mrad is None):
            raise ValueError("tilt of the axis of rotation and its error must both be there, or both be None")
        if self.tilt_mrad is not None and self.tilt_error_mrad is not None:
            require_finite(self.tilt_mrad, "tilt of the axis of rotation", "mrad")
            require_positive(self.tilt_error_mrad, "error of the tilt", "mrad")

    def off(self, reading: float) -> float:
        """Return how far beside the middle of the image the axis stands [µm], for a reading of the stage [µm]."""
        require_finite(reading, "reading of the stage", "µm")
        return reading - self.position

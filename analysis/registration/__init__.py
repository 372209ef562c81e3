"""Where frames have moved to, how far to believe it, and how to bring them back onto their reference.

`gradient_correlation` is the fast and precise way, `intensity` an independent second one, `confidence` says when to
distrust, `resampling` moves frames and tells what that does to their noise; `rotation_centre` finds the axis of
rotation by two frames half a turn apart, `turns` averages what is measured there and back again.
"""

from whiteline.analysis.registration.bad_pixels import binned
from whiteline.analysis.registration.confidence import THRESHOLD, Verdict, judge
from whiteline.analysis.registration.gradient_correlation import Reference, Shift
from whiteline.analysis.registration.intensity import Alignment, align
from whiteline.analysis.registration.resampling import (
    common_field,
    correlation_area,
    mean_noise_gain,
    noise_gain,
    noise_gain_map,
    resample,
    resample_masked,
    resample_variance,
)
from whiteline.analysis.registration.rotation_centre import RotationCentre, rotation_centre
from whiteline.analysis.registration.turns import mean_of_turns

__all__ = [
    "THRESHOLD",
    "Alignment",
    "Reference",
    "RotationCentre",
    "Shift",
    "Verdict",
    "align",
    "binned",
    "common_field",
    "correlation_area",
    "judge",
    "mean_noise_gain",
    "mean_of_turns",
    "noise_gain",
    "noise_gain_map",
    "resample",
    "resample_masked",
    "resample_variance",
    "rotation_centre",
]

"""The axis of rotation, by the newest frame and the last one before it that was taken half a turn away."""

from collections.abc import Mapping

import numpy as np

from whiteline.analysis.live.recipes import pixel_um
from whiteline.analysis.live.stack import GrowingStack
from whiteline.analysis.registration.rotation_centre import rotation_centre
from whiteline.analysis.runs.roles import given_role
from whiteline.analysis.runs.run import Run

HALF_A_TURN_DEG, WITHIN_DEG = 180.0, 0.1
"""How far two frames are apart, and how exactly [deg]: a tenth shears what lies 10 µm beside the axis by 17 nm."""


def rotation_values(run: Run, stack: GrowingStack) -> dict[str, float | str]:
    """Return what `live.rotation` says.

    Parameters
    ----------
    run : Run
        Whose start document names the reading of the rotation, as `roles.rotation`.
    stack : GrowingStack
        With the newest frame.

    Raises
    ------
    ValueError
        If the angle was not recorded, no frame was taken half a turn away, or one of the two cannot be used.
    """
    key = given_role(run.start, "rotation")
    if key is None or key not in run.points:
        raise ValueError("the angle was not recorded; name its data key as roles.rotation in the start document")
    angles = {
        point.seq_num: float(angle)
        for point in run.points.points
        if point.seq_num in stack.followed and (angle := point.data.get(key)) is not None
    }
    newest = max(stack.followed)
    partner = _half_a_turn_before(angles, newest)
    first, then = (stack.density_of(number) for number in (partner, newest))
    binning = max(1, -(-min(first.shape) // stack.settings.registration_side))
    found = rotation_centre(first, then, binning=binning)
    pixel = pixel_um(run, run.points) or np.nan
    return {
        "column": found.column,
        "error": found.error,
        "off_um": (found.column - (first.shape[1] - 1) / 2) * pixel,
        "error_um": found.error * pixel,
        "tilt_mrad": found.tilt_mrad,
        "tilt_error_mrad": found.tilt_error_mrad,
        "rise": found.rise,
        "confidence": found.confidence,
        "trusted": int(found.trusted),
        "reason": found.reason,
        "angle": angles[newest],
        "frame": newest,
        "partner": partner,
    }


def _half_a_turn_before(angles: Mapping[int, float], newest: int) -> int:
    """Return the number of the last frame before one that was taken half a turn away from it."""
    if newest not in angles:
        raise ValueError(f"the angle of frame {newest} was not recorded")
    here = angles[newest]
    apart = {one: abs(abs(angle - here) - HALF_A_TURN_DEG) for one, angle in angles.items() if one < newest}
    partners = [one for one, off in apart.items() if off <= WITHIN_DEG]
    if not partners:
        raise ValueError(f"no frame was taken half a turn away from frame {newest}, which stands at {here:g} deg")
    return max(partners)

"""How long a move takes: the trapezoid of the EPICS motor record."""

import math

import numpy as np

from whiteline.analysis.checks import Numbers, as_given, require, require_finite, require_positive


def move_duration(distance: Numbers, velocity: float, acceleration: float, settle: float = 0.0) -> Numbers:
    """Return how long an axis takes from the command until it stands still [s].

    The velocity rises to VELO within ACCL seconds, stays, and falls as fast. A short move never reaches VELO.

    Parameters
    ----------
    distance : float or ndarray
        How far it goes, of either sign, in the unit of the axis.
    velocity : float
        VELO, in that unit per second.
    acceleration : float
        ACCL, the time to reach VELO [s].
    settle : float
        What is waited after the motion [s].

    Returns
    -------
    float or ndarray
        Duration [s]; the settle time alone for no distance.

    Raises
    ------
    OutOfRange
        If the velocity is not positive, or a time is negative.
    """
    require_finite(distance, "distance")
    require_positive(velocity, "velocity", "units/s")
    for value, name in ((acceleration, "acceleration time"), (settle, "settle time")):
        require(value, 0 <= value < np.inf, name, "must be finite and not negative", "s")
    length = np.abs(distance)
    ramp = velocity * acceleration  # what both ramps together cover
    if isinstance(length, float):
        moving = 2 * math.sqrt(length * acceleration / velocity) if length < ramp else length / velocity + acceleration
        return (moving if length > 0 else 0.0) + settle
    short = 2 * np.sqrt(length * acceleration / velocity)
    moving = np.where(length < ramp, short, length / velocity + acceleration)
    return as_given(distance, np.where(length > 0, moving, 0.0) + settle)

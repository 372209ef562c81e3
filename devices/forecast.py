"""What a trigger will take and leave, told before it is given."""

from typing import NamedTuple


class Forecast(NamedTuple):
    """A trigger that is yet to come.

    Parameters
    ----------
    seconds : float
        How long it will take [s].
    frames, bytes : int
        That it will add to a file.
    """

    seconds: float
    frames: int = 0
    bytes: int = 0

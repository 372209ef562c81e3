"""Where an axis was at each point: where it was sent, what it read, and what the interferometer says of the dwell."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.runs.roles import setpoint_key
from whiteline.analysis.runs.streams import Stream

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AxisPositions:
    """Positions of one axis, shape (n,) each; NaN where it was not recorded.

    Parameters
    ----------
    name : str
        Of the axis.
    unit : str
        Of all of them.
    commanded : ndarray of float64
        Where it was sent.
    read : ndarray of float64
        Its readback.
    interferometer : ndarray of float64
        Mean over the dwell of the point, with the zero of the axis.
    rms : ndarray of float64
        Noise within the dwell, vibration included.
    """

    name: str
    unit: str
    commanded: Numbers
    read: Numbers
    interferometer: Numbers
    rms: Numbers

    @property
    def best(self) -> Numbers:
        """What the interferometer says, where it says something, else the readback."""
        return np.where(np.isnan(self.interferometer), self.read, self.interferometer)


def positions_of(stream: Stream, axis: str) -> AxisPositions:
    """Return the positions of an axis at all points of a stream.

    Raises
    ------
    UnreadableRun
        If the stream does not record the axis.
    """
    read = stream.numbers(axis)

    def recorded(key: str | None) -> Numbers:
        return stream.numbers(key) if key is not None and key in stream else np.full(len(stream), np.nan)

    return AxisPositions(
        name=axis,
        unit=stream.unit(axis),
        commanded=recorded(setpoint_key(stream, axis)),
        read=read,
        interferometer=recorded(f"{axis}_mean"),
        rms=recorded(f"{axis}_rms"),
    )

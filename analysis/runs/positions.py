"""Where an axis was at each point: where it was sent, what it read, and what the interferometer says of the dwell.

A run may take several places of a sample at each energy. Then each point says by `position_index` which of the
`positions` of the start document it is of, counted from 0.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.runs.builder import Point
from whiteline.analysis.runs.roles import setpoint_key
from whiteline.analysis.runs.streams import Stream

Numbers = NDArray[np.float64]

POSITION_INDEX = "position_index"
"""Data key of the place of the sample that a point is of."""


def position_of(point: Point) -> int | None:
    """Return which place of the sample a point is of; None if it does not say."""
    index = point.data.get(POSITION_INDEX)
    return None if index is None else int(index)


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
